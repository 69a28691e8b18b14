//! Lines of the log that are asked for, file by file in the order of their beginnings.

use super::chain::push_hex;
use super::keys::AuditKeys;
use super::line::rfc3339;
use super::read::unreadable;
use canis_proto::audit::{AuditLines, SearchAudit};
use canis_proto::{ENTRY_PREFIX, Error, Id, Result};
use serde_json::Value;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// The most lines of one answer, and how many there are if nothing is said.
const MOST: usize = 1000;
const USUAL: usize = 100;
/// The most bytes of one answer.
const BYTES: usize = 4 << 20;

/// What lines must say.
pub(crate) struct Wanted<'a> {
    asked: &'a SearchAudit<'a>,
    since: Option<String>,
    until: Option<String>,
    entry: Option<String>,
    /// The one tenant whose lines may be seen.
    tenant: Option<String>,
}

impl<'a> Wanted<'a> {
    /// What `asked` asks for, of the lines of one tenant or of all.
    pub(crate) fn new(
        asked: &'a SearchAudit<'a>,
        keys: &AuditKeys,
        own: Option<Id>,
        only: Option<Id>,
    ) -> Self {
        let time = |at: Option<i64>| at.map(|at| rfc3339(at).iter().map(|byte| char::from(*byte)).collect());
        let entry = asked.on.strip_prefix(ENTRY_PREFIX).map(|id| {
            let mut hex = Vec::new();
            push_hex(&mut hex, &keys.digest(own, b'e', id.as_bytes()));
            String::from_utf8_lossy(&hex).into_owned()
        });
        let tenant = only.map(|id| id.to_string());
        Wanted { asked, since: time(asked.since), until: time(asked.until), entry, tenant }
    }

    fn fits(&self, line: &str) -> bool {
        let Ok(read) = serde_json::from_str::<Value>(line) else { return false };
        let says = |field: &str| read[field].as_str().unwrap_or_default();
        let SearchAudit { on, who, operation, result, .. } = self.asked;
        let about = match &self.entry {
            Some(entry) => says("entry") == entry,
            None => says("on").starts_with(&**on),
        };
        let user = || read["user"].as_u64().is_some_and(|user| who.parse() == Ok(user));
        let asker = who.is_empty() || says("who") == who || user();
        let came = match &**result {
            "" => true,
            "refused" => says("result") != "ok",
            name => says("result") == name,
        };
        about
            && asker
            && came
            && (operation.is_empty() || says("op") == operation)
            && self.tenant.as_ref().is_none_or(|tenant| says("tenant") == tenant)
            && self.since.as_ref().is_none_or(|since| says("time") >= since.as_str())
            && self.until.as_ref().is_none_or(|until| says("time") <= until.as_str())
    }
}

/// Looks through the files of `folder`.
pub(crate) fn search(folder: &Path, wanted: &Wanted<'_>) -> Result<AuditLines> {
    let SearchAudit { after, last, limit, .. } = wanted.asked;
    let limit = if *limit == 0 { USUAL } else { (*limit as usize).min(MOST) };
    let (from_file, from_byte) = position(after)?;
    let (mut lines, mut bytes, mut next) = (VecDeque::new(), 0, after.to_string());
    for (name, path) in names(folder)?.into_iter().filter(|(name, _)| *name >= from_file) {
        let start = if name == from_file { from_byte } else { 0 };
        let mut at = start;
        let mut reader = opened(&path, start)?;
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = reader.read_until(b'\n', &mut line).map_err(|error| unreadable(&path, &error))?;
            // A line that is being written is found whole the next time.
            if read == 0 || !line.ends_with(b"\n") {
                break;
            }
            at += read as u64;
            let text = String::from_utf8_lossy(&line[..read - 1]);
            if wanted.fits(&text) {
                if *last && (lines.len() == limit || bytes + text.len() > BYTES) {
                    bytes -= lines.pop_front().map_or(0, |gone: String| gone.len());
                }
                if !*last && (lines.len() == limit || bytes + text.len() > BYTES) {
                    return Ok(AuditLines { lines: lines.into(), next, more: true });
                }
                bytes += text.len();
                lines.push_back(text.into_owned());
            }
            next = format!("{name}:{at}");
        }
    }
    Ok(AuditLines { lines: lines.into(), next, more: false })
}

fn opened(path: &Path, start: u64) -> Result<BufReader<File>> {
    let open = || -> std::io::Result<File> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(start))?;
        Ok(file)
    };
    open().map(|file| BufReader::with_capacity(1 << 18, file)).map_err(|error| unreadable(path, &error))
}

fn names(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let mut names: Vec<(String, PathBuf)> = super::read::files(folder)?
        .into_values()
        .flat_map(|files| files.into_values())
        .map(|path| (path.file_name().unwrap_or_default().to_string_lossy().into_owned(), path))
        .collect();
    names.sort();
    Ok(names)
}

/// The file and byte that a position names.
fn position(after: &str) -> Result<(String, u64)> {
    if after.is_empty() {
        return Ok((String::new(), 0));
    }
    let read = || {
        let (file, byte) = after.rsplit_once(':')?;
        Some((file.to_owned(), byte.parse().ok()?))
    };
    read().ok_or_else(|| Error::invalid("`after` must be what an answer called `next`"))
}
