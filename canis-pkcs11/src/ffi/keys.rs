//! C functions: keys that wrap, unwrap and derive others.

use super::args::{attributes, bytes, out, place};
use super::entry::entry;
use super::parameter::{give_iv, needed_mechanism};
use crate::api::{derive, wrap};
use pkcs11_sys::*;

entry! {
    fn C_WrapKey(
        session: CK_SESSION_HANDLE,
        mechanism: *mut CK_MECHANISM,
        wrapping_key: CK_OBJECT_HANDLE,
        key: CK_OBJECT_HANDLE,
        wrapped: *mut CK_BYTE,
        wrapped_len: *mut CK_ULONG,
    ) |module| {
        module.sessions.check(session)?;
        let drawn = {
            // SAFETY: the host's pointers.
            let (how, out) = unsafe { (needed_mechanism(module.legacy, mechanism, CKF_WRAP)?, out(wrapped, wrapped_len)?) };
            wrap::wrap(module, session, &how, wrapping_key, key, out)?
        };
        match drawn {
            // SAFETY: the host's pointer; nothing that was read through it is still held.
            Some(iv) => unsafe { give_iv(mechanism, &iv) },
            None => Ok(()),
        }
    };

    fn C_UnwrapKey(
        session: CK_SESSION_HANDLE,
        mechanism: *mut CK_MECHANISM,
        unwrapping_key: CK_OBJECT_HANDLE,
        wrapped: *mut CK_BYTE,
        wrapped_len: CK_ULONG,
        template: *mut CK_ATTRIBUTE,
        count: CK_ULONG,
        key: *mut CK_OBJECT_HANDLE,
    ) |module| {
        module.sessions.check(session)?;
        // SAFETY: the host's pointers.
        let (key, how, wrapped, template) = unsafe {
            (place(key)?, needed_mechanism(module.legacy, mechanism, CKF_UNWRAP)?, bytes(wrapped, wrapped_len)?, attributes(template, count)?)
        };
        *key = wrap::unwrap(module, session, &how, unwrapping_key, wrapped, &template)?;
        Ok(())
    };

    fn C_DeriveKey(
        session: CK_SESSION_HANDLE,
        mechanism: *mut CK_MECHANISM,
        base_key: CK_OBJECT_HANDLE,
        template: *mut CK_ATTRIBUTE,
        count: CK_ULONG,
        key: *mut CK_OBJECT_HANDLE,
    ) |module| {
        module.sessions.check(session)?;
        // SAFETY: the host's pointers.
        let (key, how, template) =
            unsafe { (place(key)?, needed_mechanism(module.legacy, mechanism, CKF_DERIVE)?, attributes(template, count)?) };
        *key = derive::derive(module, session, &how, base_key, &template)?;
        Ok(())
    };
}
