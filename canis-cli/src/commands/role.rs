//! `canis role put`, `get`, `list`, `delete`: whom a tenant lets in, and by which policies.

use super::kept_policy::{self, text_of};
use crate::args::Connection;
use crate::role_args::{DeleteRoleArgs, ListRolesArgs, NamedRole, PutRoleArgs, RoleCommand};
use crate::{connect, files, show};
use canis_proto::Result;
use canis_proto::role::{DeleteRole, GetRole, ListRoles, PutRole, RoleInfo};
use serde_json::{Value, json};

pub(crate) fn run(connection: &Connection, command: &RoleCommand, json: bool) -> Result<()> {
    match command {
        RoleCommand::Put(args) => put(connection, args, json),
        RoleCommand::Get(args) => read(connection, args, json),
        RoleCommand::List(args) => list(connection, args, json),
        RoleCommand::Delete(args) => delete(connection, args, json),
    }
}

fn put(connection: &Connection, args: &PutRoleArgs, json: bool) -> Result<()> {
    let request = PutRole {
        name: args.name.as_str().into(),
        text: text_of(&args.file)?.into(),
        tenant: args.of.tenant.as_str().into(),
        revision: args.revision,
    };
    let put = connect::open(connection)?.call(&request)?;
    if json {
        return show::json(&info_json(&put));
    }
    files::print(format!("role {} has revision {}\n", put.name, put.revision).as_bytes())
}

fn read(connection: &Connection, args: &NamedRole, json: bool) -> Result<()> {
    let request = GetRole { name: args.name.as_str().into(), tenant: args.of.tenant.as_str().into() };
    let got = connect::open(connection)?.call(&request)?;
    kept_policy::show_text(&got.name, got.revision, got.updated_at, &got.text, json)
}

fn list(connection: &Connection, args: &ListRolesArgs, json: bool) -> Result<()> {
    let request = ListRoles { prefix: args.prefix.as_str().into(), tenant: args.of.tenant.as_str().into() };
    let list = connect::open(connection)?.call(&request)?;
    if json {
        return show::json(&Value::Array(list.roles.iter().map(info_json).collect()));
    }
    let line = |info: &RoleInfo| {
        let (binds, policies) = (info.binds.join(","), info.policies.join(","));
        format!("{}\t{}\t{binds}\t{policies}\t{}\n", info.name, info.revision, show::time(info.updated_at))
    };
    files::print(list.roles.iter().map(line).collect::<String>().as_bytes())
}

fn delete(connection: &Connection, args: &DeleteRoleArgs, json: bool) -> Result<()> {
    let request = DeleteRole {
        name: args.name.as_str().into(),
        tenant: args.of.tenant.as_str().into(),
        revision: args.revision,
    };
    let deleted = connect::open(connection)?.call(&request)?;
    if json {
        return show::json(&json!({"name": deleted.name, "deleted": true}));
    }
    files::print(format!("deleted role {}\n", deleted.name).as_bytes())
}

fn info_json(info: &RoleInfo) -> Value {
    json!({
        "name": info.name,
        "revision": info.revision,
        "binds": info.binds,
        "policies": info.policies,
        "updated_at": show::time(info.updated_at),
    })
}
