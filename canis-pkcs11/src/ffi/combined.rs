//! C functions: two operations on one part, and signatures that give back what they sign.

use super::args::transfer;
use super::entry::entry;
use super::parameter::mechanism;
use crate::api::{dual, recover};
use pkcs11_sys::*;

/// A function that turns input into output.
macro_rules! transfers {
    ($($name:ident: $api:path;)+) => {
        entry! {$(
            fn $name(
                session: CK_SESSION_HANDLE,
                input: *mut CK_BYTE,
                input_len: CK_ULONG,
                output: *mut CK_BYTE,
                output_len: *mut CK_ULONG,
            ) |module| {
                // SAFETY: the host's pointers.
                $api(module, session, unsafe { transfer(input, input_len, output, output_len) })
            };
        )+}
    };
}

transfers! {
    C_DigestEncryptUpdate: dual::digest_encrypt;
    C_DecryptDigestUpdate: dual::decrypt_digest;
    C_SignEncryptUpdate: dual::sign_encrypt;
    C_DecryptVerifyUpdate: dual::decrypt_verify;
    C_SignRecover: recover::sign;
    C_VerifyRecover: recover::verify;
}

entry! {
    fn C_SignRecoverInit(session: CK_SESSION_HANDLE, how: *mut CK_MECHANISM, key: CK_OBJECT_HANDLE) |module| {
        // SAFETY: the host's pointer.
        recover::sign_init(module, session, unsafe { mechanism(module.legacy, how, CKF_SIGN) }, key)
    };

    fn C_VerifyRecoverInit(
        session: CK_SESSION_HANDLE,
        how: *mut CK_MECHANISM,
        key: CK_OBJECT_HANDLE,
    ) |module| {
        // SAFETY: the host's pointer.
        recover::verify_init(module, session, unsafe { mechanism(module.legacy, how, CKF_VERIFY) }, key)
    };
}
