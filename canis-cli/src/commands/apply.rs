//! `canis key apply`: keys become what a file says, all of them or none.

use crate::args::Connection;
use crate::key_args::ApplyKeys;
use crate::key_file::{self, Wanted};
use crate::{connect, files, show};
use canis_client::Client;
use canis_proto::answer::KeyInfo;
use canis_proto::batch::item;
use canis_proto::message::{Batch, CreateKey, ShowKey, UpdateKey};
use canis_proto::value::Map;
use canis_proto::{Error, ErrorCode, Result};
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::Path;

/// What is to be done for one key.
struct Step<'a> {
    creation: CreateKey<'a>,
    configuration: UpdateKey<'a>,
    action: Action,
    /// Field, and what it is and shall be.
    changes: Vec<(&'static str, String, String)>,
    /// Whether others have to approve it first.
    waits: bool,
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
    let mut steps = wanted.iter().map(|wanted| plan(&mut client, wanted)).collect::<Result<Vec<_>>>()?;
    rehearse(&mut client, &mut steps)?;
    if !args.dry_run {
        let to_do: Vec<_> = steps.iter().filter(|step| step.action != Action::Nothing).collect();
        carry_out(&mut client, &to_do)?;
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
            Ok(Step { creation, configuration, action, changes, waits: false })
        }
        Err(error) if matches!(error.code, ErrorCode::KeyNotFound | ErrorCode::KeyDestroyed) => {
            let changes = vec![("type", String::new(), creation.kind.to_string())];
            Ok(Step { creation, configuration, action: Action::Create, changes, waits: false })
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
        field("approvals", &key.approvals.unwrap_or_default(), wanted.approvals.as_ref()),
        field("rotation.interval", &key.interval, wanted.interval.as_ref()),
        field("rotation.retain_versions", &key.retain_versions, wanted.retain_versions.as_ref()),
    ];
    fields.into_iter().flatten().collect()
}

impl Step<'_> {
    fn name(&self) -> &str {
        &self.creation.name
    }

    /// What became of it, or would.
    fn told(&self, dry_run: bool) -> &'static str {
        match self.waits && dry_run {
            true => "would wait for approvals",
            false => self.action.told(dry_run),
        }
    }

    /// What is asked of the server.
    fn items(&self) -> Vec<Map<'_>> {
        let UpdateKey { min_decryption_version, min_encryption_version, approvals, .. } = &self.configuration;
        match self.action {
            Action::Nothing => Vec::new(),
            Action::Change => vec![item(&self.configuration)],
            // Limits of versions, and approvals, are what a key does not get when it is made.
            Action::Create if min_decryption_version.or(*min_encryption_version).or(*approvals).is_some() => {
                vec![item(&self.creation), item(&self.configuration)]
            }
            Action::Create => vec![item(&self.creation)],
        }
    }
}

/// Asks for steps, all of them or none.
fn ask(client: &mut Client, steps: &[&Step<'_>], preview: bool) -> Result<()> {
    if steps.is_empty() {
        return Ok(());
    }
    let operations = steps.iter().flat_map(|step| step.items()).collect();
    client.call(&Batch { operations, atomic: true, preview }).map(drop)
}

/// Has each step tried without doing it. Every refusal is told, not the first alone.
fn rehearse(client: &mut Client, steps: &mut [Step<'_>]) -> Result<()> {
    let mut refused: Vec<(String, Error)> = Vec::new();
    for step in steps.iter_mut().filter(|step| step.action != Action::Nothing) {
        match ask(client, &[&*step], true) {
            Ok(()) => {}
            // What is tried only asks nobody: the request for it is made when it is to be done.
            Err(error) if error.code == ErrorCode::ApprovalRequired => step.waits = true,
            Err(error) if error.code == ErrorCode::Unavailable => return Err(error),
            Err(error) => refused.push((step.name().to_owned(), error)),
        }
    }
    let Some((_, first)) = refused.first() else { return Ok(()) };
    let told: Vec<_> = refused.iter().map(|(name, error)| format!("{name}: {}", error.message)).collect();
    Err(Error::new(first.code, told.join("\n")))
}

/// Does the steps as one transaction; where that would take the server too long, one after the other.
fn carry_out(client: &mut Client, steps: &[&Step<'_>]) -> Result<()> {
    match ask(client, steps, false) {
        Err(error) if error.code == ErrorCode::TooLarge => {}
        answered => return answered,
    }
    for (at, step) in steps.iter().enumerate() {
        ask(client, &[step], false).map_err(|error| stopped(steps, at, &error))?;
    }
    Ok(())
}

fn stopped(steps: &[&Step<'_>], at: usize, error: &Error) -> Error {
    let named = |steps: &[&Step<'_>]| match steps {
        [] => "none".to_owned(),
        _ => steps.iter().map(|step| step.name()).collect::<Vec<_>>().join(", "),
    };
    Error::new(
        error.code,
        format!(
            "{}: {}. Done before it: {}. Not begun: {}",
            steps[at].name(),
            error.message,
            named(&steps[..at]),
            named(&steps[at + 1..])
        ),
    )
}

fn tell(steps: &[Step<'_>], dry_run: bool, json: bool) -> Result<()> {
    if json {
        let keys: Vec<Value> = steps.iter().map(|step| step_json(step, dry_run)).collect();
        return show::json(&json!({"keys": keys, "dry_run": dry_run}));
    }
    let mut text = String::new();
    for step in steps {
        // Writing into a String cannot fail.
        let _ = writeln!(text, "{} {}", step.name(), step.told(dry_run));
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
        "name": step.name(),
        "action": step.told(dry_run),
        "changes": step.changes.iter().map(change).collect::<Vec<_>>(),
    })
}
