//! `auth/token/…`: Vault's tokens are CANIS' credentials. An accessor is a credential's id.

use super::answer::Given;
use super::ask::Ask;
use super::keys::time;
use super::params::Params;
use canis_proto::credential::{
    CreateCredential, CredentialInfo, RenewCredential, RevokeCredential, ShowCredential,
};
use canis_proto::{Capabilities, Error, Interval, Result};
use serde_json::{Value as Json, json};
use std::time::SystemTime;

/// A credential as `lookup` tells it; the caller's own if `id` is empty.
pub(super) async fn look_up(ask: &Ask<'_>, id: &str) -> Result<Given> {
    let credential = ask.call(&ShowCredential { id: id.into() }).await?;
    let lasts = seconds_left(&credential);
    // Programs that look themselves up go on with the token that they find here; it is theirs already.
    let token = if id.is_empty() { own_token(ask) } else { "" };
    Ok(Given::Data(json!({
        "accessor": credential.id,
        "id": token,
        "display_name": credential.name,
        "path": "auth/token/create",
        "policies": policies(&credential),
        "identity_policies": [],
        "creation_time": credential.created_at.div_euclid(1_000_000),
        "issue_time": time(credential.created_at),
        "creation_ttl": lasts,
        "ttl": lasts,
        "explicit_max_ttl": 0,
        "expire_time": credential.expires_at.map(time),
        "renewable": credential.renewable,
        "num_uses": credential.uses_left.unwrap_or_default(),
        "orphan": true,
        "entity_id": "",
        "meta": null,
        "type": "service",
    })))
}

pub(super) async fn renew(ask: &Ask<'_>, id: &str) -> Result<Given> {
    let credential = ask.call(&RenewCredential { id: id.into() }).await?;
    let token = if id.is_empty() { own_token(ask) } else { "" };
    Ok(Given::Auth(auth(&credential, token)))
}

pub(super) async fn revoke(ask: &Ask<'_>, id: &str) -> Result<Given> {
    let own = match id.is_empty() {
        true => ask.call(&ShowCredential { id: "".into() }).await?.id,
        false => id.to_owned(),
    };
    ask.call(&RevokeCredential { id: own.into() }).await?;
    Ok(Given::Nothing)
}

/// A token with the policies that are named; with those and the capabilities of who asks, if none is.
pub(super) async fn make(ask: &Ask<'_>, params: &mut Params) -> Result<Given> {
    params.lacks(&["id"], "tokens are drawn by CANIS only")?;
    params.lacks(&["period", "explicit_max_ttl"], "a renewable token is renewed for its `ttl` each time")?;
    params.lacks(&["entity_alias", "role_name"], "tokens are made of policies here")?;
    if params.text("type")?.is_some_and(|kind| kind != "service" && kind != "default") {
        return Err(Error::invalid("`type` must be service: every token is kept"));
    }
    // Nobody's token ends with that of its maker here, and no policy comes by itself.
    let _ = (params.flag("no_parent")?, params.flag("no_default_policy")?);
    let named = params.texts("policies")?;
    let (policies, capabilities) = match named.is_empty() {
        false => (named, Capabilities::NONE),
        true => {
            let own = ask.call(&ShowCredential { id: "".into() }).await?;
            (own.policies.clone(), own.capabilities)
        }
    };
    let ttl = match params.seconds("ttl")? {
        None => params.seconds("lease")?,
        ttl => ttl,
    };
    let lifetime = Interval::from_seconds(ttl.unwrap_or_default());
    let request = CreateCredential {
        name: params.text("display_name")?.unwrap_or_else(|| "token".to_owned()).into(),
        policies: policies.into_iter().map(Into::into).collect(),
        uses: params.number("num_uses")?.unwrap_or_default(),
        // What never ends is not renewed, and Vault asks for renewable tokens unless told otherwise.
        renewable: params.flag("renewable")?.unwrap_or(true) && !lifetime.is_never(),
        lifetime,
        ..CreateCredential::new(capabilities)
    };
    let made = ask.call(&request).await?;
    Ok(Given::Auth(auth(&made.credential, made.token.as_deref().unwrap_or_default())))
}

fn auth(credential: &CredentialInfo, token: &str) -> Json {
    let policies = policies(credential);
    json!({"client_token": token, "accessor": credential.id, "policies": policies,
        "token_policies": policies, "identity_policies": [], "metadata": null,
        "lease_duration": seconds_left(credential), "renewable": credential.renewable, "entity_id": "",
        "token_type": "service", "orphan": true, "mfa_requirement": null,
        "num_uses": credential.uses_left.unwrap_or_default()})
}

fn own_token<'a>(ask: &Ask<'a>) -> &'a str {
    ask.token.and_then(|token| std::str::from_utf8(token).ok()).unwrap_or_default()
}

/// The policies by name, and each capability as one of its own: both say what the token may.
fn policies(credential: &CredentialInfo) -> Vec<String> {
    let capabilities = canis_proto::Capability::ALL.into_iter();
    let held = capabilities.filter(|one| credential.capabilities.allows(*one));
    credential.policies.iter().cloned().chain(held.map(|one| format!("capability:{}", one.name()))).collect()
}

/// How long it is good for, rounded up; 0 for ever.
fn seconds_left(credential: &CredentialInfo) -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_micros());
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    credential.expires_at.map_or(0, |end| end.saturating_sub(now).max(0).saturating_add(999_999) / 1_000_000)
}
