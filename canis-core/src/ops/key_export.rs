//! `key.export`: a version of a key leaves, wrapped if it may leave at all, in plain only if it may do that too.

use super::key_import::wrapper_is_for_keys;
use super::object_export::wants_pin;
use super::object_wrap::roles_of_leaving;
use super::wrap_strength;
use crate::audit::note_use;
use crate::caller::Caller;
use crate::core::{Resource, Run};
use crate::crypto::private_parts::PrivateParts;
use crate::crypto::public_parts::PublicParts;
use crate::crypto::{KeyWrap, from_outside, rsa_aes_wrap};
use crate::format::jwk;
use crate::keyring::Keyring;
use crate::keyring::intent::Intent;
use crate::keyring::key::Key;
use crate::keyring::key_record::Source;
use crate::keyring::key_rules::refuse_legacy;
use crate::keyring::role::{Grant, Roles};
use crate::keyring::tenant::OpenTenant;
use crate::secret::SecretBytes;
use crate::store::ObjectQuery;
use canis_proto::answer::ExportedKey;
use canis_proto::message::ExportKey;
use canis_proto::{Capability, Error, ErrorCode, Family, KeyFormat, KeyState, KeyType, Result, Usage};

impl Run for ExportKey<'_> {
    const PASSES_MATERIAL: bool = true;

    fn resource(&self) -> Resource<'_> {
        Resource::Key(&self.name)
    }

    fn intent(&self, keyring: &Keyring, caller: &Caller) -> Result<Option<Intent>> {
        let tenant = keyring.tenant(caller.tenant()?)?;
        let key = keyring.key(&tenant, &self.name)?;
        may_leave(&key, self.is_wrapped())?;
        // The current version may be another one by then.
        let version = if self.version == 0 { key.record.current_version } else { self.version };
        let told = ["name", "format", "wrapping_key", "wrapping_public_key"];
        let intent = Intent::of(Capability::Export, self, &told).bound_to(key.id);
        let intent = keyring.naming_wrapper(caller, &tenant, self, intent)?;
        Ok(Some(intent.fixing("version", version.into()).by_at_least(key.record.approvals)))
    }

    fn fixed(answer: &ExportedKey) -> Option<u64> {
        Some(answer.version.into())
    }

    fn given(answer: &Self::Answer) -> Option<usize> {
        Some(answer.material.len())
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<ExportedKey> {
        let tenant = keyring.tenant(caller.tenant()?)?;
        let key = keyring.key(&tenant, &self.name)?;
        let wrapped = self.is_wrapped();
        if !self.wrapping_key.is_empty() {
            keyring.require_by_policy(caller, Capability::Encrypt, Resource::Key(&self.wrapping_key))?;
        }
        may_leave(&key, wrapped)?;
        let roles = if wrapped { keyring.roles_of_objects(&tenant, &key)? } else { Roles::NONE };
        let version = if self.version == 0 { key.record.current_version } else { self.version };
        note_use(key.id, version);
        key.allow_old(version)?;
        let row = keyring.store.version(key.id, version)?.ok_or_else(|| key.without(version))?;
        let kept = keyring.open_version(&tenant, &key, &row)?;
        let material = written(keyring, &key, version, self.format, &kept)?;
        let bytes = if wrapped {
            // Of secret keys their strength is their length; what may leave in plain needs no strength.
            let leaving = (!key.record.allow_plaintext_backup).then_some((key.kind, kept.len()));
            let out = keyring.wrapped_for(&tenant, &self, leaving, &material)?;
            keyring.remember_as_sensitive(&tenant, &key, roles, (&kept, &material))?;
            out
        } else {
            material.expose().to_vec()
        };
        Ok(ExportedKey {
            name: key.record.name.clone(),
            version,
            kind: key.kind,
            format: self.format,
            wrapped,
            material: bytes,
        })
    }
}

/// Whether the key may leave in this way, now.
fn may_leave(key: &Key, wrapped: bool) -> Result<()> {
    let name = &key.record.name;
    refuse_legacy(key.kind)?;
    if key.record.source == Source::PublicHalf {
        return Err(Error::new(
            ErrorCode::OperationNotSupported,
            format!("key `{name}` is a public half alone; ask for its public key"),
        ));
    }
    if !key.record.exportable {
        return Err(Error::new(
            ErrorCode::KeyNotExportable,
            format!("key `{name}` is not exportable; it never leaves"),
        ));
    }
    if key.record.always_authenticate {
        return Err(wants_pin());
    }
    if !wrapped && !key.record.allow_plaintext_backup {
        return Err(Error::new(
            ErrorCode::KeySensitive,
            format!("key `{name}` leaves wrapped only; name a key to wrap it by"),
        ));
    }
    if key.state == KeyState::Active {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::OperationNotAllowed,
        format!("key `{name}` is {}; it does not leave in this state", key.state),
    ))
}

/// The material in the form asked for.
fn written(
    keyring: &Keyring,
    key: &Key,
    version: u32,
    format: KeyFormat,
    kept: &SecretBytes,
) -> Result<SecretBytes> {
    let parts = PrivateParts::of_material(key.kind, kept.expose())?;
    match (format, &parts) {
        (KeyFormat::Raw, PrivateParts::Secret { value, .. }) => Ok(SecretBytes::copied_from(value.expose())),
        (
            KeyFormat::Raw,
            PrivateParts::Seed { seed, .. } | PrivateParts::PostQuantum { seed: Some(seed), .. },
        ) => Ok(SecretBytes::copied_from(seed)),
        (KeyFormat::Pkcs8, _) if key.kind.is_asymmetric() => Ok(SecretBytes::copied_from(kept.expose())),
        (KeyFormat::Jwk, _) => {
            let public = if key.kind.is_asymmetric() {
                let private = keyring.provider.keys.private(key.kind, kept.expose())?;
                Some(PublicParts::from_spki(private.public_spki())?.1)
            } else {
                None
            };
            let text = jwk::encode(&parts, public.as_ref(), &format!("{}:{version}", key.record.name))?;
            Ok(SecretBytes::copied_from(text.as_bytes()))
        }
        _ => Err(Error::new(
            ErrorCode::OperationNotSupported,
            format!("a key of type {} is not written as {format}", key.kind),
        )),
    }
}

impl Keyring {
    /// An export that is bound to the key that wraps, not to its name: to its version, and by that to its value.
    fn naming_wrapper(
        &self,
        caller: &Caller,
        tenant: &OpenTenant,
        request: &ExportKey<'_>,
        intent: Intent,
    ) -> Result<Intent> {
        if request.wrapping_key.is_empty() {
            return Ok(intent);
        }
        let resource = Resource::Key(&request.wrapping_key);
        self.require_by_policy(caller, Capability::Encrypt, resource)?;
        let wrapper = self.key(tenant, &request.wrapping_key)?;
        let version = wrapper.record.current_version;
        let intent = intent.with(&[&wrapper.id.0, &version.to_be_bytes()]);
        let intent = intent.telling("wrapping_key_version", version.to_string());
        if !wrapper.kind.is_asymmetric() {
            return Ok(intent);
        }
        let ready = self.ready(tenant, &wrapper, version)?;
        Ok(intent.telling_bytes("wrapping_key_public", ready.spki()?))
    }

    fn wrapped_for(
        &self,
        tenant: &OpenTenant,
        request: &ExportKey<'_>,
        leaving: Option<(KeyType, usize)>,
        material: &SecretBytes,
    ) -> Result<Vec<u8>> {
        match (&*request.wrapping_key, &*request.wrapping_public_key) {
            (name, []) => self.wrapped_by(tenant, name, leaving, material),
            ("", spki) => {
                let kind = PublicParts::from_spki(spki)?.0;
                wrap_strength::check(kind, leaving)?;
                from_outside::check_public(self.provider, kind, spki)?;
                rsa_aes_wrap::wrap(self.provider, &*self.provider.keys.public(kind, spki)?, material)
            }
            _ => Err(Error::invalid("a key is wrapped by one key: a named one or the one that is given")),
        }
    }

    /// Wraps by a key of CANIS, which must be for keys and not for data, and as strong as what it wraps.
    fn wrapped_by(
        &self,
        tenant: &OpenTenant,
        name: &str,
        leaving: Option<(KeyType, usize)>,
        material: &SecretBytes,
    ) -> Result<Vec<u8>> {
        let wrapper = self.key(tenant, name)?;
        wrapper.require(Usage::WRAP, "wrap keys")?;
        let value = wrapper_is_for_keys(self, tenant, &wrapper)?;
        wrap_strength::check(wrapper.kind, leaving)?;
        let grant = Grant { value, roles: Roles::KEYS, unless: Roles::DATA };
        if !self.grant(tenant, &[grant])? {
            return Err(Error::new(
                ErrorCode::KeyNotWrappable,
                format!(
                    "key `{name}`, or another one of the same value, was used for data; it wraps no keys"
                ),
            ));
        }
        if wrapper.kind.family() == Family::Aes {
            let version = wrapper.record.current_version;
            let row = self.store.version(wrapper.id, version)?.ok_or_else(|| wrapper.without(version))?;
            let value = self.open_version(tenant, &wrapper, &row)?;
            return self.provider.cipher.aes(value.expose())?.wrap_key(KeyWrap::Kwp, material.expose());
        }
        let ready = self.ready(tenant, &wrapper, wrapper.record.current_version)?;
        rsa_aes_wrap::wrap(self.provider, ready.public()?, material)
    }

    /// What is to be known of a sensitive key's value when it comes back. CKA_WRAP_WITH_TRUSTED holds for this door, too:
    /// the keys that the security officer trusts wrap through PKCS#11.
    fn roles_of_objects(&self, tenant: &OpenTenant, key: &Key) -> Result<Roles> {
        let mut roles = Roles::SENSITIVE;
        for row in self.store.objects(&ObjectQuery::of_key(tenant.id, key.id))? {
            let object = self.read_object(&row, Some(tenant))?;
            let Some(facts) = object.content.key.as_ref().filter(|_| object.content.class.is_secret()) else {
                continue;
            };
            if facts.wrap_with_trusted {
                return Err(Error::new(
                    ErrorCode::KeyNotExportable,
                    format!(
                        "key `{}` has CKA_WRAP_WITH_TRUSTED; it leaves through PKCS#11 only, wrapped by a trusted key",
                        key.record.name
                    ),
                ));
            }
            roles = roles.with(roles_of_leaving(facts));
        }
        Ok(roles)
    }

    /// A key that may not leave in plain must not come back as one that may (ADR 0007).
    fn remember_as_sensitive(
        &self,
        tenant: &OpenTenant,
        key: &Key,
        roles: Roles,
        (kept, written): (&SecretBytes, &SecretBytes),
    ) -> Result<()> {
        if key.record.allow_plaintext_backup {
            return Ok(());
        }
        let sensitive = |value| Grant { value, roles, unless: Roles::NONE };
        let mut grants = vec![
            sensitive(self.secret_fingerprint(tenant, kept.expose())),
            sensitive(self.secret_fingerprint(tenant, written.expose())),
        ];
        if key.kind.is_asymmetric() {
            let private = self.provider.keys.private(key.kind, kept.expose())?;
            grants.push(sensitive(self.pair_fingerprint(tenant, private.public_spki())));
        }
        self.grant(tenant, &grants).map(drop)
    }
}
