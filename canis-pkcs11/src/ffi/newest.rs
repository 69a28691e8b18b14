//! C functions of v3.2: signatures that are told before their message, shared secrets, keys wrapped with associated data, what a
//! session's operations were validated for, and what this module does not have.

use super::args::{apart, attributes, bytes, out, place};
use super::entry::entry;
use super::messages::{authenticated, read_parameter, with_parameter};
use super::parameter::{mechanism, needed_mechanism};
use crate::api::{encapsulate, session, verify_signature, wrap_authenticated};
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
        session: CK_SESSION_HANDLE,
        how: *mut CK_MECHANISM,
        key: CK_OBJECT_HANDLE,
        template: *mut CK_ATTRIBUTE,
        count: CK_ULONG,
        ciphertext: *mut CK_BYTE,
        len: *mut CK_ULONG,
        secret: *mut CK_OBJECT_HANDLE,
    ) |module| {
        module.sessions.check(session)?;
        if std::ptr::eq(len, secret) {
            return fail(CKR_ARGUMENTS_BAD);
        }
        // SAFETY: the host's pointers, of which the two that are written through as numbers are not the same.
        let (how, template, out) = unsafe {
            (needed_mechanism(module.legacy, how, CKF_ENCAPSULATE)?, attributes(template, count)?, out(ciphertext, len)?)
        };
        // Who asks for a length gets no handle, and needs no place for one.
        // SAFETY: the host's pointer.
        let secret = if out.is_query() { None } else { Some(unsafe { place(secret) }?) };
        let made = encapsulate::encapsulate(module, session, &how, key, &template, out)?;
        if let (Some(place), Some(made)) = (secret, made) {
            *place = made;
        }
        Ok(())
    };

    fn C_DecapsulateKey(
        session: CK_SESSION_HANDLE,
        how: *mut CK_MECHANISM,
        key: CK_OBJECT_HANDLE,
        template: *mut CK_ATTRIBUTE,
        count: CK_ULONG,
        ciphertext: *mut CK_BYTE,
        len: CK_ULONG,
        secret: *mut CK_OBJECT_HANDLE,
    ) |module| {
        module.sessions.check(session)?;
        // SAFETY: the host's pointers.
        let (secret, how, template, ciphertext) = unsafe {
            (place(secret)?, needed_mechanism(module.legacy, how, CKF_DECAPSULATE)?, attributes(template, count)?, bytes(ciphertext, len)?)
        };
        *secret = encapsulate::decapsulate(module, session, &how, key, &template, ciphertext)?;
        Ok(())
    };

    fn C_WrapKeyAuthenticated(
        session: CK_SESSION_HANDLE,
        how: *mut CK_MECHANISM,
        wrapping_key: CK_OBJECT_HANDLE,
        key: CK_OBJECT_HANDLE,
        aad: *mut CK_BYTE,
        aad_len: CK_ULONG,
        wrapped: *mut CK_BYTE,
        wrapped_len: *mut CK_ULONG,
    ) |module| {
        module.sessions.check(session)?;
        // SAFETY: the host's pointers.
        unsafe {
            let (row, at, len) = authenticated(module.legacy, how, CKF_WRAP)?;
            let (aad, out) = (apart(aad, aad_len, wrapped, wrapped_len)?, out(wrapped, wrapped_len)?);
            with_parameter(at, len, true, |parameter| {
                wrap_authenticated::wrap(module, session, (row, parameter?), (wrapping_key, key), &aad, out)
            })
        }
    };

    fn C_UnwrapKeyAuthenticated(
        session: CK_SESSION_HANDLE,
        how: *mut CK_MECHANISM,
        unwrapping_key: CK_OBJECT_HANDLE,
        wrapped: *mut CK_BYTE,
        wrapped_len: CK_ULONG,
        template: *mut CK_ATTRIBUTE,
        count: CK_ULONG,
        aad: *mut CK_BYTE,
        aad_len: CK_ULONG,
        key: *mut CK_OBJECT_HANDLE,
    ) |module| {
        module.sessions.check(session)?;
        // SAFETY: the host's pointers.
        unsafe {
            let (row, at, len) = authenticated(module.legacy, how, CKF_UNWRAP)?;
            let (key, wrapped, aad) = (place(key)?, bytes(wrapped, wrapped_len)?, bytes(aad, aad_len)?);
            let (template, parameter) = (attributes(template, count)?, read_parameter(at, len)?);
            let wrapped = (unwrapping_key, wrapped);
            *key = wrap_authenticated::unwrap(module, session, (row, &parameter), wrapped, aad, &template)?;
        }
        Ok(())
    };
}
