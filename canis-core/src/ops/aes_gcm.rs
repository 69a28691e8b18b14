//! `aes-gcm.encrypt` and `aes-gcm.decrypt`: bare AES-GCM (NIST SP 800-38D) under the material of an imported key, for
//! data that was made elsewhere, or is to be read there.
//!
//! Keys that were made here encrypt by `encrypt` alone: their material is never used directly by the API.

use crate::caller::Caller;
use crate::core::{Facts, Resource, Run};
use crate::crypto::{GCM_NONCE, GCM_TAG};
use crate::keyring::Keyring;
use crate::keyring::key::Key;
use crate::keyring::key_record::Source;
use crate::keyring::ready::{ReadyKey, ReadyMaterial};
use crate::keyring::role::{Grant, Roles};
use crate::keyring::tenant::OpenTenant;
use crate::object::mechanism;
use canis_proto::answer::{AesGcmSealed, Decrypted};
use canis_proto::message::{DecryptAesGcm, EncryptAesGcm};
use canis_proto::{Error, ErrorCode, Family, Result, Usage};
use std::ops::RangeInclusive;

/// How often one key may be used with IVs drawn at random (NIST SP 800-38D, section 8.3).
const MOST_RANDOM_IVS: u64 = 1 << 32;

/// The tags that are taken, in bytes. Shorter ones are for applications that count forgeries (SP 800-38D, appendix C).
const TAGS: RangeInclusive<usize> = 12..=16;

impl Run for EncryptAesGcm<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Key(&self.name)
    }

    fn facts(&self) -> Facts<'_> {
        Facts::payload(self.plaintext.len()).within(&self.aad)
    }

    fn given(answer: &Self::Answer) -> Option<usize> {
        Some(answer.ciphertext.len() + answer.tag.len())
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<AesGcmSealed> {
        let tenant = keyring.tenant(caller.tenant()?)?;
        let key = keyring.key(&tenant, &self.name)?;
        was_imported(&key)?;
        keyring.require_by(&tenant, &key, (Usage::ENCRYPT, "encrypt"), &[mechanism::AES_GCM])?;
        let version = key.version_to_use(self.version)?;
        let ready = keyring.ready(&tenant, &key, version)?;
        keyring.use_for_data(&tenant, &key, &ready)?;
        let uses = keyring.uses_of(key.id)?.get(&version).map_or(0, |(uses, _)| *uses);
        ivs_remain(&key, version, uses)?;
        let ReadyMaterial::Aes { gcm, .. } = &ready.material else { return Err(no_aes()) };
        let mut iv = [0; GCM_NONCE];
        keyring.provider.random.fill(&mut iv)?;
        let (mut ciphertext, mut tag) = (vec![0; self.plaintext.len()], [0; GCM_TAG]);
        gcm.seal(&iv, &self.aad, &self.plaintext, &mut ciphertext, &mut tag)?;
        keyring.used(&key, version);
        Ok(AesGcmSealed { version, iv: iv.to_vec(), ciphertext, tag: tag.to_vec() })
    }
}

impl Run for DecryptAesGcm<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Key(&self.name)
    }

    fn facts(&self) -> Facts<'_> {
        Facts::payload(self.ciphertext.len()).within(&self.aad)
    }

    fn brings(&self) -> Option<usize> {
        Some(self.ciphertext.len() + self.tag.len())
    }

    fn given(answer: &Self::Answer) -> Option<usize> {
        Some(answer.plaintext.len())
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<Decrypted> {
        let tenant = keyring.tenant(caller.tenant()?)?;
        let key = keyring.key(&tenant, &self.name)?;
        was_imported(&key)?;
        keyring.require_by(&tenant, &key, (Usage::DECRYPT, "decrypt"), &[mechanism::AES_GCM])?;
        let version = if self.version == 0 { key.record.current_version } else { self.version };
        key.allow_old(version)?;
        if !TAGS.contains(&self.tag.len()) {
            return Err(Error::invalid(format!("a tag has 12 to 16 bytes here, not {}", self.tag.len())));
        }
        let ready = keyring.ready(&tenant, &key, version)?;
        keyring.use_for_data(&tenant, &key, &ready)?;
        let ReadyMaterial::Aes { blocks, .. } = &ready.material else { return Err(no_aes()) };
        let mut plaintext = vec![0; self.ciphertext.len()];
        blocks.gcm_open(&self.iv, &self.aad, &self.ciphertext, &self.tag, &mut plaintext)?;
        keyring.used(&key, version);
        Ok(Decrypted { plaintext })
    }
}

/// Refuses keys of other types, and those that were made here.
fn was_imported(key: &Key) -> Result<()> {
    let name = &key.record.name;
    if key.kind.family() != Family::Aes {
        return Err(Error::new(
            ErrorCode::OperationNotSupported,
            format!("key `{name}` is of type {}; aes-gcm takes imported AES keys", key.kind),
        ));
    }
    match key.record.source {
        Source::Outside => Ok(()),
        Source::Here | Source::PublicHalf => Err(Error::new(
            ErrorCode::OperationNotAllowed,
            format!(
                "key `{name}` was made here, and aes-gcm is for imported keys; use encrypt and decrypt instead"
            ),
        )),
    }
}

/// Refuses to draw more IVs than are safe. Every use of the version counts, whichever operation it was.
fn ivs_remain(key: &Key, version: u32, uses: u64) -> Result<()> {
    if uses < MOST_RANDOM_IVS {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::OperationNotAllowed,
        format!(
            "version {version} of key `{}` was used {uses} times; AES-GCM with random IVs ends at {MOST_RANDOM_IVS}; \
             import a next version, or use encrypt, which has no such limit",
            key.record.name
        ),
    ))
}

fn no_aes() -> Error {
    Error::internal("an AES key without its AES")
}

impl Keyring {
    /// The value is for data from now on; one that has wrapped or unwrapped keys is refused, or it would decrypt what
    /// it wrapped by AES-GCM at another door (ADR 0007).
    fn use_for_data(&self, tenant: &OpenTenant, key: &Key, ready: &ReadyKey) -> Result<()> {
        if ready.known.roles().has(Roles::DATA) {
            return Ok(());
        }
        let value = ready.known.fingerprint.get().copied();
        let value = value.ok_or_else(|| Error::internal("a kept secret key without its fingerprint"))?;
        let unless = Roles::KEYS.with(Roles::DERIVES);
        if self.grant(tenant, &[Grant { value, roles: Roles::DATA, unless }])? {
            ready.known.add(Roles::DATA);
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::OperationNotAllowed,
            format!(
                "key `{}`, or another one of the same value, has wrapped or unwrapped keys, or sensitive keys were \
                 derived from it; it is not used for data",
                key.record.name
            ),
        ))
    }
}
