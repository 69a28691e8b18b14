//! Mechanisms as the host gives them: a number, and a parameter whose structure the table knows.

use super::args::{bytes, structure};
use crate::mechanism::{Form, Mechanism, Parameter, row};
use crate::rv::{Result, fail};
use pkcs11_sys::*;

/// Reads a mechanism; `None` for NULL, which ends an operation in C_…Init.
///
/// # Errors
/// CKR_MECHANISM_INVALID for one that is not in the table, CKR_MECHANISM_PARAM_INVALID for a parameter that is not the
/// structure the mechanism has.
pub(super) unsafe fn mechanism<'a>(at: *const CK_MECHANISM) -> Result<Option<Mechanism<'a>>> {
    // SAFETY: the host's promise (see `args`).
    let Some(given) = (unsafe { structure(at) }) else { return Ok(None) };
    let row = row(given.mechanism)?;
    // SAFETY: the host's promise.
    let parameter = unsafe { parameter(row.form, given) }?;
    Ok(Some(Mechanism { row, parameter }))
}

/// [`mechanism`] where NULL has no meaning.
pub(super) unsafe fn needed_mechanism<'a>(at: *const CK_MECHANISM) -> Result<Mechanism<'a>> {
    // SAFETY: the host's promise.
    unsafe { mechanism(at) }?.ok_or_else(|| CKR_ARGUMENTS_BAD.into())
}

unsafe fn parameter<'a>(form: Form, given: &CK_MECHANISM) -> Result<Parameter<'a>> {
    if matches!(form, Form::None | Form::Eddsa) && given.ulParameterLen == 0 {
        return Ok(Parameter::None);
    }
    // SAFETY: the host's promise, for the parameter and for what it points to in turn.
    unsafe {
        match form {
            Form::None => fail(CKR_MECHANISM_PARAM_INVALID),
            Form::Iv => Ok(Parameter::Iv(read(given)?)),
            Form::Ctr => {
                let p: CK_AES_CTR_PARAMS = read(given)?;
                Ok(Parameter::Ctr { counter: p.cb, bits: p.ulCounterBits })
            }
            Form::Ccm => {
                let p: CK_CCM_PARAMS = read(given)?;
                Ok(Parameter::Ccm {
                    data_len: p.ulDataLen,
                    nonce: inner(p.pNonce, p.ulNonceLen)?,
                    aad: inner(p.pAAD, p.ulAADLen)?,
                    tag_len: p.ulMACLen,
                })
            }
            Form::Length => Ok(Parameter::Length(read(given)?)),
            Form::Gcm => {
                let p: CK_GCM_PARAMS = read(given)?;
                Ok(Parameter::Gcm {
                    iv: inner(p.pIv, p.ulIvLen)?,
                    aad: inner(p.pAAD, p.ulAADLen)?,
                    tag_bits: p.ulTagBits,
                })
            }
            Form::Pss => {
                let p: CK_RSA_PKCS_PSS_PARAMS = read(given)?;
                Ok(Parameter::Pss { hash: p.hashAlg, mgf: p.mgf, salt: p.sLen })
            }
            Form::Oaep => {
                let p: CK_RSA_PKCS_OAEP_PARAMS = read(given)?;
                // Section 6.1.7: the source is CKZ_DATA_SPECIFIED; 0 is what hosts without a label tend to give.
                if p.source != CKZ_DATA_SPECIFIED && (p.source != 0 || p.ulSourceDataLen != 0) {
                    return fail(CKR_MECHANISM_PARAM_INVALID);
                }
                let label = inner(p.pSourceData.cast(), p.ulSourceDataLen)?;
                Ok(Parameter::Oaep { hash: p.hashAlg, mgf: p.mgf, label })
            }
            Form::Eddsa => {
                let p: CK_EDDSA_PARAMS = read(given)?;
                let context = inner(p.pContextData, p.ulContextDataLen)?;
                Ok(Parameter::Eddsa { prehash: p.phFlag != CK_FALSE, context })
            }
        }
    }
}

/// The parameter's structure, which need not be aligned.
unsafe fn read<T: Copy>(given: &CK_MECHANISM) -> Result<T> {
    if given.pParameter.is_null() || given.ulParameterLen != size_of::<T>() as CK_ULONG {
        return fail(CKR_MECHANISM_PARAM_INVALID);
    }
    // SAFETY: the host's promise; these structures are plain numbers and pointers, valid with any bits.
    Ok(unsafe { given.pParameter.cast::<T>().read_unaligned() })
}

unsafe fn inner<'a>(at: *const CK_BYTE, len: CK_ULONG) -> Result<&'a [u8]> {
    // SAFETY: the host's promise.
    unsafe { bytes(at, len) }.map_err(|_| CKR_MECHANISM_PARAM_INVALID.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ptr::null_mut;

    fn rv<T>(kind: CK_MECHANISM_TYPE, parameter: &T, len: usize) -> CK_RV {
        let at = std::ptr::from_ref(parameter).cast_mut().cast();
        let given = CK_MECHANISM { mechanism: kind, pParameter: at, ulParameterLen: len as CK_ULONG };
        // SAFETY: a live structure; shorter lengths are refused, never read.
        unsafe { mechanism(&given) }.map_or_else(|f| f.rv, |_| CKR_OK)
    }

    #[test]
    fn sizes_must_be_those_of_the_structure() {
        let pss = CK_RSA_PKCS_PSS_PARAMS { hashAlg: CKM_SHA256, mgf: CKG_MGF1_SHA256, sLen: 32 };
        assert_eq!(rv(CKM_RSA_PKCS_PSS, &pss, size_of_val(&pss)), CKR_OK);
        assert_eq!(rv(CKM_RSA_PKCS_PSS, &pss, size_of_val(&pss) - 1), CKR_MECHANISM_PARAM_INVALID);
        assert_eq!(rv(CKM_RSA_PKCS_PSS, &pss, 0), CKR_MECHANISM_PARAM_INVALID);
        assert_eq!(rv(CKM_AES_GCM, &pss, size_of_val(&pss)), CKR_MECHANISM_PARAM_INVALID);
        assert_eq!(rv(CKM_ECDSA, &pss, size_of_val(&pss)), CKR_MECHANISM_PARAM_INVALID);
        assert_eq!(rv(CKM_ECDSA, &pss, 0), CKR_OK);
        assert_eq!(rv(CKM_MD5, &pss, 0), CKR_MECHANISM_INVALID);
    }

    #[test]
    fn inner_pointers_are_checked() {
        let mut gcm = CK_GCM_PARAMS {
            pIv: null_mut(),
            ulIvLen: 12,
            ulIvBits: 96,
            pAAD: null_mut(),
            ulAADLen: 0,
            ulTagBits: 128,
        };
        assert_eq!(rv(CKM_AES_GCM, &gcm, size_of_val(&gcm)), CKR_MECHANISM_PARAM_INVALID);
        gcm.ulIvLen = CK_ULONG::MAX;
        assert_eq!(rv(CKM_AES_GCM, &gcm, size_of_val(&gcm)), CKR_MECHANISM_PARAM_INVALID);
    }
}
