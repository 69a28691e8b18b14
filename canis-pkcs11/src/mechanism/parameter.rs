//! The parameters of mechanisms, by their structure in the standard.

use crate::version_3_2::CK_HEDGE_TYPE;
use canis_core::crypto::BLOCK;
use canis_core::crypto::derive::Field;
use pkcs11_sys::*;

/// The structure of a mechanism's parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// None.
    None,
    /// An IV: one block of the cipher.
    Iv,
    /// CK_AES_CTR_PARAMS.
    Ctr,
    /// CK_GCM_PARAMS.
    Gcm,
    /// CK_CCM_PARAMS.
    Ccm,
    /// CK_MAC_GENERAL_PARAMS.
    Length,
    /// CK_RSA_PKCS_PSS_PARAMS.
    Pss,
    /// CK_RSA_PKCS_OAEP_PARAMS.
    Oaep,
    /// CK_EDDSA_PARAMS, or none.
    Eddsa,
    /// The initial value of AES Key Wrap, or none.
    WrapIv,
    /// CK_RSA_AES_KEY_WRAP_PARAMS.
    RsaAes,
    /// CK_ECDH1_DERIVE_PARAMS.
    Ecdh,
    /// CK_HKDF_PARAMS.
    Hkdf,
    /// CK_SP800_108_KDF_PARAMS.
    Counter,
    /// CK_KEY_DERIVATION_STRING_DATA.
    Data,
    /// CK_OBJECT_HANDLE.
    Handle,
    /// CK_PKCS5_PBKD2_PARAMS2.
    Pbkdf2,
    /// CK_SIGN_ADDITIONAL_CONTEXT, or none.
    Context,
    /// CK_HASH_SIGN_ADDITIONAL_CONTEXT.
    HashContext,
}

/// A parameter, its bytes still unchecked.
pub(crate) enum Parameter<'a> {
    None,
    Iv(&'a [u8]),
    Ctr {
        counter: [u8; BLOCK],
        bits: CK_ULONG,
    },
    Gcm {
        iv: &'a [u8],
        aad: &'a [u8],
        tag_bits: CK_ULONG,
    },
    Ccm {
        data_len: CK_ULONG,
        nonce: &'a [u8],
        aad: &'a [u8],
        tag_len: CK_ULONG,
    },
    Length(CK_ULONG),
    Pss {
        hash: CK_MECHANISM_TYPE,
        mgf: CK_RSA_PKCS_MGF_TYPE,
        salt: CK_ULONG,
    },
    Oaep {
        hash: CK_MECHANISM_TYPE,
        mgf: CK_RSA_PKCS_MGF_TYPE,
        label: &'a [u8],
    },
    Eddsa {
        prehash: bool,
        context: &'a [u8],
    },
    /// The hash is there if the structure names one.
    Context {
        hedge: CK_HEDGE_TYPE,
        context: &'a [u8],
        hash: Option<CK_MECHANISM_TYPE>,
    },
    Bytes(&'a [u8]),
    Handle(CK_OBJECT_HANDLE),
    RsaAes {
        bits: CK_ULONG,
        hash: CK_MECHANISM_TYPE,
        mgf: CK_RSA_PKCS_MGF_TYPE,
        label: &'a [u8],
    },
    Ecdh {
        kdf: CK_EC_KDF_TYPE,
        shared: &'a [u8],
        peer: &'a [u8],
    },
    /// The salt is its kind, its bytes and its key.
    Hkdf {
        extract: bool,
        expand: bool,
        hash: CK_MECHANISM_TYPE,
        salt: (CK_ULONG, &'a [u8], CK_OBJECT_HANDLE),
        info: &'a [u8],
    },
    Counter {
        prf: CK_MECHANISM_TYPE,
        fields: Vec<Field<'a>>,
    },
    Pbkdf2 {
        prf: CK_ULONG,
        password: &'a [u8],
        salt: &'a [u8],
        iterations: CK_ULONG,
    },
}
