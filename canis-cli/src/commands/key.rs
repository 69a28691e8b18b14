//! `canis key …`.

use super::{apply, key_life, transfer};
use crate::args::{self, Connection, KeyCommand, PublicFormat};
use crate::files::{self, Readers};
use crate::{connect, key_args, show};
use base64ct::{Base64, Encoding};
use canis_core::format::public::{to_jwk, to_openssh, to_pem};
use canis_proto::Result;
use canis_proto::answer::{KeyInfo, PublicKeyInfo};
use canis_proto::message::{CreateKey, ListKeys, PublicKey, ShowKey};
use serde_json::{Value, json};
use std::fmt::Write;

pub(crate) fn run(connection: &Connection, command: &KeyCommand, json: bool) -> Result<()> {
    match command {
        KeyCommand::Create(args) => create(connection, args, json),
        KeyCommand::List(args) => list(connection, args, json),
        KeyCommand::Show(args) => show(connection, args, json),
        KeyCommand::Public(args) => public(connection, args, json),
        KeyCommand::Versions(args) => key_life::versions(connection, args, json),
        KeyCommand::Update(args) => key_life::update(connection, args, json),
        KeyCommand::Activate(args) => key_life::activate(connection, args, json),
        KeyCommand::Disable(args) => key_life::disable(connection, args, json),
        KeyCommand::Enable(args) => key_life::enable(connection, args, json),
        KeyCommand::Destroy(args) => key_life::destroy(connection, args, json),
        KeyCommand::CancelDestroy(args) => key_life::cancel_destroy(connection, args, json),
        KeyCommand::Apply(args) => apply::run(connection, args, json),
        KeyCommand::Rotate(args) => key_life::rotate(connection, args, json),
        KeyCommand::WrappingKey(args) => transfer::wrapping_key(connection, args, json),
        KeyCommand::Import(args) => transfer::import(connection, args, json),
        KeyCommand::Export(args) => transfer::export(connection, args, json),
    }
}

fn create(connection: &Connection, args: &key_args::CreateKey, json: bool) -> Result<()> {
    let request = CreateKey {
        usage: args.usage,
        length: args.length,
        activate: args.activate,
        deletion_allowed: args.deletion_allowed,
        exportable: args.exportable,
        allow_plaintext_backup: args.allow_plaintext_backup,
        interval: args.rotation.rotate_every.unwrap_or_default(),
        retain_versions: args.rotation.retain_versions.unwrap_or_default(),
        ..CreateKey::new(args.name.as_str(), args.kind.parse()?)
    };
    let key = connect::open(connection)?.call(&request)?;
    print_key(&key, json)
}

fn show(connection: &Connection, args: &args::KeyName, json: bool) -> Result<()> {
    let request = ShowKey { name: args.name.as_str().into(), before_version: 0 };
    let key = connect::open(connection)?.call(&request)?;
    print_key(&key, json)
}

fn list(connection: &Connection, args: &key_args::ListKeys, json: bool) -> Result<()> {
    let mut client = connect::open(connection)?;
    let mut keys: Vec<KeyInfo> = Vec::new();
    loop {
        let after = keys.last().map(|k| k.name.clone()).unwrap_or_default();
        let request = ListKeys {
            prefix: args.prefix.as_str().into(),
            after: after.into(),
            limit: 0,
            include_deleted: args.include_deleted,
        };
        let page = client.call(&request)?;
        let done = !page.more || page.keys.is_empty();
        keys.extend(page.keys);
        if done {
            break;
        }
    }
    if json {
        return show::json(&json!({"keys": keys.iter().map(show::key_json).collect::<Vec<Value>>()}));
    }
    files::print(table(&keys).as_bytes())
}

fn public(connection: &Connection, args: &args::PublicKey, json: bool) -> Result<()> {
    let request = PublicKey { name: args.name.as_str().into(), version: args.key_version.unwrap_or(0) };
    let key = connect::open(connection)?.call(&request)?;
    let bytes = written(&key, args.format)?;
    if let Some(out) = &args.out {
        files::write(out, &bytes, Readers::Umask)?;
    }
    if json {
        let shown = match args.format {
            PublicFormat::Der => Base64::encode_string(&bytes),
            _ => String::from_utf8_lossy(&bytes).into_owned(),
        };
        return show::json(&json!({
            "name": key.name,
            "version": key.version,
            "type": key.kind.name(),
            "public_key": shown,
        }));
    }
    if args.out.is_none() { files::print(&bytes) } else { Ok(()) }
}

/// A public key in the form that was asked for; its id is `name:version`, its comment the name.
fn written(key: &PublicKeyInfo, format: PublicFormat) -> Result<Vec<u8>> {
    let line = |text: String| (text + "\n").into_bytes();
    Ok(match format {
        PublicFormat::Pem => to_pem(&key.spki).into_bytes(),
        PublicFormat::Der => key.spki.clone(),
        PublicFormat::Jwk => line(to_jwk(&key.spki, &format!("{}:{}", key.name, key.version))?),
        PublicFormat::Openssh => line(to_openssh(&key.spki, &key.name)?),
    })
}

pub(super) fn print_key(key: &KeyInfo, json: bool) -> Result<()> {
    if json { show::json(&show::key_json(key)) } else { show::key(key) }
}

fn table(keys: &[KeyInfo]) -> String {
    let width = keys.iter().map(|k| k.name.len()).chain([4]).max().unwrap_or(4);
    let mut text = format!("{:width$}  {:11}  {:9}  {:>7}  CREATED\n", "NAME", "TYPE", "STATE", "VERSION");
    for key in keys {
        // Writing into a String cannot fail.
        let _ = writeln!(
            text,
            "{:width$}  {:11}  {:9}  {:>7}  {}",
            key.name,
            key.kind.name(),
            key.state.name(),
            key.current_version,
            show::time(key.created_at)
        );
    }
    text
}
