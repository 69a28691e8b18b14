//! Mechanisms that encrypt and decrypt: what they do, and their parameters checked.

use super::{Mechanism, Parameter, Work, hash_named, length, mgf_hash};
use crate::rv::{Result, fail};
use canis_core::crypto::{BlockMode, GCM_NONCE, GCM_TAG, Hash, Iv, Oaep};
use canis_core::object::CipherScheme;
use canis_proto::Family;
use pkcs11_sys::*;

/// A kind of encryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ciphers {
    Gcm,
    Ccm,
    Ecb,
    Cbc,
    CbcPad,
    Ctr,
    Oaep,
    Pkcs1,
    Raw,
}

/// The shortest tag that is made or taken, in bytes. NIST SP 800-38D allows 4 and 8 in its appendix C, for applications
/// that count forgeries; a module cannot know that they do.
const LEAST_TAG: usize = 12;

/// How to encrypt or decrypt; keeps its own copy of what the host's pointers held.
pub(crate) enum Cipher {
    /// AES-GCM with the recommended sizes (NIST SP 800-38D, section 5.2.1).
    Gcm { iv: [u8; GCM_NONCE], aad: Vec<u8> },
    /// AES-GCM with others.
    GcmSized { iv: Vec<u8>, aad: Vec<u8>, tag: usize },
    /// AES-CCM; the length of the plaintext is known ahead.
    Ccm { len: usize, nonce: Vec<u8>, aad: Vec<u8>, tag: usize },
    /// A mode that gives its output as it goes.
    Blocks(BlockMode),
    /// RSAES-OAEP.
    Oaep { hash: Hash, mgf: Hash, label: Vec<u8> },
    /// RSAES-PKCS1-v1_5.
    Pkcs1,
    /// RSA without padding.
    Raw,
}

impl Cipher {
    /// The cipher as the core takes it.
    pub(crate) fn scheme(&self) -> CipherScheme<'_> {
        match self {
            Cipher::Gcm { iv, aad } => CipherScheme::AesGcm { iv, aad },
            Cipher::GcmSized { iv, aad, tag } => CipherScheme::AesGcmSized { iv, aad, tag: *tag },
            Cipher::Ccm { nonce, aad, tag, .. } => CipherScheme::AesCcm { nonce, aad, tag: *tag },
            Cipher::Blocks(mode) => CipherScheme::Blocks(*mode),
            Cipher::Oaep { hash, mgf, label } => {
                CipherScheme::RsaOaep(Oaep { hash: *hash, mgf: *mgf, label })
            }
            Cipher::Pkcs1 => CipherScheme::RsaPkcs1,
            Cipher::Raw => CipherScheme::RsaRaw,
        }
    }
}

impl Mechanism<'_> {
    /// How this mechanism encrypts and decrypts.
    ///
    /// # Errors
    /// CKR_MECHANISM_INVALID if it does not, CKR_MECHANISM_PARAM_INVALID for a parameter that CANIS cannot fulfil.
    pub(crate) fn ciphers(&self) -> Result<Cipher> {
        for work in self.row.works {
            if let Work::Cipher(cipher) = work {
                return self.cipher(*cipher);
            }
        }
        fail(CKR_MECHANISM_INVALID)
    }

    fn cipher(&self, cipher: Ciphers) -> Result<Cipher> {
        match (cipher, &self.parameter) {
            (Ciphers::Gcm, Parameter::Gcm { iv, aad, tag_bits }) => gcm(iv, aad, *tag_bits),
            (Ciphers::Ccm, Parameter::Ccm { data_len, nonce, aad, tag_len }) => {
                ccm(length(*data_len)?, nonce, aad, length(*tag_len)?)
            }
            (Ciphers::Ecb, _) => Ok(Cipher::Blocks(BlockMode::Ecb)),
            (Ciphers::Cbc, Parameter::Iv(iv)) => Ok(Cipher::Blocks(BlockMode::Cbc { iv: self.iv(iv)? })),
            (Ciphers::CbcPad, Parameter::Iv(iv)) => {
                Ok(Cipher::Blocks(BlockMode::CbcPad { iv: self.iv(iv)? }))
            }
            (Ciphers::Ctr, Parameter::Ctr { counter, bits: bits @ 1..=128 }) => {
                Ok(Cipher::Blocks(BlockMode::Ctr { counter: *counter, bits: *bits as u32 }))
            }
            (Ciphers::Oaep, Parameter::Oaep { hash, mgf, label }) => {
                Ok(Cipher::Oaep { hash: hash_named(*hash)?, mgf: mgf_hash(*mgf)?, label: label.to_vec() })
            }
            (Ciphers::Pkcs1, _) => Ok(Cipher::Pkcs1),
            (Ciphers::Raw, _) => Ok(Cipher::Raw),
            _ => fail(CKR_MECHANISM_PARAM_INVALID),
        }
    }

    /// An IV as long as a block of the cipher.
    fn iv(&self, bytes: &[u8]) -> Result<Iv> {
        let block = self.row.family.map_or(0, Family::block);
        Iv::for_block(block, bytes).ok_or_else(|| CKR_MECHANISM_PARAM_INVALID.into())
    }
}

fn gcm(iv: &[u8], aad: &[u8], tag_bits: CK_ULONG) -> Result<Cipher> {
    let tag = length(tag_bits / 8)?;
    if iv.is_empty() || !tag_bits.is_multiple_of(8) || !(LEAST_TAG..=GCM_TAG).contains(&tag) {
        return fail(CKR_MECHANISM_PARAM_INVALID);
    }
    Ok(match iv.try_into() {
        Ok(iv) if tag == GCM_TAG => Cipher::Gcm { iv, aad: aad.to_vec() },
        _ => Cipher::GcmSized { iv: iv.to_vec(), aad: aad.to_vec(), tag },
    })
}

/// The sizes of NIST SP 800-38C, section A.1, with tags as long as GCM's.
fn ccm(len: usize, nonce: &[u8], aad: &[u8], tag: usize) -> Result<Cipher> {
    if !(7..=13).contains(&nonce.len()) || ![12, 14, 16].contains(&tag) {
        return fail(CKR_MECHANISM_PARAM_INVALID);
    }
    Ok(Cipher::Ccm { len, nonce: nonce.to_vec(), aad: aad.to_vec(), tag })
}

#[cfg(test)]
mod tests {
    use super::super::row;
    use super::*;

    fn rv(kind: CK_MECHANISM_TYPE, parameter: Parameter<'_>) -> CK_RV {
        Mechanism { row: row(kind).unwrap(), parameter }.ciphers().map_or_else(|f| f.rv, |_| CKR_OK)
    }

    #[test]
    fn gcm_takes_no_empty_iv_and_no_short_tag() {
        let gcm = |iv: &[u8], tag_bits| rv(CKM_AES_GCM, Parameter::Gcm { iv, aad: b"", tag_bits });
        for (iv, bits) in [(12, 128), (16, 128), (1, 96), (128, 104)] {
            assert_eq!(gcm(&vec![0; iv], bits), CKR_OK, "{iv} {bits}");
        }
        for (iv, bits) in [(0, 128), (12, 32), (12, 64), (12, 0), (12, 129), (12, 136), (12, CK_ULONG::MAX)] {
            assert_eq!(gcm(&vec![0; iv], bits), CKR_MECHANISM_PARAM_INVALID, "{iv} {bits}");
        }
    }

    #[test]
    fn an_iv_is_one_block_of_its_cipher() {
        for (kind, block) in
            [(CKM_AES_CBC, 16), (CKM_AES_CBC_PAD, 16), (CKM_DES_CBC, 8), (CKM_DES3_CBC_PAD, 8)]
        {
            for len in [0, 7, 8, 9, 15, 16, 17] {
                let expected = if len == block { CKR_OK } else { CKR_MECHANISM_PARAM_INVALID };
                assert_eq!(rv(kind, Parameter::Iv(&vec![0; len])), expected, "{kind:x} {len}");
            }
        }
    }

    #[test]
    fn ccm_and_ctr_take_their_standards_sizes() {
        let ccm =
            |nonce: &[u8], tag_len| rv(CKM_AES_CCM, Parameter::Ccm { data_len: 5, nonce, aad: b"", tag_len });
        assert_eq!(ccm(&[0; 12], 16), CKR_OK);
        for (nonce, tag) in [(6, 16), (14, 16), (12, 4), (12, 15), (12, CK_ULONG::MAX)] {
            assert_eq!(ccm(&vec![0; nonce], tag), CKR_MECHANISM_PARAM_INVALID);
        }
        let ctr = |bits| rv(CKM_AES_CTR, Parameter::Ctr { counter: [0; 16], bits });
        assert_eq!((ctr(1), ctr(128)), (CKR_OK, CKR_OK));
        assert_eq!((ctr(0), ctr(129)), (CKR_MECHANISM_PARAM_INVALID, CKR_MECHANISM_PARAM_INVALID));
    }
}
