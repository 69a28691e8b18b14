//! `object.unwrap`: a wrapped key comes in.

use super::create_key::NewMaterial;
use super::object_keep::{NewKey, Origin, no_facts};
use super::object_unwrap_malleable::{confine, refuse_cutting};
use super::object_wrap::{Means, unfit};
use crate::caller::Caller;
use crate::core::{Facts, Resource, Run};
use crate::crypto::{KeyWrap, PrivateKey, private_parts, rsa_aes_wrap};
use crate::keyring::Keyring;
use crate::keyring::ready::ReadyMaterial;
use crate::keyring::role::{Grant, Roles};
use crate::keyring::tenant::OpenTenant;
use crate::object::{GcmIv, HandleKey, Inside, KeyFacts, KeyHandle, UNWRAP_TEMPLATE, UnwrapKey, Wrapping};
use crate::secret::SecretBytes;
use canis_proto::{Capability, Error, ErrorCode, Family, Id, KeyType, Result, Usage};

impl Run for UnwrapKey<'_> {
    const PASSES_MATERIAL: bool = true;

    fn resource(&self) -> Resource<'_> {
        Resource::Objects
    }

    fn brings(&self) -> Option<usize> {
        Some(self.wrapped.len())
    }

    fn run(mut self, keyring: &Keyring, caller: &Caller) -> Result<Id> {
        keyring.require(caller, Capability::Decrypt, Resource::Object(self.unwrapper), Facts::default())?;
        let mechanisms = self.how.mechanisms();
        let unwrapper = keyring.open_key(caller, self.unwrapper, Usage::UNWRAP, mechanisms)?;
        let (tenant, means) = (keyring.tenant(caller.tenant()?)?, keyring.means(caller, &unwrapper)?);
        let opened = if self.how.is_malleable() {
            confine(&mut self.content)?;
            refuse_cutting(&self.how, self.inside)?;
            keyring.unwrap_malleable(&tenant, &unwrapper, &means, &self)?
        } else {
            keyring.unwrap(&unwrapper, &means, &self.how, self.wrapped).map(Opened::authenticated)?
        };
        let mut content = self.content;
        // Whatever is wrong with what came out, one answer says no more than that it is wrong.
        let made = opened.key(keyring, self.inside).ok_or_else(wrong_wrapping)?;
        let value = keyring.fingerprint_of(&tenant, &made);
        let facts = content.key.as_mut().ok_or_else(no_facts)?;
        keyring.keep_promises(&tenant, value, made.kind, facts)?;
        if facts.sensitive {
            keyring.unwrap_as_key(caller, &tenant, means.value)?;
        }
        let new = NewKey::new(keyring.provider, &Origin::Unwrapped, made, content, None)?;
        let by = keyring.visible(caller, self.unwrapper)?;
        new.require_fit(self.session, by.content.kept(UNWRAP_TEMPLATE).into_iter())?;
        let new = new.knowing(Roles::NONE, true);
        let (id, _) = keyring.keep(caller, self.session, new)?;
        keyring.count(&unwrapper);
        Ok(id)
    }
}

fn wrong_wrapping() -> Error {
    Error::new(ErrorCode::DecryptionFailed, "this is no such key wrapped in this way by this key")
}

/// The type of the key inside.
fn kind_inside(inside: Inside, bytes: &[u8]) -> Option<KeyType> {
    match inside {
        Inside::Secret { len: Some(len), .. } if len != bytes.len() => None,
        Inside::Secret { family, .. } => KeyType::of_secret(family, bytes.len()),
        Inside::Private(family) => private_parts::kind_of(bytes).ok().filter(|kind| kind.family() == family),
    }
}

/// What came out of a wrapping.
pub(super) struct Opened {
    /// The key, if it is one.
    pub(super) bytes: SecretBytes,
    /// Whether the wrapping was right, as far as its own form says. It counts when all else is known, so that nothing is
    /// done sooner, later or not at all because of it.
    pub(super) sound: bool,
    /// The family and the room of a private key whose refusal is to cost what it costs to take it.
    pub(super) decoy: Option<(Family, usize)>,
}

impl Opened {
    fn authenticated(bytes: SecretBytes) -> Self {
        Opened { bytes, sound: true, decoy: None }
    }

    /// The key in it.
    fn key(self, keyring: &Keyring, inside: Inside) -> Option<NewMaterial> {
        let kind = kind_inside(inside, self.bytes.expose());
        let made = kind.and_then(|kind| NewMaterial::given(keyring.provider, kind, self.bytes).ok());
        let made = made.filter(|_| self.sound);
        if let (None, Some((family, room))) = (&made, self.decoy) {
            keyring.decoys.check(keyring.provider, family, room);
        }
        made
    }
}

impl Keyring {
    /// A value that left as a sensitive key comes back as one.
    fn keep_promises(
        &self,
        tenant: &OpenTenant,
        value: Id,
        kind: KeyType,
        facts: &mut KeyFacts,
    ) -> Result<()> {
        let (roles, _) = self.value_roles(tenant, value)?;
        if roles.has(Roles::SENSITIVE) && !facts.sensitive {
            return Err(Error::new(
                ErrorCode::KeySensitive,
                "the key was sensitive when it was wrapped; it is unwrapped with CKA_SENSITIVE true only",
            ));
        }
        if roles.has(Roles::SENSITIVE) && kind.is_legacy() && !roles.has(Roles::DES) {
            return Err(Error::new(
                ErrorCode::KeySensitive,
                "the key was no DES key when it was wrapped; as one its bytes could be found by trying",
            ));
        }
        facts.wrap_with_trusted |= roles.has(Roles::TRUSTED_ONLY);
        (facts.from_kdf, facts.by_api) = (roles.has(Roles::FROM_KDF), roles.has(Roles::OF_API));
        Ok(())
    }

    /// The unwrapping key is for keys from now on: what it has encrypted as data must not become a sensitive key.
    fn unwrap_as_key(&self, caller: &Caller, tenant: &OpenTenant, value: Id) -> Result<()> {
        let free = !self.is_data(caller, tenant, value)?
            && self.grant(tenant, &[Grant { value, roles: Roles::KEYS, unless: Roles::DATA }])?;
        if free {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::OperationNotAllowed,
            "the unwrapping key, or another one of the same value, is or was for data; it unwraps no sensitive keys",
        ))
    }

    fn unwrap(
        &self,
        unwrapper: &KeyHandle,
        means: &Means,
        how: &Wrapping<'_>,
        wrapped: &[u8],
    ) -> Result<SecretBytes> {
        match (how, &means.aes) {
            (Wrapping::AesKw, Some(aes)) => aes.unwrap_key(KeyWrap::Kw, wrapped),
            (Wrapping::AesKwp, Some(aes)) => aes.unwrap_key(KeyWrap::Kwp, wrapped),
            (Wrapping::AesGcm { iv: GcmIv::Given(iv), aad, tag }, Some(aes)) => {
                let len = wrapped.len().checked_sub(*tag).ok_or_else(wrong_wrapping)?;
                let (ciphertext, tag) = wrapped.split_at(len);
                SecretBytes::filled(len, |out| aes.gcm_open(iv, aad, ciphertext, tag, out))
            }
            (Wrapping::RsaOaep(oaep), None) => {
                let mut out = SecretBytes::zeroed(unwrapper.facts.kind.bytes());
                let len = private(unwrapper)?.decrypt_oaep(*oaep, wrapped, out.expose_mut())?;
                Ok(out.truncated(len))
            }
            (Wrapping::RsaAes { oaep, .. }, None) => {
                rsa_aes_wrap::unwrap_with(self.provider, private(unwrapper)?, *oaep, wrapped)
            }
            _ => Err(unfit()),
        }
    }
}

pub(super) fn private(key: &KeyHandle) -> Result<&dyn PrivateKey> {
    match &key.key {
        HandleKey::Ready(ready) => match &ready.material {
            ReadyMaterial::Pair { private, .. } => Ok(&**private),
            _ => Err(unfit()),
        },
        HandleKey::Public(_) => Err(unfit()),
    }
}
