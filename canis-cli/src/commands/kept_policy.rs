//! `canis policy put`, `get`, `list`, `delete`, `explain`: the policies of a store, by its server.

use super::policy::read;
use crate::args::Connection;
use crate::policy_args::{DeletePolicyArgs, ExplainPolicyArgs, ListPoliciesArgs, NamedPolicy, PutPolicyArgs};
use crate::{connect, files, show};
use canis_proto::policy::{DeletePolicy, ExplainPolicy, GetPolicy, ListPolicies, PolicyInfo, PutPolicy};
use canis_proto::{Capability, Error, OperationId, Result};
use serde_json::{Value, json};
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

pub(super) fn put(connection: &Connection, args: &PutPolicyArgs, json: bool) -> Result<()> {
    let request = PutPolicy {
        name: args.name.as_str().into(),
        text: text_of(&args.file)?.into(),
        revision: args.revision,
        force: args.force,
    };
    let put = connect::open(connection)?.call(&request)?;
    if json {
        return show::json(&info_json(&put));
    }
    files::print(format!("policy {} has revision {}\n", put.name, put.revision).as_bytes())
}

/// The text of a policy or a role: that of the file, or of stdin for `-`.
pub(super) fn text_of(file: &Path) -> Result<String> {
    if file != Path::new("-") {
        return read(file);
    }
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| Error::invalid(format!("cannot read the text from stdin: {error}")))?;
    Ok(text)
}

pub(super) fn get(connection: &Connection, args: &NamedPolicy, json: bool) -> Result<()> {
    let got = connect::open(connection)?.call(&GetPolicy { name: args.name.as_str().into() })?;
    show_text(&got.name, got.revision, got.updated_at, &got.text, json)
}

/// A policy or a role, as it was put.
pub(super) fn show_text(name: &str, revision: u64, updated_at: i64, text: &str, json: bool) -> Result<()> {
    if json {
        let updated_at = show::time(updated_at);
        return show::json(
            &json!({"name": name, "revision": revision, "updated_at": updated_at, "text": text}),
        );
    }
    files::print(text.as_bytes())
}

pub(super) fn list(connection: &Connection, args: &ListPoliciesArgs, json: bool) -> Result<()> {
    let request = ListPolicies { prefix: args.prefix.as_str().into() };
    let list = connect::open(connection)?.call(&request)?;
    if json {
        return show::json(&Value::Array(list.policies.iter().map(info_json).collect()));
    }
    let line = |info: &PolicyInfo| {
        let (name, time) = (&info.name, show::time(info.updated_at));
        format!("{name}\t{}\t{} rules\t{time}\n", info.revision, info.rules)
    };
    files::print(list.policies.iter().map(line).collect::<String>().as_bytes())
}

pub(super) fn delete(connection: &Connection, args: &DeletePolicyArgs, json: bool) -> Result<()> {
    let request =
        DeletePolicy { name: args.name.as_str().into(), revision: args.revision, force: args.force };
    let deleted = connect::open(connection)?.call(&request)?;
    if json {
        return show::json(&json!({"name": deleted.name, "deleted": true}));
    }
    files::print(format!("deleted policy {}\n", deleted.name).as_bytes())
}

pub(super) fn explain(connection: &Connection, args: &ExplainPolicyArgs, json: bool) -> Result<ExitCode> {
    let path = match (&args.key, &args.path) {
        (Some(name), _) => format!("kms/keys/{name}"),
        (None, path) => path.clone().unwrap_or_default(),
    };
    let told = connect::open(connection)?.call(&ExplainPolicy {
        who: args.who.as_str().into(),
        capability: capability(&args.op)?,
        path: path.into(),
        key_type: args.key_type,
        payload: args.payload,
        context: args.context.as_deref().map(|context| context.as_bytes().into()),
        source: args.source.as_str().into(),
    })?;
    if json {
        let rule =
            told.rule.as_ref().map(|path| json!({"policy": told.policy, "line": told.line, "path": path}));
        show::json(&json!({"allowed": told.allowed, "rule": rule, "why": told.why}))?;
    } else {
        files::print(format!("{}\n", told.why).as_bytes())?;
    }
    Ok(if told.allowed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A capability by its own name, or by that of an operation.
fn capability(name: &str) -> Result<Capability> {
    let of_operation = || OperationId::from_name(name).and_then(|operation| operation.row().capability);
    Capability::from_name(name).or_else(of_operation).ok_or_else(|| {
        let all = Capability::ALL.map(Capability::name).join(", ");
        Error::invalid(format!("`{name}` is neither a capability ({all}) nor an operation that takes one"))
    })
}

fn info_json(info: &PolicyInfo) -> Value {
    json!({
        "name": info.name,
        "revision": info.revision,
        "rules": info.rules,
        "updated_at": show::time(info.updated_at),
    })
}
