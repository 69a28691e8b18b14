//! `canis slot import` and `canis slot export`: single objects on their way into a token, and public ones out of it.

use super::slot::open;
use crate::args::Connection;
use crate::files::{self, Readers};
use crate::slot_args::{Encoding, ExportObject, ImportObject, SecretKind};
use crate::{pin, prompt, secret_file, show};
use canis_core::default_provider;
use canis_core::format::certificate::Certificate;
use canis_core::format::{self, file, pem};
use canis_core::secret::SecretBytes;
use canis_proto::slot::{ExportFromSlot, ImportToSlot};
use canis_proto::{Error, KeyFormat, KeyType, PublicObject, Result};
use serde_json::json;
use std::path::Path;

pub(super) fn import(connection: &Connection, args: &ImportObject, json: bool) -> Result<()> {
    // What is wrong with the files is told before a PIN is asked for.
    let key = args.file.as_deref().map(|path| read_key(path, args)).transpose()?;
    let certificate = match &args.certificate {
        Some(path) => Certificate::read(&files::read(Some(path))?)?.der,
        None => Vec::new(),
    };
    let pin = pin::known(pin::USER, args.pin_file.as_ref())?;
    let mut door = open(connection, &args.token.place)?;
    let made = door.call(ImportToSlot {
        token: args.token.token.as_str().into(),
        pin: pin.expose().into(),
        label: args.label.as_str().into(),
        id: args.id.0.as_slice().into(),
        kind: key.as_ref().map(|(kind, ..)| *kind),
        format: key.as_ref().map(|(_, format, _)| *format),
        material: key.as_ref().map(|(.., material)| material.expose()).unwrap_or_default().into(),
        certificate: certificate.into(),
    })?;
    if json {
        return show::json(&json!({"token": made.token, "label": made.label, "made": made.made}));
    }
    files::print(made.made.iter().map(|noun| format!("{noun}\n")).collect::<String>().as_bytes())
}

/// Reads the key and checks it: a weak one goes no further.
fn read_key(path: &Path, args: &ImportObject) -> Result<(KeyType, KeyFormat, SecretBytes)> {
    let bytes = files::read(Some(path))?;
    let given = match args.secret {
        Some(SecretKind::Generic) => format::decode(KeyFormat::Raw, KeyType::Generic, &bytes)?,
        Some(SecretKind::Aes) => {
            let kind = match bytes.len() {
                16 => KeyType::Aes128,
                24 => KeyType::Aes192,
                32 => KeyType::Aes256,
                len => {
                    return Err(Error::invalid(format!("an AES key has 16, 24 or 32 bytes, not {len}")));
                }
            };
            format::decode(KeyFormat::Raw, kind, &bytes)?
        }
        None => {
            let mut ask = || match &args.key_passphrase_file {
                Some(path) => secret_file::read_line(path, "passphrase"),
                None => prompt::ask("the key's passphrase", "--key-passphrase-file"),
            };
            file::read(default_provider(), None, &bytes, &mut ask)?
        }
    };
    Ok(given.check(default_provider())?.into_form())
}

pub(super) fn export(connection: &Connection, args: &ExportObject, json: bool) -> Result<()> {
    let pin = args.pin_file.as_ref().map(|file| pin::known(pin::USER, Some(file))).transpose()?;
    let mut door = open(connection, &args.token.place)?;
    let found = door.call(ExportFromSlot {
        token: args.token.token.as_str().into(),
        pin: pin.as_ref().map(|pin| pin.expose().into()),
        label: args.label.as_deref().map(Into::into),
        id: args.id.as_ref().map(|id| id.0.as_slice().into()),
        what: args.kind,
    })?;
    let written = match args.format {
        Encoding::Pem => pem::encode(pem_label(found.what), &found.der).as_bytes().to_vec(),
        Encoding::Der => found.der,
    };
    if let Some(out) = &args.out {
        return files::write(out, &written, Readers::Umask);
    }
    match (json, args.format) {
        (true, Encoding::Pem) => show::json(&json!({"pem": String::from_utf8_lossy(&written)})),
        (true, Encoding::Der) => Err(Error::invalid("DER is bytes, not JSON; give --out, or --format pem")),
        (false, _) => files::print(&written),
    }
}

fn pem_label(what: PublicObject) -> &'static str {
    match what {
        PublicObject::PublicKey => "PUBLIC KEY",
        PublicObject::Certificate => "CERTIFICATE",
    }
}
