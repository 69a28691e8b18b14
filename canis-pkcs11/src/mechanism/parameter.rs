//! The parameters of mechanisms, by their structure in the standard.

use canis_core::crypto::BLOCK;
use pkcs11_sys::*;

/// The structure of a mechanism's parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// None.
    None,
    /// An IV of one AES block.
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
}

/// A parameter, its bytes still unchecked.
pub(crate) enum Parameter<'a> {
    None,
    Iv([u8; BLOCK]),
    Ctr { counter: [u8; BLOCK], bits: CK_ULONG },
    Gcm { iv: &'a [u8], aad: &'a [u8], tag_bits: CK_ULONG },
    Ccm { data_len: CK_ULONG, nonce: &'a [u8], aad: &'a [u8], tag_len: CK_ULONG },
    Length(CK_ULONG),
    Pss { hash: CK_MECHANISM_TYPE, mgf: CK_RSA_PKCS_MGF_TYPE, salt: CK_ULONG },
    Oaep { hash: CK_MECHANISM_TYPE, mgf: CK_RSA_PKCS_MGF_TYPE, label: &'a [u8] },
    Eddsa { prehash: bool, context: &'a [u8] },
}
