//! What an object's key is used with: the caller's mechanisms, in the core's terms.

use crate::crypto::ml_dsa::{MU, Mu};
use crate::crypto::{BlockMode, GCM_TAG, Hash, Oaep, PublicKey, SignScheme, slh_dsa};
use canis_proto::{Error, ErrorCode, Family, Result};

/// How to make or check a signature or MAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignWith<'a> {
    /// By a private key.
    Pair(SignScheme),
    /// By a secret key.
    Mac(MacScheme),
    /// By ML-DSA, of the message or its digest; mu is made here, so that it is known what is signed.
    MlDsa(PostQuantumUse<'a>),
    /// By SLH-DSA, of the message or its digest; M' is made here.
    SlhDsa(PostQuantumUse<'a>),
}

/// How ML-DSA (FIPS 204, sections 5.2 and 5.4) and SLH-DSA (FIPS 205, section 10.2) are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PostQuantumUse<'a> {
    /// The hash that made the input of the message, SHA-224 or stronger; `None` if the input is the message.
    pub hash: Option<Hash>,
    /// The context string, at most [`crate::crypto::ml_dsa::MAX_CONTEXT`] bytes.
    pub context: &'a [u8],
    /// Whether the same message is to give the same signature, for who must have it so.
    pub deterministic: bool,
}

impl<'a> SignWith<'a> {
    /// What the message is bound to; nothing in schemes that bind nothing.
    pub(crate) fn context(&self) -> &'a [u8] {
        match self {
            SignWith::MlDsa(how) | SignWith::SlhDsa(how) => how.context,
            SignWith::Pair(_) | SignWith::Mac(_) => &[],
        }
    }
}

impl PostQuantumUse<'_> {
    /// What is signed for `input` by the ML-DSA key with this public half.
    ///
    /// # Errors
    /// `operation_not_supported` for a key that is none of ML-DSA; `invalid_argument` for a hash that is too weak, a digest of
    /// another length than the hash's, and a context that is too long.
    pub(crate) fn mu(&self, public: &dyn PublicKey, input: &[u8]) -> Result<[u8; MU]> {
        let no_ml_dsa =
            || Error::new(ErrorCode::OperationNotSupported, "the key is not of the kind the mechanism needs");
        let key_hash = public.ml_dsa_hash().ok_or_else(no_ml_dsa)?;
        match self.hash {
            None => {
                let mut mu = Mu::pure(key_hash, self.context)?;
                mu.update(input);
                Ok(mu.finish())
            }
            Some(hash) => Mu::prehashed(key_hash, self.context, strong(hash)?, input),
        }
    }

    /// What is signed for `input` by SLH-DSA, whichever the key.
    ///
    /// # Errors
    /// `invalid_argument` as above.
    pub(crate) fn message(&self, input: &[u8]) -> Result<Vec<u8>> {
        match self.hash {
            None => slh_dsa::pure(self.context, input),
            Some(hash) => slh_dsa::prehashed(self.context, strong(hash)?, input),
        }
    }
}

/// A hash that post-quantum signatures are made over.
fn strong(hash: Hash) -> Result<Hash> {
    match hash {
        Hash::Sha1 | Hash::Md5 => {
            let why = "no post-quantum key signs a digest by SHA-1 or MD5; take SHA-224 or a stronger hash";
            Err(Error::invalid(why))
        }
        hash => Ok(hash),
    }
}

/// A MAC and how much of it is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MacScheme {
    /// Which MAC.
    pub with: MacWith,
    /// The tag's length in bytes: so many from the left.
    pub len: usize,
}

/// The MACs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MacWith {
    /// HMAC (FIPS 198-1) by a generic secret.
    Hmac(Hash),
    /// CMAC (NIST SP 800-38B) by a block cipher of this family.
    Cmac(Family),
}

impl MacWith {
    /// The length of a whole tag in bytes.
    #[must_use]
    pub const fn tag_len(self) -> usize {
        match self {
            MacWith::Hmac(hash) => hash.len(),
            MacWith::Cmac(family) => family.block(),
        }
    }
}

/// How to encrypt or decrypt a message in one piece.
#[derive(Clone, Copy)]
pub enum CipherScheme<'a> {
    /// CKM_AES_GCM with a 12-byte IV and a 16-byte tag; the output is ciphertext ‖ tag.
    AesGcm {
        /// The caller's IV.
        iv: &'a [u8; 12],
        /// The caller's AAD.
        aad: &'a [u8],
    },
    /// CKM_AES_GCM with other sizes.
    AesGcmSized {
        /// The caller's IV, one byte or more.
        iv: &'a [u8],
        /// The caller's AAD.
        aad: &'a [u8],
        /// The tag's length in bytes.
        tag: usize,
    },
    /// CKM_AES_CCM; the output is ciphertext ‖ tag.
    AesCcm {
        /// The caller's nonce, 7 to 13 bytes.
        nonce: &'a [u8],
        /// The caller's AAD.
        aad: &'a [u8],
        /// The tag's length in bytes.
        tag: usize,
    },
    /// CKM_AES_ECB, CKM_AES_CBC, CKM_AES_CBC_PAD, CKM_AES_CTR, and the same of DES.
    Blocks(BlockMode),
    /// CKM_RSA_PKCS_OAEP.
    RsaOaep(Oaep<'a>),
    /// CKM_RSA_PKCS; decryption rejects implicitly.
    RsaPkcs1,
    /// CKM_RSA_X_509.
    RsaRaw,
}

impl CipherScheme<'_> {
    /// What the message is bound to; nothing in schemes that bind nothing.
    pub(crate) fn associated_data(&self) -> &[u8] {
        match self {
            CipherScheme::AesGcm { aad, .. }
            | CipherScheme::AesGcmSized { aad, .. }
            | CipherScheme::AesCcm { aad, .. } => aad,
            CipherScheme::RsaOaep(oaep) => oaep.label,
            CipherScheme::Blocks(_) | CipherScheme::RsaPkcs1 | CipherScheme::RsaRaw => &[],
        }
    }

    /// The length of the ciphertext of `len` bytes; `block` is the length of the key's blocks in bytes. `None` for
    /// lengths that it does not take.
    #[must_use]
    pub fn encrypted_len(&self, len: usize, block: usize) -> Option<usize> {
        match self {
            CipherScheme::AesGcm { .. } => len.checked_add(GCM_TAG),
            CipherScheme::AesGcmSized { tag, .. } | CipherScheme::AesCcm { tag, .. } => len.checked_add(*tag),
            CipherScheme::Blocks(BlockMode::Ctr { .. }) => Some(len),
            CipherScheme::Blocks(BlockMode::CbcPad { .. }) => {
                (len.checked_div(block)? + 1).checked_mul(block)
            }
            CipherScheme::Blocks(_) => len.is_multiple_of(block).then_some(len),
            // RFC 8017, section 7.1.1, step 1 b.
            CipherScheme::RsaOaep(oaep) => (len + 2 * oaep.hash.len() + 2 <= block).then_some(block),
            // RFC 8017, section 7.2.1, step 1.
            CipherScheme::RsaPkcs1 => (len + 11 <= block).then_some(block),
            CipherScheme::RsaRaw => (len <= block).then_some(block),
        }
    }

    /// The most that a ciphertext of `len` bytes can hold, and whether that is exact. `None` for lengths that no
    /// ciphertext has.
    #[must_use]
    pub fn decrypted_len(&self, len: usize, block: usize) -> Option<(usize, bool)> {
        match self {
            CipherScheme::AesGcm { .. } => Some((len.checked_sub(GCM_TAG)?, true)),
            CipherScheme::AesGcmSized { tag, .. } | CipherScheme::AesCcm { tag, .. } => {
                Some((len.checked_sub(*tag)?, true))
            }
            CipherScheme::Blocks(BlockMode::Ctr { .. }) => Some((len, true)),
            CipherScheme::Blocks(BlockMode::CbcPad { .. }) => {
                (len > 0 && len.is_multiple_of(block)).then_some((len, false))
            }
            CipherScheme::Blocks(_) => len.is_multiple_of(block).then_some((len, true)),
            CipherScheme::RsaOaep(_) | CipherScheme::RsaPkcs1 => (len == block).then_some((block, false)),
            CipherScheme::RsaRaw => (len == block).then_some((block, true)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Iv;

    #[test]
    fn lengths_follow_the_cipher() {
        let gcm = CipherScheme::AesGcm { iv: &[0; 12], aad: b"" };
        assert_eq!((gcm.encrypted_len(0, 0), gcm.encrypted_len(usize::MAX, 0)), (Some(16), None));
        assert_eq!((gcm.decrypted_len(16, 0), gcm.decrypted_len(15, 0)), (Some((0, true)), None));
        let oaep = CipherScheme::RsaOaep(Oaep { hash: Hash::Sha256, mgf: Hash::Sha256, label: b"" });
        assert_eq!((oaep.encrypted_len(190, 256), oaep.encrypted_len(191, 256)), (Some(256), None));
        assert_eq!(CipherScheme::RsaPkcs1.encrypted_len(246, 256), None);
        let padded = CipherScheme::Blocks(BlockMode::CbcPad { iv: Iv::new([0; 16]) });
        assert_eq!((padded.encrypted_len(16, 16), padded.encrypted_len(15, 16)), (Some(32), Some(16)));
        assert_eq!((padded.encrypted_len(16, 8), padded.encrypted_len(15, 8)), (Some(24), Some(16)));
        assert_eq!((padded.decrypted_len(0, 16), padded.decrypted_len(24, 16)), (None, None));
        assert_eq!((padded.decrypted_len(24, 8), padded.encrypted_len(1, 0)), (Some((24, false)), None));
        let plain = CipherScheme::Blocks(BlockMode::Ecb);
        assert_eq!((plain.encrypted_len(32, 16), plain.encrypted_len(33, 16)), (Some(32), None));
        assert_eq!((plain.encrypted_len(40, 8), plain.encrypted_len(40, 16)), (Some(40), None));
    }
}
