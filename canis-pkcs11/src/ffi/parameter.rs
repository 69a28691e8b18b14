//! Mechanisms as the host gives them: a number, and a parameter whose structure the table knows.

use super::args::{bytes, room, structure};
use crate::mechanism::{Form, Mechanism, Parameter, row};
use crate::rv::{Result, fail};
use crate::version_3_2::{CK_HASH_SIGN_ADDITIONAL_CONTEXT, CK_SIGN_ADDITIONAL_CONTEXT};
use canis_core::crypto::derive::{Field, Width};
use pkcs11_sys::*;

/// Reads a mechanism for one of the `works` that CK_MECHANISM_INFO has flags for under the policy `legacy`; `None` for NULL,
/// which ends an operation in C_…Init. The parameter of a mechanism for another work is not looked at: it is likely to be another structure, whose
/// numbers would be taken for pointers.
///
/// # Errors
/// CKR_MECHANISM_INVALID for one that is not in the table or for other works, CKR_MECHANISM_PARAM_INVALID for a parameter
/// that is not the structure the mechanism has.
pub(super) unsafe fn mechanism<'a>(
    legacy: bool,
    at: *const CK_MECHANISM,
    works: CK_FLAGS,
) -> Result<Option<Mechanism<'a>>> {
    // SAFETY: the host's promise (see `args`).
    let Some(given) = (unsafe { structure(at) }) else { return Ok(None) };
    let row = row(given.mechanism)?;
    if row.flags(legacy) & works == 0 {
        return fail(CKR_MECHANISM_INVALID);
    }
    // SAFETY: the host's promise.
    let parameter = unsafe { parameter(row.form, &given) }?;
    Ok(Some(Mechanism { row, parameter }))
}

/// [`mechanism`] where NULL has no meaning.
pub(super) unsafe fn needed_mechanism<'a>(
    legacy: bool,
    at: *const CK_MECHANISM,
    works: CK_FLAGS,
) -> Result<Mechanism<'a>> {
    // SAFETY: the host's promise.
    unsafe { mechanism(legacy, at, works) }?.ok_or_else(|| CKR_ARGUMENTS_BAD.into())
}

unsafe fn parameter<'a>(form: Form, given: &CK_MECHANISM) -> Result<Parameter<'a>> {
    if matches!(form, Form::None | Form::Eddsa | Form::WrapIv | Form::Context) && given.ulParameterLen == 0 {
        return Ok(Parameter::None);
    }
    // SAFETY: the host's promise, for the parameter and for what it points to in turn.
    unsafe {
        match form {
            Form::None => fail(CKR_MECHANISM_PARAM_INVALID),
            Form::Iv => Ok(Parameter::Iv(inner(given.pParameter.cast(), given.ulParameterLen)?)),
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
            Form::Oaep => read_oaep(&read(given)?),
            Form::Eddsa => {
                let p: CK_EDDSA_PARAMS = read(given)?;
                let context = inner(p.pContextData, p.ulContextDataLen)?;
                Ok(Parameter::Eddsa { prehash: p.phFlag != CK_FALSE, context })
            }
            Form::Context => {
                let p: CK_SIGN_ADDITIONAL_CONTEXT = read(given)?;
                let context = inner(p.pContext, p.ulContextLen)?;
                Ok(Parameter::Context { hedge: p.hedgeVariant, context, hash: None })
            }
            Form::HashContext => {
                let p: CK_HASH_SIGN_ADDITIONAL_CONTEXT = read(given)?;
                let context = inner(p.pContext, p.ulContextLen)?;
                Ok(Parameter::Context { hedge: p.hedgeVariant, context, hash: Some(p.hash) })
            }
            Form::WrapIv => Ok(Parameter::Bytes(inner(given.pParameter.cast(), given.ulParameterLen)?)),
            Form::RsaAes => {
                let p: CK_RSA_AES_KEY_WRAP_PARAMS = read(given)?;
                let Some(oaep) = structure(p.pOAEPParams) else { return fail(CKR_MECHANISM_PARAM_INVALID) };
                let Parameter::Oaep { hash, mgf, label } = read_oaep(&oaep)? else {
                    return fail(CKR_MECHANISM_PARAM_INVALID);
                };
                Ok(Parameter::RsaAes { bits: p.ulAESKeyBits, hash, mgf, label })
            }
            Form::Ecdh => {
                let p: CK_ECDH1_DERIVE_PARAMS = read(given)?;
                Ok(Parameter::Ecdh {
                    kdf: p.kdf,
                    shared: inner(p.pSharedData, p.ulSharedDataLen)?,
                    peer: inner(p.pPublicData, p.ulPublicDataLen)?,
                })
            }
            Form::Hkdf => {
                let p: CK_HKDF_PARAMS = read(given)?;
                Ok(Parameter::Hkdf {
                    extract: p.bExtract != CK_FALSE,
                    expand: p.bExpand != CK_FALSE,
                    hash: p.prfHashMechanism,
                    salt: (p.ulSaltType, inner(p.pSalt, p.ulSaltLen)?, p.hSaltKey),
                    info: inner(p.pInfo, p.ulInfoLen)?,
                })
            }
            Form::Counter => {
                let p: CK_SP800_108_KDF_PARAMS = read(given)?;
                Ok(Parameter::Counter { prf: p.prfType, fields: kdf_fields(&p)? })
            }
            Form::Data => {
                let p: CK_KEY_DERIVATION_STRING_DATA = read(given)?;
                Ok(Parameter::Bytes(inner(p.pData, p.ulLen)?))
            }
            Form::Handle => Ok(Parameter::Handle(read(given)?)),
            Form::Pbkdf2 => {
                let p: CK_PKCS5_PBKD2_PARAMS2 = read(given)?;
                if p.saltSource != CKZ_SALT_SPECIFIED || p.ulPrfDataLen != 0 {
                    return fail(CKR_MECHANISM_PARAM_INVALID);
                }
                Ok(Parameter::Pbkdf2 {
                    prf: p.prf,
                    password: inner(p.pPassword, password_len(p.ulPasswordLen))?,
                    salt: inner(p.pSaltSourceData.cast(), p.ulSaltSourceDataLen)?,
                    iterations: p.iterations,
                })
            }
        }
    }
}

/// The length of a password in CK_PKCS5_PBKD2_PARAMS2, or in the structure of the same size that 2.40 had, where a pointer
/// leads to it: NSS gives that. Nothing is mapped below 64 KiB, and no password is that long, which tells the two apart.
unsafe fn password_len(given: CK_ULONG) -> CK_ULONG {
    const LOWEST_POINTER: CK_ULONG = 1 << 16;
    if !(LOWEST_POINTER..=isize::MAX as CK_ULONG).contains(&given) {
        return given;
    }
    // SAFETY: the host's promise: what is no length is the pointer of the older structure.
    unsafe { (given as *const CK_ULONG).read_unaligned() }
}

unsafe fn read_oaep<'a>(p: &CK_RSA_PKCS_OAEP_PARAMS) -> Result<Parameter<'a>> {
    // Section 6.1.7: the source is CKZ_DATA_SPECIFIED; 0 is what hosts without a label tend to give.
    if p.source != CKZ_DATA_SPECIFIED && (p.source != 0 || p.ulSourceDataLen != 0) {
        return fail(CKR_MECHANISM_PARAM_INVALID);
    }
    // SAFETY: the host's promise.
    let label = unsafe { inner(p.pSourceData.cast(), p.ulSourceDataLen) }?;
    Ok(Parameter::Oaep { hash: p.hashAlg, mgf: p.mgf, label })
}

/// No KDF is computed over more fields than these.
const MOST_FIELDS: CK_ULONG = 64;

/// The data of the KDF of SP 800-108 (section 6.42.2). Further keys of one call are not derived.
unsafe fn kdf_fields<'a>(p: &CK_SP800_108_KDF_PARAMS) -> Result<Vec<Field<'a>>> {
    let count = p.ulNumberOfDataParams;
    if p.pDataParams.is_null() || count > MOST_FIELDS || p.ulAdditionalDerivedKeys != 0 {
        return fail(CKR_MECHANISM_PARAM_INVALID);
    }
    (0..count as usize)
        .map(|at| {
            // SAFETY: the host's promise for the array, and for what its elements point to.
            unsafe { kdf_field(&p.pDataParams.add(at).read_unaligned()) }
        })
        .collect()
}

unsafe fn kdf_field<'a>(p: &CK_PRF_DATA_PARAM) -> Result<Field<'a>> {
    // SAFETY: the host's promise; of the structures as many bytes are read as it says there are.
    let value = unsafe { inner(p.pValue.cast(), p.ulValueLen) }?;
    let width = |little_endian: CK_BBOOL, bits: CK_ULONG| {
        let bits = u32::try_from(bits).map_err(|_| CKR_MECHANISM_PARAM_INVALID)?;
        Result::Ok(Width { bits, little_endian: little_endian != CK_FALSE })
    };
    match p.type_ {
        CK_SP800_108_BYTE_ARRAY => Ok(Field::Bytes(value)),
        CK_SP800_108_ITERATION_VARIABLE => {
            // SAFETY: the structure is plain numbers; its length is checked.
            let format: CK_SP800_108_COUNTER_FORMAT = unsafe { whole(value) }?;
            width(format.bLittleEndian, format.ulWidthInBits).map(Field::Counter)
        }
        CK_SP800_108_DKM_LENGTH => {
            // SAFETY: as before.
            let format: CK_SP800_108_DKM_LENGTH_FORMAT = unsafe { whole(value) }?;
            // One key of whole segments or not: only its own length is taken.
            if format.dkmLengthMethod != CK_SP800_108_DKM_LENGTH_SUM_OF_KEYS {
                return fail(CKR_MECHANISM_PARAM_INVALID);
            }
            width(format.bLittleEndian, format.ulWidthInBits).map(Field::Length)
        }
        _ => fail(CKR_MECHANISM_PARAM_INVALID),
    }
}

/// A structure that fills `bytes`.
unsafe fn whole<T: Copy>(bytes: &[u8]) -> Result<T> {
    if bytes.len() != size_of::<T>() {
        return fail(CKR_MECHANISM_PARAM_INVALID);
    }
    // SAFETY: there are as many bytes; the caller's structure is valid with any.
    Ok(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}

/// Tells the host the IV that was drawn for it, where its CK_GCM_PARAMS or CK_CCM_PARAMS point to.
pub(super) unsafe fn give_iv(mechanism: *const CK_MECHANISM, iv: &[u8]) -> Result {
    // SAFETY: the host's promise; [`mechanism`] has read this parameter before.
    unsafe {
        let Some(given) = structure(mechanism) else { return fail(CKR_ARGUMENTS_BAD) };
        let at = match given.mechanism {
            CKM_AES_CCM => read::<CK_CCM_PARAMS>(&given)?.pNonce,
            _ => read::<CK_GCM_PARAMS>(&given)?.pIv,
        };
        room(at, iv.len() as CK_ULONG)?.copy_from_slice(iv);
    }
    Ok(())
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
        rv_under(false, kind, parameter, len)
    }

    fn rv_under<T>(legacy: bool, kind: CK_MECHANISM_TYPE, parameter: &T, len: usize) -> CK_RV {
        let at = std::ptr::from_ref(parameter).cast_mut().cast();
        let given = CK_MECHANISM { mechanism: kind, pParameter: at, ulParameterLen: len as CK_ULONG };
        // SAFETY: a live structure; shorter lengths are refused, never read.
        unsafe { mechanism(legacy, &given, CK_FLAGS::MAX) }.map_or_else(|f| f.rv, |_| CKR_OK)
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
        assert_eq!(rv(CKM_MD2, &pss, 0), CKR_MECHANISM_INVALID);
        let md5 = |legacy| rv_under(legacy, CKM_MD5, &pss, 0);
        assert_eq!((md5(false), md5(true)), (CKR_MECHANISM_INVALID, CKR_OK));
    }

    #[test]
    fn parameters_of_mechanisms_for_other_works_are_not_looked_at() {
        // As long as CK_SP800_108_KDF_PARAMS, and its numbers lead nowhere.
        let mut wild = [1 as CK_ULONG; size_of::<CK_SP800_108_KDF_PARAMS>() / size_of::<CK_ULONG>()];
        let given = CK_MECHANISM {
            mechanism: CKM_SP800_108_COUNTER_KDF,
            pParameter: wild.as_mut_ptr().cast(),
            ulParameterLen: size_of_val(&wild) as CK_ULONG,
        };
        // SAFETY: a live structure; what it seems to lead to is not read, as this test shows.
        let refused = unsafe { mechanism(false, &given, CKF_ENCRYPT) }.map(|_| ()).unwrap_err();
        assert_eq!(refused.rv, CKR_MECHANISM_INVALID);
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
