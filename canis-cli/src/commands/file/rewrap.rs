//! `canis file rewrap`: a file's key is wrapped anew, its body stays. The header is written over the old one, which has room for
//! that; a journal beside the file holds the old one until the new one is on the disk, so that a torn write is mended by the
//! next run. Where a header must grow, the file is made anew.

use super::ends::shown;
use super::one::read_header;
use super::who::{self, Openers, Server};
use crate::args::Connection;
use crate::file_args::RewrapFile;
use crate::show;
use canis_client::file::{Draft, FileKey, Header, KeyRecipient, KeyStanza, NONCE, Recipient, Stanza};
use canis_proto::{Error, Result};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// How a file was changed.
enum Change {
    /// Its header, where it stands.
    InPlace,
    /// All of it was copied behind a longer header.
    Copied,
    /// It was wrapped so already.
    None,
}

pub(super) fn run(connection: &Connection, args: &RewrapFile, json: bool) -> Result<()> {
    let server = Server::new(connection);
    let openers = Openers::from(&server, None, &args.identity)?;
    let added = who::recipients(&server, &args.add)?;
    let mut keys = BTreeMap::new();
    for path in &args.files {
        let named = |error: Error| Error::new(error.code, format!("{}: {}", shown(path), error.message));
        let change = rewrap(path, args, (&server, &openers, &added, &mut keys)).map_err(named)?;
        let told = match change {
            Change::InPlace => "header",
            Change::Copied => "copied",
            Change::None => "unchanged",
        };
        match json {
            true => show::json(&json!({"file": path, "rewrapped": told}))?,
            false => eprintln!("{}: {told}", shown(path)),
        }
    }
    Ok(())
}

type With<'a> =
    (&'a Server<'a>, &'a Openers<'a>, &'a [Box<dyn Recipient>], &'a mut BTreeMap<String, KeyRecipient>);

fn rewrap(path: &Path, args: &RewrapFile, (server, openers, added, keys): With<'_>) -> Result<Change> {
    let failed = |error: io::Error| Error::invalid(format!("it cannot be opened to be changed: {error}"));
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(failed)?;
    let journal = journal(path);
    mend(&file, &journal)?;
    let header = read_header(&file)?
        .ok_or_else(|| Error::invalid("an armoured file has no header that could be changed in place"))?;
    let key = header.open(&openers.all())?;
    let mut stanzas = Vec::new();
    let mut is_new = !added.is_empty();
    for stanza in header.stanzas().iter().filter(|stanza| !Header::is_padding(stanza)) {
        match KeyStanza::read(stanza)? {
            Some(old) if args.remove.contains(&old.name) => is_new = true,
            Some(old) => {
                let recipient = known(server, keys, &old.name)?;
                let again = recipient.wrap(&key)?;
                let is_newer = KeyStanza::read(&again)?.is_some_and(|new| new.version != old.version);
                is_new |= is_newer;
                stanzas.push(if is_newer { again } else { stanza.clone() });
            }
            None => stanzas.push(stanza.clone()),
        }
    }
    for recipient in added {
        stanzas.push(recipient.wrap(&key)?);
    }
    if stanzas.is_empty() {
        return Err(Error::invalid("nobody would be left to open it; add a key or a recipient"));
    }
    if !is_new {
        return Ok(Change::None);
    }
    replace(path, &file, &journal, (&header, stanzas, &key))
}

fn known<'a>(
    server: &Server<'_>,
    keys: &'a mut BTreeMap<String, KeyRecipient>,
    name: &str,
) -> Result<&'a KeyRecipient> {
    if !keys.contains_key(name) {
        keys.insert(name.to_owned(), KeyRecipient::new(server.reach()?, name)?);
    }
    keys.get(name).ok_or_else(|| Error::internal("a key that was asked for is not there"))
}

fn replace(
    path: &Path,
    file: &File,
    journal: &Path,
    (old, stanzas, key): (&Header, Vec<Stanza>, &FileKey),
) -> Result<Change> {
    let len = old.as_bytes().len();
    match Header::of_len(stanzas.clone(), key, len)? {
        Some(new) => {
            write_over(file, journal, old, &new)?;
            Ok(Change::InPlace)
        }
        None => {
            copy(path, file, len, &Header::with_room(stanzas, key)?)?;
            Ok(Change::Copied)
        }
    }
}

fn write_over(file: &File, journal: &Path, old: &Header, new: &Header) -> Result<()> {
    let failed = |error: io::Error| Error::invalid(format!("its header cannot be written: {error}"));
    let mut nonce = [0; NONCE];
    file.read_exact_at(&mut nonce, old.as_bytes().len() as u64).map_err(failed)?;
    let draft = Draft::of(journal)?;
    draft.file().write_all_at(&[&nonce[..], old.as_bytes()].concat(), 0).map_err(failed)?;
    draft.publish()?;
    file.write_all_at(new.as_bytes(), 0).and_then(|()| file.sync_data()).map_err(failed)?;
    fs::remove_file(journal).map_err(failed)
}

/// Puts the old header back where a run was torn away. The nonce of the body tells that it is the same file.
fn mend(file: &File, journal: &Path) -> Result<()> {
    let failed = |error: io::Error| Error::invalid(format!("its old header cannot be put back: {error}"));
    let kept = match fs::read(journal) {
        Ok(kept) => kept,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    let Some((nonce, header)) = kept.split_first_chunk::<NONCE>() else { return Ok(()) };
    let mut is = [0; NONCE];
    if file.read_exact_at(&mut is, header.len() as u64).is_ok() && is == *nonce {
        file.write_all_at(header, 0).and_then(|()| file.sync_data()).map_err(failed)?;
    }
    fs::remove_file(journal).map_err(failed)
}

/// Where the old header stands while the new one is written.
pub(super) fn journal(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.canis-rewrap"))
}

/// The kernel copies the body, within the file system where that can.
fn copy(path: &Path, file: &File, start: usize, header: &Header) -> Result<()> {
    let failed = |error: io::Error| Error::invalid(format!("it cannot be copied: {error}"));
    let draft = Draft::of(path)?;
    let (mut from, mut to) = (file, draft.file());
    io::Write::write_all(&mut to, header.as_bytes()).map_err(failed)?;
    from.seek(SeekFrom::Start(start as u64)).map_err(failed)?;
    io::copy(&mut from, &mut to).map_err(failed)?;
    draft.set_mode(file.metadata().map_err(failed)?.mode())?;
    draft.publish()
}
