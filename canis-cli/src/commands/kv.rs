//! `canis kv put`, `get`, `list`, `delete`.

use crate::args::Connection;
use crate::files::{self, Readers};
use crate::kv_args::{DeleteEntry, GetEntry, KvCommand, ListEntries, PutEntry};
use crate::{connect, show};
use base64ct::{Base64, Encoding};
use canis_proto::answer::{Entry, EntryInfo};
use canis_proto::{Error, KeyType, Result, message};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

pub(crate) fn run(connection: &Connection, command: &KvCommand, json: bool) -> Result<()> {
    match command {
        KvCommand::Put(args) => put(connection, args, json),
        KvCommand::Get(args) => get(connection, args, json),
        KvCommand::List(args) => list(connection, args, json),
        KvCommand::Delete(args) => delete(connection, args, json),
    }
}

fn put(connection: &Connection, args: &PutEntry, json: bool) -> Result<()> {
    let half = |file: &Option<PathBuf>| match file {
        Some(path) => files::read(Some(path)),
        None => Ok(Zeroizing::default()),
    };
    let (public, private) = (half(&args.public_key_file)?, half(&args.private_key_file)?);
    let info = connect::open(connection)?.call(&message::PutEntry {
        id: args.id.as_str().into(),
        name: args.name.as_str().into(),
        public_key: public.as_slice().into(),
        private_key: private.as_slice().into(),
        generate: args.generate,
        revision: args.revision,
    })?;
    if json { show::json(&info_json(&info)) } else { show::pairs(&lines(&info)) }
}

fn get(connection: &Connection, args: &GetEntry, json: bool) -> Result<()> {
    let private = args.private || args.private_out.is_some();
    let request = message::GetEntry { id: args.id.as_str().into(), private };
    let entry = connect::open(connection)?.call(&request)?;
    if let Some(out) = &args.public_out {
        files::write(out, &entry.public_key, Readers::Umask)?;
    }
    if let Some(out) = &args.private_out {
        write_private(out, &entry)?;
    }
    if json { show::json(&entry_json(&entry, args)) } else { print_entry(&entry, args) }
}

fn write_private(out: &Path, entry: &Entry) -> Result<()> {
    match &entry.private_key {
        Some(half) => files::write(out, half, Readers::Owner),
        None => Err(Error::invalid("the entry holds no private half; nothing was written")),
    }
}

/// Halves that went into files are not printed too.
fn print_entry(entry: &Entry, args: &GetEntry) -> Result<()> {
    show::pairs(&lines(&info_of(entry)))?;
    if args.public_out.is_none() {
        print_half("public half", &entry.public_key)?;
    }
    match &entry.private_key {
        Some(half) if args.private_out.is_none() => print_half("private half", half),
        _ => Ok(()),
    }
}

/// Text as it is, unless it could play tricks on a terminal.
fn print_half(what: &str, half: &[u8]) -> Result<()> {
    let is_tame = |text: &&str| text.chars().all(|c| c == '\n' || c == '\t' || !c.is_control());
    let text = match std::str::from_utf8(half).ok().filter(is_tame) {
        Some("") => return Ok(()),
        Some(text) => Zeroizing::new(format!("{what}:\n{}\n", text.trim_end())),
        None => Zeroizing::new(format!("{what}, base64:\n{}\n", Base64::encode_string(half))),
    };
    files::print(text.as_bytes())
}

fn list(connection: &Connection, args: &ListEntries, json: bool) -> Result<()> {
    let mut client = connect::open(connection)?;
    let mut entries: Vec<EntryInfo> = Vec::new();
    loop {
        let after = entries.last().map_or(String::new(), |entry| entry.id.clone());
        let request =
            message::ListEntries { prefix: args.prefix.as_str().into(), after: after.into(), limit: 0 };
        let page = client.call(&request)?;
        entries.extend(page.entries);
        if !page.more {
            break;
        }
    }
    if json {
        return show::json(&Value::Array(entries.iter().map(info_json).collect()));
    }
    let line = |entry: &EntryInfo| {
        let (id, kind, name) = (show::tame(&entry.id), kind_text(entry.kind), show::tame(&entry.name));
        format!("{id}\t{kind}\t{}\t{name}\n", entry.revision)
    };
    files::print(entries.iter().map(line).collect::<String>().as_bytes())
}

fn delete(connection: &Connection, args: &DeleteEntry, json: bool) -> Result<()> {
    let request = message::DeleteEntry { id: args.id.as_str().into(), revision: args.revision };
    let deleted = connect::open(connection)?.call(&request)?;
    if json {
        return show::json(&json!({"id": deleted.id, "revision": deleted.revision, "deleted": true}));
    }
    files::print(format!("deleted {}\n", show::tame(&deleted.id)).as_bytes())
}

fn kind_text(kind: Option<KeyType>) -> String {
    kind.map_or("-".to_owned(), |kind| kind.to_string())
}

fn lines(info: &EntryInfo) -> Vec<(&'static str, String)> {
    vec![
        ("id", show::tame(&info.id)),
        ("name", show::tame(&info.name)),
        ("type", kind_text(info.kind)),
        ("private half", if info.has_private { "yes" } else { "no" }.to_owned()),
        ("revision", info.revision.to_string()),
        ("created at", show::time(info.created_at)),
        ("updated at", show::time(info.updated_at)),
    ]
}

fn info_of(entry: &Entry) -> EntryInfo {
    EntryInfo {
        id: entry.id.clone(),
        name: entry.name.clone(),
        kind: entry.kind,
        has_private: entry.has_private,
        revision: entry.revision,
        created_at: entry.created_at,
        updated_at: entry.updated_at,
    }
}

fn info_json(info: &EntryInfo) -> Value {
    json!({
        "id": info.id,
        "name": info.name,
        "type": info.kind.map(|kind| kind.name()),
        "has_private": info.has_private,
        "revision": info.revision,
        "created_at": show::time(info.created_at),
        "updated_at": show::time(info.updated_at),
    })
}

/// Halves as text where they are text, and always as base64; those that went into files are left out.
fn entry_json(entry: &Entry, args: &GetEntry) -> Value {
    let mut all = info_json(&info_of(entry));
    let halves = [
        ("public_key", "public_key_base64", Some(&entry.public_key), args.public_out.is_some()),
        ("private_key", "private_key_base64", entry.private_key.as_ref(), args.private_out.is_some()),
    ];
    for (text, base64, half, written) in halves {
        if let Some(half) = half.filter(|_| !written) {
            all[text] = std::str::from_utf8(half).map_or(Value::Null, Value::from);
            all[base64] = Value::from(Base64::encode_string(half));
        }
    }
    all
}
