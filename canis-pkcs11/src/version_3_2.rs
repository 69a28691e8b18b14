//! What PKCS#11 v3.2 adds to the header of v3.1: the function list, structures and numbers that the module uses. A test
//! compares them with another header (`cryptoki-sys`), byte by byte.
#![allow(non_snake_case, non_camel_case_types)] // The standard's names.

use pkcs11_sys::*;

macro_rules! numbers {
    ($($type:ident { $($name:ident = $value:expr;)+ })+) => {
        $($(pub(crate) const $name: $type = $value;)+)+

        #[cfg(test)]
        const NUMBERS: &[(&str, u64, u64)] =
            &[$($((stringify!($name), $name as u64, cryptoki_sys::$name as u64),)+)+];
    };
}

numbers! {
    CK_KEY_TYPE {
        CKK_ML_KEM = 0x0049;
        CKK_ML_DSA = 0x004a;
        CKK_SLH_DSA = 0x004b;
    }
    CK_ATTRIBUTE_TYPE {
        CKA_PARAMETER_SET = 0x061d;
        CKA_ENCAPSULATE_TEMPLATE = 0x062a;
        CKA_DECAPSULATE_TEMPLATE = 0x062b;
        CKA_ENCAPSULATE = 0x0633;
        CKA_DECAPSULATE = 0x0634;
        CKA_SEED = 0x0637;
    }
    CK_MECHANISM_TYPE {
        CKM_ML_KEM_KEY_PAIR_GEN = 0x000f;
        CKM_ML_KEM = 0x0017;
        CKM_ML_DSA_KEY_PAIR_GEN = 0x001c;
        CKM_ML_DSA = 0x001d;
        CKM_HASH_ML_DSA = 0x001f;
        CKM_HASH_ML_DSA_SHA224 = 0x0023;
        CKM_HASH_ML_DSA_SHA256 = 0x0024;
        CKM_HASH_ML_DSA_SHA384 = 0x0025;
        CKM_HASH_ML_DSA_SHA512 = 0x0026;
        CKM_HASH_ML_DSA_SHA3_224 = 0x0027;
        CKM_HASH_ML_DSA_SHA3_256 = 0x0028;
        CKM_HASH_ML_DSA_SHA3_384 = 0x0029;
        CKM_HASH_ML_DSA_SHA3_512 = 0x002a;
        CKM_SLH_DSA_KEY_PAIR_GEN = 0x002d;
        CKM_SLH_DSA = 0x002e;
        CKM_HASH_SLH_DSA = 0x0034;
        CKM_HASH_SLH_DSA_SHA224 = 0x0036;
        CKM_HASH_SLH_DSA_SHA256 = 0x0037;
        CKM_HASH_SLH_DSA_SHA384 = 0x0038;
        CKM_HASH_SLH_DSA_SHA512 = 0x0039;
        CKM_HASH_SLH_DSA_SHA3_224 = 0x003a;
        CKM_HASH_SLH_DSA_SHA3_256 = 0x003b;
        CKM_HASH_SLH_DSA_SHA3_384 = 0x003c;
        CKM_HASH_SLH_DSA_SHA3_512 = 0x003d;
    }
    CK_ML_KEM_PARAMETER_SET_TYPE {
        CKP_ML_KEM_512 = 1;
        CKP_ML_KEM_768 = 2;
        CKP_ML_KEM_1024 = 3;
    }
    CK_ML_DSA_PARAMETER_SET_TYPE {
        CKP_ML_DSA_44 = 1;
        CKP_ML_DSA_65 = 2;
        CKP_ML_DSA_87 = 3;
    }
    CK_SLH_DSA_PARAMETER_SET_TYPE {
        CKP_SLH_DSA_SHA2_128S = 1;
        CKP_SLH_DSA_SHA2_128F = 3;
        CKP_SLH_DSA_SHA2_192S = 5;
        CKP_SLH_DSA_SHA2_192F = 7;
        CKP_SLH_DSA_SHA2_256S = 9;
        CKP_SLH_DSA_SHA2_256F = 11;
    }
    CK_HEDGE_TYPE {
        CKH_HEDGE_PREFERRED = 0;
        CKH_HEDGE_REQUIRED = 1;
        CKH_DETERMINISTIC_REQUIRED = 2;
    }
    CK_FLAGS {
        CKF_ASYNC_SESSION = 0x0000_0008;
        CKF_ENCAPSULATE = 0x1000_0000;
        CKF_DECAPSULATE = 0x2000_0000;
    }
    CK_RV {
        CKR_SESSION_ASYNC_NOT_SUPPORTED = 0x0205;
        CKR_PARAMETER_SET_NOT_SUPPORTED = 0x0209;
    }
}

/// CK_HEDGE_TYPE.
pub(crate) type CK_HEDGE_TYPE = CK_ULONG;
/// CK_ML_KEM_PARAMETER_SET_TYPE.
pub(crate) type CK_ML_KEM_PARAMETER_SET_TYPE = CK_ULONG;
/// CK_ML_DSA_PARAMETER_SET_TYPE.
pub(crate) type CK_ML_DSA_PARAMETER_SET_TYPE = CK_ULONG;
/// CK_SLH_DSA_PARAMETER_SET_TYPE.
pub(crate) type CK_SLH_DSA_PARAMETER_SET_TYPE = CK_ULONG;

/// CK_SIGN_ADDITIONAL_CONTEXT.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct CK_SIGN_ADDITIONAL_CONTEXT {
    pub(crate) hedgeVariant: CK_HEDGE_TYPE,
    pub(crate) pContext: *mut CK_BYTE,
    pub(crate) ulContextLen: CK_ULONG,
}

/// CK_HASH_SIGN_ADDITIONAL_CONTEXT.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct CK_HASH_SIGN_ADDITIONAL_CONTEXT {
    pub(crate) hedgeVariant: CK_HEDGE_TYPE,
    pub(crate) pContext: *mut CK_BYTE,
    pub(crate) ulContextLen: CK_ULONG,
    pub(crate) hash: CK_MECHANISM_TYPE,
}

/// CK_SESSION_VALIDATION_FLAGS_TYPE.
pub(crate) type CK_SESSION_VALIDATION_FLAGS_TYPE = CK_ULONG;

/// CK_ASYNC_DATA.
#[repr(C)]
pub(crate) struct CK_ASYNC_DATA {
    ulVersion: CK_ULONG,
    pValue: *mut CK_BYTE,
    ulValue: CK_ULONG,
    hObject: CK_OBJECT_HANDLE,
    hAdditionalObject: CK_OBJECT_HANDLE,
}

macro_rules! list {
    ($($name:ident($($arg:ty),*);)+) => {
        /// CK_FUNCTION_LIST_3_2: the list of v3.0, whose version it begins with, and what came after it.
        #[repr(C)]
        pub(crate) struct CK_FUNCTION_LIST_3_2 {
            pub(crate) list_3_0: CK_FUNCTION_LIST_3_0,
            $(pub(crate) $name: Option<unsafe extern "C" fn($($arg),*) -> CK_RV>,)+
        }

        #[cfg(test)]
        const PLACES: &[(&str, usize, usize)] = &[$((
            stringify!($name),
            std::mem::offset_of!(CK_FUNCTION_LIST_3_2, $name),
            std::mem::offset_of!(cryptoki_sys::CK_FUNCTION_LIST_3_2, $name),
        ),)+];
    };
}

list! {
    C_EncapsulateKey(
        CK_SESSION_HANDLE, *mut CK_MECHANISM, CK_OBJECT_HANDLE, *mut CK_ATTRIBUTE, CK_ULONG, *mut CK_BYTE, *mut CK_ULONG,
        *mut CK_OBJECT_HANDLE
    );
    C_DecapsulateKey(
        CK_SESSION_HANDLE, *mut CK_MECHANISM, CK_OBJECT_HANDLE, *mut CK_ATTRIBUTE, CK_ULONG, *mut CK_BYTE, CK_ULONG,
        *mut CK_OBJECT_HANDLE
    );
    C_VerifySignatureInit(CK_SESSION_HANDLE, *mut CK_MECHANISM, CK_OBJECT_HANDLE, *mut CK_BYTE, CK_ULONG);
    C_VerifySignature(CK_SESSION_HANDLE, *mut CK_BYTE, CK_ULONG);
    C_VerifySignatureUpdate(CK_SESSION_HANDLE, *mut CK_BYTE, CK_ULONG);
    C_VerifySignatureFinal(CK_SESSION_HANDLE);
    C_GetSessionValidationFlags(CK_SESSION_HANDLE, CK_SESSION_VALIDATION_FLAGS_TYPE, *mut CK_FLAGS);
    C_AsyncComplete(CK_SESSION_HANDLE, *mut CK_UTF8CHAR, *mut CK_ASYNC_DATA);
    C_AsyncGetID(CK_SESSION_HANDLE, *mut CK_UTF8CHAR, *mut CK_ULONG);
    C_AsyncJoin(CK_SESSION_HANDLE, *mut CK_UTF8CHAR, CK_ULONG, *mut CK_BYTE, CK_ULONG);
    C_WrapKeyAuthenticated(
        CK_SESSION_HANDLE, *mut CK_MECHANISM, CK_OBJECT_HANDLE, CK_OBJECT_HANDLE, *mut CK_BYTE, CK_ULONG, *mut CK_BYTE,
        *mut CK_ULONG
    );
    C_UnwrapKeyAuthenticated(
        CK_SESSION_HANDLE, *mut CK_MECHANISM, CK_OBJECT_HANDLE, *mut CK_BYTE, CK_ULONG, *mut CK_ATTRIBUTE, CK_ULONG,
        *mut CK_BYTE, CK_ULONG, *mut CK_OBJECT_HANDLE
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::{align_of, offset_of};

    /// Fields of a structure stand where the other header has them, and end where it does.
    macro_rules! same_layout {
        ($($name:ident { $($field:ident)+ })+) => {$(
            assert_eq!(size_of::<$name>(), size_of::<cryptoki_sys::$name>(), stringify!($name));
            assert_eq!(align_of::<$name>(), align_of::<cryptoki_sys::$name>(), stringify!($name));
            $(assert_eq!(
                offset_of!($name, $field),
                offset_of!(cryptoki_sys::$name, $field),
                concat!(stringify!($name), ".", stringify!($field))
            );)+
        )+};
    }

    #[test]
    fn numbers_are_those_of_another_header() {
        for (name, ours, theirs) in NUMBERS {
            assert_eq!(ours, theirs, "{name}");
        }
    }

    #[test]
    fn structures_are_laid_out_as_in_another_header() {
        same_layout! {
            CK_ASYNC_DATA { ulVersion pValue ulValue hObject hAdditionalObject }
            CK_SIGN_ADDITIONAL_CONTEXT { hedgeVariant pContext ulContextLen }
            CK_HASH_SIGN_ADDITIONAL_CONTEXT { hedgeVariant pContext ulContextLen hash }
        }
    }

    #[test]
    fn the_list_is_laid_out_as_in_another_header() {
        let size = size_of::<cryptoki_sys::CK_FUNCTION_LIST_3_2>();
        assert_eq!((size_of::<CK_FUNCTION_LIST_3_2>(), PLACES.len()), (size, 12));
        assert_eq!(size, (1 + 104) * size_of::<usize>());
        for (name, ours, theirs) in PLACES {
            assert_eq!(ours, theirs, "{name}");
        }
        let first = offset_of!(CK_FUNCTION_LIST_3_2, list_3_0);
        assert_eq!(first, offset_of!(cryptoki_sys::CK_FUNCTION_LIST_3_2, version));
        assert_eq!(
            offset_of!(CK_FUNCTION_LIST_3_0, C_MessageVerifyFinal),
            offset_of!(cryptoki_sys::CK_FUNCTION_LIST_3_2, C_MessageVerifyFinal)
        );
    }
}
