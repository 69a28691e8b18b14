//! C functions: slots and tokens.

use super::args::{bytes, list, place};
use super::entry::entry;
use crate::api::{general, slot_event, slot_token};
use crate::rv::{Result, fail};
use pkcs11_sys::*;

/// C_InitToken's label is 32 bytes, whatever else.
const LABEL: CK_ULONG = 32;

entry! {
    fn C_GetInfo(info: *mut CK_INFO) |_module| {
        // SAFETY: the host's pointer.
        *unsafe { place(info) }? = general::info();
        Ok(())
    };

    fn C_GetSlotList(_token_present: CK_BBOOL, slots: *mut CK_SLOT_ID, count: *mut CK_ULONG) |module| {
        // SAFETY: the host's pointers.
        unsafe { list(&slot_token::list(module)?, slots, count) }
    };

    fn C_GetSlotInfo(slot: CK_SLOT_ID, info: *mut CK_SLOT_INFO) |module| {
        // SAFETY: the host's pointer.
        *unsafe { place(info) }? = slot_token::slot_info(module, slot)?;
        Ok(())
    };

    fn C_GetTokenInfo(slot: CK_SLOT_ID, info: *mut CK_TOKEN_INFO) |module| {
        // SAFETY: the host's pointer.
        *unsafe { place(info) }? = slot_token::token_info(module, slot)?;
        Ok(())
    };

    fn C_GetMechanismList(slot: CK_SLOT_ID, kinds: *mut CK_MECHANISM_TYPE, count: *mut CK_ULONG) |module| {
        // SAFETY: the host's pointers.
        unsafe { list(&slot_token::mechanisms(module, slot)?, kinds, count) }
    };

    fn C_GetMechanismInfo(slot: CK_SLOT_ID, kind: CK_MECHANISM_TYPE, info: *mut CK_MECHANISM_INFO) |module| {
        // SAFETY: the host's pointer.
        *unsafe { place(info) }? = slot_token::mechanism_info(module, slot, kind)?;
        Ok(())
    };

    fn C_InitToken(slot: CK_SLOT_ID, at: *mut CK_UTF8CHAR, len: CK_ULONG, label: *mut CK_UTF8CHAR) |module| {
        // SAFETY: the host's pointers.
        let (pin, label) = unsafe { (pin(at, len)?, bytes(label, LABEL)?) };
        slot_token::init_token(module, slot, pin, label)
    };

    fn C_InitPIN(session: CK_SESSION_HANDLE, at: *mut CK_UTF8CHAR, len: CK_ULONG) |module| {
        module.sessions.check(session)?;
        // SAFETY: the host's pointer.
        slot_token::init_pin(module, session, unsafe { pin(at, len) }?)
    };

    fn C_SetPIN(
        session: CK_SESSION_HANDLE,
        old: *mut CK_UTF8CHAR,
        old_len: CK_ULONG,
        new: *mut CK_UTF8CHAR,
        new_len: CK_ULONG,
    ) |module| {
        module.sessions.check(session)?;
        // SAFETY: the host's pointers.
        let (old, new) = unsafe { (pin(old, old_len)?, pin(new, new_len)?) };
        slot_token::set_pin(module, session, old, new)
    };

    fn C_WaitForSlotEvent(flags: CK_FLAGS, slot: *mut CK_SLOT_ID, reserved: CK_VOID_PTR) |module| {
        // SAFETY: the host's pointer.
        let slot = unsafe { place(slot) }?;
        if !reserved.is_null() {
            return fail(CKR_ARGUMENTS_BAD);
        }
        *slot = slot_event::wait(module, flags)?;
        Ok(())
    };
}

/// A PIN. NULL would mean a PIN pad (CKF_PROTECTED_AUTHENTICATION_PATH), and there is none.
pub(super) unsafe fn pin<'a>(at: *const CK_UTF8CHAR, len: CK_ULONG) -> Result<&'a [u8]> {
    if at.is_null() {
        return fail(CKR_ARGUMENTS_BAD);
    }
    // SAFETY: the host's pointer.
    unsafe { bytes(at, len) }
}
