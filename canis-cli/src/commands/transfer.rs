//! `canis key wrapping-key`, `import`, `export`, `canis import ssh` and `age`: keys on their way in and out.
//!
//! What needs a passphrase is opened and closed here, so that passphrases stay on this machine.

use super::key::print_key;
use crate::args::Connection;
use crate::files::{self, Readers};
use crate::transfer_args::{
    ExportFormat, ExportKey, ImportFile, ImportKey, MayLeave, Passphrase, WrappingKey,
};
use crate::{connect, prompt, secret_file, show};
use base64ct::{Base64, Encoding};
use canis_core::default_provider;
use canis_core::format::{self, Checked, Given, file, pbes2, pem};
use canis_core::secret::SecretBytes;
use canis_proto::answer::ExportedKey;
use canis_proto::message;
use canis_proto::{Error, KeyFormat, KeyType, Result};
use serde_json::json;
use std::io::{IsTerminal, stdout};
use std::path::Path;
use zeroize::Zeroizing;

pub(super) fn wrapping_key(connection: &Connection, args: &WrappingKey, json: bool) -> Result<()> {
    let kind = args.kind.as_deref().map_or(Ok(message::WrappingKey::DEFAULT), str::parse)?;
    let key = connect::open(connection)?.call(&message::WrappingKey { kind })?;
    let pem = format::public::to_pem(&key.spki);
    if let Some(out) = &args.out {
        files::write(out, pem.as_bytes(), Readers::Umask)?;
    }
    if json {
        return show::json(&json!({"wrapping_key": pem}));
    }
    if args.out.is_none() { files::print(pem.as_bytes()) } else { Ok(()) }
}

pub(super) fn import(connection: &Connection, args: &ImportKey, json: bool) -> Result<()> {
    let kind: Option<KeyType> = args.kind.as_deref().map(str::parse).transpose()?;
    let material = match (&args.wrapped, kind) {
        (Some(path), Some(kind)) => {
            let inside =
                args.format.unwrap_or(if kind.is_asymmetric() { KeyFormat::Pkcs8 } else { KeyFormat::Raw });
            Material { kind, format: inside, bytes: files::read(Some(path))? }
        }
        _ => read(args.input.as_deref(), kind, args.format, &args.passphrase)?,
    };
    let request = message::ImportKey {
        wrapped: args.wrapped.is_some(),
        wrapping_key: args.wrapping_key.as_deref().unwrap_or_default().into(),
        next_version: args.next_version,
        usage: args.usage,
        ..material.request(&args.name, args.export)
    };
    print_key(&connect::open(connection)?.call(&request)?, json)
}

pub(crate) fn import_file(connection: &Connection, args: &ImportFile, json: bool) -> Result<()> {
    let material = read(Some(&args.file), None, None, &args.passphrase)?;
    keep(connection, args, &material, json)
}

/// Imports what a file held as a new key, which is called as the file is unless another name is given.
pub(super) fn keep(
    connection: &Connection,
    args: &ImportFile,
    material: &Material,
    json: bool,
) -> Result<()> {
    let name = match (&args.name, args.file.file_stem().and_then(|stem| stem.to_str())) {
        (Some(name), _) => name,
        (None, Some(stem)) => stem,
        (None, None) => return Err(Error::invalid("the file's name is no name of a key; give --name")),
    };
    print_key(&connect::open(connection)?.call(&material.request(name, args.export))?, json)
}

/// A key as it crosses CANISP.
pub(super) struct Material {
    kind: KeyType,
    format: KeyFormat,
    bytes: Zeroizing<Vec<u8>>,
}

impl Material {
    /// What was read, checked: what is wrong with it is told before it leaves this machine.
    pub(super) fn checked(given: Given, kind: Option<KeyType>) -> Result<Self> {
        let checked = given.check(default_provider())?;
        // The type asked for goes along, so that a key of another type is refused by the server as by any door.
        let kind = kind.unwrap_or_else(|| checked.kind());
        let (_, format, material) = checked.into_form();
        Ok(Material { kind, format, bytes: Zeroizing::new(material.expose().to_vec()) })
    }

    fn request<'a>(&'a self, name: &'a str, export: MayLeave) -> message::ImportKey<'a> {
        message::ImportKey {
            name: name.into(),
            kind: self.kind,
            format: self.format,
            material: self.bytes.as_slice().into(),
            wrapped: false,
            wrapping_key: "".into(),
            next_version: false,
            usage: None,
            exportable: export.exportable,
            allow_plaintext_backup: export.allow_plaintext_backup,
        }
    }
}

/// Reads a key that is not wrapped.
fn read(
    path: Option<&Path>,
    kind: Option<KeyType>,
    format: Option<KeyFormat>,
    passphrase: &Passphrase,
) -> Result<Material> {
    let bytes = files::read(path)?;
    let given = match (format, kind) {
        (Some(KeyFormat::Raw), None) => {
            return Err(Error::invalid("raw bytes do not say what they are; give --type"));
        }
        (Some(format), kind) if !pem::is_pem(&bytes) => {
            format::decode(format, kind.unwrap_or(KeyType::Aes256), &bytes)?
        }
        _ => read_any(&bytes, kind, passphrase)?,
    };
    Material::checked(given, kind)
}

fn read_any(bytes: &[u8], kind: Option<KeyType>, passphrase: &Passphrase) -> Result<Given> {
    file::read(default_provider(), kind, bytes, &mut || ask(passphrase))
}

/// The passphrase, from its file or from the terminal.
pub(super) fn ask(passphrase: &Passphrase) -> Result<SecretBytes> {
    match &passphrase.passphrase_file {
        Some(path) => secret_file::read_line(path, "passphrase"),
        None => prompt::ask("the key's passphrase", "--passphrase-file"),
    }
}

pub(super) fn export(connection: &Connection, args: &ExportKey, json: bool) -> Result<()> {
    let named = args.wrapping_key.is_some() || args.wrapping_public_key.is_some();
    if named != (args.format == ExportFormat::Wrapped) {
        return Err(Error::invalid(
            "`--format wrapped` goes with --wrapping-key or --wrapping-public-key, and only it",
        ));
    }
    if args.passphrase_file.is_some() && args.format != ExportFormat::Pkcs8 {
        return Err(Error::invalid("a passphrase protects `--format pkcs8` only"));
    }
    // Looked at before the key leaves.
    if args.out.is_none() && !json && !args.force && stdout().is_terminal() {
        return Err(Error::invalid(
            "the key would be shown on the terminal; give --out, or --force if you want that",
        ));
    }
    let passphrase =
        args.passphrase_file.as_ref().map(|path| secret_file::read_line(path, "passphrase")).transpose()?;
    let wrapper = args.wrapping_public_key.as_deref().map(read_public).transpose()?.unwrap_or_default();
    let mut client = connect::open(connection)?;
    let format = match args.format {
        ExportFormat::Jwk => KeyFormat::Jwk,
        ExportFormat::Pkcs8 => KeyFormat::Pkcs8,
        ExportFormat::Raw => KeyFormat::Raw,
        ExportFormat::Wrapped => {
            let name = args.name.as_str().into();
            let key = client.call(&message::ShowKey { name, before_version: 0 })?;
            if key.kind.is_asymmetric() { KeyFormat::Pkcs8 } else { KeyFormat::Raw }
        }
    };
    let key = client.call(&message::ExportKey {
        name: args.name.as_str().into(),
        version: args.key_version.unwrap_or(0),
        format,
        wrapping_key: args.wrapping_key.as_deref().unwrap_or_default().into(),
        wrapping_public_key: wrapper.into(),
    })?;
    let written = written(&key, passphrase.as_ref())?;
    if let Some(out) = &args.out {
        files::write(out, &written, Readers::Owner)?;
        return if json { show::json(&exported_json(&key, None)) } else { Ok(()) };
    }
    if json {
        let material = Zeroizing::new(Base64::encode_string(&written));
        return show::json(&exported_json(&key, Some(&material)));
    }
    files::print(&written)
}

fn exported_json(key: &ExportedKey, material: Option<&str>) -> serde_json::Value {
    json!({
        "name": key.name,
        "version": key.version,
        "type": key.kind.name(),
        "format": key.format.name(),
        "wrapped": key.wrapped,
        "material_base64": material,
    })
}

/// The key as it goes into the file.
fn written(key: &ExportedKey, passphrase: Option<&SecretBytes>) -> Result<Zeroizing<Vec<u8>>> {
    let text = |label, der: &[u8]| Zeroizing::new(pem::encode(label, der).as_bytes().to_vec());
    Ok(match (key.wrapped, key.format, passphrase) {
        (false, KeyFormat::Pkcs8, Some(passphrase)) => {
            let sealed = pbes2::seal(default_provider(), &key.material, passphrase.expose())?;
            text("ENCRYPTED PRIVATE KEY", &sealed)
        }
        (false, KeyFormat::Pkcs8, None) => text("PRIVATE KEY", &key.material),
        _ => Zeroizing::new(key.material.clone()),
    })
}

/// A public key in a file, in SubjectPublicKeyInfo DER.
fn read_public(path: &Path) -> Result<Vec<u8>> {
    let bytes = files::read(Some(path))?;
    let mut no_passphrase = || Err(Error::invalid("the wrapping key is a public key; this one is private"));
    match file::read(default_provider(), None, &bytes, &mut no_passphrase)?.check(default_provider())? {
        Checked::Public { spki, .. } => Ok(spki),
        Checked::Whole { .. } => Err(Error::invalid("the wrapping key is a public key; this one is private")),
    }
}
