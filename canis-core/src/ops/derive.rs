//! `derive`: bytes from a generic secret, or from what a key on a curve shares with a peer's.
//!
//! Why this is safe here: what HKDF (RFC 5869) gives says nothing of its input nor of what it gives for another info.
//! The API derives nothing from AES keys, whose material already leads to the keys of ciphertexts.

use super::digest::hash_of;
use crate::caller::Caller;
use crate::core::{Facts, Resource, Run};
use crate::crypto::derive::{hkdf_expand, hkdf_extract};
use crate::crypto::public_parts::PublicParts;
use crate::crypto::{MAX_AGREED, MAX_DIGEST, Provider};
use crate::keyring::Keyring;
use crate::keyring::key::Key;
use crate::keyring::ready::{ReadyKey, ReadyMaterial};
use crate::keyring::role::Roles;
use canis_proto::answer::Derived;
use canis_proto::message::Derive;
use canis_proto::{AgreementKdf, Error, ErrorCode, Family, Result, Usage};
use std::ops::RangeInclusive;
use zeroize::Zeroizing;

/// How many bytes are derived at a time.
const LENGTHS: RangeInclusive<usize> = 16..=1024;

/// What the labels of CANIS's own keys begin with (docs/storage.md, section 6). A generic secret may have the bytes of an
/// AES key, from which the key of API ciphertexts is derived so.
const OWN_LABELS: &[u8] = b"canis/v1/";

/// How many, if nobody says.
const USUAL: usize = 32;

impl Run for Derive<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Key(&self.name)
    }

    fn facts(&self) -> Facts<'_> {
        Facts::payload(self.peer.len()).within(&self.info)
    }

    fn given(answer: &Self::Answer) -> Option<usize> {
        Some(answer.key.len())
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<Derived> {
        let tenant = keyring.tenant(caller.tenant()?)?;
        let key = keyring.usable(&tenant, &self.name)?;
        derives(&key)?;
        key.require(Usage::DERIVE, "derive")?;
        let version = if self.version == 0 { key.record.current_version } else { self.version };
        key.allow_old(version)?;
        let ready = keyring.ready(&tenant, &key, version)?;
        if key.kind.family() == Family::Generic {
            keyring.claim_to_show(&tenant, &key, &ready, (Roles::SHOWN, Roles::KEEPS))?;
        }
        let secret = secret(&self, &key, &ready)?;
        let bytes = match self.kdf {
            AgreementKdf::Raw if key.kind.is_asymmetric() => secret.to_vec(),
            AgreementKdf::Raw => {
                return Err(Error::invalid("a generic secret does not leave as it is; derive by hkdf"));
            }
            AgreementKdf::Hkdf => expanded(&self, keyring.provider, &secret)?,
        };
        keyring.used(&key, version);
        Ok(Derived { version, key: bytes })
    }
}

fn derives(key: &Key) -> Result<()> {
    if matches!(key.kind.family(), Family::Generic | Family::Ec | Family::Montgomery) {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::OperationNotSupported,
        format!(
            "key `{}` is of type {}, from which nothing is derived; generic secrets and keys on curves are for that",
            key.record.name, key.kind
        ),
    ))
}

/// What the derivation starts from: the generic secret, or the one shared with the peer.
fn secret(request: &Derive<'_>, key: &Key, ready: &ReadyKey) -> Result<Zeroizing<Vec<u8>>> {
    match (&ready.material, &ready.value) {
        (ReadyMaterial::Pair { private, .. }, _) => {
            let mut shared = Zeroizing::new(vec![0; MAX_AGREED]);
            let len = private.agree(&peer_point(key, &request.peer)?, &mut shared)?;
            shared.truncate(len);
            Ok(shared)
        }
        (ReadyMaterial::Generic { .. }, Some(value)) if request.peer.is_empty() => {
            Ok(Zeroizing::new(value.expose().to_vec()))
        }
        (ReadyMaterial::Generic { .. }, _) => Err(Error::invalid("a generic secret has no peer")),
        (ReadyMaterial::Aes { .. } | ReadyMaterial::Des { .. } | ReadyMaterial::Public { .. }, _) => {
            Err(Error::internal("nothing is derived from the keys of ciphers and from public halves"))
        }
    }
}

fn expanded(request: &Derive<'_>, provider: &Provider, secret: &[u8]) -> Result<Vec<u8>> {
    let length = match usize::try_from(request.length).unwrap_or(usize::MAX) {
        0 => USUAL,
        length => length,
    };
    if !LENGTHS.contains(&length) {
        let (least, most) = (LENGTHS.start(), LENGTHS.end());
        return Err(Error::invalid(format!("{least} to {most} bytes are derived at a time, not {length}")));
    }
    if request.info.starts_with(OWN_LABELS) {
        return Err(Error::invalid(
            "an info that begins with `canis/v1/` is CANIS's own; choose another one",
        ));
    }
    let hash = hash_of(request.hash);
    let mut prk = Zeroizing::new([0; MAX_DIGEST]);
    let len = hkdf_extract(provider, hash, &request.salt, secret, &mut prk)?;
    let mut out = vec![0; length];
    hkdf_expand(provider, hash, &prk[..len], &request.info, &mut out)?;
    Ok(out)
}

fn peer_point(key: &Key, spki: &[u8]) -> Result<Vec<u8>> {
    let (kind, parts) = PublicParts::from_spki(spki)?;
    match parts {
        PublicParts::Ec { point, .. } if kind == key.kind => Ok(point),
        PublicParts::Montgomery { point } if kind == key.kind => Ok(point.to_vec()),
        _ => Err(Error::invalid(format!(
            "the peer's key is of type {kind}; key `{}` is of type {} and agrees with such keys only",
            key.record.name, key.kind
        ))),
    }
}
