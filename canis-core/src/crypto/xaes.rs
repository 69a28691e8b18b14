//! XAES-256-GCM (C2SP): AES-256-GCM with 24-byte nonces, so that random nonces never run out.
//!
//! From the key and the first half of the nonce a message key is derived by NIST SP 800-108r1 (counter mode with
//! AES-CMAC); the second half is that message's GCM nonce. Two messages meet only if all 24 bytes meet: safe for 2⁸⁰
//! messages under one key, where bare GCM with random nonces ends at 2³². Written over the seam, so both providers
//! have it.

use super::refusal::decryption_failed;
use super::{BlockKey, GCM_NONCE, GCM_TAG, GcmKey, Provider};
use canis_proto::{Error, Result};
use zeroize::Zeroizing;

/// The nonce's length, in bytes.
pub const NONCE: usize = 24;

/// What [`XaesKey::seal_to_vec`] adds to the plaintext's length: nonce and tag.
pub const OVERHEAD: usize = NONCE + GCM_TAG;

/// A key with its AES schedule and the CMAC subkey computed.
pub struct XaesKey {
    provider: &'static Provider,
    block: Box<dyn BlockKey>,
    /// CMAC's subkey K1 (NIST SP 800-38B, section 6.1).
    k1: Zeroizing<[u8; 16]>,
}

impl XaesKey {
    /// Prepares a key.
    ///
    /// # Errors
    /// As of the provider.
    pub fn new(provider: &'static Provider, key: &[u8; 32]) -> Result<Self> {
        let block = provider.cipher.aes256_block(key)?;
        let mut k1 = Zeroizing::new([0; 16]);
        block.encrypt_block(&mut k1);
        // Doubling in GF(2¹²⁸), without a branch on the secret top bit.
        let number = Zeroizing::new(u128::from_be_bytes(*k1));
        let doubled = Zeroizing::new((*number << 1) ^ ((*number >> 127) * 0x87));
        *k1 = doubled.to_be_bytes();
        Ok(XaesKey { provider, block, k1 })
    }

    /// The message key for the nonce's first half, ready for use.
    ///
    /// Each half is one block of CMAC: counter ‖ "X" ‖ 0 ‖ nonce[..12], a full block, hence XOR K1.
    fn message_key(&self, nonce: &[u8; NONCE]) -> Result<(Box<dyn GcmKey>, [u8; GCM_NONCE])> {
        let mut key = Zeroizing::new([0; 32]);
        let (context, iv) = nonce.split_at(GCM_NONCE);
        for (counter, half) in [1, 2].into_iter().zip(key.as_chunks_mut::<16>().0) {
            half[..4].copy_from_slice(&[0, counter, b'X', 0]);
            half[4..].copy_from_slice(context);
            half.iter_mut().zip(self.k1.iter()).for_each(|(byte, k1)| *byte ^= k1);
            self.block.encrypt_block(half);
        }
        let iv = iv.try_into().map_err(|_| Error::internal("half an XAES nonce is not a GCM nonce"))?;
        Ok((self.provider.cipher.aes_gcm(key.as_slice())?, iv))
    }

    /// Encrypts `plaintext` into `ciphertext` (same length) and writes the tag. The nonce must be random or otherwise
    /// never used twice with this key.
    ///
    /// # Errors
    /// `invalid_argument` if the lengths differ or exceed what GCM allows.
    pub fn seal(
        &self,
        nonce: &[u8; NONCE],
        aad: &[u8],
        plaintext: &[u8],
        ciphertext: &mut [u8],
        tag: &mut [u8; GCM_TAG],
    ) -> Result<()> {
        let (key, iv) = self.message_key(nonce)?;
        key.seal(&iv, aad, plaintext, ciphertext, tag)
    }

    /// Checks the tag and decrypts `ciphertext` into `plaintext` (same length). On failure `plaintext` holds zeros.
    ///
    /// # Errors
    /// `decryption_failed` for every wrong tag, nonce, aad or ciphertext alike; `invalid_argument` if the lengths
    /// differ.
    pub fn open(
        &self,
        nonce: &[u8; NONCE],
        aad: &[u8],
        ciphertext: &[u8],
        tag: &[u8; GCM_TAG],
        plaintext: &mut [u8],
    ) -> Result<()> {
        let (key, iv) = self.message_key(nonce)?;
        key.open(&iv, aad, ciphertext, tag, plaintext)
    }

    /// nonce(24) ‖ ciphertext ‖ tag(16), with a fresh random nonce.
    ///
    /// # Errors
    /// `internal` without random bytes; `invalid_argument` if the plaintext exceeds what GCM allows.
    pub fn seal_to_vec(&self, aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>> {
        let mut nonce = [0; NONCE];
        self.provider.random.fill(&mut nonce)?;
        let mut tag = [0; GCM_TAG];
        let mut sealed = vec![0; plaintext.len() + OVERHEAD];
        sealed[..NONCE].copy_from_slice(&nonce);
        let (ciphertext, end) = sealed[NONCE..].split_at_mut(plaintext.len());
        self.seal(&nonce, aad, plaintext, ciphertext, &mut tag)?;
        end.copy_from_slice(&tag);
        Ok(sealed)
    }

    /// Opens what [`XaesKey::seal_to_vec`] made into `out`, which must have exactly [`plaintext_len`] bytes.
    ///
    /// # Errors
    /// `decryption_failed` if `sealed` is too short or anything in it is wrong (`out` then holds zeros);
    /// `invalid_argument` for an `out` of another length.
    pub fn open_from_slice(&self, aad: &[u8], sealed: &[u8], out: &mut [u8]) -> Result<()> {
        let split = sealed.split_first_chunk::<NONCE>().and_then(|(nonce, rest)| {
            let (ciphertext, tag) = rest.split_last_chunk::<GCM_TAG>()?;
            Some((nonce, ciphertext, tag))
        });
        let Some((nonce, ciphertext, tag)) = split else {
            out.fill(0);
            return Err(decryption_failed());
        };
        self.open(nonce, aad, ciphertext, tag, out)
    }
}

/// The plaintext's length in a sealed text of `sealed_len` bytes; `None` if it is too short to be one.
#[must_use]
pub const fn plaintext_len(sealed_len: usize) -> Option<usize> {
    sealed_len.checked_sub(OVERHEAD)
}
