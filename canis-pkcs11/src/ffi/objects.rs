//! C functions: objects and keys.

use super::args::{attributes, attributes_to_fill, place, room};
use super::entry::entry;
use super::nested;
use super::parameter::needed_mechanism;
use crate::api::attributes::Reading;
use crate::api::{find, keys, object};
use crate::nested::is_template;
use crate::rv::{Result, fail};
use pkcs11_sys::*;

entry! {
    fn C_CreateObject(
        session: CK_SESSION_HANDLE,
        template: *mut CK_ATTRIBUTE,
        count: CK_ULONG,
        handle: *mut CK_OBJECT_HANDLE,
    ) |module| {
        module.sessions.check(session)?;
        // SAFETY: the host's pointers.
        let (handle, template) = unsafe { (place(handle)?, attributes(template, count)?) };
        *handle = object::create(module, session, &template)?;
        Ok(())
    };

    fn C_CopyObject(
        session: CK_SESSION_HANDLE,
        handle: CK_OBJECT_HANDLE,
        template: *mut CK_ATTRIBUTE,
        count: CK_ULONG,
        copy: *mut CK_OBJECT_HANDLE,
    ) |module| {
        module.sessions.check(session)?;
        // SAFETY: the host's pointers.
        let (copy, template) = unsafe { (place(copy)?, attributes(template, count)?) };
        *copy = object::copy(module, session, handle, &template)?;
        Ok(())
    };

    fn C_DestroyObject(session: CK_SESSION_HANDLE, handle: CK_OBJECT_HANDLE) |module| {
        object::destroy(module, session, handle)
    };

    fn C_GetObjectSize(session: CK_SESSION_HANDLE, handle: CK_OBJECT_HANDLE, size: *mut CK_ULONG) |module| {
        let found = object::size(module, session, handle)?;
        // SAFETY: the host's pointer.
        *unsafe { place(size) }? = found;
        Ok(())
    };

    fn C_GetAttributeValue(
        session: CK_SESSION_HANDLE,
        handle: CK_OBJECT_HANDLE,
        template: *mut CK_ATTRIBUTE,
        count: CK_ULONG,
    ) |module| {
        // SAFETY: the host's pointer.
        let template = unsafe { attributes_to_fill(template, count) };
        Reading::with(module, session, handle, |reading| {
            let mut outcome = Ok(());
            for attribute in template? {
                // SAFETY: the host's pointer and length in the template.
                match unsafe { fill(reading, attribute) } {
                    Ok(()) => {}
                    // These three say something about one attribute; the others are still filled in (section 5.7.5).
                    Err(f) if matches!(
                        f.rv,
                        CKR_ATTRIBUTE_SENSITIVE | CKR_ATTRIBUTE_TYPE_INVALID | CKR_BUFFER_TOO_SMALL
                    ) => {
                        attribute.ulValueLen = CK_UNAVAILABLE_INFORMATION;
                        outcome = Err(f);
                    }
                    Err(f) => {
                        attribute.ulValueLen = CK_UNAVAILABLE_INFORMATION;
                        return Err(f);
                    }
                }
            }
            outcome
        })
    };

    fn C_SetAttributeValue(
        session: CK_SESSION_HANDLE,
        handle: CK_OBJECT_HANDLE,
        template: *mut CK_ATTRIBUTE,
        count: CK_ULONG,
    ) |module| {
        module.sessions.check(session)?;
        // SAFETY: the host's pointer.
        object::set(module, session, handle, &unsafe { attributes(template, count) }?)
    };

    fn C_FindObjectsInit(session: CK_SESSION_HANDLE, template: *mut CK_ATTRIBUTE, count: CK_ULONG) |module| {
        // SAFETY: the host's pointer.
        find::init(module, session, unsafe { attributes(template, count) })
    };

    fn C_FindObjects(
        session: CK_SESSION_HANDLE,
        handles: *mut CK_OBJECT_HANDLE,
        most: CK_ULONG,
        count: *mut CK_ULONG,
    ) |module| {
        // SAFETY: the host's pointers.
        let io = unsafe { place(count).and_then(|count| Ok((room(handles, most)?, count))) };
        find::next(module, session, io)
    };

    fn C_FindObjectsFinal(session: CK_SESSION_HANDLE) |module| find::finish(module, session);

    fn C_GenerateKey(
        session: CK_SESSION_HANDLE,
        mechanism: *mut CK_MECHANISM,
        template: *mut CK_ATTRIBUTE,
        count: CK_ULONG,
        key: *mut CK_OBJECT_HANDLE,
    ) |module| {
        module.sessions.check(session)?;
        // SAFETY: the host's pointers.
        let (key, mechanism, template) =
            unsafe { (place(key)?, needed_mechanism(module.legacy, mechanism, CKF_GENERATE)?, attributes(template, count)?) };
        *key = keys::generate(module, session, &mechanism, &template)?;
        Ok(())
    };

    fn C_GenerateKeyPair(
        session: CK_SESSION_HANDLE,
        mechanism: *mut CK_MECHANISM,
        public_template: *mut CK_ATTRIBUTE,
        public_count: CK_ULONG,
        private_template: *mut CK_ATTRIBUTE,
        private_count: CK_ULONG,
        public_key: *mut CK_OBJECT_HANDLE,
        private_key: *mut CK_OBJECT_HANDLE,
    ) |module| {
        module.sessions.check(session)?;
        if std::ptr::eq(public_key, private_key) {
            return fail(CKR_ARGUMENTS_BAD);
        }
        // SAFETY: the host's pointers, which are not the same.
        let (public_key, private_key, mechanism) =
            unsafe { (place(public_key)?, place(private_key)?, needed_mechanism(module.legacy, mechanism, CKF_GENERATE_KEY_PAIR)?) };
        // SAFETY: the host's pointers.
        let (public, private) =
            unsafe { (attributes(public_template, public_count)?, attributes(private_template, private_count)?) };
        (*public_key, *private_key) = keys::generate_pair(module, session, &mechanism, &public, &private)?;
        Ok(())
    };
}

/// Fills in one attribute of C_GetAttributeValue's template.
unsafe fn fill(reading: &Reading<'_>, attribute: &mut CK_ATTRIBUTE) -> Result {
    if attribute.pValue.is_null() && !is_template(attribute.type_) {
        attribute.ulValueLen = reading.length(attribute.type_)? as CK_ULONG;
        return Ok(());
    }
    let value = reading.value(attribute.type_)?;
    // SAFETY: the host's pointer and length.
    unsafe {
        match is_template(attribute.type_) {
            true => nested::fill(value.as_slice(), attribute),
            false => nested::fill_value(value.as_slice(), attribute),
        }
    }
}
