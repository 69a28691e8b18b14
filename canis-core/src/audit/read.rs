//! Reading a log again: the files of each writer, line by line, and whether they are what was written.

use super::chain::{Chain, push_hex};
use super::files::parse_name;
use super::head::Head;
use super::keys::AuditKeys;
use super::signing::{Ended, HsmKeys, Signatures};
use canis_proto::{Error, ErrorCode, Id, Result};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// Where a log is not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The file; empty if it is missing.
    pub file: String,
    /// Its line, from 1; 0 is the file as a whole.
    pub line: u64,
    /// What is wrong.
    pub why: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.file.as_str(), self.line) {
            ("", _) => f.write_str(&self.why),
            (file, 0) => write!(f, "{file}: {}", self.why),
            (file, line) => write!(f, "{file}, line {line}: {}", self.why),
        }
    }
}

/// What reading one writer's files found.
#[derive(Default)]
pub(super) struct Found {
    pub(super) chain: Chain,
    pub(super) files: u32,
    pub(super) broken: Option<Broken>,
    /// What is no fault, but worth knowing.
    pub(super) notes: Vec<String>,
    pub(super) signatures: Signatures,
}

/// What the log of a store is read by.
pub(super) struct Reader<'a> {
    pub(super) keys: Option<&'a AuditKeys>,
    /// The keys of its HSMs; `None` where it is another one's business what they have signed.
    pub(super) hsm: Option<&'a HsmKeys<'a>>,
}

/// Every file of the folder, by writer and number.
pub(super) fn files(folder: &Path) -> Result<BTreeMap<Id, BTreeMap<u32, PathBuf>>> {
    let mut found: BTreeMap<Id, BTreeMap<u32, PathBuf>> = BTreeMap::new();
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(unreadable(folder, &error)),
    };
    for entry in entries {
        let path = entry.map_err(|error| unreadable(folder, &error))?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if let Some((writer, number)) = parse_name(&name) {
            found.entry(writer).or_default().insert(number, path);
        }
    }
    Ok(found)
}

/// Reads the files of one writer, and compares them with what the store knows. `see` gets every line that is right.
pub(super) fn writer(
    reader: &Reader<'_>,
    writer: Id,
    files: &BTreeMap<u32, PathBuf>,
    head: Option<&Head>,
    mut see: impl FnMut(&[u8]),
) -> Result<Found> {
    let mut found = Found::default();
    for (number, path) in files {
        if *number != found.files + 1 {
            found.broken = Some(missing(
                format!("file {} of this writer is missing before this one", found.files + 1),
                path,
            ));
            return Ok(found);
        }
        found.files += 1;
        if let Err(broken) = file((reader, writer), path, head, &mut found, &mut see)? {
            found.broken = Some(broken);
            return Ok(found);
        }
    }
    found.broken = ending(&found, files, head);
    Ok(found)
}

/// Whether the chain ends where it may.
fn ending(found: &Found, files: &BTreeMap<u32, PathBuf>, head: Option<&Head>) -> Option<Broken> {
    let last = files.values().next_back();
    let at = |why: String| {
        Some(match last {
            Some(path) => missing(why, path),
            None => Broken { file: String::new(), line: 0, why },
        })
    };
    match head {
        Some(head) if found.chain.seq < head.seq => at(format!(
            "lines {} to {} are missing: the store knows that they were written",
            found.chain.seq + 1,
            head.seq
        )),
        Some(head) if head.ended && found.chain.seq > head.seq => {
            at(format!("something was written after line {}, with which this writer ended", head.seq))
        }
        None if found.chain.keyed => {
            at("the store does not know this writer: its own row was removed".into())
        }
        _ => None,
    }
}

fn file(
    (Reader { keys, hsm }, writer): (&Reader<'_>, Id),
    path: &Path,
    head: Option<&Head>,
    found: &mut Found,
    see: &mut impl FnMut(&[u8]),
) -> Result<std::result::Result<(), Broken>> {
    let opened = File::open(path).map_err(|error| unreadable(path, &error))?;
    let (mut reader, mut line, mut number) = (BufReader::with_capacity(1 << 20, opened), Vec::new(), 0);
    let mut digest = Sha256::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line).map_err(|error| unreadable(path, &error))? == 0 {
            return Ok(Ok(()));
        }
        number += 1;
        let broken = |why: String| Broken { file: shown(path), line: number, why };
        let Some(text) = line.strip_suffix(b"\n") else {
            // A process that was killed may leave one; a line that the store knows of was whole.
            found.notes.push(format!("{}: line {number} was not finished", shown(path)));
            return Ok(Ok(()));
        };
        if let Err(error) = found.chain.follow(*keys, text) {
            return Ok(Err(broken(error.message)));
        }
        if let Some(head) = head
            && head.seq == found.chain.seq
            && head.mac != found.chain.mac
        {
            return Ok(Err(broken("it is not the line that the store knows by this number".into())));
        }
        let (closes, signs) =
            (contains(text, b"\"op\":\"audit.close\""), contains(text, b"\"op\":\"audit.sign\""));
        if closes {
            if !is_signed(*keys, text, &digest)? {
                return Ok(Err(broken("it does not sign what stands before it".into())));
            }
            found.signatures.ended(Ended { file: found.files, sha256: digest.clone().finalize().into() });
        }
        if (closes || signs)
            && let Err(why) = found.signatures.read(*hsm, text, writer, closes.then_some(found.files))
        {
            return Ok(Err(broken(why.to_owned())));
        }
        digest.update(&line);
        see(text);
    }
}

/// Whether the line names the digest of what stands before it, and signs it.
fn is_signed(keys: Option<&AuditKeys>, line: &[u8], digest: &Sha256) -> Result<bool> {
    let digest: [u8; 32] = digest.clone().finalize().into();
    let mut named = b"\"sha256\":\"".to_vec();
    push_hex(&mut named, &digest);
    if !contains(line, &named) {
        return Ok(false);
    }
    let Some(keys) = keys else { return Ok(true) };
    // Ed25519 signs the same in the same way.
    let mut signed = b"\"signature\":\"".to_vec();
    push_hex(&mut signed, &keys.sign(&digest)?);
    Ok(contains(line, &signed) || contains(line, super::chain::UNKEYED))
}

pub(super) fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

fn missing(why: String, path: &Path) -> Broken {
    Broken { file: shown(path), line: 0, why }
}

fn shown(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    Error::new(ErrorCode::StoreUnavailable, format!("{}: {error}", path.display()))
}
