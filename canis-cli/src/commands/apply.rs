//! `canis key apply`: keys become what a file says.

use crate::args::Connection;
use crate::key_args::ApplyKeys;
use crate::key_file::{self, Wanted};
use crate::{connect, files, show};
use canis_client::Client;
use canis_proto::answer::KeyInfo;
use canis_proto::message::{ShowKey, UpdateKey};
use canis_proto::{Error, ErrorCode, Result};
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::Path;

/// What is to be done for one key.
struct Step<'a> {
    wanted: &'a Wanted,
    action: Action,
    /// Field, and what it is and shall be.
    changes: Vec<(&'static str, String, String)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Create,
    Change,
    Nothing,
}

impl Action {
    fn told(self, dry_run: bool) -> &'static str {
        match (self, dry_run) {
            (Action::Create, false) => "created",
            (Action::Create, true) => "would be created",
            (Action::Change, false) => "changed",
            (Action::Change, true) => "would be changed",
            (Action::Nothing, _) => "unchanged",
        }
    }
}

pub(super) fn run(connection: &Connection, args: &ApplyKeys, json: bool) -> Result<()> {
    let (name, path) = match args.file.as_path() {
        path if path == Path::new("-") => ("stdin".to_owned(), None),
        path => (path.display().to_string(), Some(path)),
    };
    let bytes = files::read(path)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| Error::invalid(format!("{name} is no text")))?;
    let wanted = key_file::read(&name, text)?;
    let mut client = connect::open(connection)?;
    // Everything is looked at before anything is changed.
    let steps = wanted.iter().map(|wanted| plan(&mut client, wanted)).collect::<Result<Vec<_>>>()?;
    if !args.dry_run {
        steps.iter().try_for_each(|step| carry_out(&mut client, step))?;
    }
    tell(&steps, args.dry_run, json)
}

fn plan<'a>(client: &mut Client, wanted: &'a Wanted) -> Result<Step<'a>> {
    let (creation, configuration) = (wanted.creation()?, wanted.configuration()?);
    match client.call(&ShowKey { name: wanted.name.as_str().into(), before_version: 0 }) {
        Ok(key) => {
            refuse_another(&key, wanted)?;
            let changes = differences(&key, &configuration);
            let action = if changes.is_empty() { Action::Nothing } else { Action::Change };
            Ok(Step { wanted, action, changes })
        }
        Err(error) if matches!(error.code, ErrorCode::KeyNotFound | ErrorCode::KeyDestroyed) => {
            let changes = vec![("type", String::new(), creation.kind.to_string())];
            Ok(Step { wanted, action: Action::Create, changes })
        }
        Err(error) => Err(error),
    }
}

/// Type and usage are a key's for ever.
fn refuse_another(key: &KeyInfo, wanted: &Wanted) -> Result<()> {
    let (kind, usage) = (wanted.kind()?, wanted.usage()?);
    if kind == key.kind && usage.is_none_or(|usage| usage == key.usage) {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::KeyExists,
        format!(
            "key `{}` is there with type {} and usage {}, which cannot be changed; the file wants another",
            key.name,
            key.kind,
            key.usage.names().collect::<Vec<_>>().join(", ")
        ),
    ))
}

fn differences(key: &KeyInfo, wanted: &UpdateKey<'_>) -> Vec<(&'static str, String, String)> {
    fn field<T: ToString + PartialEq>(
        name: &'static str,
        is: &T,
        shall: Option<&T>,
    ) -> Option<(&'static str, String, String)> {
        let shall = shall.filter(|shall| *shall != is)?;
        Some((name, is.to_string(), shall.to_string()))
    }
    let fields = [
        field("min_decryption_version", &key.min_decryption_version, wanted.min_decryption_version.as_ref()),
        field("min_encryption_version", &key.min_encryption_version, wanted.min_encryption_version.as_ref()),
        field("deletion_allowed", &key.deletion_allowed, wanted.deletion_allowed.as_ref()),
        field("exportable", &key.exportable, wanted.exportable.as_ref()),
        field("allow_plaintext_backup", &key.allow_plaintext_backup, wanted.allow_plaintext_backup.as_ref()),
        field("rotation.interval", &key.interval, wanted.interval.as_ref()),
        field("rotation.retain_versions", &key.retain_versions, wanted.retain_versions.as_ref()),
    ];
    fields.into_iter().flatten().collect()
}

fn carry_out(client: &mut Client, step: &Step<'_>) -> Result<()> {
    let named = |error: Error| Error::new(error.code, format!("{}: {}", step.wanted.name, error.message));
    if step.action == Action::Create {
        client.call(&step.wanted.creation()?).map_err(named)?;
    }
    // A new key may want limits of versions, too.
    if step.action != Action::Nothing {
        client.call(&step.wanted.configuration()?).map_err(named)?;
    }
    Ok(())
}

fn tell(steps: &[Step<'_>], dry_run: bool, json: bool) -> Result<()> {
    if json {
        let keys: Vec<Value> = steps.iter().map(|step| step_json(step, dry_run)).collect();
        return show::json(&json!({"keys": keys, "dry_run": dry_run}));
    }
    let mut text = String::new();
    for step in steps {
        // Writing into a String cannot fail.
        let _ = writeln!(text, "{} {}", step.wanted.name, step.action.told(dry_run));
        for (field, is, shall) in &step.changes {
            let _ = match is.is_empty() {
                true => writeln!(text, "  + {field}: {shall}"),
                false => writeln!(text, "  ~ {field}: {is} -> {shall}"),
            };
        }
    }
    files::print(text.as_bytes())
}

fn step_json(step: &Step<'_>, dry_run: bool) -> Value {
    let change =
        |(field, is, shall): &(&str, String, String)| json!({"field": field, "from": is, "to": shall});
    json!({
        "name": step.wanted.name,
        "action": step.action.told(dry_run),
        "changes": step.changes.iter().map(change).collect::<Vec<_>>(),
    })
}
