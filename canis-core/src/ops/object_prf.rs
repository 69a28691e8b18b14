//! MACs and derivation, kept apart: both are what a PRF gives under a key, and one shows it while the other keeps it.
//!
//! HKDF-Expand (RFC 5869, section 2.3) is HMAC, SP 800-108 is HMAC or CMAC: who has MACs by a base key has the keys that
//! are derived from it. Only keys that are not to be read are looked at; of others everybody can compute everything.
//! Why and how: docs/adr/0007-roles-of-values.md.

use super::object_derived_bytes::{Base, Bases};
use crate::caller::Caller;
use crate::keyring::Keyring;
use crate::keyring::key::Key;
use crate::keyring::ready::ReadyKey;
use crate::keyring::role::{Grant, KnownValue, Roles};
use crate::keyring::tenant::OpenTenant;
use crate::object::{Derivation, HandleKey, Prf};
use canis_proto::{Error, ErrorCode, Result};

/// What a PRF under the base gives is kept.
const DERIVES: (Roles, Roles) = (Roles::DERIVES, Roles::MACS);
/// The same where who encrypts blocks computes the PRF, too.
const DERIVES_BY_BLOCKS: (Roles, Roles) = (Roles::DERIVES, Roles::MACS.with(Roles::DATA));
/// What HKDF makes of the base is kept.
const KEEPS: (Roles, Roles) = (Roles::KEEPS, Roles::SHOWN);

impl Base {
    fn known(&self) -> Option<&KnownValue> {
        match &self.handle.key {
            HandleKey::Ready(ready) => Some(&ready.known),
            HandleKey::Public(_) => None,
        }
    }
}

impl Bases {
    fn any_stays_inside(&self) -> bool {
        self.all().any(|base| base.handle.facts.stays_inside())
    }

    /// Whether a KDF has cut what came out from a longer run of bytes that are kept.
    pub(super) fn are_cut_by_kdf(&self, how: &Derivation<'_>) -> bool {
        matches!(how, Derivation::Hkdf { .. } | Derivation::Counter { .. }) && self.any_stays_inside()
    }

    /// What is known of the derived value from the beginning.
    pub(super) fn roles_handed_on(&self, how: &Derivation<'_>) -> Roles {
        match how {
            // The key between HKDF's two steps: by MACs under it one would have what both steps together make.
            Derivation::Hkdf { expand: None, .. } if self.any_stays_inside() => Roles::DERIVES,
            Derivation::Agree { .. } | Derivation::Hkdf { .. } | Derivation::Counter { .. } => Roles::NONE,
            // Made of the very bytes, once or twice, a value can be the same again; of token keys the store knows that.
            Derivation::JoinKey(_)
            | Derivation::JoinData(_)
            | Derivation::JoinAfter(_)
            | Derivation::Xor(_)
            | Derivation::Extract(_) => self
                .all()
                .filter(|base| !base.on_token)
                .filter_map(Base::known)
                .fold(Roles::NONE, |roles, known| roles.with(known.roles())),
        }
    }

    /// Whether the same can be derived again when the session is over.
    pub(super) fn are_lasting(&self, how: &Derivation<'_>) -> bool {
        let lasting = |base: &Base| base.on_token || base.known().is_some_and(KnownValue::is_lasting);
        !matches!(how, Derivation::Agree { .. }) && self.all().all(lasting)
    }
}

impl Keyring {
    /// The values of the bases are from now on for what is derived from them.
    ///
    /// # Errors
    /// `operation_not_allowed` if what is derived has been shown, or could have been.
    pub(super) fn claim_bases(&self, caller: &Caller, from: &Bases, how: &Derivation<'_>) -> Result<()> {
        match how {
            Derivation::Hkdf { extract: None, .. } | Derivation::Counter { prf: Prf::Hmac(_), .. } => {
                self.claim_base(caller, &from.base, DERIVES, Keyring::mac_key_fingerprint)
            }
            Derivation::Hkdf { extract: Some(_), .. } => {
                self.claim_base(caller, &from.base, KEEPS, Keyring::mac_key_fingerprint)?;
                let salt = from.other.as_ref();
                salt.map_or(Ok(()), |salt| {
                    self.claim_base(caller, salt, DERIVES, Keyring::mac_key_fingerprint)
                })
            }
            Derivation::Counter { prf: Prf::Cmac, .. } => {
                self.claim_base(caller, &from.base, DERIVES_BY_BLOCKS, Keyring::secret_fingerprint)
            }
            Derivation::Agree { .. }
            | Derivation::JoinKey(_)
            | Derivation::JoinData(_)
            | Derivation::JoinAfter(_)
            | Derivation::Xor(_)
            | Derivation::Extract(_) => Ok(()),
        }
    }

    fn claim_base(
        &self,
        caller: &Caller,
        base: &Base,
        (roles, unless): (Roles, Roles),
        fingerprint: fn(&Keyring, &OpenTenant, &[u8]) -> canis_proto::Id,
    ) -> Result<()> {
        let Some(known) = base.known().filter(|_| base.handle.facts.stays_inside()) else { return Ok(()) };
        let tenant = self.tenant(caller.tenant()?)?;
        let grant = Grant { value: fingerprint(self, &tenant, base.bytes()?), roles, unless };
        if self.claim(caller, &tenant, (base.on_token, known), grant)? {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::OperationNotAllowed,
            "the base key, or another one of the same value, has made MACs, encrypted, or been derived from in the \
             open; who did that could know what is derived from it now. Use a base for nothing else",
        ))
    }

    /// A generic secret of the API is from now on for a use that shows what comes out, unless the same was kept before.
    ///
    /// # Errors
    /// `operation_not_allowed`.
    pub(super) fn claim_to_show(
        &self,
        tenant: &OpenTenant,
        key: &Key,
        ready: &ReadyKey,
        (roles, unless): (Roles, Roles),
    ) -> Result<()> {
        let stays = !(key.record.exportable && key.record.allow_plaintext_backup);
        if !stays || ready.known.roles().has(roles) {
            return Ok(());
        }
        let value = self.mac_key_of(tenant, ready)?;
        if self.grant(tenant, &[Grant { value, roles, unless }])? {
            ready.known.add(roles);
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::OperationNotAllowed,
            format!(
                "sensitive keys were derived from key `{}`, or from another one of the same value; this would show them",
                key.record.name
            ),
        ))
    }
}
