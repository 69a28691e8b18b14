//! C functions of v3.2: signatures that are told before their message, what a session's operations were validated for, and
//! what this module does not have.

use super::args::{bytes, place};
use super::entry::entry;
use super::parameter::mechanism;
use crate::api::{session, verify_signature};
use crate::rv::fail;
use crate::version_3_2::*;
use pkcs11_sys::*;

entry! {
    fn C_VerifySignatureInit(
        session: CK_SESSION_HANDLE,
        how: *mut CK_MECHANISM,
        key: CK_OBJECT_HANDLE,
        signature: *mut CK_BYTE,
        len: CK_ULONG,
    ) |module| {
        // SAFETY: the host's pointers.
        let (how, signature) = unsafe { (mechanism(module.legacy, how, CKF_VERIFY), bytes(signature, len)) };
        verify_signature::init(module, session, how, key, signature)
    };

    fn C_VerifySignature(session: CK_SESSION_HANDLE, input: *mut CK_BYTE, len: CK_ULONG) |module| {
        // SAFETY: the host's pointer.
        verify_signature::whole(module, session, unsafe { bytes(input, len) })
    };

    fn C_VerifySignatureUpdate(session: CK_SESSION_HANDLE, part: *mut CK_BYTE, len: CK_ULONG) |module| {
        // SAFETY: the host's pointer.
        verify_signature::update(module, session, unsafe { bytes(part, len) })
    };

    fn C_VerifySignatureFinal(session: CK_SESSION_HANDLE) |module| verify_signature::last(module, session);

    fn C_GetSessionValidationFlags(
        session: CK_SESSION_HANDLE,
        kind: CK_SESSION_VALIDATION_FLAGS_TYPE,
        flags: *mut CK_FLAGS,
    ) |module| {
        // SAFETY: the host's pointer.
        *unsafe { place(flags) }? = session::validation_flags(module, session, kind)?;
        Ok(())
    };

    /// No session is asynchronous: C_OpenSession refuses CKF_ASYNC_SESSION, so there is nothing to wait for.
    fn C_AsyncComplete(
        _session: CK_SESSION_HANDLE,
        _function: *mut CK_UTF8CHAR,
        _result: *mut CK_ASYNC_DATA,
    ) |_module| fail(CKR_FUNCTION_NOT_SUPPORTED);

    /// As C_AsyncComplete.
    fn C_AsyncGetID(_session: CK_SESSION_HANDLE, _function: *mut CK_UTF8CHAR, _id: *mut CK_ULONG) |_module| {
        fail(CKR_FUNCTION_NOT_SUPPORTED)
    };

    /// As C_AsyncComplete.
    fn C_AsyncJoin(
        _session: CK_SESSION_HANDLE,
        _function: *mut CK_UTF8CHAR,
        _id: CK_ULONG,
        _data: *mut CK_BYTE,
        _len: CK_ULONG,
    ) |_module| fail(CKR_FUNCTION_NOT_SUPPORTED);

    fn C_EncapsulateKey(
        _session: CK_SESSION_HANDLE,
        _how: *mut CK_MECHANISM,
        _key: CK_OBJECT_HANDLE,
        _template: *mut CK_ATTRIBUTE,
        _count: CK_ULONG,
        _ciphertext: *mut CK_BYTE,
        _len: *mut CK_ULONG,
        _secret: *mut CK_OBJECT_HANDLE,
    ) |_module| fail(CKR_FUNCTION_NOT_SUPPORTED);

    fn C_DecapsulateKey(
        _session: CK_SESSION_HANDLE,
        _how: *mut CK_MECHANISM,
        _key: CK_OBJECT_HANDLE,
        _template: *mut CK_ATTRIBUTE,
        _count: CK_ULONG,
        _ciphertext: *mut CK_BYTE,
        _len: CK_ULONG,
        _secret: *mut CK_OBJECT_HANDLE,
    ) |_module| fail(CKR_FUNCTION_NOT_SUPPORTED);

    fn C_WrapKeyAuthenticated(
        _session: CK_SESSION_HANDLE,
        _how: *mut CK_MECHANISM,
        _wrapping_key: CK_OBJECT_HANDLE,
        _key: CK_OBJECT_HANDLE,
        _aad: *mut CK_BYTE,
        _aad_len: CK_ULONG,
        _wrapped: *mut CK_BYTE,
        _wrapped_len: *mut CK_ULONG,
    ) |_module| fail(CKR_FUNCTION_NOT_SUPPORTED);

    fn C_UnwrapKeyAuthenticated(
        _session: CK_SESSION_HANDLE,
        _how: *mut CK_MECHANISM,
        _unwrapping_key: CK_OBJECT_HANDLE,
        _wrapped: *mut CK_BYTE,
        _wrapped_len: CK_ULONG,
        _template: *mut CK_ATTRIBUTE,
        _count: CK_ULONG,
        _aad: *mut CK_BYTE,
        _aad_len: CK_ULONG,
        _key: *mut CK_OBJECT_HANDLE,
    ) |_module| fail(CKR_FUNCTION_NOT_SUPPORTED);
}
