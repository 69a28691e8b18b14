//! `import`, `wrapping_key` and `export`: keys in and out. Vault's way to wrap a key that comes in is CKM_RSA_AES_KEY_WRAP
//! with SHA-256, as CANIS' is; so its programs need not know the difference.

use super::answer::Given;
use super::ask::Ask;
use super::keys::{public_key, shown};
use super::kinds;
use super::params::Params;
use base64ct::{Base64, Encoding};
use canis_core::format::{pem, public};
use canis_proto::answer::KeyInfo;
use canis_proto::message::{ExportKey, ImportKey, PublicKey, WrappingKey};
use canis_proto::{Error, Family, KeyFormat, KeyType, Result, Usage};
use serde_json::{Map as Object, Value as Json, json};

/// What a key is taken out for; one of another use is refused, as at Vault.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Encryption,
    Signing,
    Hmac,
    Public,
}

pub(super) async fn wrapping_key(ask: &Ask<'_>) -> Result<Given> {
    let key = ask.call(&WrappingKey::default()).await?;
    Ok(Given::Data(json!({"public_key": public::to_pem(&key.spki)})))
}

pub(super) async fn bring(ask: &Ask<'_>, name: &str, params: &mut Params) -> Result<Given> {
    params.lacks(&["derived"], "every message has a key of its own")?;
    params.lacks(
        &["auto_rotate_period", "allow_rotation"],
        "what came in rotates by the next version that comes in",
    )?;
    let kind = kinds::kind(params.text("type")?.as_deref().unwrap_or("aes256-gcm96"))?;
    let exportable = params.flag("exportable")?.unwrap_or_default();
    let request = ImportKey {
        exportable,
        allow_plaintext_backup: params.flag("allow_plaintext_backup")?.unwrap_or_default() || exportable,
        ..wrapped(name, kind, params)?
    };
    ask.call(&request).await?;
    Ok(Given::Nothing)
}

pub(super) async fn bring_version(ask: &Ask<'_>, name: &str, params: &mut Params) -> Result<Given> {
    params.lacks(&["version"], "a version that came in is the next one")?;
    let kind = ask.call(&shown(name)).await?.kind;
    ask.call(&ImportKey { next_version: true, ..wrapped(name, kind, params)? }).await?;
    Ok(Given::Nothing)
}

fn wrapped<'a>(name: &'a str, kind: KeyType, params: &mut Params) -> Result<ImportKey<'a>> {
    params.lacks(&["public_key"], "public keys alone are not kept here")?;
    if params.text("hash_function")?.is_some_and(|hash| !matches!(&*hash, "SHA256" | "sha256" | "sha2-256")) {
        return Err(Error::invalid("`hash_function` must be SHA256"));
    }
    let material = params.bytes("ciphertext")?.ok_or_else(|| Error::invalid("missing `ciphertext`"))?;
    Ok(ImportKey {
        name: name.into(),
        kind,
        format: if kind.is_asymmetric() { KeyFormat::Pkcs8 } else { KeyFormat::Raw },
        material: material.into(),
        wrapped: true,
        wrapping_key: "".into(),
        next_version: false,
        usage: None,
        exportable: false,
        allow_plaintext_backup: false,
    })
}

/// `export/<use>/<name>`, and a version or `latest` behind it; all versions that are kept without.
pub(super) async fn take(ask: &Ask<'_>, path: &str, wanted: Wanted) -> Result<Given> {
    let is_version = |word: &str| word == "latest" || word.parse::<u32>().is_ok();
    let (name, version) = match path.rsplit_once('/') {
        Some((name, last)) if is_version(last) => (name, Some(last)),
        _ => (path, None),
    };
    let key = ask.call(&shown(name)).await?;
    if !is_for(&key, wanted) {
        return Err(Error::invalid(format!("a key of type {} is not exported so", kinds::name_of(key.kind))));
    }
    let versions = match version {
        Some("latest") => vec![key.current_version],
        Some(number) => vec![number.parse().map_err(|_| Error::invalid("a version is a number"))?],
        None => {
            let least = key.oldest_version.max(key.min_decryption_version);
            key.versions.iter().map(|info| info.version).filter(|version| *version >= least).collect()
        }
    };
    let written = match wanted {
        Wanted::Public => public_halves(ask, name, &versions).await?,
        _ => materials(ask, &key, &versions).await?,
    };
    let keys: Object<String, Json> =
        versions.iter().zip(written).map(|(version, text)| (version.to_string(), json!(text))).collect();
    Ok(Given::Data(json!({"name": name, "type": kinds::name_of(key.kind), "keys": keys})))
}

fn is_for(key: &KeyInfo, wanted: Wanted) -> bool {
    match wanted {
        Wanted::Encryption => key.usage.allows(Usage::ENCRYPT),
        Wanted::Signing => key.usage.allows(Usage::SIGN) && key.kind.is_asymmetric(),
        Wanted::Hmac => key.kind.family() == Family::Generic,
        Wanted::Public => key.kind.is_asymmetric(),
    }
}

async fn public_halves(ask: &Ask<'_>, name: &str, versions: &[u32]) -> Result<Vec<String>> {
    let requests: Vec<_> =
        versions.iter().map(|version| Ok(PublicKey { name: name.into(), version: *version })).collect();
    ask.each(&requests).await?.into_iter().map(|public| Ok(public_key(&public?))).collect()
}

/// Secret keys in base64, private keys as PKCS #8 in PEM.
async fn materials(ask: &Ask<'_>, key: &KeyInfo, versions: &[u32]) -> Result<Vec<String>> {
    let format = if key.kind.is_asymmetric() { KeyFormat::Pkcs8 } else { KeyFormat::Raw };
    let request = |version: &u32| {
        Ok(ExportKey {
            name: key.name.as_str().into(),
            version: *version,
            format,
            wrapping_key: "".into(),
            wrapping_public_key: (&b""[..]).into(),
        })
    };
    let requests: Vec<_> = versions.iter().map(request).collect();
    let taken = ask.each(&requests).await?.into_iter().map(|taken| {
        let taken = taken?;
        Ok(match format {
            KeyFormat::Pkcs8 => pem::encode("PRIVATE KEY", &taken.material).to_string(),
            _ => Base64::encode_string(&taken.material),
        })
    });
    taken.collect()
}
