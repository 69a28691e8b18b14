//! `canis key …`.

use crate::args::{self, Connection};
use crate::files::{self, Readers};
use crate::{connect, show};
use base64ct::{Base64, Encoding};
use canis_proto::Result;
use canis_proto::answer::KeyInfo;
use canis_proto::message::{CreateKey, ListKeys, PublicKey, ShowKey};
use serde_json::{Value, json};
use std::fmt::Write;

pub(crate) fn create(connection: &Connection, args: &args::CreateKey, json: bool) -> Result<()> {
    let request = CreateKey {
        name: args.name.as_str().into(),
        kind: args.kind.parse()?,
        exportable: args.exportable,
        allow_plaintext_backup: args.allow_plaintext_backup,
    };
    let key = connect::open(connection)?.call(&request)?;
    print_key(&key, json)
}

pub(crate) fn show(connection: &Connection, args: &args::KeyName, json: bool) -> Result<()> {
    let key = connect::open(connection)?.call(&ShowKey { name: args.name.as_str().into() })?;
    print_key(&key, json)
}

pub(crate) fn list(connection: &Connection, args: &args::ListKeys, json: bool) -> Result<()> {
    let mut client = connect::open(connection)?;
    let mut keys: Vec<KeyInfo> = Vec::new();
    loop {
        let after = keys.last().map(|k| k.name.clone()).unwrap_or_default();
        let request = ListKeys { prefix: args.prefix.as_str().into(), after: after.into(), limit: 0 };
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

pub(crate) fn public(connection: &Connection, args: &args::PublicKey, json: bool) -> Result<()> {
    let request = PublicKey { name: args.name.as_str().into(), version: args.key_version.unwrap_or(0) };
    let key = connect::open(connection)?.call(&request)?;
    let pem = pem("PUBLIC KEY", &key.spki);
    if let Some(out) = &args.out {
        files::write(out, pem.as_bytes(), Readers::Umask)?;
    }
    if json {
        return show::json(&json!({
            "name": key.name,
            "version": key.version,
            "type": key.kind.name(),
            "public_key": pem,
        }));
    }
    if args.out.is_none() { files::print(pem.as_bytes()) } else { Ok(()) }
}

fn print_key(key: &KeyInfo, json: bool) -> Result<()> {
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

/// The textual encoding of RFC 7468: base64 in lines of 64 characters.
fn pem(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in der.chunks(48) {
        text += &Base64::encode_string(line);
        text.push('\n');
    }
    text + &format!("-----END {label}-----\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pem_lines() {
        let text = pem("X", &[0; 49]);
        assert_eq!(text, format!("-----BEGIN X-----\n{}\nAA==\n-----END X-----\n", "A".repeat(64)));
    }
}
