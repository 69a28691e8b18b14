//! `key.import`: a key comes in from outside, wrapped or in plain, as a new key or as the next version of one.
//!
//! Nothing is stored before everything was checked. What is wrong with a wrapping has one answer; what is wrong with
//! the key inside is told, for whoever wrapped it knows it.

use super::create_key::{NewMaterial, usage_of};
use super::rotate::{NextVersion, refuse_version};
use crate::caller::Caller;
use crate::core::{Facts, Resource, Run};
use crate::crypto::{KeyWrap, rsa_aes_wrap};
use crate::format::{self, Checked};
use crate::keyring::Keyring;
use crate::keyring::key::Key;
use crate::keyring::key_record::{KeyRecord, Source};
use crate::keyring::key_rules::refuse_legacy;
use crate::keyring::ready::ReadyMaterial;
use crate::keyring::role::{Grant, Roles};
use crate::keyring::tenant::OpenTenant;
use crate::secret::SecretBytes;
use canis_proto::answer::KeyInfo;
use canis_proto::message::ImportKey;
use canis_proto::{Capability, Error, ErrorCode, Family, Id, KeyName, Result, Usage};

impl Run for ImportKey<'_> {
    const PASSES_MATERIAL: bool = true;

    fn resource(&self) -> Resource<'_> {
        Resource::Key(&self.name)
    }

    fn facts(&self) -> Facts<'_> {
        Facts::of_type(self.kind)
    }

    fn brings(&self) -> Option<usize> {
        Some(self.material.len())
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<KeyInfo> {
        let name = KeyName::parse(&self.name)?;
        refuse_legacy(self.kind)?;
        let tenant = keyring.tenant(caller.tenant()?)?;
        if !self.wrapping_key.is_empty() {
            keyring.require_by_policy(caller, Capability::Decrypt, Resource::Key(&self.wrapping_key))?;
        }
        let unwrapped = keyring.unwrapped(&tenant, &self)?;
        // A version has the properties of its key, which can only be taken away meanwhile.
        let plaintext = match self.next_version {
            true => keyring.key(&tenant, name.as_str())?.record.allow_plaintext_backup,
            false => self.allow_plaintext_backup,
        };
        let bytes = unwrapped.as_ref().map_or(&*self.material, SecretBytes::expose);
        let checked =
            format::decode(self.format, self.kind, bytes)?.check(keyring.provider)?.expect_kind(self.kind)?;
        let (made, source) = match checked {
            Checked::Whole { material, spki, .. } => {
                (NewMaterial { kind: self.kind, material, spki }, Source::Outside)
            }
            Checked::Public { spki, .. } => {
                let material = SecretBytes::copied_from(&spki);
                (NewMaterial { kind: self.kind, material, spki }, Source::PublicHalf)
            }
        };
        if unwrapped.is_some() {
            keyring.refuse_marked(&tenant, &made)?;
        }
        if plaintext {
            keyring.keep_promise(&tenant, &self, &made)?;
        }
        if self.next_version {
            refuse_properties(&self)?;
            let next = NextVersion { made, local: false };
            let find = || keyring.key(&tenant, &self.name);
            let fits = |key: &Key| fits_version(key, &self, source).map(|()| true);
            let added = keyring.add_version(&tenant, find, fits, &next)?;
            let added = added.ok_or_else(|| Error::internal("a version was not wanted"))?;
            return keyring.info(&tenant, &added.key);
        }
        keyring.refuse_taken(&tenant, &name)?;
        let now = keyring.clock.now_micros();
        let record = new_record(&self, &name, source, now)?;
        let id = keyring.keep_key(&tenant, &record, self.kind, &made, now)?;
        keyring.info(&tenant, &keyring.key_by_id(&tenant, id)?)
    }
}

/// A version has no properties of its own.
fn refuse_properties(request: &ImportKey<'_>) -> Result<()> {
    if request.usage.is_none() && !request.exportable && !request.allow_plaintext_backup {
        return Ok(());
    }
    Err(Error::invalid("usage and export are properties of the key; a next version has the key's"))
}

/// The record of a new key. A public half alone can only do what public halves do, and has nothing to protect.
fn new_record(request: &ImportKey<'_>, name: &KeyName, source: Source, now: i64) -> Result<KeyRecord> {
    let public_uses = Usage::ENCRYPT.with(Usage::VERIFY).with(Usage::WRAP);
    let usage = match (source, request.usage) {
        (Source::PublicHalf, None) => request.kind.default_usage().intersect(public_uses),
        (_, asked) => usage_of(request.kind, asked)?,
    };
    if source == Source::PublicHalf {
        if request.exportable || request.allow_plaintext_backup {
            return Err(Error::invalid(
                "a public half has nothing to export; its readers may have it anyway",
            ));
        }
        if usage == Usage::NONE || !public_uses.allows(usage) {
            return Err(Error::invalid(
                "a public half encrypts, verifies or wraps; this one can do none of it",
            ));
        }
    }
    if request.allow_plaintext_backup && !request.exportable {
        return Err(Error::invalid("a key that may leave in plain is exportable; say both"));
    }
    Ok(KeyRecord {
        exportable: request.exportable,
        allow_plaintext_backup: request.allow_plaintext_backup,
        source,
        ..KeyRecord::new(name.to_string(), request.kind, usage, now)
    })
}

impl Keyring {
    /// What was inside the wrapping; `None` if there is none.
    fn unwrapped(&self, tenant: &OpenTenant, request: &ImportKey<'_>) -> Result<Option<SecretBytes>> {
        if !request.wrapping_key.is_empty() {
            return self.unwrapped_by(tenant, request).map(Some);
        }
        if !request.wrapped {
            return Ok(None);
        }
        let wrapping = self.wrapping_key(tenant)?;
        rsa_aes_wrap::unwrap(self.provider, &*wrapping, &request.material).map(Some)
    }

    /// By a key of CANIS, which is for keys from now on.
    fn unwrapped_by(&self, tenant: &OpenTenant, request: &ImportKey<'_>) -> Result<SecretBytes> {
        let wrapper = self.key(tenant, &request.wrapping_key)?;
        wrapper.require(Usage::UNWRAP, "unwrap keys")?;
        let value = wrapper_is_for_keys(self, tenant, &wrapper)?;
        if !self.grant(tenant, &[Grant { value, roles: Roles::KEYS, unless: Roles::DATA }])? {
            return Err(Error::new(
                ErrorCode::OperationNotAllowed,
                format!("key `{}`, or another one of the same value, was used for data", wrapper.record.name),
            ));
        }
        let version = wrapper.record.current_version;
        if wrapper.kind.family() == Family::Aes {
            let row = self.store.version(wrapper.id, version)?.ok_or_else(|| wrapper.without(version))?;
            let value = self.open_version(tenant, &wrapper, &row)?;
            return self.provider.cipher.aes(value.expose())?.unwrap_key(KeyWrap::Kwp, &request.material);
        }
        match &self.ready(tenant, &wrapper, version)?.material {
            ReadyMaterial::Pair { private, .. } => {
                rsa_aes_wrap::unwrap(self.provider, &**private, &request.material)
            }
            _ => Err(Error::new(ErrorCode::OperationNotSupported, "a public half alone unwraps nothing")),
        }
    }

    /// What left as CKA_WRAP_WITH_TRUSTED, or made by a KDF, comes back by C_UnwrapKey, which knows of that; a key of this
    /// door would shed it.
    fn refuse_marked(&self, tenant: &OpenTenant, made: &NewMaterial) -> Result<()> {
        let (roles, _) = self.value_roles(tenant, self.fingerprint_of(tenant, made))?;
        if !roles.meets(Roles::TRUSTED_ONLY.with(Roles::FROM_KDF)) {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::KeySensitive,
            "this key left with CKA_WRAP_WITH_TRUSTED, or as one that a KDF made of a sensitive key; it comes back \
             through PKCS#11 only",
        ))
    }

    /// What may leave in plain does not come in by a key of CANIS: else whoever may import and export could read what
    /// others wrapped by it. Nor does a value come in wrapped that left as one that stays wrapped (ADR 0007).
    fn keep_promise(&self, tenant: &OpenTenant, request: &ImportKey<'_>, made: &NewMaterial) -> Result<()> {
        if !request.wrapping_key.is_empty() {
            return Err(Error::new(
                ErrorCode::KeySensitive,
                "what is unwrapped by a key of CANIS does not leave in plain; leave allow_plaintext_backup out",
            ));
        }
        if !request.wrapped {
            return Ok(());
        }
        let (roles, _) = self.value_roles(tenant, self.fingerprint_of(tenant, made))?;
        if !roles.has(Roles::SENSITIVE) {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::KeySensitive,
            "this key left as one that does not leave in plain; it comes back only without allow_plaintext_backup",
        ))
    }
}

/// Whether a version from outside may follow the ones that are there.
fn fits_version(key: &Key, request: &ImportKey<'_>, source: Source) -> Result<()> {
    let name = &key.record.name;
    let not_allowed = |why: String| Err(Error::new(ErrorCode::OperationNotAllowed, why));
    if key.record.source == Source::Here {
        return not_allowed(format!("key `{name}` was made here; its versions are made by rotating it"));
    }
    if key.record.source != source {
        return not_allowed(format!(
            "key `{name}` and the new version are not both whole or both public halves"
        ));
    }
    if key.kind == request.kind {
        return refuse_version(key);
    }
    Err(Error::new(
        ErrorCode::InvalidKeyType,
        format!("key `{name}` is of type {}, the new version of type {}", key.kind, request.kind),
    ))
}

/// The fingerprint of a wrapping key, which must not be one that could decrypt what it wraps.
pub(super) fn wrapper_is_for_keys(keyring: &Keyring, tenant: &OpenTenant, wrapper: &Key) -> Result<Id> {
    if wrapper.usage.allows(Usage::DECRYPT) {
        return Err(Error::new(
            ErrorCode::KeyNotWrappable,
            format!(
                "key `{}` may decrypt data, so it could decrypt what it wraps; take one that may not",
                wrapper.record.name
            ),
        ));
    }
    let ready = keyring.ready(tenant, wrapper, wrapper.record.current_version)?;
    if wrapper.kind.is_asymmetric() {
        return Ok(keyring.pair_fingerprint(tenant, ready.spki()?));
    }
    let known = ready.known.fingerprint.get().copied();
    known.ok_or_else(|| Error::internal("a kept secret key without its fingerprint"))
}
