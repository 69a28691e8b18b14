//! `object.unwrap`: a wrapped key comes in.

use super::create_key::NewMaterial;
use super::object_keep::{NewKey, Origin};
use super::object_wrap::{Means, unfit};
use crate::caller::Caller;
use crate::core::{Resource, Run};
use crate::crypto::{BLOCK, BlockMode, CipherStream, Direction, Iv, KeyWrap, PrivateKey};
use crate::crypto::{private_parts, rsa_aes_wrap};
use crate::keyring::Keyring;
use crate::keyring::ready::ReadyMaterial;
use crate::keyring::role::{Grant, Roles};
use crate::keyring::tenant::OpenTenant;
use crate::object::{Content, GcmIv, HandleKey, Inside, KeyFacts, KeyHandle, OpenKey, UnwrapKey, Wrapping};
use crate::secret::SecretBytes;
use canis_proto::{Capability, Error, ErrorCode, Family, Id, KeyType, Result, Usage};
use subtle::{ConditionallySelectable, ConstantTimeEq};

impl Run for UnwrapKey<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Object(self.unwrapper)
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<Id> {
        caller.require(Capability::Decrypt)?;
        let unwrapper = OpenKey { object: self.unwrapper, usage: Usage::UNWRAP }.run(keyring, caller)?;
        let (tenant, means) = (keyring.tenant(caller.tenant()?)?, keyring.means(caller, &unwrapper)?);
        let mut content = self.content;
        if self.how.is_malleable() {
            confine(&mut content)?;
            refuse_cutting(&self.how, self.inside)?;
        }
        let bytes = keyring.unwrap(&tenant, &unwrapper, &means, &self.how, self.wrapped, self.inside)?;
        let kind = kind_inside(self.inside, bytes.expose())?;
        // Whatever is wrong with what came out, one answer says no more than that it is wrong.
        let made = NewMaterial::given(keyring.provider, kind, bytes).map_err(|_| wrong_wrapping())?;
        let value = keyring.fingerprint_of(&tenant, &made);
        let facts = content.key.as_mut().ok_or_else(|| Error::internal("a key object without facts"))?;
        keyring.keep_promises(&tenant, value, kind, facts)?;
        if facts.sensitive {
            keyring.unwrap_as_key(caller, &tenant, means.value)?;
        }
        let new = NewKey::new(keyring.provider, &Origin::Unwrapped, made, content, None)?;
        let new = new.knowing(Roles::NONE, true);
        let (id, _) = keyring.keep(caller, self.session, new)?;
        keyring.count(&unwrapper);
        Ok(id)
    }
}

fn wrong_wrapping() -> Error {
    Error::new(ErrorCode::DecryptionFailed, "this is no such key wrapped in this way by this key")
}

/// What comes out of a wrapping that anybody can alter may be part of another key: it stays inside, and nothing more is
/// made of it that could be compared.
fn confine(content: &mut Content) -> Result<()> {
    let facts = content.key.as_mut().ok_or_else(|| Error::internal("a key object without facts"))?;
    if !facts.sensitive || facts.extractable {
        return Err(Error::new(
            ErrorCode::KeySensitive,
            "a key from a wrapping without authentication is sensitive and not extractable",
        ));
    }
    facts.usage = facts.usage.without(Usage::WRAP.with(Usage::UNWRAP).with(Usage::DERIVE));
    // Else it would be granted later what is taken from it here.
    (content.modifiable, content.copyable) = (false, false);
    content.withhold_check_value();
    Ok(())
}

/// Whoever alters the last bytes of a CBC ciphertext cuts the key in it. Of AES keys only whole blocks come off; a generic
/// secret would lose one byte, and HMAC, which fills keys up with zeros, would tell which. DES keys are short enough for
/// every value of a piece to be tried.
fn refuse_cutting(how: &Wrapping<'_>, inside: Inside) -> Result<()> {
    match (how, inside) {
        (Wrapping::AesCbcPad { .. }, Inside::Secret { family, .. }) if family != Family::Aes => {
            Err(Error::new(
                ErrorCode::KeySensitive,
                "of secret keys CBC with padding unwraps AES keys only; wrap this one by AES Key Wrap with Padding",
            ))
        }
        _ => Ok(()),
    }
}

/// The type of the key inside.
fn kind_inside(inside: Inside, bytes: &[u8]) -> Result<KeyType> {
    match inside {
        Inside::Secret { len: Some(len), .. } if len != bytes.len() => Err(wrong_wrapping()),
        Inside::Secret { family, .. } => KeyType::of_secret(family, bytes.len()).ok_or_else(wrong_wrapping),
        Inside::Private(family) => {
            let kind = private_parts::kind_of(bytes).map_err(|_| wrong_wrapping())?;
            if kind.family() == family { Ok(kind) } else { Err(wrong_wrapping()) }
        }
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
        tenant: &OpenTenant,
        unwrapper: &KeyHandle,
        means: &Means,
        how: &Wrapping<'_>,
        wrapped: &[u8],
        inside: Inside,
    ) -> Result<SecretBytes> {
        match (how, &means.aes) {
            (Wrapping::AesKw, Some(aes)) => aes.unwrap_key(KeyWrap::Kw, wrapped),
            (Wrapping::AesKwp, Some(aes)) => aes.unwrap_key(KeyWrap::Kwp, wrapped),
            (Wrapping::AesGcm { iv: GcmIv::Given(iv), aad, tag }, Some(aes)) => {
                let len = wrapped.len().checked_sub(*tag).ok_or_else(wrong_wrapping)?;
                let (ciphertext, tag) = wrapped.split_at(len);
                SecretBytes::filled(len, |out| aes.gcm_open(iv, aad, ciphertext, tag, out))
            }
            (Wrapping::AesCbcPad { iv }, Some(aes)) => {
                let mut stream =
                    CipherStream::new(&**aes, BlockMode::CbcPad { iv: Iv::new(*iv) }, Direction::Decrypt)?;
                let mut out = SecretBytes::zeroed(wrapped.len() + BLOCK);
                let at = stream.update(wrapped, out.expose_mut())?;
                let last = stream.finish(&mut out.expose_mut()[at..]);
                let len = last.map_or(usize::MAX, |last| at + last);
                self.settle(tenant, means.value, (how, wrapped), inside, out, len)
            }
            (Wrapping::RsaOaep(oaep), None) => {
                let mut out = SecretBytes::zeroed(unwrapper.facts.kind.bytes());
                let len = private(unwrapper)?.decrypt_oaep(*oaep, wrapped, out.expose_mut())?;
                Ok(out.truncated(len))
            }
            (Wrapping::RsaAes { oaep, .. }, None) => {
                rsa_aes_wrap::unwrap_with(self.provider, private(unwrapper)?, *oaep, wrapped)
            }
            (Wrapping::RsaPkcs1, None) => {
                let mut out = SecretBytes::zeroed(unwrapper.facts.kind.bytes());
                let len = private(unwrapper)?.decrypt_pkcs1(wrapped, out.expose_mut())?;
                self.settle(tenant, means.value, (how, wrapped), inside, out, len)
            }
            _ => Err(unfit()),
        }
    }

    /// What was decrypted without being authenticated: `len` bytes of `out`, more than there are if the padding was
    /// wrong. A secret key of another length than the expected one gives way to another key, which nobody knows and
    /// which is the same each time (implicit rejection): an error would tell whoever alters the wrapping about the key
    /// in it (Bleichenbacher 1998, Vaudenay 2002). PKCS#8 is parsed whatever the padding says.
    fn settle(
        &self,
        tenant: &OpenTenant,
        unwrapper: Id,
        (how, wrapped): (&Wrapping<'_>, &[u8]),
        inside: Inside,
        mut out: SecretBytes,
        len: usize,
    ) -> Result<SecretBytes> {
        let Inside::Secret { len: wanted, .. } = inside else {
            let parsed = private_parts::kind_of(&out.expose()[..len.min(out.len())]);
            return if len <= out.len() && parsed.is_ok() {
                Ok(out.truncated(len))
            } else {
                Err(wrong_wrapping())
            };
        };
        let wanted = wanted.filter(|wanted| *wanted <= out.len()).ok_or_else(|| {
            Error::invalid("a wrapping without authentication needs the length of the key: CKA_VALUE_LEN")
        })?;
        let mut other = SecretBytes::zeroed(wanted);
        let iv: &[u8] = if let Wrapping::AesCbcPad { iv } = how { iv } else { &[] };
        self.stand_in(tenant, unwrapper, (iv, wrapped), other.expose_mut());
        let wrong = !(len as u64).ct_eq(&(wanted as u64));
        for (byte, other) in out.expose_mut().iter_mut().zip(other.expose()) {
            byte.conditional_assign(other, wrong);
        }
        Ok(out.truncated(wanted))
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
