//! The part of the seam for AES.

use canis_proto::Result;

/// AES.
pub trait Cipher: Send + Sync {
    /// A ready AES-GCM key (NIST SP 800-38D) from 16, 24 or 32 bytes.
    fn aes_gcm(&self, key: &[u8]) -> Result<Box<dyn GcmKey>>;

    /// A ready AES-256 key schedule for single blocks (FIPS 197); used by XAES only.
    fn aes256_block(&self, key: &[u8; 32]) -> Result<Box<dyn BlockKey>>;
}

/// The length of a GCM nonce this seam takes, in bytes.
pub const GCM_NONCE: usize = 12;
/// The length of a GCM tag this seam makes, in bytes.
pub const GCM_TAG: usize = 16;

/// An AES-GCM key with its key schedule and hash table computed.
pub trait GcmKey: Send + Sync {
    /// Encrypts `plaintext` into `ciphertext` (same length) and writes the tag.
    ///
    /// # Errors
    /// `invalid_argument` if the lengths differ or exceed what GCM allows.
    fn seal(
        &self,
        nonce: &[u8; GCM_NONCE],
        aad: &[u8],
        plaintext: &[u8],
        ciphertext: &mut [u8],
        tag: &mut [u8; GCM_TAG],
    ) -> Result<()>;

    /// Checks the tag and decrypts `ciphertext` into `plaintext` (same length). On failure `plaintext` holds zeros.
    ///
    /// # Errors
    /// `decryption_failed` for every wrong tag, nonce, aad or ciphertext alike.
    fn open(
        &self,
        nonce: &[u8; GCM_NONCE],
        aad: &[u8],
        ciphertext: &[u8],
        tag: &[u8; GCM_TAG],
        plaintext: &mut [u8],
    ) -> Result<()>;
}

/// AES-256 on single blocks.
pub trait BlockKey: Send + Sync {
    /// Encrypts one block in place.
    fn encrypt_block(&self, block: &mut [u8; 16]);
}
