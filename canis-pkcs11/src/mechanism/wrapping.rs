//! Mechanisms that wrap and unwrap keys: what they do, and their parameters checked.

use super::{Mechanism, Parameter, Work, hash_named, length, mgf_hash};
use crate::rv::{Result, fail};
use canis_core::crypto::{GCM_NONCE, GCM_TAG, Hash, Oaep};
use canis_core::object::{GcmIv, Wrapping};
use pkcs11_sys::*;

/// A kind of wrapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wraps {
    Kw,
    Kwp,
    Gcm,
    Ccm,
    CbcPad,
    Oaep,
    RsaAes,
    Pkcs1,
}

/// The initial values of KW and KWP (RFC 3394, section 2.2.3.1; RFC 5649, section 3). Others are not taken: who unwraps
/// must know which one to expect.
const KW_IV: &[u8] = &[0xa6; 8];
const KWP_IV: &[u8] = &[0xa6, 0x59, 0x59, 0xa6];

/// The shortest tag of a wrapped key in bytes.
const LEAST_TAG: usize = 12;

impl Mechanism<'_> {
    /// How this mechanism wraps and unwraps, if the module's policy lets it ([`super::Row::flags`]). `unwraps` says which of
    /// the two is asked: an IV for AES-GCM or AES-CCM of twelve zeros asks for one to be drawn when wrapping.
    ///
    /// # Errors
    /// CKR_MECHANISM_INVALID if it does not, CKR_MECHANISM_PARAM_INVALID for a parameter that CANIS cannot fulfil.
    pub(crate) fn wraps(&self, unwraps: bool) -> Result<Wrapping<'_>> {
        for work in self.row.works {
            match *work {
                Work::Wrap(wraps) | Work::LegacyWrap(wraps) => return self.wrapping(wraps, unwraps),
                _ => {}
            }
        }
        fail(CKR_MECHANISM_INVALID)
    }

    fn wrapping(&self, wraps: Wraps, unwraps: bool) -> Result<Wrapping<'_>> {
        Ok(match (wraps, &self.parameter) {
            (Wraps::Kw, Parameter::None) => Wrapping::AesKw,
            (Wraps::Kw, Parameter::Bytes(iv)) if *iv == KW_IV => Wrapping::AesKw,
            (Wraps::Kwp, Parameter::None) => Wrapping::AesKwp,
            (Wraps::Kwp, Parameter::Bytes(iv)) if *iv == KWP_IV => Wrapping::AesKwp,
            (Wraps::Gcm, Parameter::Gcm { iv, aad, tag_bits }) => {
                gcm(given_or_drawn(iv, unwraps), aad, *tag_bits)?
            }
            // The length of a key is the token's to know (section 6.13.5).
            (Wraps::Ccm, Parameter::Ccm { nonce, aad, tag_len, .. }) => {
                ccm(given_or_drawn(nonce, unwraps), aad, *tag_len)?
            }
            (Wraps::CbcPad, Parameter::Iv(iv)) => {
                Wrapping::AesCbcPad { iv: (*iv).try_into().map_err(|_| CKR_MECHANISM_PARAM_INVALID)? }
            }
            (Wraps::Oaep, Parameter::Oaep { hash, mgf, label }) => {
                Wrapping::RsaOaep(oaep(*hash, *mgf, label)?)
            }
            (Wraps::RsaAes, Parameter::RsaAes { bits, hash, mgf, label }) => {
                let bits = length(*bits)?;
                if !unwraps && ![128, 192, 256].contains(&bits) {
                    return fail(CKR_MECHANISM_PARAM_INVALID);
                }
                Wrapping::RsaAes { bits, oaep: oaep(*hash, *mgf, label)? }
            }
            (Wraps::Pkcs1, _) => Wrapping::RsaPkcs1,
            _ => return fail(CKR_MECHANISM_PARAM_INVALID),
        })
    }
}

fn oaep(hash: CK_MECHANISM_TYPE, mgf: CK_RSA_PKCS_MGF_TYPE, label: &[u8]) -> Result<Oaep<'_>> {
    let (hash, mgf): (Hash, Hash) = (hash_named(hash)?, mgf_hash(mgf)?);
    Ok(Oaep { hash, mgf, label })
}

fn given_or_drawn(iv: &[u8], unwraps: bool) -> GcmIv<'_> {
    if !unwraps && iv == [0; GCM_NONCE] { GcmIv::Drawn } else { GcmIv::Given(iv) }
}

/// AES-GCM with a tag of so many bits.
///
/// # Errors
/// CKR_MECHANISM_PARAM_INVALID for no IV, and for a tag that is too short or too long.
pub(crate) fn gcm<'a>(iv: GcmIv<'a>, aad: &'a [u8], tag_bits: CK_ULONG) -> Result<Wrapping<'a>> {
    let tag = length(tag_bits / 8)?;
    if matches!(iv, GcmIv::Given([])) || !tag_bits.is_multiple_of(8) || !(LEAST_TAG..=GCM_TAG).contains(&tag)
    {
        return fail(CKR_MECHANISM_PARAM_INVALID);
    }
    Ok(Wrapping::AesGcm { iv, aad, tag })
}

/// AES-CCM with a tag of so many bytes, of the sizes that encryption takes.
///
/// # Errors
/// CKR_MECHANISM_PARAM_INVALID for others.
pub(crate) fn ccm<'a>(nonce: GcmIv<'a>, aad: &'a [u8], tag: CK_ULONG) -> Result<Wrapping<'a>> {
    let tag = length(tag)?;
    if matches!(nonce, GcmIv::Given(nonce) if !(7..=13).contains(&nonce.len()))
        || ![12, 14, 16].contains(&tag)
    {
        return fail(CKR_MECHANISM_PARAM_INVALID);
    }
    Ok(Wrapping::AesCcm { nonce, aad, tag })
}

#[cfg(test)]
mod tests {
    use super::super::row;
    use super::*;

    fn rv(kind: CK_MECHANISM_TYPE, parameter: Parameter<'_>) -> CK_RV {
        let mechanism = Mechanism { row: row(kind).unwrap(), parameter };
        mechanism.wraps(false).map_or_else(|f| f.rv, |_| CKR_OK)
    }

    #[test]
    fn only_the_default_initial_values_are_taken() {
        for (kind, iv, expected) in [
            (CKM_AES_KEY_WRAP, &[0xa6; 8][..], CKR_OK),
            (CKM_AES_KEY_WRAP, &[0xa6; 4], CKR_MECHANISM_PARAM_INVALID),
            (CKM_AES_KEY_WRAP, &[0; 8], CKR_MECHANISM_PARAM_INVALID),
            (CKM_AES_KEY_WRAP_KWP, KWP_IV, CKR_OK),
            (CKM_AES_KEY_WRAP_PAD, KW_IV, CKR_MECHANISM_PARAM_INVALID),
        ] {
            assert_eq!(rv(kind, Parameter::Bytes(iv)), expected);
            assert_eq!(rv(kind, Parameter::None), CKR_OK);
        }
    }

    #[test]
    fn what_anybody_can_alter_needs_the_policy() {
        for kind in [CKM_AES_CBC_PAD, CKM_RSA_PKCS] {
            let parameter = if kind == CKM_AES_CBC_PAD { Parameter::Iv(&[0; 16]) } else { Parameter::None };
            assert_eq!(rv(kind, parameter), CKR_OK);
            let row = row(kind).unwrap();
            assert_eq!((row.flags(false) & CKF_WRAP, row.flags(true) & CKF_WRAP), (0, CKF_WRAP));
        }
        assert_eq!(rv(CKM_SHA256, Parameter::None), CKR_MECHANISM_INVALID);
    }
}
