//! `sign` with the current version, `verify` with the one in the signature.

use super::decrypt::made_by;
use crate::at_once::may_take_long;
use crate::caller::Caller;
use crate::core::{Facts, Resource, Run};
use crate::crypto::{Hash, MAX_DIGEST, Provider, SignScheme, digest_info, ecdsa_der};
use crate::keyring::Keyring;
use crate::keyring::key::Key;
use crate::keyring::ready::ReadyMaterial;
use crate::object::mechanism;
use canis_proto::answer::{Signed, Verified};
use canis_proto::message::{Sign, Verify};
use canis_proto::text::{Sealed, sealed_text};
use canis_proto::{Error, ErrorCode, Family, Result, SignatureForm, SignatureScheme, Usage};
use std::borrow::Cow;

impl Run for Sign<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Key(&self.name)
    }

    fn facts(&self) -> Facts<'_> {
        Facts::payload(self.message.len())
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<Signed> {
        let tenant = keyring.tenant(caller.tenant()?)?;
        let key = keyring.usable(&tenant, &self.name)?;
        let scheme = scheme_for(&key, self.scheme)?;
        let names = mechanism::of_signature(scheme, self.prehashed);
        keyring.require_by(&tenant, &key, (Usage::SIGN, "sign"), names)?;
        let version = key.version_to_use(self.version)?;
        let ready = keyring.ready(&tenant, &key, version)?;
        let ReadyMaterial::Pair { private, .. } = &ready.material else {
            return Err(Error::internal("a signing key without a pair"));
        };
        may_take_long(key.kind)?;
        let (how, input) = prepare(keyring.provider, scheme, &self.message, self.prehashed)?;
        let mut signature = vec![0; private.signature_len()];
        let len = private.sign(how, &input, &mut signature)?;
        signature.truncate(len);
        let bytes = match (key.kind.family(), self.form) {
            (Family::Ec, SignatureForm::Der) => ecdsa_der::to_der(&signature)?,
            _ => signature,
        };
        keyring.used(&key, version);
        Ok(Signed { signature: sealed_text(&key.record.name, version, &bytes) })
    }
}

impl Run for Verify<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Key(&self.name)
    }

    fn facts(&self) -> Facts<'_> {
        Facts::payload(self.message.len())
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<Verified> {
        let sealed = Sealed::parse(&self.signature)?;
        made_by(&sealed, &self.name, "signature")?;
        let tenant = keyring.tenant(caller.tenant()?)?;
        let key = keyring.usable(&tenant, &self.name)?;
        let scheme = scheme_for(&key, self.scheme)?;
        let names = mechanism::of_signature(scheme, self.prehashed);
        keyring.require_by(&tenant, &key, (Usage::VERIFY, "verify"), names)?;
        key.allow_old(sealed.version)?;
        let ready = keyring.ready(&tenant, &key, sealed.version)?;
        let public = ready.public()?;
        let signature = match (key.kind.family(), self.form) {
            // A signature that is no DER is a wrong signature.
            (Family::Ec, SignatureForm::Der) => match ecdsa_der::from_der(&sealed.bytes, key.kind.bytes()) {
                Some(fixed) => fixed,
                None => return Ok(Verified { valid: false }),
            },
            _ => sealed.bytes,
        };
        let (how, input) = prepare(keyring.provider, scheme, &self.message, self.prehashed)?;
        let valid = public.verify(how, &input, &signature)?;
        keyring.used(&key, sealed.version);
        Ok(Verified { valid })
    }
}

/// The scheme asked for, or the type's own.
pub(super) fn scheme_for(key: &Key, asked: Option<SignatureScheme>) -> Result<SignatureScheme> {
    let scheme = asked.or_else(|| SignatureScheme::default_for(key.kind));
    scheme.filter(|s| s.family() == key.kind.family()).ok_or_else(|| {
        let shown = scheme.map_or("this", SignatureScheme::name);
        Error::new(
            ErrorCode::OperationNotSupported,
            format!("key `{}` is of type {}, which does not sign by {shown}", key.record.name, key.kind),
        )
    })
}

/// The hash function of a scheme; `None` for one that signs messages as they are.
pub(super) fn hash_of(scheme: SignatureScheme) -> Option<Hash> {
    use SignatureScheme as S;
    match scheme {
        S::RsaPssSha256 | S::RsaPkcs1Sha256 | S::EcdsaSha256 => Some(Hash::Sha256),
        S::RsaPssSha384 | S::RsaPkcs1Sha384 | S::EcdsaSha384 => Some(Hash::Sha384),
        S::RsaPssSha512 | S::RsaPkcs1Sha512 | S::EcdsaSha512 => Some(Hash::Sha512),
        S::Ed25519 => None,
    }
}

/// What the seam signs for a message: its digest, its DigestInfo, or the message itself. A message that was hashed
/// elsewhere is the digest.
fn prepare<'a>(
    provider: &Provider,
    scheme: SignatureScheme,
    message: &'a [u8],
    prehashed: bool,
) -> Result<(SignScheme, Cow<'a, [u8]>)> {
    use SignatureScheme as S;
    let Some(hash) = hash_of(scheme) else {
        // A signature over a digest would be another scheme, Ed25519ph.
        if prehashed {
            return Err(Error::new(ErrorCode::OperationNotSupported, "Ed25519 signs messages, not digests"));
        }
        return Ok((SignScheme::Ed25519, Cow::Borrowed(message)));
    };
    let mut digest = [0; MAX_DIGEST];
    let digest = if prehashed {
        if message.len() != hash.len() {
            return Err(Error::invalid(format!(
                "a digest for {scheme} has {} bytes, not {}",
                hash.len(),
                message.len()
            )));
        }
        message
    } else {
        let len = provider.digest.hash(hash, message, &mut digest);
        &digest[..len]
    };
    Ok(match scheme {
        S::RsaPkcs1Sha256 | S::RsaPkcs1Sha384 | S::RsaPkcs1Sha512 => {
            (SignScheme::RsaPkcs1, Cow::Owned(digest_info::encode(hash, digest)?.as_slice().to_vec()))
        }
        S::RsaPssSha256 | S::RsaPssSha384 | S::RsaPssSha512 => {
            (SignScheme::RsaPss { hash, mgf: hash, salt: hash.len() }, Cow::Owned(digest.to_vec()))
        }
        S::EcdsaSha256 | S::EcdsaSha384 | S::EcdsaSha512 | S::Ed25519 => {
            (SignScheme::Ecdsa, Cow::Owned(digest.to_vec()))
        }
    })
}
