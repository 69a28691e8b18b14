//! `canis file info`: who a file is for. The server, where one is named, says whether its keys still open it.

use super::ends::shown;
use super::one::read_header;
use crate::args::Connection;
use crate::file_args::FileInfo;
use crate::{connect, show};
use canis_client::Client;
use canis_client::file::{ArmorReader, Header, KeyStanza, plaintext_len};
use canis_proto::message::ShowKey;
use canis_proto::{Error, KeyState, Result};
use serde_json::{Value, json};
use std::fs::File;
use std::io::BufReader;

/// A recipient as it is shown.
struct Shown {
    kind: String,
    key: Option<(String, u32)>,
    /// Whether it opens the file, if that is known; why not, if it does not.
    opens: Option<std::result::Result<(), String>>,
}

pub(super) fn run(connection: &Connection, args: &FileInfo, json: bool) -> Result<()> {
    let failed = |error| Error::invalid(format!("cannot read {}: {error}", shown(&args.file)));
    let file = File::open(&args.file).map_err(failed)?;
    let len = file.metadata().map_err(failed)?.len();
    let (header, armored) = match read_header(&file)? {
        Some(header) => (header, false),
        None => (Header::read(&mut BufReader::new(ArmorReader::new(&file)))?, true),
    };
    // What was armoured is as long as it is read.
    let plain =
        (!armored).then(|| plaintext_len(len.saturating_sub(header.as_bytes().len() as u64))).flatten();
    let mut server = connect::is_configured(connection).then(|| connect::open(connection)).transpose()?;
    let stanzas = header.stanzas().iter().filter(|stanza| !Header::is_padding(stanza));
    let mut recipients = Vec::new();
    for stanza in stanzas {
        let key = KeyStanza::read(stanza)?.map(|key| (key.name, key.version));
        let opens = match (&mut server, &key) {
            (Some(server), Some((name, version))) => Some(opens(server, name, *version)),
            _ => None,
        };
        recipients.push(Shown { kind: stanza.kind.clone(), key, opens });
    }
    if json {
        let recipients: Vec<Value> = recipients.iter().map(Shown::json).collect();
        return show::json(&json!({
            "format": "age v1", "armored": armored, "header_bytes": header.as_bytes().len(),
            "plaintext_bytes": plain, "recipients": recipients,
        }));
    }
    let mut lines = vec![("format", if armored { "age v1, armoured" } else { "age v1" }.to_owned())];
    lines.extend(plain.map(|plain| ("plaintext", format!("{plain} bytes"))));
    if plain.is_none() && !armored {
        lines.push(("plaintext", "not whole: the file was cut".to_owned()));
    }
    lines.extend(recipients.iter().map(|recipient| ("recipient", recipient.text())));
    show::pairs(&lines)
}

/// Whether a version of a key is one that still decrypts.
fn opens(server: &mut Client, name: &str, version: u32) -> std::result::Result<(), String> {
    let key =
        server.call(&ShowKey { name: name.into(), before_version: 0 }).map_err(|error| error.message)?;
    if !matches!(key.state, KeyState::Active | KeyState::Disabled) {
        return Err(format!("the key is {}", key.state));
    }
    if version > key.current_version {
        return Err(format!("the key has no version {version}"));
    }
    match version >= key.min_decryption_version.max(key.oldest_version) {
        true => Ok(()),
        false => Err(format!("version {version} decrypts no more")),
    }
}

impl Shown {
    fn text(&self) -> String {
        let Some((name, version)) = &self.key else { return show::tame(&self.kind) };
        let opens = match &self.opens {
            None => "no server was asked whether it opens the file".to_owned(),
            Some(Ok(())) => "opens the file".to_owned(),
            Some(Err(why)) => format!("does not open the file: {why}"),
        };
        format!("key {name}, version {version}: {opens}")
    }

    fn json(&self) -> Value {
        let (name, version) = self.key.as_ref().map(|(name, version)| (name, version)).unzip();
        let why = self.opens.as_ref().and_then(|opens| opens.as_ref().err());
        json!({
            "type": self.kind, "key": name, "version": version,
            "opens": self.opens.as_ref().map(|opens| opens.is_ok()), "why_not": why,
        })
    }
}
