//! The crypto seam: a [`Provider`] is a plain struct of parts, each a `&'static dyn` of one small trait.
//!
//! Two fillings have the same file names: `rust/` (RustCrypto, complete) and `awslc/` (AWS-LC, only what it does
//! better). Formats are the same for both: private keys are PKCS#8 (RFC 5958), public keys are
//! SubjectPublicKeyInfo (RFC 5280, section 4.1), secret keys are their bytes.

use crate::secret::SecretBytes;
use canis_proto::{KeyType, Result};

pub mod digest_info;
pub mod ecdsa_der;
pub mod public_parts;
pub mod selftest;
pub mod xaes;

mod key_pairs;
mod private_info;
mod refusal;

#[cfg(feature = "aws-lc")]
mod awslc;
mod rust;

#[cfg(feature = "aws-lc")]
pub use awslc::AWS_LC;
pub use rust::RUST;

/// A filling of the seam.
pub struct Provider {
    /// `aws-lc` or `rust`.
    pub name: &'static str,
    /// Random bytes.
    pub random: &'static dyn Random,
    /// AES-GCM and the AES block.
    pub cipher: &'static dyn Cipher,
    /// Hash functions.
    pub digest: &'static dyn Digest,
    /// HMAC-SHA-256.
    pub mac: &'static dyn Mac,
    /// HKDF and Argon2id.
    pub kdf: &'static dyn Kdf,
    /// Key pairs.
    pub keys: &'static dyn Keys,
}

/// The provider used unless another is asked for: AWS-LC where it is built in.
#[must_use]
pub fn default_provider() -> &'static Provider {
    #[cfg(feature = "aws-lc")]
    return &AWS_LC;
    #[cfg(not(feature = "aws-lc"))]
    return &RUST;
}

/// Every provider built in; tests run on each.
#[must_use]
pub fn providers() -> Vec<&'static Provider> {
    vec![
        #[cfg(feature = "aws-lc")]
        &AWS_LC,
        &RUST,
    ]
}

/// The random generator, seeded by the operating system.
pub trait Random: Send + Sync {
    /// Fills `out`. Never returns with anything but fresh random bytes.
    ///
    /// # Errors
    /// `internal` when the operating system gives no entropy; nothing may go on then.
    fn fill(&self, out: &mut [u8]) -> Result<()>;
}

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

/// The hash functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hash {
    /// SHA-1 (FIPS 180-4); legacy digests and OAEP/MGF1 only, never chosen by CANIS.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Hash {
    /// Every hash function.
    pub const ALL: [Hash; 4] = [Hash::Sha1, Hash::Sha256, Hash::Sha384, Hash::Sha512];

    /// The digest's length in bytes.
    #[must_use]
    #[allow(clippy::len_without_is_empty)] // no digest is empty
    pub const fn len(self) -> usize {
        match self {
            Hash::Sha1 => 20,
            Hash::Sha256 => 32,
            Hash::Sha384 => 48,
            Hash::Sha512 => 64,
        }
    }
}

/// The longest digest, in bytes.
pub const MAX_DIGEST: usize = 64;

/// Hash functions, in one go or in parts.
pub trait Digest: Send + Sync {
    /// A fresh context.
    fn start(&self, hash: Hash) -> Box<dyn Hasher>;

    /// Hashes `input` into the first `hash.len()` bytes of `out` and returns that length.
    fn hash(&self, hash: Hash, input: &[u8], out: &mut [u8; MAX_DIGEST]) -> usize {
        let mut hasher = self.start(hash);
        hasher.update(input);
        hasher.finish(out)
    }
}

/// A hash being computed.
pub trait Hasher: Send {
    /// Takes more input.
    fn update(&mut self, input: &[u8]);
    /// Writes the digest into the start of `out` and returns its length. The hasher must not be used afterwards.
    fn finish(&mut self, out: &mut [u8; MAX_DIGEST]) -> usize;
    /// A copy with the same input so far.
    fn fork(&self) -> Box<dyn Hasher>;
}

/// HMAC.
pub trait Mac: Send + Sync {
    /// HMAC-SHA-256 (RFC 2104) of the concatenated `parts`.
    fn hmac_sha256(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 32];
}

/// Key derivation.
pub trait Kdf: Send + Sync {
    /// HKDF-SHA-256 (RFC 5869): extract with `salt`, expand with `info` into all of `out` (at most 8160 bytes).
    fn hkdf_sha256(&self, secret: &[u8], salt: &[u8], info: &[u8], out: &mut [u8]) -> Result<()>;

    /// Argon2id v1.3 (RFC 9106) with `memory` KiB, `passes` and one lane into all of `out`.
    fn argon2id(&self, password: &[u8], salt: &[u8], memory: u32, passes: u32, out: &mut [u8]) -> Result<()>;
}

/// Key pairs.
pub trait Keys: Send + Sync {
    /// A fresh private key of an asymmetric `kind` as PKCS#8 DER, checked by a pairwise consistency test
    /// (sign and verify once) before it is returned.
    ///
    /// # Errors
    /// `operation_not_supported` for a symmetric type.
    fn generate(&self, kind: KeyType) -> Result<SecretBytes>;

    /// Parses and precomputes the private key in PKCS#8 DER; checks that it is of `kind` and consistent.
    ///
    /// # Errors
    /// `invalid_argument` naming what is wrong with it, never any of its bytes; `invalid_key_type` for an RSA
    /// modulus of a size that no type has; `operation_not_supported` for a symmetric type.
    fn private(&self, kind: KeyType, pkcs8: &[u8]) -> Result<Box<dyn PrivateKey>>;

    /// Parses the public key in SubjectPublicKeyInfo DER; checks that it is of `kind` and valid
    /// (point on the curve and not of small order, modulus size, exponent odd and at least 65537).
    ///
    /// # Errors
    /// `invalid_argument` naming what is wrong with it; `invalid_key_type` for an algorithm, curve or modulus size
    /// that no type has; `operation_not_supported` for a symmetric type.
    fn public(&self, kind: KeyType, spki: &[u8]) -> Result<Box<dyn PublicKey>>;
}

/// How to sign. The input is what the standard signs: a digest, a DigestInfo, or (Ed25519) the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignScheme {
    /// RSASSA-PKCS1-v1_5 type 1 padding over the input as it stands (RFC 8017, section 9.2 step 3 on): the caller's
    /// DigestInfo, at most modulus length - 11 bytes. [`digest_info`] makes one from a digest.
    RsaPkcs1,
    /// RSASSA-PSS (RFC 8017, section 8.1); the input is a digest by `hash`.
    RsaPss {
        /// The hash that made the input.
        hash: Hash,
        /// The hash of MGF1.
        mgf: Hash,
        /// The salt's length in bytes; a verifier takes no other.
        salt: usize,
    },
    /// ECDSA (FIPS 186-5, section 6.4) over the input as a digest, truncated or zero-extended to the order as the
    /// standard says, but never empty; the signature is r ‖ s, each of the field's length ([`ecdsa_der`] has the
    /// other form).
    Ecdsa,
    /// Ed25519 (RFC 8032); the input is the message.
    Ed25519,
}

/// How to encrypt with an asymmetric key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Oaep<'a> {
    /// The hash of the label.
    pub hash: Hash,
    /// The hash of MGF1.
    pub mgf: Hash,
    /// The label; empty as a rule.
    pub label: &'a [u8],
}

/// A parsed, precomputed private key; shared by all threads.
pub trait PrivateKey: Send + Sync {
    /// The public half as SubjectPublicKeyInfo DER.
    fn public_spki(&self) -> &[u8];

    /// The length of every signature it makes, in bytes (RSA: the modulus; ECDSA: r ‖ s; Ed25519: 64).
    fn signature_len(&self) -> usize;

    /// Signs `input` into the start of `out` (at least `signature_len()` bytes) and returns the length.
    ///
    /// # Errors
    /// `operation_not_supported` for a scheme of another family, `invalid_argument` for an input of wrong length.
    fn sign(&self, scheme: SignScheme, input: &[u8], out: &mut [u8]) -> Result<usize>;

    /// RSAES-OAEP decryption (RFC 8017, section 7.1.2) into the start of `out` (at least the modulus' length).
    ///
    /// # Errors
    /// `decryption_failed` for every wrong ciphertext alike; `operation_not_supported` unless RSA.
    fn decrypt_oaep(&self, scheme: Oaep<'_>, ciphertext: &[u8], out: &mut [u8]) -> Result<usize>;
}

/// A parsed public key.
pub trait PublicKey: Send + Sync {
    /// Whether `signature` over `input` is right; the forms are those of [`PrivateKey::sign`].
    ///
    /// # Errors
    /// `operation_not_supported` for a scheme of another family; `invalid_argument` for an empty ECDSA digest. A wrong
    /// signature of any length is `Ok(false)`.
    fn verify(&self, scheme: SignScheme, input: &[u8], signature: &[u8]) -> Result<bool>;

    /// RSAES-OAEP encryption (RFC 8017, section 7.1.1).
    ///
    /// # Errors
    /// `invalid_argument` if the plaintext is longer than modulus − 2·hash − 2 bytes.
    fn encrypt_oaep(&self, scheme: Oaep<'_>, plaintext: &[u8]) -> Result<Vec<u8>>;
}
