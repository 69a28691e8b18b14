//! HPKE (RFC 9180), single-shot in base mode, with hybrid keys: KEM MLKEM768-X25519 (draft-ietf-hpke-pq, section 4), HKDF-SHA256,
//! AES-256-GCM. What leaves is enc ‖ ciphertext ‖ tag.
//!
//! Why this is safe here: each message has a secret of its own, and of it a key and a nonce that are used once (section 5.2), so that
//! nonces cannot meet. The KEM binds the recipient's key, the key schedule `info`. Base mode authenticates nobody who seals: what is
//! opened is a key that somebody brings who was let in otherwise.

use super::derive::{hkdf_expand, hkdf_extract};
use super::post_quantum::sizes_of;
use super::refusal::decryption_failed;
use super::{Encapsulation, GCM_NONCE, GCM_TAG, Hash, MAX_DIGEST, PrivateKey, Provider, PublicKey};
use crate::secret::SecretBytes;
use canis_proto::{Error, KeyType, Result};
use zeroize::Zeroizing;

/// The type of the keys.
const KIND: KeyType = KeyType::MlKem768X25519;
/// The KEM's number (draft-ietf-hpke-pq, table 1).
const KEM: u16 = 0x647a;
/// HKDF-SHA256 and AES-256-GCM (sections 7.2 and 7.3).
const KDF: u16 = 0x0001;
const AEAD: u16 = 0x0002;
const VERSION: &[u8] = b"HPKE-v1";
const BASE: u8 = 0;
const KEY: usize = 32;
const HASH: usize = 32;

/// What is added to a plaintext, in bytes.
const fn overhead(enc: usize) -> usize {
    enc + GCM_TAG
}

/// Seals `plaintext` to a hybrid key.
///
/// # Errors
/// `operation_not_supported` for a key that shares no secrets; `internal` without random bytes.
pub(crate) fn seal(
    provider: &Provider,
    recipient: &dyn PublicKey,
    info: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>> {
    let Encapsulation { ciphertext: mut sealed, secret } = recipient.encapsulate()?;
    let schedule = Schedule::new(provider, KEM, &secret, info)?;
    let start = sealed.len();
    sealed.resize(start + plaintext.len(), 0);
    let mut tag = [0; GCM_TAG];
    let key = provider.cipher.aes_gcm(schedule.key.expose())?;
    key.seal(&schedule.nonce, &[], plaintext, &mut sealed[start..], &mut tag)?;
    sealed.extend(tag);
    Ok(sealed)
}

/// Opens what [`seal`] or another program has sealed to this key.
///
/// # Errors
/// `decryption_failed` for everything else, alike.
pub(crate) fn open(
    provider: &Provider,
    own: &dyn PrivateKey,
    info: &[u8],
    sealed: &[u8],
) -> Result<SecretBytes> {
    let enc = sizes_of(KIND)?.ciphertext;
    let Some(len) = sealed.len().checked_sub(overhead(enc)) else { return Err(decryption_failed()) };
    let (enc, rest) = sealed.split_at(enc);
    let Some((ciphertext, tag)) = rest.split_last_chunk::<GCM_TAG>() else { return Err(decryption_failed()) };
    // A wrong enc leads to another secret, and so to the tag that is wrong in every case.
    let schedule = Schedule::new(provider, KEM, &own.decapsulate(enc)?, info)?;
    let key = provider.cipher.aes_gcm(schedule.key.expose())?;
    let opened = SecretBytes::filled(len, |out| key.open(&schedule.nonce, &[], ciphertext, tag, out));
    opened.map_err(|_: Error| decryption_failed())
}

/// The key and the nonce of the one message.
struct Schedule {
    key: SecretBytes,
    nonce: [u8; GCM_NONCE],
}

impl Schedule {
    /// Section 5.1 without a PSK.
    fn new(provider: &Provider, kem: u16, shared: &SecretBytes, info: &[u8]) -> Result<Self> {
        let suite = Suite { provider, kem };
        let psk_id_hash = suite.extract(&[], b"psk_id_hash", &[])?;
        let info_hash = suite.extract(&[], b"info_hash", info)?;
        let context = [&[BASE][..], &*psk_id_hash, &*info_hash].concat();
        let secret = suite.extract(shared.expose(), b"secret", &[])?;
        let key = SecretBytes::filled(KEY, |out| suite.expand(&secret, b"key", &context, out))?;
        let mut nonce = [0; GCM_NONCE];
        suite.expand(&secret, b"base_nonce", &context, &mut nonce)?;
        Ok(Schedule { key, nonce })
    }
}

/// The labelled functions of section 4.
struct Suite<'a> {
    provider: &'a Provider,
    kem: u16,
}

impl Suite<'_> {
    fn labelled(&self, label: &[u8]) -> Vec<u8> {
        let ids = [self.kem, KDF, AEAD].map(u16::to_be_bytes);
        [VERSION, b"HPKE", ids.as_flattened(), label].concat()
    }

    fn extract(&self, salt: &[u8], label: &[u8], material: &[u8]) -> Result<Zeroizing<[u8; HASH]>> {
        let input = [&self.labelled(label)[..], material].concat();
        let mut out = Zeroizing::new([0; MAX_DIGEST]);
        hkdf_extract(self.provider, Hash::Sha256, salt, &input, &mut out)?;
        let mut key = Zeroizing::new([0; HASH]);
        key.copy_from_slice(&out[..HASH]);
        Ok(key)
    }

    fn expand(&self, key: &[u8; HASH], label: &[u8], info: &[u8], out: &mut [u8]) -> Result<()> {
        // None is longer than 32 bytes.
        let info = [&(out.len() as u16).to_be_bytes()[..], &self.labelled(label), info].concat();
        hkdf_expand(self.provider, Hash::Sha256, key, &info, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::providers;
    use canis_proto::ErrorCode;

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    /// The key schedule and the first message of RFC 9180's vector for DHKEM(X25519), HKDF-SHA256 and AES-256-GCM in base mode
    /// (the CFRG's file test-vectors.json, commit 5f503c5; the IETF's licence for code: Revised BSD).
    #[test]
    fn the_rfcs_key_schedule() {
        let shared = hex("3101c54c3a4f87439eaac080699ed9bbcc726ffe44e860c0424ccb7e3e2ead7b");
        let ciphertext =
            hex("e5d84cd531cfb583096e7cfa9641bd3079cf3a91cda813c52deb5f512be9931980a41de125a925cdad859d5b7a");
        for provider in providers() {
            let shared = SecretBytes::copied_from(&shared);
            let schedule = Schedule::new(provider, 0x0020, &shared, b"Ode on a Grecian Urn").unwrap();
            let expected = hex("f50b0609186798729ed0564b36ef2ef8044f1f9d05636874d1f46c819c7a669f");
            assert_eq!(schedule.key.expose(), expected);
            assert_eq!(schedule.nonce[..], hex("151d9929e2449747889bc923"));
            let key = provider.cipher.aes_gcm(schedule.key.expose()).unwrap();
            let plaintext = b"Beauty is truth, truth beauty";
            let (mut sealed, mut tag) = (vec![0; plaintext.len()], [0; GCM_TAG]);
            key.seal(&schedule.nonce, b"Count-0", plaintext, &mut sealed, &mut tag).unwrap();
            assert_eq!([&sealed[..], &tag].concat(), ciphertext);
        }
    }

    /// Each provider opens what the other one sealed; whatever is altered, cut or for another purpose has one answer.
    #[test]
    fn round_trip_and_one_answer_for_every_damage() {
        for (one, other) in
            providers().into_iter().flat_map(|one| providers().into_iter().map(move |o| (one, o)))
        {
            let pkcs8 = one.keys.generate(KIND).unwrap();
            let private = other.keys.private(KIND, pkcs8.expose()).unwrap();
            let public = one.keys.public(KIND, private.public_spki()).unwrap();
            for len in [0, 1, 32, 2400] {
                let plaintext = vec![7; len];
                let sealed = seal(one, &*public, b"what for", &plaintext).unwrap();
                assert_eq!(sealed.len(), len + 1136);
                assert!(open(other, &*private, b"what for", &sealed).unwrap().equals(&plaintext));
                let refused = |info: &[u8], bytes: &[u8]| open(other, &*private, info, bytes).err().unwrap();
                let first = refused(b"what for", &[]);
                assert_eq!(first.code, ErrorCode::DecryptionFailed);
                assert_eq!(refused(b"what else", &sealed), first);
                for at in (0..sealed.len()).step_by(61).chain(1110..sealed.len().min(1150)) {
                    let mut damaged = sealed.clone();
                    damaged[at] ^= 1;
                    assert_eq!(refused(b"what for", &damaged), first, "byte {at}");
                    assert_eq!(refused(b"what for", &sealed[..at]), first, "cut at {at}");
                }
                assert_eq!(refused(b"what for", &[&sealed[..], &[0]].concat()), first);
            }
        }
    }
}
