//! C functions: sessions and login.

use super::args::{bytes, out, place};
use super::entry::entry;
use super::slots::pin;
use crate::api::{operation_state, session};
use crate::rv::fail;
use pkcs11_sys::*;

entry! {
    fn C_OpenSession(
        slot: CK_SLOT_ID,
        flags: CK_FLAGS,
        _application: CK_VOID_PTR,
        _notify: CK_NOTIFY,
        handle: *mut CK_SESSION_HANDLE,
    ) |module| {
        // SAFETY: the host's pointer.
        let handle = unsafe { place(handle) }?;
        *handle = session::open(module, slot, flags)?;
        Ok(())
    };

    fn C_CloseSession(handle: CK_SESSION_HANDLE) |module| session::close(module, handle);

    fn C_CloseAllSessions(slot: CK_SLOT_ID) |module| session::close_all(module, slot);

    fn C_GetSessionInfo(handle: CK_SESSION_HANDLE, info: *mut CK_SESSION_INFO) |module| {
        let found = session::info(module, handle)?;
        // SAFETY: the host's pointer.
        *unsafe { place(info) }? = found;
        Ok(())
    };

    fn C_Login(handle: CK_SESSION_HANDLE, user: CK_USER_TYPE, at: *mut CK_UTF8CHAR, len: CK_ULONG) |module| {
        module.sessions.check(handle)?;
        // SAFETY: the host's pointer.
        session::login(module, handle, user, unsafe { pin(at, len) }?)
    };

    fn C_LoginUser(
        handle: CK_SESSION_HANDLE,
        user: CK_USER_TYPE,
        at: *mut CK_UTF8CHAR,
        len: CK_ULONG,
        name: *mut CK_UTF8CHAR,
        name_len: CK_ULONG,
    ) |module| {
        module.sessions.check(handle)?;
        // SAFETY: the host's pointers.
        let (pin, name) = unsafe { (pin(at, len)?, bytes(name, name_len)?) };
        session::login_user(module, handle, user, pin, name)
    };

    fn C_Logout(handle: CK_SESSION_HANDLE) |module| session::logout(module, handle);

    fn C_GetOperationState(handle: CK_SESSION_HANDLE, state: *mut CK_BYTE, len: *mut CK_ULONG) |module| {
        // SAFETY: the host's pointers.
        operation_state::save(module, handle, unsafe { out(state, len) })
    };

    fn C_SetOperationState(
        handle: CK_SESSION_HANDLE,
        state: *mut CK_BYTE,
        len: CK_ULONG,
        encryption: CK_OBJECT_HANDLE,
        authentication: CK_OBJECT_HANDLE,
    ) |module| {
        // SAFETY: the host's pointer.
        let state = unsafe { bytes(state, len) };
        operation_state::restore(module, handle, state, [encryption, authentication])
    };

    fn C_SessionCancel(handle: CK_SESSION_HANDLE, flags: CK_FLAGS) |module| {
        session::session_cancel(module, handle, flags)
    };

    /// Functions never run in parallel with the application (section 5.21).
    fn C_GetFunctionStatus(handle: CK_SESSION_HANDLE) |module| {
        module.sessions.check(handle)?;
        fail(CKR_FUNCTION_NOT_PARALLEL)
    };

    /// As C_GetFunctionStatus.
    fn C_CancelFunction(handle: CK_SESSION_HANDLE) |module| {
        module.sessions.check(handle)?;
        fail(CKR_FUNCTION_NOT_PARALLEL)
    };
}
