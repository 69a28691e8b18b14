//! The part of the seam for key pairs.

use super::Hash;
use super::ml_dsa::MU;
use super::private_parts::Part;
use super::refusal::{encrypts_with_rsa_only, shares_no_secrets, unsupported};
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

/// How to sign. The input is what the standard signs: a digest, a DigestInfo, mu, M', or (Ed25519) the message.
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
    /// ML-DSA (FIPS 204, section 6.2), hedged; the input is mu, 64 bytes ([`super::ml_dsa::Mu`] makes it of a message).
    MlDsa,
    /// SLH-DSA (FIPS 205, section 9.2), hedged; the input is M' ([`super::slh_dsa`] makes it of a message).
    SlhDsa,
    /// The RSA private operation by itself (RFC 8017, section 5.2.1; CKM_RSA_X_509): the input is a number below the
    /// modulus, at most as long as it, extended with zeros on the left; not 0, 1 or modulus − 1. What it stands for is
    /// the caller's affair.
    RsaRaw,
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

    /// The length of every signature it makes, in bytes (RSA: the modulus; ECDSA: r ‖ s; Ed25519: 64;
    /// ML-DSA: 2420, 3309 or 4627; SLH-DSA: 7856 to 49856; X25519 and ML-KEM: 0).
    fn signature_len(&self) -> usize;

    /// Signs `input` into the start of `out` (at least `signature_len()` bytes) and returns the length.
    ///
    /// # Errors
    /// `operation_not_supported` for a scheme of another family, `invalid_argument` for an input of wrong length.
    fn sign(&self, scheme: SignScheme, input: &[u8], out: &mut [u8]) -> Result<usize>;

    /// Signs mu by ML-DSA, or M' by SLH-DSA, without randomness of its own (FIPS 204, section 3.4; FIPS 205, section 9.2),
    /// into the start of `out` (at least `signature_len()` bytes): the same input gives the same signature.
    /// [`SignScheme::MlDsa`] and [`SignScheme::SlhDsa`] are safer.
    ///
    /// # Errors
    /// `operation_not_supported` unless ML-DSA or SLH-DSA; `invalid_argument` for an input of wrong length.
    fn sign_deterministic(&self, _input: &[u8], _out: &mut [u8]) -> Result<usize> {
        Err(unsupported("only ML-DSA and SLH-DSA keys sign without randomness"))
    }

    /// Whether the public half is the one that the private half leads to, where computing it anew tells that sooner than a
    /// signature does; `None` for other keys.
    fn leads_to_public(&self) -> Option<bool> {
        None
    }

    /// The private key as it is computed from its seed (FIPS 204, algorithm 24; FIPS 203, algorithm 16).
    ///
    /// # Errors
    /// `operation_not_supported` for keys that have no seed.
    fn expanded(&self) -> Result<Part> {
        Err(unsupported("only post-quantum keys are expanded"))
    }

    /// RSAES-OAEP decryption (RFC 8017, section 7.1.2) into the start of `out` (at least the modulus' length).
    ///
    /// # Errors
    /// `decryption_failed` for every wrong ciphertext alike; `operation_not_supported` unless RSA.
    fn decrypt_oaep(&self, _: Oaep<'_>, _ciphertext: &[u8], _out: &mut [u8]) -> Result<usize> {
        Err(encrypts_with_rsa_only())
    }

    /// RSAES-PKCS1-v1_5 decryption (RFC 8017, section 7.2.2) into the start of `out` (at least the modulus' length).
    /// Wrong padding is no error: it gives another message, the same for the same ciphertext (implicit rejection).
    ///
    /// # Errors
    /// `decryption_failed` for a ciphertext that has not the modulus' length or is not between 1 and modulus − 1;
    /// `operation_not_supported` unless RSA.
    fn decrypt_pkcs1(&self, _ciphertext: &[u8], _out: &mut [u8]) -> Result<usize> {
        Err(encrypts_with_rsa_only())
    }

    /// The RSA private operation (RFC 8017, section 5.1.2; CKM_RSA_X_509) into the start of `out` (at least the
    /// modulus' length): a block as long as the modulus.
    ///
    /// # Errors
    /// `decryption_failed` for a ciphertext that has not the modulus' length or is not between 1 and modulus − 1;
    /// `operation_not_supported` unless RSA.
    fn decrypt_raw(&self, _ciphertext: &[u8], _out: &mut [u8]) -> Result<usize> {
        Err(encrypts_with_rsa_only())
    }

    /// The secret shared with `peer`, into the start of `out` (at least [`MAX_AGREED`] bytes): the x coordinate
    /// (ECDH; SP 800-56A, section 5.7.1.2, the cofactor of these curves being 1) or the u coordinate (X25519).
    /// `peer` is a point in SEC 1's uncompressed form, or 32 bytes. Not fit as a key before it went through a KDF.
    ///
    /// # Errors
    /// `invalid_argument` for a point that is none of this curve or leads to zero; `operation_not_supported` unless
    /// EC or X25519.
    fn agree(&self, _peer: &[u8], _out: &mut [u8]) -> Result<usize> {
        Err(unsupported("only keys on elliptic curves and X25519 keys agree on secrets"))
    }

    /// ML-KEM decapsulation (FIPS 203, section 7.3): the secret of 32 bytes that `ciphertext` holds. One that was altered, or
    /// made for another key, gives another secret, the same each time (implicit rejection): nothing tells the two apart.
    /// Hybrid keys likewise.
    ///
    /// # Errors
    /// `invalid_argument` for a ciphertext of another length than the type's; `operation_not_supported` unless ML-KEM or hybrid.
    fn decapsulate(&self, _ciphertext: &[u8]) -> Result<SecretBytes> {
        Err(shares_no_secrets())
    }
}

/// A secret that only the holder of a key comes to, and who made it.
pub struct Encapsulation {
    /// What the holder decapsulates: 768, 1088 or 1568 bytes; 1120 of a hybrid key.
    pub ciphertext: Vec<u8>,
    /// 32 bytes, fit as a key as they are (FIPS 203, section 3.3).
    pub secret: SecretBytes,
}

/// The longest secret that [`PrivateKey::agree`] gives: P-521's.
pub const MAX_AGREED: usize = 66;

/// A parsed public key.
pub trait PublicKey: Send + Sync {
    /// Whether `signature` over `input` is right; the forms are those of [`PrivateKey::sign`].
    ///
    /// # Errors
    /// `operation_not_supported` for a scheme of another family; `invalid_argument` for an empty ECDSA digest. A wrong
    /// signature of any length is `Ok(false)`.
    fn verify(&self, scheme: SignScheme, input: &[u8], signature: &[u8]) -> Result<bool>;

    /// The hash of the key, which mu of a message begins with; `None` unless ML-DSA.
    fn ml_dsa_hash(&self) -> Option<&[u8; MU]> {
        None
    }

    /// RSAES-OAEP encryption (RFC 8017, section 7.1.1).
    ///
    /// # Errors
    /// `invalid_argument` if the plaintext is longer than modulus − 2·hash − 2 bytes; `operation_not_supported`
    /// unless RSA.
    fn encrypt_oaep(&self, _: Oaep<'_>, _plaintext: &[u8]) -> Result<Vec<u8>> {
        Err(encrypts_with_rsa_only())
    }

    /// RSAES-PKCS1-v1_5 encryption (RFC 8017, section 7.2.1).
    ///
    /// # Errors
    /// `invalid_argument` if the plaintext is longer than modulus − 11 bytes; `operation_not_supported` unless RSA.
    fn encrypt_pkcs1(&self, _plaintext: &[u8]) -> Result<Vec<u8>> {
        Err(encrypts_with_rsa_only())
    }

    /// The RSA public operation (RFC 8017, section 5.1.1; CKM_RSA_X_509) on a number below the modulus, at most as
    /// long as it. It also recovers what [`SignScheme::RsaRaw`] signed.
    ///
    /// # Errors
    /// `invalid_argument` for a number that is not below the modulus; `operation_not_supported` unless RSA.
    fn encrypt_raw(&self, _block: &[u8]) -> Result<Vec<u8>> {
        Err(encrypts_with_rsa_only())
    }

    /// What [`SignScheme::RsaPkcs1`] signed (verify-recover): the input of a right signature, `None` for a wrong one.
    ///
    /// # Errors
    /// `operation_not_supported` unless RSA.
    fn recover_pkcs1(&self, _signature: &[u8]) -> Result<Option<Vec<u8>>> {
        Err(unsupported("only RSA signatures give back what they sign"))
    }

    /// ML-KEM encapsulation (FIPS 203, section 7.2): a fresh secret.
    ///
    /// # Errors
    /// `operation_not_supported` unless ML-KEM or hybrid; `internal` when the operating system gives no entropy.
    fn encapsulate(&self) -> Result<Encapsulation> {
        Err(shares_no_secrets())
    }
}
