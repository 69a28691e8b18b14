//! AES-GCM, straight from the caller's buffer into the caller's buffer. Single blocks are RustCrypto's: they run on
//! the same AES instructions without a call into C. So is DES, which nobody is to use where speed counts.

use super::aes;
use crate::crypto::refusal::decryption_failed;
use crate::crypto::{AesKey, BlockKey, Cipher, CipherKey, GCM_NONCE, GCM_TAG, GcmKey, RUST};
use aws_lc_rs::aead::{AES_128_GCM, AES_192_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use canis_proto::{Error, Result};
use zeroize::Zeroize;

/// AES in all three key sizes.
pub(super) struct Aes;

impl Cipher for Aes {
    fn aes_gcm(&self, key: &[u8]) -> Result<Box<dyn GcmKey>> {
        let algorithm = match key.len() {
            16 => &AES_128_GCM,
            24 => &AES_192_GCM,
            32 => &AES_256_GCM,
            other => return Err(Error::invalid(format!("an AES key has 16, 24 or 32 bytes, not {other}"))),
        };
        let key = UnboundKey::new(algorithm, key).map_err(|_| Error::internal("AES-GCM refused its key"))?;
        Ok(Box::new(Gcm(LessSafeKey::new(key))))
    }

    fn aes(&self, key: &[u8]) -> Result<Box<dyn AesKey>> {
        aes::ready(key)
    }

    fn des(&self, key: &[u8]) -> Result<Box<dyn CipherKey>> {
        RUST.cipher.des(key)
    }

    fn aes256_block(&self, key: &[u8; 32]) -> Result<Box<dyn BlockKey>> {
        RUST.cipher.aes256_block(key)
    }
}

/// "Less safe" because the caller gives the nonce; that is what this seam is for.
struct Gcm(LessSafeKey);

impl GcmKey for Gcm {
    fn seal(
        &self,
        nonce: &[u8; GCM_NONCE],
        aad: &[u8],
        plaintext: &[u8],
        ciphertext: &mut [u8],
        tag: &mut [u8; GCM_TAG],
    ) -> Result<()> {
        same_length(plaintext, ciphertext)?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        self.0
            .seal_out_of_place_scatter(nonce, Aad::from(aad), plaintext, ciphertext, &[], tag)
            .map_err(|_| Error::invalid("the plaintext is longer than AES-GCM allows"))
    }

    fn open(
        &self,
        nonce: &[u8; GCM_NONCE],
        aad: &[u8],
        ciphertext: &[u8],
        tag: &[u8; GCM_TAG],
        plaintext: &mut [u8],
    ) -> Result<()> {
        same_length(plaintext, ciphertext)?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        self.0.open_separate_gather(nonce, Aad::from(aad), ciphertext, tag, plaintext).map_err(|_| {
            // The library may have decrypted before it found the tag wrong.
            plaintext.zeroize();
            decryption_failed()
        })
    }
}

fn same_length(plaintext: &[u8], ciphertext: &[u8]) -> Result<()> {
    if plaintext.len() == ciphertext.len() {
        return Ok(());
    }
    Err(Error::invalid("plaintext and ciphertext differ in length"))
}
