//! `object.wrap`: a key leaves, wrapped by another one.

use super::create_key::NewMaterial;
use super::object_export::Leave;
use super::wrap_strength;
use crate::caller::Caller;
use crate::core::{Facts, Resource, Run};
use crate::crypto::{
    AesKey, BLOCK, BlockMode, CipherStream, Direction, GCM_NONCE, GCM_TAG, Iv, KeyWrap, rsa_aes_wrap,
};
use crate::keyring::Keyring;
use crate::keyring::intent::Intent;
use crate::keyring::role::{Grant, Roles};
use crate::keyring::tenant::OpenTenant;
use crate::object::{
    GcmIv, HandleKey, KeyFacts, KeyHandle, Object, WRAP_TEMPLATE, WrapKey, Wrapped, Wrapping,
};
use crate::secret::SecretBytes;
use canis_proto::{Capability, Error, ErrorCode, Family, Id, Result, Usage};

impl Run for WrapKey<'_> {
    const PASSES_MATERIAL: bool = true;

    fn resource(&self) -> Resource<'_> {
        Resource::Object(self.key)
    }

    fn intent(&self, keyring: &Keyring, caller: &Caller) -> Result<Option<Intent>> {
        let Some(intent) = keyring.intent_on(caller, self.key, Capability::Export)? else { return Ok(None) };
        let by = keyring.visible(caller, self.wrapper)?;
        let label = String::from_utf8_lossy(&by.content.label).into_owned();
        let mechanisms: Vec<u8> = self.how.mechanisms().iter().flat_map(|one| one.to_be_bytes()).collect();
        let intent = intent.with(&[&self.wrapper.0, &mechanisms]);
        let intent = intent.telling("wrapping_object", self.wrapper.to_string());
        let intent = intent.telling("wrapping_label", label);
        // The label is whatever somebody has called it.
        Ok(Some(match by.content.key.as_ref().filter(|facts| !facts.spki.is_empty()) {
            Some(facts) => intent.telling_bytes("wrapping_key_public", &facts.spki),
            None => intent,
        }))
    }

    /// Who only asks how long it will be has not got it.
    fn gives(answer: &Wrapped) -> bool {
        answer.bytes.is_some()
    }

    fn given(answer: &Self::Answer) -> Option<usize> {
        Some(answer.bytes.as_ref().map_or(0, Vec::len))
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<Wrapped> {
        keyring.require(caller, Capability::Encrypt, Resource::Object(self.wrapper), Facts::default())?;
        let wrapper = keyring.open_key(caller, self.wrapper, Usage::WRAP, self.how.mechanisms())?;
        let target = keyring.visible(caller, self.key)?;
        let by = keyring.visible(caller, self.wrapper)?;
        if by.content.kept(WRAP_TEMPLATE).is_some_and(|wanted| !fits(&target, wanted)) {
            return Err(Error::new(
                ErrorCode::InvalidKeyType,
                "the key to be wrapped is not as the wrapping key's CKA_WRAP_TEMPLATE wants it",
            ));
        }
        let (kind, material) = keyring.material(caller, &target, Leave::Wrapped)?;
        let Some(facts) = &target.content.key else {
            return Err(Error::internal("material without facts"));
        };
        let known = keyring.known_in_session(caller, &target)?;
        let spki = facts.spki.clone();
        let leaving = Leaving { facts, known, made: NewMaterial { kind, material, spki } };
        leaving.check(&wrapper.facts, &self.how, self.weak_rsa)?;
        let len = leaving.wrapped_len(&self.how, &wrapper.facts)?;
        let tenant = keyring.tenant(caller.tenant()?)?;
        let means = keyring.means(caller, &wrapper)?;
        let grants = keyring.wrapping_roles(caller, &tenant, &self.how, (&wrapper, &means), &leaving)?;
        if len > self.room {
            return Ok(Wrapped { len, bytes: None, iv: None });
        }
        let ephemeral = keyring.ephemeral(&self.how)?;
        let grants = grants.into_iter().chain(
            ephemeral.as_ref().filter(|_| facts.sensitive).map(|key| keyring.ephemeral_role(&tenant, key)),
        );
        if !keyring.grant(&tenant, &grants.collect::<Vec<_>>())? {
            return Err(for_data());
        }
        let wrapped = keyring.wrap(&wrapper, &means, &self.how, ephemeral, leaving.made.material.expose())?;
        keyring.count(&wrapper);
        Ok(wrapped)
    }
}

fn fits(object: &Object, template: &[u8]) -> bool {
    object.content.fits(object.session.is_none(), template)
}

/// The key that leaves.
struct Leaving<'a> {
    facts: &'a KeyFacts,
    /// What is known of its value in its session.
    known: Roles,
    made: NewMaterial,
}

impl Leaving<'_> {
    /// Whether this wrapper may take it out so. What can be read in plain needs no strength.
    fn check(&self, wrapper: &KeyFacts, how: &Wrapping<'_>, weak_rsa: bool) -> Result<()> {
        if self.facts.wrap_with_trusted && !wrapper.trusted {
            return Err(not_wrappable("CKA_WRAP_WITH_TRUSTED is true, and the wrapping key is not trusted"));
        }
        if self.made.kind.is_asymmetric() && matches!(how, Wrapping::RsaOaep(_) | Wrapping::RsaPkcs1) {
            return Err(not_wrappable(
                "RSA encrypts secret keys only; private keys take CKM_RSA_AES_KEY_WRAP",
            ));
        }
        let legacy = weak_rsa && wrapper.kind.family() == Family::Rsa;
        let strong = (self.facts.sensitive && !legacy).then_some((self.made.kind, self.made.material.len()));
        if let Wrapping::RsaAes { bits, .. } = how {
            wrap_strength::check_inner(*bits, strong)?;
        }
        wrap_strength::check(wrapper.kind, strong)
    }

    /// The length of the result.
    ///
    /// # Errors
    /// `invalid_argument` for a key that is too long or, for KW, no whole number of 8 bytes.
    fn wrapped_len(&self, how: &Wrapping<'_>, wrapper: &KeyFacts) -> Result<usize> {
        let (len, block) = (self.made.material.len(), wrapper.kind.bytes());
        let kwp = len.next_multiple_of(8) + 8;
        match how {
            Wrapping::AesKw if !len.is_multiple_of(8) || len < 16 => {
                Err(Error::invalid("AES Key Wrap takes 16 bytes or more, a whole number of 8"))
            }
            Wrapping::AesKw | Wrapping::AesKwp => Ok(kwp),
            Wrapping::AesGcm { tag, .. } if *tag > GCM_TAG => {
                Err(Error::invalid(format!("a tag has at most {GCM_TAG} bytes, not {tag}")))
            }
            Wrapping::AesGcm { tag, .. } => Ok(len + tag),
            Wrapping::RsaAes { bits, .. } if ![128, 192, 256].contains(bits) => {
                Err(Error::invalid(format!("an AES key has 128, 192 or 256 bits, not {bits}")))
            }
            Wrapping::AesCbcPad { .. } => Ok((len / BLOCK + 1) * BLOCK),
            Wrapping::RsaAes { .. } => Ok(block + kwp),
            Wrapping::RsaOaep(oaep) if len + 2 * oaep.hash.len() + 2 > block => Err(too_long()),
            Wrapping::RsaPkcs1 if len + 11 > block => Err(too_long()),
            Wrapping::RsaOaep(_) | Wrapping::RsaPkcs1 => Ok(block),
        }
    }
}

/// What is to be known of the value of a sensitive key when it comes back.
pub(super) fn roles_of_leaving(facts: &KeyFacts) -> Roles {
    [
        (facts.wrap_with_trusted, Roles::TRUSTED_ONLY),
        (facts.from_kdf, Roles::FROM_KDF),
        (facts.kind.family() == Family::Rsa && facts.is_of_api(), Roles::OF_API),
        (facts.kind.is_legacy(), Roles::DES),
    ]
    .into_iter()
    .filter(|(holds, _)| *holds)
    .fold(Roles::SENSITIVE, |roles, (_, role)| roles.with(role))
}

fn too_long() -> Error {
    Error::invalid("the key is longer than what the wrapping key can encrypt")
}

fn not_wrappable(why: &str) -> Error {
    Error::new(ErrorCode::KeyNotWrappable, why)
}

fn for_data() -> Error {
    not_wrappable(
        "the wrapping key, or another one of the same value, is or was for data: what it wraps it could decrypt",
    )
}

/// What wraps or unwraps besides an opened key of a pair.
pub(super) struct Means {
    /// A secret key, ready.
    pub(super) aes: Option<Box<dyn AesKey>>,
    /// The fingerprint of its value, or of the pair.
    pub(super) value: Id,
}

impl Keyring {
    /// The means of a key that was opened to wrap or unwrap.
    pub(super) fn means(&self, caller: &Caller, key: &KeyHandle) -> Result<Means> {
        let tenant = self.tenant(caller.tenant()?)?;
        if key.facts.kind.is_asymmetric() {
            return Ok(Means { aes: None, value: self.pair_fingerprint(&tenant, &key.facts.spki) });
        }
        let object = self.visible(caller, key.object)?;
        let (_, material) = self.material(caller, &object, Leave::Inside)?;
        let value = self.secret_fingerprint(&tenant, material.expose());
        Ok(Means { aes: Some(self.provider.cipher.aes(material.expose())?), value })
    }

    /// What wrapping will say about the values of both keys.
    ///
    /// # Errors
    /// `key_not_wrappable` if a sensitive key is to leave by one that is, was or may be used for data.
    fn wrapping_roles(
        &self,
        caller: &Caller,
        tenant: &OpenTenant,
        how: &Wrapping<'_>,
        (wrapper, means): (&KeyHandle, &Means),
        leaving: &Leaving<'_>,
    ) -> Result<Vec<Grant>> {
        let given_iv = matches!(how, Wrapping::AesGcm { iv: GcmIv::Given(_), .. });
        if !leaving.facts.sensitive {
            // Under an IV of the caller this encrypts what the caller knows.
            let data = |roles, unless| vec![Grant { value: means.value, roles, unless }];
            return Ok(match how {
                _ if given_iv => data(Roles::DATA, Roles::KEYS.with(Roles::DERIVES)),
                // Who has blocks of his choice encrypted computes CMAC.
                Wrapping::AesCbcPad { .. } => data(Roles::MACS, Roles::DERIVES),
                _ => Vec::new(),
            });
        }
        if given_iv {
            return Err(not_wrappable("a sensitive key is wrapped by AES-GCM with an IV drawn here only"));
        }
        let may_decrypt = !wrapper.facts.kind.is_asymmetric() && wrapper.facts.usage.allows(Usage::DECRYPT);
        if may_decrypt || self.is_data(caller, tenant, means.value)? {
            return Err(for_data());
        }
        let kept = |value| Grant { value, roles: roles_of_leaving(leaving.facts), unless: Roles::NONE };
        let mut grants = self.grants_for(tenant, &leaving.made, leaving.known);
        grants.extend([
            Grant { value: means.value, roles: Roles::KEYS, unless: Roles::DATA },
            // PKCS#8 could also be unwrapped as a secret key of these bytes.
            kept(self.secret_fingerprint(tenant, leaving.made.material.expose())),
        ]);
        if leaving.made.kind.is_asymmetric() {
            grants.push(kept(self.pair_fingerprint(tenant, &leaving.facts.spki)));
        }
        Ok(grants)
    }

    /// The AES key between RSA and the key that is wrapped.
    fn ephemeral(&self, how: &Wrapping<'_>) -> Result<Option<SecretBytes>> {
        let Wrapping::RsaAes { bits, .. } = how else { return Ok(None) };
        SecretBytes::filled(bits / 8, |out| self.provider.random.fill(out)).map(Some)
    }

    /// Unwrapped by itself it must neither be read nor decrypt what it wraps.
    fn ephemeral_role(&self, tenant: &OpenTenant, key: &SecretBytes) -> Grant {
        let value = self.secret_fingerprint(tenant, key.expose());
        Grant { value, roles: Roles::SENSITIVE.with(Roles::KEYS), unless: Roles::NONE }
    }

    fn wrap(
        &self,
        wrapper: &KeyHandle,
        means: &Means,
        how: &Wrapping<'_>,
        ephemeral: Option<SecretBytes>,
        key: &[u8],
    ) -> Result<Wrapped> {
        let mut drawn = None;
        let bytes = match (how, &means.aes, &wrapper.key) {
            (Wrapping::AesKw, Some(aes), _) => aes.wrap_key(KeyWrap::Kw, key)?,
            (Wrapping::AesKwp, Some(aes), _) => aes.wrap_key(KeyWrap::Kwp, key)?,
            (Wrapping::AesGcm { iv, aad, tag }, Some(aes), _) => {
                let mut fresh = [0; GCM_NONCE];
                let iv = match iv {
                    GcmIv::Given(iv) => iv,
                    GcmIv::Drawn => {
                        self.provider.random.fill(&mut fresh)?;
                        drawn = Some(fresh);
                        &fresh[..]
                    }
                };
                let mut out = vec![0; key.len() + tag];
                let (ciphertext, tag) = out.split_at_mut(key.len());
                aes.gcm_seal(iv, aad, key, ciphertext, tag)?;
                out
            }
            (Wrapping::AesCbcPad { iv }, Some(aes), _) => {
                let mut stream =
                    CipherStream::new(&**aes, BlockMode::CbcPad { iv: Iv::new(*iv) }, Direction::Encrypt)?;
                let mut out = vec![0; (key.len() / BLOCK + 1) * BLOCK];
                let at = stream.update(key, &mut out)?;
                stream.finish(&mut out[at..])?;
                out
            }
            (Wrapping::RsaOaep(oaep), None, HandleKey::Public(public)) => public.encrypt_oaep(*oaep, key)?,
            (Wrapping::RsaPkcs1, None, HandleKey::Public(public)) => public.encrypt_pkcs1(key)?,
            (Wrapping::RsaAes { oaep, .. }, None, HandleKey::Public(public)) => {
                let aes = ephemeral.ok_or_else(|| Error::internal("a wrapping without its AES key"))?;
                rsa_aes_wrap::wrap_with(self.provider, &**public, *oaep, &aes, key)?
            }
            _ => return Err(unfit()),
        };
        Ok(Wrapped { len: bytes.len(), bytes: Some(bytes), iv: drawn })
    }
}

/// A mechanism of another kind of key.
pub(super) fn unfit() -> Error {
    Error::new(ErrorCode::OperationNotSupported, "the key is not of the kind the mechanism needs")
}
