//! `canis key update`, `rotate`, `versions`, and the steps from state to state.

use super::key::print_key;
use crate::args::{Connection, KeyName};
use crate::files;
use crate::key_args::{DestroyKey, RotateKey, UpdateKey};
use crate::{connect, show};
use canis_proto::answer::{KeyInfo, VersionInfo};
use canis_proto::message::{self, ShowKey, WireRequest};
use canis_proto::{Operation, Result};
use serde_json::{Value, json};
use std::fmt::Write;

pub(super) fn update(connection: &Connection, args: &UpdateKey, json: bool) -> Result<()> {
    let request = message::UpdateKey {
        min_decryption_version: args.min_decryption_version,
        min_encryption_version: args.min_encryption_version,
        deletion_allowed: args.deletion_allowed,
        exportable: args.exportable,
        allow_plaintext_backup: args.allow_plaintext_backup,
        interval: args.rotation.rotate_every,
        retain_versions: args.rotation.retain_versions,
        approvals: args.approvals,
        ..message::UpdateKey::new(args.name.as_str())
    };
    ask(connection, &request, json)
}

pub(super) fn activate(connection: &Connection, args: &KeyName, json: bool) -> Result<()> {
    ask(connection, &message::ActivateKey { name: args.name.as_str().into() }, json)
}

pub(super) fn disable(connection: &Connection, args: &KeyName, json: bool) -> Result<()> {
    ask(connection, &message::DisableKey { name: args.name.as_str().into() }, json)
}

pub(super) fn enable(connection: &Connection, args: &KeyName, json: bool) -> Result<()> {
    ask(connection, &message::EnableKey { name: args.name.as_str().into() }, json)
}

pub(super) fn destroy(connection: &Connection, args: &DestroyKey, json: bool) -> Result<()> {
    let (name, delay) = (args.name.as_str().into(), args.delay.unwrap_or_default());
    ask(connection, &message::DestroyKey { name, delay }, json)
}

pub(super) fn cancel_destroy(connection: &Connection, args: &KeyName, json: bool) -> Result<()> {
    ask(connection, &message::CancelDestroyKey { name: args.name.as_str().into() }, json)
}

/// Asks for an operation that answers with the key, and shows it.
fn ask<'a, R>(connection: &Connection, request: &R, json: bool) -> Result<()>
where
    R: WireRequest<'a> + Operation<Answer = KeyInfo>,
{
    print_key(&connect::open(connection)?.call(request)?, json)
}

pub(super) fn rotate(connection: &Connection, args: &RotateKey, json: bool) -> Result<()> {
    let request = message::RotateKey { name: args.name.as_str().into(), preview: args.dry_run };
    let done = connect::open(connection)?.call(&request)?;
    if json {
        return show::json(&json!({
            "name": done.name,
            "version": done.version,
            "retires": done.retires,
            "dry_run": done.preview,
        }));
    }
    let (is, are) = if done.preview { ("would be", "would be destroyed") } else { ("is", "is destroyed") };
    let mut text = format!("the current version of {} {is} {}\n", done.name, done.version);
    for version in done.retires {
        // Writing into a String cannot fail.
        let _ = writeln!(text, "the material of version {version} {are}");
    }
    files::print(text.as_bytes())
}

pub(super) fn versions(connection: &Connection, args: &KeyName, json: bool) -> Result<()> {
    let mut client = connect::open(connection)?;
    let mut versions: Vec<VersionInfo> = Vec::new();
    loop {
        let before_version = versions.first().map_or(0, |oldest| oldest.version);
        let page = client.call(&ShowKey { name: args.name.as_str().into(), before_version })?.versions;
        if page.is_empty() {
            break;
        }
        versions.splice(0..0, page);
    }
    if json {
        let versions: Vec<Value> = versions.iter().map(show::version_json).collect();
        return show::json(&json!({"name": args.name, "versions": versions}));
    }
    let mut text = format!("{:>7}  {:8}  {:>9}  {:27}  CREATED\n", "VERSION", "STATE", "USES", "LAST USED");
    for version in versions {
        let last = version.last_used_at.map_or_else(|| "-".to_owned(), show::time);
        let (number, state, uses) = (version.version, &version.state, version.uses);
        let _ = writeln!(
            text,
            "{number:>7}  {state:8}  {uses:>9}  {last:27}  {}",
            show::time(version.created_at)
        );
    }
    files::print(text.as_bytes())
}
