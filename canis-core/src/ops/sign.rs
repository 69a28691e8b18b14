//! `sign` with the current version, `verify` with the one in the signature.

use super::decrypt::made_by;
use crate::at_once::{may_sign, may_verify};
use crate::caller::Caller;
use crate::core::{Facts, Resource, Run};
use crate::crypto::ml_dsa::{MU, Mu};
use crate::crypto::{Hash, MAX_DIGEST, Provider, PublicKey, SignScheme, digest_info, ecdsa_der, slh_dsa};
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
        Facts::payload(self.message.len()).within(&self.context)
    }

    fn given(answer: &Self::Answer) -> Option<usize> {
        Some(answer.signature.len())
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<Signed> {
        let tenant = keyring.tenant(caller.tenant()?)?;
        let key = keyring.usable(&tenant, &self.name)?;
        let scheme = scheme_for(&key, self.scheme)?;
        let names = mechanism::of_signature(scheme, self.prehashed);
        keyring.require_by(&tenant, &key, (Usage::SIGN, "sign"), names)?;
        let version = key.version_to_use(self.version)?;
        let ready = keyring.ready(&tenant, &key, version)?;
        let ReadyMaterial::Pair { private, public } = &ready.material else {
            return Err(Error::internal("a signing key without a pair"));
        };
        may_sign(key.kind)?;
        let said = Said { scheme, message: &self.message, prehashed: self.prehashed, context: &self.context };
        let (how, input) = said.prepare(keyring.provider, &**public)?;
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
        Facts::payload(self.message.len()).within(&self.context)
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
        may_verify(key.kind)?;
        let said = Said { scheme, message: &self.message, prehashed: self.prehashed, context: &self.context };
        let (how, input) = said.prepare(keyring.provider, public)?;
        let valid = public.verify(how, &input, &signature)?;
        keyring.used(&key, sealed.version);
        Ok(Verified { valid })
    }
}

/// The scheme asked for, or the type's own.
pub(super) fn scheme_for(key: &Key, asked: Option<SignatureScheme>) -> Result<SignatureScheme> {
    let scheme = asked.or_else(|| SignatureScheme::default_for(key.kind));
    scheme.filter(|s| s.fits(key.kind)).ok_or_else(|| {
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
        S::HashMlDsaSha256 | S::HashSlhDsaSha256 => Some(Hash::Sha256),
        S::HashMlDsaSha384 | S::HashSlhDsaSha384 => Some(Hash::Sha384),
        S::HashMlDsaSha512 | S::HashSlhDsaSha512 => Some(Hash::Sha512),
        S::Ed25519 | S::MlDsa | S::SlhDsa => None,
    }
}

/// A message and how it is to be signed.
struct Said<'a> {
    scheme: SignatureScheme,
    message: &'a [u8],
    prehashed: bool,
    context: &'a [u8],
}

impl<'a> Said<'a> {
    /// What the seam signs: a digest, a DigestInfo, mu, M', or the message itself. A message that was hashed elsewhere is
    /// the digest, or mu.
    fn prepare(&self, provider: &Provider, public: &dyn PublicKey) -> Result<(SignScheme, Cow<'a, [u8]>)> {
        use SignatureScheme as S;
        let key_hash = public.ml_dsa_hash();
        let bound = matches!(self.scheme.family(), Family::MlDsa | Family::SlhDsa);
        if !bound && !self.context.is_empty() {
            let why = format!("{} has no context; only post-quantum signatures have one", self.scheme);
            return Err(Error::new(ErrorCode::OperationNotSupported, why));
        }
        let Some(hash) = hash_of(self.scheme) else {
            return self.whole(key_hash);
        };
        let mut digest = [0; MAX_DIGEST];
        let digest = self.digest(provider, hash, &mut digest)?;
        Ok(match self.scheme {
            S::RsaPkcs1Sha256 | S::RsaPkcs1Sha384 | S::RsaPkcs1Sha512 => {
                (SignScheme::RsaPkcs1, Cow::Owned(digest_info::encode(hash, digest)?.as_slice().to_vec()))
            }
            S::RsaPssSha256 | S::RsaPssSha384 | S::RsaPssSha512 => {
                (SignScheme::RsaPss { hash, mgf: hash, salt: hash.len() }, Cow::Owned(digest.to_vec()))
            }
            S::EcdsaSha256 | S::EcdsaSha384 | S::EcdsaSha512 | S::Ed25519 => {
                (SignScheme::Ecdsa, Cow::Owned(digest.to_vec()))
            }
            S::MlDsa | S::HashMlDsaSha256 | S::HashMlDsaSha384 | S::HashMlDsaSha512 => {
                let mu = Mu::prehashed(key_hash.ok_or_else(no_key_hash)?, self.context, hash, digest)?;
                (SignScheme::MlDsa, Cow::Owned(mu.to_vec()))
            }
            S::SlhDsa | S::HashSlhDsaSha256 | S::HashSlhDsaSha384 | S::HashSlhDsaSha512 => {
                (SignScheme::SlhDsa, Cow::Owned(slh_dsa::prehashed(self.context, hash, digest)?))
            }
        })
    }

    /// By a scheme that hashes nothing beforehand.
    fn whole(&self, key_hash: Option<&[u8; MU]>) -> Result<(SignScheme, Cow<'a, [u8]>)> {
        match (self.scheme, self.prehashed) {
            (SignatureScheme::MlDsa, false) => {
                let mut mu = Mu::pure(key_hash.ok_or_else(no_key_hash)?, self.context)?;
                mu.update(self.message);
                Ok((SignScheme::MlDsa, Cow::Owned(mu.finish().to_vec())))
            }
            // RFC 9881, appendix D: mu made elsewhere, of the key's public half, the context and the message.
            (SignatureScheme::MlDsa, true) if self.context.is_empty() => {
                Ok((SignScheme::MlDsa, Cow::Borrowed(self.message)))
            }
            (SignatureScheme::MlDsa, true) => {
                Err(Error::invalid("the context is in mu already; leave it out where the message is mu"))
            }
            (SignatureScheme::SlhDsa, false) => {
                Ok((SignScheme::SlhDsa, Cow::Owned(slh_dsa::pure(self.context, self.message)?)))
            }
            (SignatureScheme::SlhDsa, true) => {
                let why =
                    "`slh-dsa` signs messages, not digests; name the scheme of the digest, hash-slh-dsa-…";
                Err(Error::new(ErrorCode::OperationNotSupported, why))
            }
            // A signature over a digest would be another scheme, Ed25519ph.
            (_, true) => {
                Err(Error::new(ErrorCode::OperationNotSupported, "Ed25519 signs messages, not digests"))
            }
            (_, false) => Ok((SignScheme::Ed25519, Cow::Borrowed(self.message))),
        }
    }

    fn digest<'d>(&self, provider: &Provider, hash: Hash, made: &'d mut [u8; MAX_DIGEST]) -> Result<&'d [u8]>
    where
        'a: 'd,
    {
        if !self.prehashed {
            let len = provider.digest.hash(hash, self.message, made);
            return Ok(&made[..len]);
        }
        if self.message.len() == hash.len() {
            return Ok(self.message);
        }
        let (expected, found) = (hash.len(), self.message.len());
        Err(Error::invalid(format!("a digest for {} has {expected} bytes, not {found}", self.scheme)))
    }
}

fn no_key_hash() -> Error {
    Error::internal("an ML-DSA key without the hash of its public half")
}
