//! C functions: encryption, decryption, digests, signatures, random numbers.
//!
//! Pointers are read before the operation is looked up, and a bad one is reported after: whether the operation ends
//! with it is decided where all the other endings are (`pending`).

use super::args::{bytes, out, room, transfer};
use super::entry::entry;
use super::parameter::mechanism;
use crate::api::{cipher, digest, random, sign, verify};
use canis_core::object::{Decrypting, Encrypting};
use pkcs11_sys::*;

/// The functions of one kind that turns input into output: Init, the one-piece call, Update with output, Final.
macro_rules! cipher {
    ($way:ident: $init:ident, $whole:ident, $update:ident, $last:ident) => {
        entry! {
            fn $init(session: CK_SESSION_HANDLE, how: *mut CK_MECHANISM, key: CK_OBJECT_HANDLE) |module| {
                // SAFETY: the host's pointer.
                cipher::init::<$way>(module, session, unsafe { mechanism(module.legacy, how, CKF_ENCRYPT | CKF_DECRYPT) }, key)
            };

            fn $whole(
                session: CK_SESSION_HANDLE,
                input: *mut CK_BYTE,
                input_len: CK_ULONG,
                output: *mut CK_BYTE,
                output_len: *mut CK_ULONG,
            ) |module| {
                // SAFETY: the host's pointers.
                cipher::whole::<$way>(module, session, unsafe { transfer(input, input_len, output, output_len) })
            };

            fn $update(
                session: CK_SESSION_HANDLE,
                input: *mut CK_BYTE,
                input_len: CK_ULONG,
                output: *mut CK_BYTE,
                output_len: *mut CK_ULONG,
            ) |module| {
                // SAFETY: the host's pointers.
                cipher::update::<$way>(module, session, unsafe { transfer(input, input_len, output, output_len) })
            };

            fn $last(session: CK_SESSION_HANDLE, output: *mut CK_BYTE, output_len: *mut CK_ULONG) |module| {
                // SAFETY: the host's pointers.
                cipher::last::<$way>(module, session, unsafe { out(output, output_len) })
            };
        }
    };
}

cipher!(Encrypting: C_EncryptInit, C_Encrypt, C_EncryptUpdate, C_EncryptFinal);
cipher!(Decrypting: C_DecryptInit, C_Decrypt, C_DecryptUpdate, C_DecryptFinal);

entry! {
    fn C_DigestInit(session: CK_SESSION_HANDLE, how: *mut CK_MECHANISM) |module| {
        // SAFETY: the host's pointer.
        digest::init(module, session, unsafe { mechanism(module.legacy, how, CKF_DIGEST) })
    };

    fn C_Digest(
        session: CK_SESSION_HANDLE,
        input: *mut CK_BYTE,
        input_len: CK_ULONG,
        output: *mut CK_BYTE,
        output_len: *mut CK_ULONG,
    ) |module| {
        // SAFETY: the host's pointers.
        digest::whole(module, session, unsafe { transfer(input, input_len, output, output_len) })
    };

    fn C_DigestUpdate(session: CK_SESSION_HANDLE, part: *mut CK_BYTE, len: CK_ULONG) |module| {
        // SAFETY: the host's pointer.
        digest::update(module, session, unsafe { bytes(part, len) })
    };

    fn C_DigestKey(session: CK_SESSION_HANDLE, key: CK_OBJECT_HANDLE) |module| digest::key(module, session, key);

    fn C_DigestFinal(session: CK_SESSION_HANDLE, output: *mut CK_BYTE, output_len: *mut CK_ULONG) |module| {
        // SAFETY: the host's pointers.
        digest::last(module, session, unsafe { out(output, output_len) })
    };

    fn C_SignInit(session: CK_SESSION_HANDLE, how: *mut CK_MECHANISM, key: CK_OBJECT_HANDLE) |module| {
        // SAFETY: the host's pointer.
        sign::init(module, session, unsafe { mechanism(module.legacy, how, CKF_SIGN) }, key)
    };

    fn C_Sign(
        session: CK_SESSION_HANDLE,
        input: *mut CK_BYTE,
        input_len: CK_ULONG,
        output: *mut CK_BYTE,
        output_len: *mut CK_ULONG,
    ) |module| {
        // SAFETY: the host's pointers.
        sign::whole(module, session, unsafe { transfer(input, input_len, output, output_len) })
    };

    fn C_SignUpdate(session: CK_SESSION_HANDLE, part: *mut CK_BYTE, len: CK_ULONG) |module| {
        // SAFETY: the host's pointer.
        sign::update(module, session, unsafe { bytes(part, len) })
    };

    fn C_SignFinal(session: CK_SESSION_HANDLE, output: *mut CK_BYTE, output_len: *mut CK_ULONG) |module| {
        // SAFETY: the host's pointers.
        sign::last(module, session, unsafe { out(output, output_len) })
    };

    fn C_VerifyInit(session: CK_SESSION_HANDLE, how: *mut CK_MECHANISM, key: CK_OBJECT_HANDLE) |module| {
        // SAFETY: the host's pointer.
        verify::init(module, session, unsafe { mechanism(module.legacy, how, CKF_VERIFY) }, key)
    };

    fn C_Verify(
        session: CK_SESSION_HANDLE,
        input: *mut CK_BYTE,
        input_len: CK_ULONG,
        signature: *mut CK_BYTE,
        signature_len: CK_ULONG,
    ) |module| {
        // SAFETY: the host's pointers.
        let (input, signature) = unsafe { (bytes(input, input_len), bytes(signature, signature_len)) };
        verify::whole(module, session, input, signature)
    };

    fn C_VerifyUpdate(session: CK_SESSION_HANDLE, part: *mut CK_BYTE, len: CK_ULONG) |module| {
        // SAFETY: the host's pointer.
        verify::update(module, session, unsafe { bytes(part, len) })
    };

    fn C_VerifyFinal(session: CK_SESSION_HANDLE, signature: *mut CK_BYTE, len: CK_ULONG) |module| {
        // SAFETY: the host's pointer.
        verify::last(module, session, unsafe { bytes(signature, len) })
    };

    fn C_SeedRandom(session: CK_SESSION_HANDLE, seed: *mut CK_BYTE, len: CK_ULONG) |module| {
        // SAFETY: the host's pointer.
        random::seed(module, session, unsafe { bytes(seed, len) })
    };

    fn C_GenerateRandom(session: CK_SESSION_HANDLE, output: *mut CK_BYTE, len: CK_ULONG) |module| {
        // SAFETY: the host's pointer.
        random::generate(module, session, unsafe { room(output, len) })
    };
}
