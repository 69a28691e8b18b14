//! `canis slot import` and `canis slot export`: single objects on their way into a token, and public ones out of it.

use super::slot::OpenToken;
use crate::files::{self, Readers};
use crate::slot_args::{Encoding, ExportObject, Exported, ImportObject, SecretKind};
use crate::{pin, prompt, secret_file, show};
use canis_core::crypto::private_parts::PrivateParts;
use canis_core::format::certificate::Certificate;
use canis_core::format::{self, Checked, file, pem};
use canis_core::object::{
    self, Class, Content, CreateObject, DestroyObject, FindObjects, KeyFacts, Object, Wanted,
};
use canis_core::token::Role;
use canis_core::{Caller, Core, default_provider};
use canis_proto::{Error, ErrorCode, Id, KeyFormat, KeyType, Result};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;

// PKCS#11 3.1, section 4.6.3: the attributes of a certificate, by their numbers.
const CKA_VALUE: u64 = 0x11;
const CKA_CERTIFICATE_TYPE: u64 = 0x80;
const CKA_ISSUER: u64 = 0x81;
const CKA_SERIAL_NUMBER: u64 = 0x82;
const CKA_SUBJECT: u64 = 0x101;
/// CKC_X_509.
const X_509: u64 = 0;

pub(super) fn import(args: &ImportObject, json: bool) -> Result<()> {
    // What is wrong with the files is told before a PIN is tried.
    let key = args.file.as_deref().map(|path| read_key(path, args)).transpose()?;
    let certificate = match &args.certificate {
        Some(path) => Some(Certificate::read(&files::read(Some(path))?)?),
        None => None,
    };
    if let (Some(Checked::Whole { spki, .. } | Checked::Public { spki, .. }), Some(certificate)) =
        (&key, &certificate)
        && !certificate.certifies(spki)
    {
        return Err(Error::invalid("the certificate is another key's; nothing was changed"));
    }
    let mut new: Vec<New> = key.map(shown).transpose()?.unwrap_or_default();
    new.extend(certificate.map(|certificate| New { content: of_certificate(certificate), parts: None }));
    for object in &mut new {
        object.content.label = args.label.as_bytes().to_vec();
        object.content.id = args.id.0.clone();
    }
    let pin = pin::known(pin::USER, args.pin_file.as_ref())?;
    let token = OpenToken::open(&args.token)?;
    let user = token.log_in(Role::User, &pin)?;
    let made: Vec<&str> = new.iter().map(|object| noun(object.content.class)).collect();
    keep_all(&token.core, &user, new)?;
    if json {
        return show::json(&json!({"token": token.info.label, "label": args.label, "made": made}));
    }
    files::print(made.iter().map(|noun| format!("{noun}\n")).collect::<String>().as_bytes())
}

/// An object that is to be made.
struct New {
    content: Content,
    /// The material of a private or secret key.
    parts: Option<PrivateParts>,
}

/// Reads the key and checks it: a weak one goes no further.
fn read_key(path: &Path, args: &ImportObject) -> Result<Checked> {
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
    given.check(default_provider())
}

/// The objects that show a key: a pair has two.
fn shown(key: Checked) -> Result<Vec<New>> {
    let public = |kind, spki| New {
        content: Content::new(Class::PublicKey, Some(KeyFacts::new(Class::PublicKey, kind, spki))),
        parts: None,
    };
    let (kind, material, spki) = match key {
        Checked::Public { kind, spki } => return Ok(vec![public(kind, spki)]),
        Checked::Whole { kind, material, spki } => (kind, material, spki),
    };
    let class = if kind.is_asymmetric() { Class::PrivateKey } else { Class::SecretKey };
    let whole = New {
        content: Content::new(class, Some(KeyFacts::new(class, kind, spki.clone()))),
        parts: Some(PrivateParts::of_material(kind, material.expose())?),
    };
    Ok(if kind.is_asymmetric() { vec![whole, public(kind, spki)] } else { vec![whole] })
}

fn of_certificate(certificate: Certificate) -> Content {
    let Certificate { der, subject, issuer, serial, .. } = certificate;
    let mut content = Content::new(Class::Certificate, None);
    // Sorted by number, as records keep them.
    content.attributes = vec![
        (CKA_VALUE, der),
        (CKA_CERTIFICATE_TYPE, X_509.to_ne_bytes().to_vec()),
        (CKA_ISSUER, issuer),
        (CKA_SERIAL_NUMBER, serial),
        (CKA_SUBJECT, subject),
    ];
    content
}

/// Makes all of them, or none.
fn keep_all(core: &Core, user: &Caller, new: Vec<New>) -> Result<()> {
    for object in &new {
        let Content { class, id, .. } = &object.content;
        let wanted = Wanted { class: Some(*class), id: Some(id), ..Wanted::default() };
        if !core.call(user, FindObjects { wanted })?.objects.is_empty() {
            return Err(Error::new(
                ErrorCode::KeyExists,
                format!("a {} of this id is on the token already; nothing was changed", noun(*class)),
            ));
        }
    }
    let mut made: Vec<Id> = Vec::new();
    for New { content, parts } in new {
        let kept = match parts {
            Some(parts) => core.call(user, object::ImportObject { parts, session: None, content }),
            None => core.call(user, CreateObject { session: None, content }),
        };
        match kept {
            Ok(id) => made.push(id),
            Err(error) => {
                // A half that cannot be taken back either stays visible; the first error says why it is alone.
                for object in made {
                    drop(core.call(user, DestroyObject { object }));
                }
                return Err(error);
            }
        }
    }
    Ok(())
}

pub(super) fn export(args: &ExportObject, json: bool) -> Result<()> {
    let pin = args.pin_file.as_ref().map(|file| pin::known(pin::USER, Some(file))).transpose()?;
    let token = OpenToken::open(&args.token)?;
    let caller = match &pin {
        Some(pin) => token.log_in(Role::User, pin)?,
        None => token.visitor(),
    };
    let (label, der) = find(&token.core, &caller, args)?;
    let written = match args.format {
        Encoding::Pem => pem::encode(label, &der).as_bytes().to_vec(),
        Encoding::Der => der,
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

/// What is asked for: what a PEM block calls it, and its DER.
fn find(core: &Core, caller: &Caller, args: &ExportObject) -> Result<(&'static str, Vec<u8>)> {
    let wanted = Wanted {
        label: args.label.as_deref().map(str::as_bytes),
        id: args.id.as_ref().map(|id| &id.0[..]),
        ..Wanted::default()
    };
    let found = core.call(caller, FindObjects { wanted })?;
    if let Some(refused) = found.refused.into_iter().next() {
        return Err(refused);
    }
    let of = |class| found.objects.iter().filter(move |object| object.content.class == class);
    let of_key = |class| of(class).filter_map(|object| Some(object.content.key.as_ref()?.spki.clone()));
    if args.kind != Some(Exported::Certificate) {
        let mut keys: Vec<_> = of_key(Class::PublicKey).chain(of_key(Class::PrivateKey)).collect();
        keys.sort();
        keys.dedup();
        match keys.len() {
            0 => {}
            1 => return Ok(("PUBLIC KEY", keys.remove(0))),
            many => return Err(several(many, "public keys")),
        }
    }
    let certificates: Vec<_> = of(Class::Certificate).filter_map(value).collect();
    match (&certificates[..], args.kind) {
        ([one], None | Some(Exported::Certificate)) => Ok(("CERTIFICATE", one.clone())),
        (_, Some(Exported::PublicKey)) | ([], _) => Err(nothing(&found.objects, args)),
        (many, _) => Err(several(many.len(), "certificates")),
    }
}

fn value(certificate: &Arc<Object>) -> Option<Vec<u8>> {
    let attributes = &certificate.content.attributes;
    attributes.iter().find(|(kind, _)| *kind == CKA_VALUE).map(|(_, value)| value.clone())
}

fn several(many: usize, what: &str) -> Error {
    Error::new(ErrorCode::Conflict, format!("{many} {what} fit; say --id as well as --label"))
}

fn nothing(found: &[Arc<Object>], args: &ExportObject) -> Error {
    if found.iter().any(|object| object.content.class.is_secret()) {
        return Error::new(
            ErrorCode::KeyNotExportable,
            "that is a secret key; private material does not leave by `slot export`. `canis key export` takes out \
             what may leave",
        );
    }
    let login = if args.pin_file.is_none() { "; private objects are seen with --pin-file only" } else { "" };
    Error::new(
        ErrorCode::ObjectNotFound,
        format!("the token has no such public key or certificate of this label and id{login}"),
    )
}

fn noun(class: Class) -> &'static str {
    match class {
        Class::PrivateKey => "private key",
        Class::PublicKey => "public key",
        Class::SecretKey => "secret key",
        Class::Certificate => "certificate",
        Class::Data | Class::Profile => "object",
    }
}
