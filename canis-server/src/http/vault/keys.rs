//! `keys/…`: a key's life, and what Vault says of a key.

use super::answer::Given;
use super::ask::Ask;
use super::kinds;
use super::params::Params;
use base64ct::{Base64, Encoding};
use canis_core::audit::rfc3339;
use canis_core::format::public;
use canis_proto::answer::{KeyInfo, PublicKeyInfo};
use canis_proto::batch;
use canis_proto::message::{
    Batch, CreateKey, DestroyKey, DisableKey, ListKeys, PublicKey, RotateKey, ShowKey, UpdateKey,
};
use canis_proto::{Error, ErrorCode, Family, Interval, KeyState, KeyType, Result, Usage, quote};
use serde_json::{Map as Object, Value as Json, json};

/// The most names that one listing gives unless it asks for fewer.
const MOST: usize = 10_000;

/// How many bytes of an Ed25519 public key end its SubjectPublicKeyInfo (RFC 8410, section 4).
const ED25519: usize = 32;

pub(super) async fn list(ask: &Ask<'_>, params: &mut Params) -> Result<Given> {
    let _ = params.flag("list")?;
    let most =
        params.number("limit")?.filter(|limit| *limit > 0).map_or(MOST, |limit| (limit as usize).min(MOST));
    let (mut names, mut more) = (Vec::new(), true);
    let mut after = params.text("after")?.unwrap_or_default();
    while more && names.len() < most {
        let limit = u32::try_from(most - names.len()).unwrap_or(u32::MAX);
        let request =
            ListKeys { prefix: "".into(), after: after.as_str().into(), limit, include_deleted: false };
        let page = ask.call(&request).await?;
        names.extend(page.keys.into_iter().map(|key| key.name));
        more = page.more;
        after = names.last().cloned().unwrap_or_default();
    }
    if names.is_empty() {
        return Ok(Given::Bare(404, json!({"errors": []})));
    }
    Ok(Given::Data(json!({"keys": names})))
}

pub(super) async fn read(ask: &Ask<'_>, name: &str) -> Result<Given> {
    let key = ask.call(&shown(name)).await?;
    told(ask, &key).await.map(Given::Data)
}

pub(super) fn shown(name: &str) -> ShowKey<'_> {
    ShowKey { name: name.into(), before_version: 0 }
}

/// Vault makes a key that is there already once more, and nothing happens.
pub(super) async fn make(ask: &Ask<'_>, name: &str, params: &mut Params) -> Result<Given> {
    params.lacks(&["derived", "convergent_encryption"], "every message has a key of its own")?;
    params.lacks(&["managed_key_name", "managed_key_id"], "keys lie in CANIS")?;
    params.lacks(&["soft_delete_enabled"], "destroy keys with a delay over /v1/kms")?;
    let kind = kinds::kind(params.text("type")?.as_deref().unwrap_or("aes256-gcm96"))?;
    let exportable = params.flag("exportable")?.unwrap_or_default();
    let request = CreateKey {
        length: params.number("key_size")?.unwrap_or_default(),
        // Vault deletes only what was configured to be deletable.
        deletion_allowed: false,
        exportable,
        allow_plaintext_backup: params.flag("allow_plaintext_backup")?.unwrap_or_default() || exportable,
        interval: Interval::from_seconds(params.seconds("auto_rotate_period")?.unwrap_or_default()),
        ..CreateKey::new(name, kind)
    };
    let key = match ask.call(&request).await {
        Err(error) if error.code == ErrorCode::KeyExists => {
            let there = ask.call(&shown(name)).await?;
            if there.kind != kind {
                let why =
                    format!("key `{}` is there already, of type {}", quote(name), kinds::name_of(there.kind));
                return Err(Error::new(ErrorCode::KeyExists, why));
            }
            there
        }
        made => made?,
    };
    told_if_allowed(ask, &key).await
}

pub(super) async fn configure(ask: &Ask<'_>, name: &str, params: &mut Params) -> Result<Given> {
    let request = UpdateKey {
        min_decryption_version: params.number("min_decryption_version")?,
        min_encryption_version: params.number("min_encryption_version")?,
        deletion_allowed: params.flag("deletion_allowed")?,
        exportable: params.flag("exportable")?,
        allow_plaintext_backup: params.flag("allow_plaintext_backup")?,
        interval: params.seconds("auto_rotate_period")?.map(Interval::from_seconds),
        ..UpdateKey::new(name)
    };
    let key = ask.call(&request).await?;
    told_if_allowed(ask, &key).await
}

pub(super) async fn rotate(ask: &Ask<'_>, name: &str) -> Result<Given> {
    ask.call(&RotateKey { name: name.into(), preview: false }).await?;
    match ask.call(&shown(name)).await {
        Ok(key) => told_if_allowed(ask, &key).await,
        Err(error) if error.code == ErrorCode::PermissionDenied => Ok(Given::Nothing),
        Err(error) => Err(error),
    }
}

/// Vault's keys have no states: disabled and destroyed in one step, or not at all.
pub(super) async fn delete(ask: &Ask<'_>, name: &str) -> Result<Given> {
    let (disable, destroy) =
        (DisableKey { name: name.into() }, DestroyKey { name: name.into(), delay: Interval::NEVER });
    let operations = vec![batch::item(&disable), batch::item(&destroy)];
    ask.call(&Batch { operations, atomic: true, preview: false }).await?;
    Ok(Given::Nothing)
}

/// What is said of a key to who may change it, but perhaps not read it.
async fn told_if_allowed(ask: &Ask<'_>, key: &KeyInfo) -> Result<Given> {
    match told(ask, key).await {
        Err(error) if error.code == ErrorCode::PermissionDenied => Ok(Given::Nothing),
        told => told.map(Given::Data),
    }
}

/// What Vault says of a key.
async fn told(ask: &Ask<'_>, key: &KeyInfo) -> Result<Json> {
    let can = |usage| key.state == KeyState::Active && key.usage.allows(usage);
    Ok(json!({
        "name": key.name,
        "type": kinds::name_of(key.kind),
        "latest_version": key.current_version,
        "min_available_version": if key.oldest_version > 1 { key.oldest_version } else { 0 },
        "min_decryption_version": key.min_decryption_version,
        "min_encryption_version": key.min_encryption_version,
        "deletion_allowed": key.deletion_allowed,
        "exportable": key.exportable,
        "allow_plaintext_backup": key.allow_plaintext_backup,
        "auto_rotate_period": key.interval.seconds(),
        "derived": false,
        "supports_encryption": can(Usage::ENCRYPT),
        "supports_decryption": key.usage.allows(Usage::DECRYPT),
        "supports_signing": can(Usage::SIGN) && key.kind.is_asymmetric(),
        "supports_derivation": false,
        "imported_key": false,
        "keys": versions(ask, key).await?,
    }))
}

/// The versions that are kept: of secret keys when they were made, of others their public halves, too.
async fn versions(ask: &Ask<'_>, key: &KeyInfo) -> Result<Json> {
    let kept: Vec<_> = key.versions.iter().filter(|info| info.version >= key.oldest_version).collect();
    let mut told = Object::new();
    if !key.kind.is_asymmetric() {
        for info in kept {
            told.insert(info.version.to_string(), json!(info.created_at.div_euclid(1_000_000)));
        }
        return Ok(Json::Object(told));
    }
    let wanted = |version| Ok(PublicKey { name: key.name.as_str().into(), version });
    let requests: Vec<Result<PublicKey<'_>>> = kept.iter().map(|info| wanted(info.version)).collect();
    for (info, public) in kept.iter().zip(ask.each(&requests).await?) {
        let one = json!({"name": kinds::short_name_of(key.kind), "public_key": public_key(&public?),
            "creation_time": time(info.created_at)});
        told.insert(info.version.to_string(), one);
    }
    Ok(Json::Object(told))
}

/// PEM; of Ed25519 the 32 bytes in base64, as Vault has it.
pub(super) fn public_key(key: &PublicKeyInfo) -> String {
    match (key.kind, key.kind.family()) {
        (KeyType::Ed25519, Family::Edwards) => {
            Base64::encode_string(&key.spki[key.spki.len().saturating_sub(ED25519)..])
        }
        _ => public::to_pem(&key.spki),
    }
}

/// A time as Vault writes it (RFC 3339).
pub(super) fn time(micros: i64) -> String {
    rfc3339(micros).iter().map(|byte| char::from(*byte)).collect()
}
