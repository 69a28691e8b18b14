//! What each mechanism is tried with: a key of every kind, its parameter, messages that fit it.

use crate::keys;
use crate::raw::{call, mechanism};
use crate::slh_dsa;
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, MlDsaParameterSetType, SlhDsaParameterSetType};
use cryptoki::session::Session;
use cryptoki_sys::{CK_HASH_SIGN_ADDITIONAL_CONTEXT, CKH_HEDGE_REQUIRED, CKM_HASH_ML_DSA, CKM_HASH_SLH_DSA};
use pkcs11_sys::*;
use std::ptr::null_mut;

pub(crate) const SECP256K1: keys::Curve = keys::Curve(&[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a]);
pub(crate) const P521: keys::Curve = keys::Curve(&[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23]);
pub(crate) const X25519: keys::Curve = keys::Curve(&[0x06, 0x03, 0x2b, 0x65, 0x6e]);

/// A key as its two usages need it: (encrypts or verifies, decrypts or signs).
pub(crate) type Both = (CK_OBJECT_HANDLE, CK_OBJECT_HANDLE);

/// The mechanisms that are there under the policy `legacy` only.
pub(crate) const LEGACY: [CK_MECHANISM_TYPE; 15] = [
    CKM_DES_KEY_GEN,
    CKM_DES_ECB,
    CKM_DES_CBC,
    CKM_DES_CBC_PAD,
    CKM_DES2_KEY_GEN,
    CKM_DES3_KEY_GEN,
    CKM_DES3_ECB,
    CKM_DES3_CBC,
    CKM_DES3_CBC_PAD,
    CKM_DES3_CMAC,
    CKM_DES3_CMAC_GENERAL,
    CKM_MD5,
    CKM_MD5_HMAC,
    CKM_MD5_HMAC_GENERAL,
    CKM_MD5_RSA_PKCS,
];

/// One key of every kind that some mechanism uses.
pub(crate) fn every_kind(session: &Session) -> Vec<Both> {
    let pair = |pair: keys::Pair| (pair.public.handle(), pair.private.handle());
    let same = |key: cryptoki::object::ObjectHandle| (key.handle(), key.handle());
    let secret = session.generate_key(&Mechanism::GenericSecretKeyGen, &[Attribute::ValueLen(40.into())]);
    let drawn = |kind| {
        let mut key = 0;
        let rv = call!(C_GenerateKey(session.handle(), &mut mechanism(kind), null_mut(), 0, &mut key));
        (rv == CKR_OK).then_some((key, key))
    };
    let old = [CKM_DES_KEY_GEN, CKM_DES3_KEY_GEN].into_iter().filter_map(drawn);
    let sound = [
        pair(keys::rsa(session, 2048)),
        pair(keys::p256(session)),
        pair(keys::ed25519(session)),
        pair(keys::ml_dsa(session, MlDsaParameterSetType::ML_DSA_44)),
        pair(slh_dsa::pair(session, SlhDsaParameterSetType::SHA2_128F)),
        same(keys::aes(session, 32)),
        same(secret.unwrap()),
    ];
    sound.into_iter().chain(old).collect()
}

/// The mechanisms of the slot with their flags.
pub(crate) fn listed(session: &Session) -> Vec<(CK_MECHANISM_TYPE, CK_FLAGS)> {
    let slot = session.get_session_info().unwrap().slot_id().id();
    let mut count = 0;
    assert_eq!(call!(C_GetMechanismList(slot, null_mut(), &mut count)), CKR_OK);
    let mut kinds = vec![0; count as usize];
    assert_eq!(call!(C_GetMechanismList(slot, kinds.as_mut_ptr(), &mut count)), CKR_OK);
    let info = |kind| {
        let mut info = CK_MECHANISM_INFO { ulMinKeySize: 0, ulMaxKeySize: 0, flags: 0 };
        assert_eq!(call!(C_GetMechanismInfo(slot, kind, &mut info)), CKR_OK);
        info.flags
    };
    kinds.into_iter().map(|kind| (kind, info(kind))).collect()
}

/// Runs `f` with the mechanism and a parameter that fits it; `len` is the message's.
pub(crate) fn with_parameter<T>(
    kind: CK_MECHANISM_TYPE,
    len: usize,
    f: impl FnOnce(&mut CK_MECHANISM) -> T,
) -> T {
    fn hold<P, T>(kind: CK_MECHANISM_TYPE, mut parameter: P, f: impl FnOnce(&mut CK_MECHANISM) -> T) -> T {
        f(&mut CK_MECHANISM {
            mechanism: kind,
            pParameter: std::ptr::from_mut(&mut parameter).cast(),
            ulParameterLen: size_of::<P>() as CK_ULONG,
        })
    }
    let mut iv = [7; 16];
    let pss = |hash, mgf| CK_RSA_PKCS_PSS_PARAMS { hashAlg: hash, mgf, sLen: 20 };
    match kind {
        CKM_AES_CBC | CKM_AES_CBC_PAD => hold(kind, iv, f),
        CKM_DES_CBC | CKM_DES_CBC_PAD | CKM_DES3_CBC | CKM_DES3_CBC_PAD => hold(kind, [7u8; 8], f),
        CKM_DES3_CMAC_GENERAL => hold(kind, 5 as CK_ULONG, f),
        CKM_AES_CTR => hold(kind, CK_AES_CTR_PARAMS { ulCounterBits: 32, cb: iv }, f),
        CKM_AES_GCM => {
            let (at, none) = (iv.as_mut_ptr(), null_mut());
            hold(
                kind,
                CK_GCM_PARAMS { pIv: at, ulIvLen: 16, ulIvBits: 128, pAAD: none, ulAADLen: 0, ulTagBits: 96 },
                f,
            )
        }
        CKM_AES_CCM => {
            let (at, data) = (iv.as_mut_ptr(), len as CK_ULONG);
            let aad = null_mut();
            hold(
                kind,
                CK_CCM_PARAMS {
                    ulDataLen: data,
                    pNonce: at,
                    ulNonceLen: 12,
                    pAAD: aad,
                    ulAADLen: 0,
                    ulMACLen: 12,
                },
                f,
            )
        }
        CKM_RSA_PKCS_OAEP => {
            let oaep = CK_RSA_PKCS_OAEP_PARAMS {
                hashAlg: CKM_SHA3_256,
                mgf: CKG_MGF1_SHA224,
                source: CKZ_DATA_SPECIFIED,
                pSourceData: null_mut(),
                ulSourceDataLen: 0,
            };
            hold(kind, oaep, f)
        }
        CKM_HASH_ML_DSA | CKM_HASH_SLH_DSA => {
            let how = CK_HASH_SIGN_ADDITIONAL_CONTEXT {
                hedgeVariant: CKH_HEDGE_REQUIRED,
                pContext: iv.as_mut_ptr(),
                ulContextLen: 16,
                hash: CKM_SHA256,
            };
            hold(kind, how, f)
        }
        CKM_RSA_PKCS_PSS | CKM_SHA256_RSA_PKCS_PSS => hold(kind, pss(CKM_SHA256, CKG_MGF1_SHA256), f),
        CKM_SHA1_RSA_PKCS_PSS => hold(kind, pss(CKM_SHA_1, CKG_MGF1_SHA1), f),
        CKM_SHA224_RSA_PKCS_PSS => hold(kind, pss(CKM_SHA224, CKG_MGF1_SHA224), f),
        CKM_SHA384_RSA_PKCS_PSS => hold(kind, pss(CKM_SHA384, CKG_MGF1_SHA384), f),
        CKM_SHA512_RSA_PKCS_PSS => hold(kind, pss(CKM_SHA512, CKG_MGF1_SHA512), f),
        CKM_SHA3_224_RSA_PKCS_PSS => hold(kind, pss(CKM_SHA3_224, CKG_MGF1_SHA3_224), f),
        CKM_SHA3_256_RSA_PKCS_PSS => hold(kind, pss(CKM_SHA3_256, CKG_MGF1_SHA3_256), f),
        CKM_SHA3_384_RSA_PKCS_PSS => hold(kind, pss(CKM_SHA3_384, CKG_MGF1_SHA3_384), f),
        CKM_SHA3_512_RSA_PKCS_PSS => hold(kind, pss(CKM_SHA3_512, CKG_MGF1_SHA3_512), f),
        CKM_AES_CMAC_GENERAL
        | CKM_MD5_HMAC_GENERAL
        | CKM_SHA_1_HMAC_GENERAL
        | CKM_SHA224_HMAC_GENERAL
        | CKM_SHA256_HMAC_GENERAL
        | CKM_SHA384_HMAC_GENERAL
        | CKM_SHA512_HMAC_GENERAL
        | CKM_SHA3_224_HMAC_GENERAL
        | CKM_SHA3_256_HMAC_GENERAL
        | CKM_SHA3_384_HMAC_GENERAL
        | CKM_SHA3_512_HMAC_GENERAL => hold(kind, 9 as CK_ULONG, f),
        _ => f(&mut CK_MECHANISM { mechanism: kind, pParameter: null_mut(), ulParameterLen: 0 }),
    }
}

pub(crate) fn raw(bytes: &[u8]) -> (*mut CK_BYTE, CK_ULONG) {
    let at = if bytes.is_empty() { null_mut() } else { bytes.as_ptr().cast_mut() };
    (at, bytes.len() as CK_ULONG)
}

/// Calls a function that writes an answer: first for its length, then for itself.
pub(crate) fn answer(call: impl Fn(*mut CK_BYTE, *mut CK_ULONG) -> CK_RV) -> Vec<u8> {
    let mut len = 0;
    assert_eq!(call(null_mut(), &mut len), CKR_OK);
    // A buffer of no bytes must not be NULL, or it would be asked for its length again.
    let mut out = vec![0; len as usize + 1];
    len = out.len() as CK_ULONG;
    assert_eq!(call(out.as_mut_ptr(), &mut len), CKR_OK);
    out.truncate(len as usize);
    out
}

/// The lengths of messages a mechanism is tried with, empty first where it takes empty ones.
pub(crate) fn lengths(kind: CK_MECHANISM_TYPE) -> &'static [usize] {
    match kind {
        CKM_RSA_PKCS_PSS | CKM_HASH_ML_DSA | CKM_HASH_SLH_DSA => &[32],
        CKM_ECDSA | CKM_RSA_X_509 => &[48],
        CKM_AES_ECB | CKM_AES_CBC => &[0, 16, 64],
        CKM_DES_ECB | CKM_DES_CBC | CKM_DES3_ECB | CKM_DES3_CBC => &[0, 8, 72],
        _ => &[0, 1, 16, 49],
    }
}

/// The key that the mechanism is for: the one that `init` takes.
pub(crate) fn fitting(keys: &[Both], init: impl Fn(&Both) -> CK_RV, kind: CK_MECHANISM_TYPE) -> &Both {
    keys.iter()
        .find(|key| match init(key) {
            CKR_OK => true,
            CKR_KEY_TYPE_INCONSISTENT | CKR_KEY_FUNCTION_NOT_PERMITTED => false,
            other => panic!("mechanism {kind:x} gave {other:x}"),
        })
        .unwrap_or_else(|| panic!("mechanism {kind:x} has no key"))
}
