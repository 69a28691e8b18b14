//! `canis token create`, `list`, `renew`, `revoke`.

use crate::args::Connection;
use crate::token_args::{CreateToken, Granted, ListTokens, RenewToken, RevokeToken, TokenCommand};
use crate::{connect, files, show};
use base16ct::lower::encode_string as hex;
use canis_proto::credential::{
    CreateCredential, CredentialInfo, CredentialMade, ListCredentials, RenewCredential, RevokeCredential,
};
use canis_proto::{Capabilities, Capability, Result};
use serde_json::{Value, json};
use std::path::PathBuf;
use zeroize::Zeroizing;

pub(crate) fn run(connection: &Connection, command: &TokenCommand, json: bool) -> Result<()> {
    match command {
        TokenCommand::Create(args) => create(connection, args, json),
        TokenCommand::List(args) => list(connection, args, json),
        TokenCommand::Renew(args) => renew(connection, args, json),
        TokenCommand::Revoke(args) => revoke(connection, args, json),
    }
}

fn create(connection: &Connection, args: &CreateToken, json: bool) -> Result<()> {
    let file = |path: &Option<PathBuf>| match path {
        Some(path) => files::read(Some(path)),
        None => Ok(Zeroizing::default()),
    };
    let (certificate, bound_to) = (file(&args.certificate)?, file(&args.bound_to)?);
    let granted = args.capabilities.iter().fold(Capabilities::NONE, |all, one| match one {
        Granted::All => Capabilities::ALL,
        Granted::One(capability) => all.with(*capability),
    });
    let made = connect::open(connection)?.call(&CreateCredential {
        tenant: args.tenant.as_str().into(),
        capabilities: granted,
        name: args.name.as_str().into(),
        lifetime: args.lifetime,
        certificate: certificate.as_slice().into(),
        policies: args.policies.iter().map(|name| name.as_str().into()).collect(),
        networks: args.networks.iter().map(|network| network.as_str().into()).collect(),
        uses: args.uses.map_or(0, std::num::NonZeroU32::get),
        bound_to: bound_to.as_slice().into(),
        renewable: args.renewable,
    })?;
    show_made(&made, json)
}

/// Shows a credential that was made, and its token this once.
pub(super) fn show_made(made: &CredentialMade, json: bool) -> Result<()> {
    if json {
        let mut told = info_json(&made.credential);
        told["token"] = made.token.as_deref().map_or(Value::Null, Value::from);
        return show::json(&told);
    }
    show::pairs(&lines(&made.credential))?;
    match &made.token {
        Some(token) => files::print(Zeroizing::new(format!("token         {token}\n")).as_bytes()),
        None => Ok(()),
    }
}

fn list(connection: &Connection, args: &ListTokens, json: bool) -> Result<()> {
    let request = ListCredentials { tenant: args.tenant.as_str().into() };
    let list = connect::open(connection)?.call(&request)?;
    if json {
        return show::json(&Value::Array(list.credentials.iter().map(info_json).collect()));
    }
    let line = |info: &CredentialInfo| {
        let (name, ends) = (show::tame(&info.name), info.expires_at.map_or("never".to_owned(), show::time));
        let policies = info.policies.iter().map(|policy| format!("policy:{policy}"));
        let may: Vec<_> = names(info.capabilities).into_iter().map(str::to_owned).chain(policies).collect();
        format!("{}\t{}\t{}\t{ends}\t{name}\n", info.id, info.kind, may.join(","))
    };
    files::print(list.credentials.iter().map(line).collect::<String>().as_bytes())
}

fn renew(connection: &Connection, args: &RenewToken, json: bool) -> Result<()> {
    let renewed = connect::open(connection)?.call(&RenewCredential { id: args.id.as_str().into() })?;
    if json {
        return show::json(&info_json(&renewed));
    }
    let ends = renewed.expires_at.map_or("never".to_owned(), show::time);
    files::print(format!("renewed {}, which ends {ends}\n", renewed.id).as_bytes())
}

fn revoke(connection: &Connection, args: &RevokeToken, json: bool) -> Result<()> {
    let revoked = connect::open(connection)?.call(&RevokeCredential { id: args.id.as_str().into() })?;
    if json {
        return show::json(&json!({"id": revoked.id, "revoked": true}));
    }
    files::print(format!("revoked {}\n", revoked.id).as_bytes())
}

fn names(capabilities: Capabilities) -> Vec<&'static str> {
    Capability::ALL.into_iter().filter(|one| capabilities.allows(*one)).map(Capability::name).collect()
}

fn lines(info: &CredentialInfo) -> Vec<(&'static str, String)> {
    let mut lines = vec![
        ("id", info.id.clone()),
        ("kind", info.kind.clone()),
        ("name", show::tame(&info.name)),
        ("capabilities", names(info.capabilities).join(", ")),
        ("created at", show::time(info.created_at)),
        ("ends", info.expires_at.map_or("never".to_owned(), show::time)),
    ];
    if !info.policies.is_empty() {
        lines.push(("policies", info.policies.join(", ")));
    }
    if !info.networks.is_empty() {
        lines.push(("networks", info.networks.join(", ")));
    }
    lines.extend(info.uses_left.map(|left| ("uses left", left.to_string())));
    lines.extend(info.bound_to.as_deref().map(|hash| ("bound to", hex(hash))));
    if info.renewable {
        lines.push(("renewable", "yes".to_owned()));
    }
    lines.extend(info.spki_sha256.as_deref().map(|hash| ("key sha256", hex(hash))));
    lines
}

pub(super) fn info_json(info: &CredentialInfo) -> Value {
    json!({
        "id": info.id,
        "kind": info.kind,
        "name": info.name,
        "capabilities": names(info.capabilities),
        "created_at": show::time(info.created_at),
        "expires_at": info.expires_at.map(show::time),
        "spki_sha256": info.spki_sha256.as_deref().map(hex),
        "policies": info.policies,
        "networks": info.networks,
        "uses_left": info.uses_left,
        "bound_to": info.bound_to.as_deref().map(hex),
        "renewable": info.renewable,
    })
}
