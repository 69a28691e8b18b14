//! The key of one file, and the keys that are derived from it (age v1, "File key", "Header MAC", "Payload").
//!
//! Why a random key of 128 bits is enough here: it is used for one file only, and nothing but HKDF sees it.

use super::chunk::{ChunkKey, NONCE};
use super::damaged;
use aws_lc_rs::{aead, hkdf, hmac, rand};
use canis_proto::{Error, Result};
use zeroize::Zeroizing;

/// Bytes of a file key.
const LEN: usize = 16;

/// Bytes of a wrapped file key, where ChaCha20-Poly1305 wraps it.
pub(super) const WRAPPED: usize = LEN + aead::MAX_TAG_LEN;

/// The key of one file. Never used for another.
pub struct FileKey(Zeroizing<[u8; LEN]>);

impl FileKey {
    /// A new one, at random.
    ///
    /// # Errors
    /// `internal` if the system gives no random bytes.
    pub fn random() -> Result<FileKey> {
        let mut key = Zeroizing::new([0; LEN]);
        rand::fill(&mut *key).map_err(|_| Error::internal("the system gives no random bytes"))?;
        Ok(FileKey(key))
    }

    /// What a recipient unwrapped.
    ///
    /// # Errors
    /// `decryption_failed` if it is not 16 bytes long.
    pub fn from_slice(bytes: &[u8]) -> Result<FileKey> {
        let mut key = Zeroizing::new([0; LEN]);
        if bytes.len() != LEN {
            return Err(damaged("what the header holds is no file key: it is not 16 bytes long"));
        }
        key.copy_from_slice(bytes);
        Ok(FileKey(key))
    }

    /// The bytes, to be wrapped.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &*self.0
    }

    /// The key of the header's MAC.
    pub(super) fn mac_key(&self) -> Result<hmac::Key> {
        let key = hkdf(&self.0[..], b"", b"header")?;
        Ok(hmac::Key::new(hmac::HMAC_SHA256, &*key))
    }

    /// The key of the body that begins with `nonce`.
    ///
    /// # Errors
    /// `internal`.
    pub fn body_key(&self, nonce: &[u8; NONCE]) -> Result<ChunkKey> {
        ChunkKey::new(&*hkdf(&self.0[..], nonce, b"payload")?)
    }

    /// The file key, encrypted under a key that is used for nothing else.
    pub(super) fn wrap(&self, key: &[u8; 32]) -> Result<Vec<u8>> {
        // A nonce of zeros is safe because each wrapping key comes from a fresh ephemeral share.
        self.wrap_with_nonce(key, [0; aead::NONCE_LEN])
    }

    /// The same with a nonce that was derived beside the key.
    pub(super) fn wrap_with_nonce(&self, key: &[u8; 32], nonce: [u8; aead::NONCE_LEN]) -> Result<Vec<u8>> {
        let mut wrapped = self.0.to_vec();
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        let sealed = wrapping(key)?.seal_in_place_append_tag(nonce, aead::Aad::empty(), &mut wrapped);
        sealed.map_err(|_| Error::internal("the file key cannot be wrapped"))?;
        Ok(wrapped)
    }

    /// The file key in `wrapped`, which is [`WRAPPED`] bytes long: a longer one could be made to open under several keys.
    /// `None` if it was wrapped under another key.
    pub(super) fn unwrap(key: &[u8; 32], wrapped: &[u8]) -> Result<Option<FileKey>> {
        FileKey::unwrap_with_nonce(key, [0; aead::NONCE_LEN], wrapped)
    }

    /// The same with a nonce that was derived beside the key.
    pub(super) fn unwrap_with_nonce(
        key: &[u8; 32],
        nonce: [u8; aead::NONCE_LEN],
        wrapped: &[u8],
    ) -> Result<Option<FileKey>> {
        let mut opened = Zeroizing::new(wrapped.to_vec());
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        match wrapping(key)?.open_in_place(nonce, aead::Aad::empty(), &mut opened) {
            Ok(bytes) => FileKey::from_slice(bytes).map(Some),
            Err(_) => Ok(None),
        }
    }
}

fn wrapping(key: &[u8; 32]) -> Result<aead::LessSafeKey> {
    let key = aead::UnboundKey::new(&aead::CHACHA20_POLY1305, key);
    key.map(aead::LessSafeKey::new).map_err(|_| Error::internal("the cipher refuses a key of 32 bytes"))
}

/// HKDF-SHA-256 (RFC 5869), 32 bytes.
pub(super) fn hkdf(secret: &[u8], salt: &[u8], info: &[u8]) -> Result<Zeroizing<[u8; 32]>> {
    let mut key = Zeroizing::new([0; 32]);
    let derived = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(secret);
    let derived = derived.expand(&[info], hkdf::HKDF_SHA256).and_then(|out| out.fill(&mut *key));
    derived.map_err(|_| Error::internal("HKDF fails"))?;
    Ok(key)
}
