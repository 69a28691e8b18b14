//! The part of the seam for key pairs.

use super::Hash;
use crate::secret::SecretBytes;
use canis_proto::{KeyType, Result};

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
    /// DigestInfo, at most modulus length - 11 bytes. [`super::digest_info`] makes one from a digest.
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
    /// standard says, but never empty; the signature is r ‖ s, each of the field's length ([`super::ecdsa_der`] has the
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
