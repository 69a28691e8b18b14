//! `canis tenant …`: what the operator of a store does with its tenants, at a server and in a data directory alike.

use super::{slot, tenant_rekey, token};
use crate::args::Connection;
use crate::door::{Company, Door, Missing};
use crate::tenant_args::{CreateTenant, DeleteTenant, LimitTenant, OneTenant, TenantCommand};
use crate::{files, show};
use base16ct::lower::encode_string as hex;
use canis_core::Run;
use canis_proto::message::{WireAnswer, WireRequest};
use canis_proto::tenant::{self, ListTenants, TenantDeleted, TenantInfo, TenantMade};
use canis_proto::{Error, ErrorCode, Result, quote};
use serde_json::{Value, json};
use std::fmt::Display;
use zeroize::Zeroizing;

pub(crate) fn run(connection: &Connection, command: &TenantCommand, json: bool) -> Result<()> {
    match command {
        TenantCommand::Create(args) => create(connection, args, json),
        TenantCommand::List(place) => list(&mut slot::open(connection, place)?, json),
        TenantCommand::Show(args) => {
            tell(connection, args, tenant::ShowTenant { name: args.name.as_str().into() }, json)
        }
        TenantCommand::Limits(args) => limits(connection, args, json),
        TenantCommand::Disable(args) => {
            tell(connection, args, tenant::DisableTenant { name: args.name.as_str().into() }, json)
        }
        TenantCommand::Enable(args) => {
            tell(connection, args, tenant::EnableTenant { name: args.name.as_str().into() }, json)
        }
        TenantCommand::Delete(args) => delete(connection, args, json),
        TenantCommand::Rekey(args) => tenant_rekey::run(connection, args, json),
    }
}

fn create(connection: &Connection, args: &CreateTenant, json: bool) -> Result<()> {
    let made: TenantMade = slot::open(connection, &args.tenant.place)?.call(tenant::CreateTenant {
        name: args.tenant.name.as_str().into(),
        max_keys: args.limits.max_keys.unwrap_or_default(),
        max_requests: args.limits.max_requests.unwrap_or_default(),
        max_payload: args.limits.max_payload.unwrap_or_default(),
    })?;
    if json {
        let credential = token::info_json(&made.credential);
        return show::json(&json!({
            "tenant": info_json(&made.tenant), "credential": credential, "token": made.token,
        }));
    }
    show::pairs(&lines(&made.tenant))?;
    files::print(Zeroizing::new(format!("token         {}\n", made.token)).as_bytes())
}

fn list(door: &mut Door, json: bool) -> Result<()> {
    let tenants = door.call(ListTenants)?.tenants;
    if json {
        return show::json(&json!({"tenants": tenants.iter().map(info_json).collect::<Vec<Value>>()}));
    }
    let line = |tenant: &TenantInfo| {
        let name = show::tame(&tenant.name);
        format!("{}\t{}\t{}\t{name}\n", tenant.slot, tenant.id, state(tenant))
    };
    files::print(tenants.iter().map(line).collect::<String>().as_bytes())
}

fn limits(connection: &Connection, args: &LimitTenant, json: bool) -> Result<()> {
    let request = tenant::LimitTenant {
        name: args.tenant.name.as_str().into(),
        max_keys: args.limits.max_keys,
        max_requests: args.limits.max_requests,
        max_payload: args.limits.max_payload,
    };
    tell(connection, &args.tenant, request, json)
}

/// Asks for something that is answered by what is known of the tenant then.
fn tell<'a, R>(connection: &Connection, args: &OneTenant, request: R, json: bool) -> Result<()>
where
    R: WireRequest<'a, Answer = TenantInfo> + Run,
    R::Answer: WireAnswer,
{
    let tenant = slot::open(connection, &args.place)?.call(request)?;
    if json { show::json(&info_json(&tenant)) } else { show::pairs(&lines(&tenant)) }
}

fn delete(connection: &Connection, args: &DeleteTenant, json: bool) -> Result<()> {
    let mut door = Door::open(connection, &args.tenant.place, Company::Nobody, Missing::Refuse)?;
    let gone: TenantDeleted = door.call(tenant::DeleteTenant {
        name: args.tenant.name.as_str().into(),
        preview: !args.yes,
        force: args.force,
    })?;
    if gone.preview {
        return Err(Error::new(
            ErrorCode::OperationNotAllowed,
            format!(
                "tenant `{}` holds {}, {}, {} of the key-value store and {}, which would be lost for ever; nothing was \
                 changed. Say --yes to delete it",
                quote(&gone.name),
                show::count(gone.keys, "key"),
                show::count(gone.objects, "object"),
                if gone.entries == 1 { "1 entry".to_owned() } else { format!("{} entries", gone.entries) },
                show::count(gone.credentials, "credential"),
            ),
        ));
    }
    let digest = hex(&gone.sealed_sha256);
    if json {
        return show::json(&json!({
            "id": gone.id, "name": gone.name, "keys": gone.keys, "objects": gone.objects,
            "entries": gone.entries, "credentials": gone.credentials, "sealed_sha256": digest,
        }));
    }
    files::print(
        format!("destroyed tenant {} with its key, sha256 of it as it was sealed {digest}\n", gone.id)
            .as_bytes(),
    )
}

fn state(tenant: &TenantInfo) -> &'static str {
    match tenant {
        TenantInfo { disabled_at: Some(_), .. } => "disabled",
        TenantInfo { operator: true, .. } => "operator",
        TenantInfo { pin: true, .. } => "pin",
        TenantInfo { .. } => "enabled",
    }
}

fn lines(tenant: &TenantInfo) -> Vec<(&'static str, String)> {
    fn most<T: Display>(limit: Option<T>) -> String {
        limit.map_or("any number".to_owned(), |most| most.to_string())
    }
    let mut lines = vec![
        ("id", tenant.id.clone()),
        ("name", show::tame(&tenant.name)),
        ("slot", tenant.slot.to_string()),
        ("state", state(tenant).to_owned()),
        ("created at", show::time(tenant.created_at)),
    ];
    lines.extend(tenant.disabled_at.map(|at| ("disabled at", show::time(at))));
    lines.extend(tenant.keys.map(|keys| ("keys", keys.to_string())));
    lines.push(("max keys", most(tenant.max_keys)));
    lines.push(("max requests", most(tenant.max_requests)));
    lines.push(("max payload", most(tenant.max_payload)));
    lines
}

fn info_json(tenant: &TenantInfo) -> Value {
    json!({
        "id": tenant.id,
        "name": tenant.name,
        "slot": tenant.slot,
        "operator": tenant.operator,
        "pin": tenant.pin,
        "created_at": show::time(tenant.created_at),
        "disabled_at": tenant.disabled_at.map(show::time),
        "keys": tenant.keys,
        "max_keys": tenant.max_keys,
        "max_requests": tenant.max_requests,
        "max_payload": tenant.max_payload,
    })
}
