//! Sessions and login (section 5.6).

use super::cipher::Ciphering;
use super::message_cipher::Messages;
use super::message_sign::SignedMessages;
use super::recover::{SignRecovery, VerifyRecovery};
use super::slot_token::{Slot, look};
use super::verify_signature::SignatureVerification;
use crate::module::Module;
use crate::pending::{Operation, cancel, wanting_pin};
use crate::rv::{Instead, Result, fail};
use crate::session::Session;
use crate::token::{Ended, Token};
use crate::version_3_2::*;
use canis_core::object::{Decrypting, Encrypting, Signing, Verifying};
use canis_core::secret::SecretBytes;
use canis_core::token::Role;
use canis_proto::{ErrorCode, Id};
use pkcs11_sys::*;

/// C_OpenSession.
pub(crate) fn open(module: &Module, slot: CK_SLOT_ID, flags: CK_FLAGS) -> Result<CK_SESSION_HANDLE> {
    if flags & CKF_SERIAL_SESSION == 0 {
        return fail(CKR_SESSION_PARALLEL_NOT_SUPPORTED);
    }
    if flags & CKF_ASYNC_SESSION != 0 {
        return fail(CKR_SESSION_ASYNC_NOT_SUPPORTED);
    }
    let token = match look(module, slot)? {
        Slot::Token(token) => token,
        Slot::Empty => return fail(CKR_TOKEN_NOT_RECOGNIZED),
    };
    let writable = flags & CKF_RW_SESSION != 0;
    let keeper = module.keeper()?;
    if !writable {
        // A security officer whose token was wiped does not keep R/O sessions out.
        role(module, token.id)?;
    }
    let entry = module.opened.add(keeper, &token, writable)?;
    module.sessions.open(Session::new(entry, writable)).inspect_err(|_| {
        module.opened.remove(token.id, writable);
    })
}

/// C_CloseSession. With the last session of a token its login ends, too (section 5.6.2).
pub(crate) fn close(module: &Module, handle: CK_SESSION_HANDLE) -> Result {
    let session = module.sessions.close(handle)?;
    let keeper = module.keeper()?;
    // Of one without objects nothing is told, so that every thread's keys stay ready.
    if !session.objects.is_empty() {
        keeper.end_session(session_tag(handle));
    }
    for object in &session.objects {
        module.handles.forget(*object);
    }
    let last = module.opened.remove(session.token.id, session.writable);
    if last && keeper.known_role(session.token.id).is_some() {
        end_login(module, session.token.id);
        keeper.logout(&session.token)?;
    }
    keeper.write_uses_when_due();
    Ok(())
}

/// C_CloseAllSessions.
pub(crate) fn close_all(module: &Module, slot: CK_SLOT_ID) -> Result {
    look(module, slot)?;
    for handle in module.sessions.handles(|session| session.token.slot == slot) {
        // Another thread may have closed it meanwhile.
        close(module, handle)
            .or_else(|f| if f.rv == CKR_SESSION_HANDLE_INVALID { Ok(()) } else { Err(f) })?;
    }
    Ok(())
}

/// Who is logged in to a token now. If another process wiped it, what ends with a login has ended. Where a server has
/// forgotten this host, operations and handles stay: after the next login they are as good as before.
pub(crate) fn role(module: &Module, token: Id) -> Result<Option<Role>> {
    let keeper = module.keeper()?;
    let role = keeper.role(token)?;
    match keeper.take_ended(token) {
        Some(Ended::Wiped) => end_login(module, token),
        Some(Ended::Forgotten) => module.opened.release_from_so(token),
        None => {}
    }
    Ok(role)
}

/// The number by which the core knows a session.
pub(crate) fn session_tag(handle: CK_SESSION_HANDLE) -> u64 {
    #[allow(clippy::useless_conversion)] // CK_ULONG has 32 bits on some targets.
    u64::from(handle)
}

/// C_GetSessionInfo.
pub(crate) fn info(module: &Module, handle: CK_SESSION_HANDLE) -> Result<CK_SESSION_INFO> {
    let (token, writable) = module.sessions.with(handle, |s| Ok((s.token.clone(), s.writable)))?;
    let state = match (role(module, token.id)?, writable) {
        (None, false) => CKS_RO_PUBLIC_SESSION,
        (None, true) => CKS_RW_PUBLIC_SESSION,
        (Some(Role::User), false) => CKS_RO_USER_FUNCTIONS,
        (Some(Role::User), true) => CKS_RW_USER_FUNCTIONS,
        (Some(Role::So), _) => CKS_RW_SO_FUNCTIONS,
    };
    let flags = if writable { CKF_SERIAL_SESSION | CKF_RW_SESSION } else { CKF_SERIAL_SESSION };
    Ok(CK_SESSION_INFO { slotID: token.slot, state, flags, ulDeviceError: 0 })
}

/// C_GetSessionValidationFlags (v3.2): what the last operation of a session was validated for, whatever the kind of flags that
/// is asked for. Nobody has validated CANIS, so it is nothing.
pub(crate) fn validation_flags(
    module: &Module,
    handle: CK_SESSION_HANDLE,
    _kind: CK_SESSION_VALIDATION_FLAGS_TYPE,
) -> Result<CK_FLAGS> {
    module.sessions.check(handle)?;
    Ok(0)
}

/// C_Login.
pub(crate) fn login(module: &Module, handle: CK_SESSION_HANDLE, user: CK_USER_TYPE, pin: &[u8]) -> Result {
    let token = module.sessions.token(handle)?;
    let wanted = match user {
        CKU_USER => Role::User,
        CKU_SO => Role::So,
        CKU_CONTEXT_SPECIFIC => return confirm(module, handle, &token, pin),
        _ => return fail(CKR_USER_TYPE_INVALID),
    };
    match role(module, token.id)? {
        Some(now) if now == wanted => return fail(CKR_USER_ALREADY_LOGGED_IN),
        Some(_) => return fail(CKR_USER_ANOTHER_ALREADY_LOGGED_IN),
        None => {}
    }
    if wanted == Role::So {
        module.opened.reserve_for_so(token.id)?;
    }
    let keeper = module.keeper()?;
    let pin = SecretBytes::copied_from(pin);
    let outcome = keeper
        .login(&token, wanted, &pin)
        .instead(ErrorCode::PinInvalid, CKR_PIN_INCORRECT)
        .instead(ErrorCode::OperationNotAllowed, CKR_USER_ALREADY_LOGGED_IN);
    if outcome.is_err() && wanted == Role::So {
        module.opened.release_from_so(token.id);
    }
    outcome?;
    if !module.opened.any(token.id) {
        // The last session was closed while the PIN was tried; a login does not outlive the sessions (section 5.6.2).
        end_login(module, token.id);
        keeper.logout(&token)?;
        return fail(CKR_SESSION_HANDLE_INVALID);
    }
    Ok(())
}

/// C_Login as CKU_CONTEXT_SPECIFIC: the user PIN for the operation that was begun with a CKA_ALWAYS_AUTHENTICATE key
/// (section 4.9). A PIN that gets locked so ends the login.
fn confirm(module: &Module, handle: CK_SESSION_HANDLE, token: &Token, pin: &[u8]) -> Result {
    let wanting = module.sessions.with(handle, |session| {
        let places = [
            wanting_pin::<super::sign::Signing>(session),
            wanting_pin::<Ciphering<Decrypting>>(session),
            wanting_pin::<SignRecovery>(session),
            wanting_pin::<SignedMessages<Signing>>(session),
        ];
        Ok(places.into_iter().flatten().next())
    })?;
    let Some(key) = wanting else { return fail(CKR_OPERATION_NOT_INITIALIZED) };
    let pin = SecretBytes::copied_from(pin);
    let keeper = module.keeper()?;
    let confirmed = keeper
        .confirm(token, &key, &pin)
        .instead(ErrorCode::PinInvalid, CKR_PIN_INCORRECT)
        .instead(ErrorCode::OperationNotAllowed, CKR_OPERATION_NOT_INITIALIZED);
    if confirmed.is_err() && keeper.known_role(token.id).is_none() {
        end_login(module, token.id);
    }
    confirmed
}

/// C_LoginUser (v3.0). A token has one user and one security officer, and neither has a name.
///
/// # Errors
/// CKR_ARGUMENTS_BAD for a name: there is nobody of that name, and no try of the PIN is counted.
pub(crate) fn login_user(
    module: &Module,
    handle: CK_SESSION_HANDLE,
    user: CK_USER_TYPE,
    pin: &[u8],
    name: &[u8],
) -> Result {
    if !name.is_empty() {
        return fail(CKR_ARGUMENTS_BAD);
    }
    login(module, handle, user, pin)
}

/// C_Logout.
pub(crate) fn logout(module: &Module, handle: CK_SESSION_HANDLE) -> Result {
    let token = module.sessions.token(handle)?;
    let keeper = module.keeper()?;
    if keeper.known_role(token.id).is_none() {
        return fail(CKR_USER_NOT_LOGGED_IN);
    }
    end_login(module, token.id);
    Ok(keeper.logout(&token)?)
}

/// Ends in the module what ends with a login: operations with keys, handles of private objects.
fn end_login(module: &Module, token: Id) {
    for handle in module.sessions.handles(|session| session.token.id == token) {
        // A session that another thread closed meanwhile has nothing left to end.
        let _ = module.sessions.with(handle, |session| {
            stop_key_work(session);
            Ok(())
        });
    }
    module.handles.forget_private(token);
    module.opened.release_from_so(token);
}

fn stop_key_work(session: &mut Session) {
    fn stop<O: Operation>(session: &mut Session) {
        // One that is at work in another thread may finish its call: it began while the login lasted.
        let _ = cancel::<O>(session);
    }
    session.last_key = None;
    stop::<Ciphering<Encrypting>>(session);
    stop::<Ciphering<Decrypting>>(session);
    stop::<super::sign::Signing>(session);
    stop::<super::verify::Verification>(session);
    stop::<SignatureVerification>(session);
    stop::<super::find::Search>(session);
    stop::<SignRecovery>(session);
    stop::<VerifyRecovery>(session);
    stop::<Messages<Encrypting>>(session);
    stop::<Messages<Decrypting>>(session);
    stop::<SignedMessages<Signing>>(session);
    stop::<SignedMessages<Verifying>>(session);
}

/// C_SessionCancel (v3.0): ends the operations that `flags` name.
pub(crate) fn session_cancel(module: &Module, handle: CK_SESSION_HANDLE, flags: CK_FLAGS) -> Result {
    module.sessions.with(handle, |session| {
        for (flag, stop) in [
            (CKF_FIND_OBJECTS, cancel::<super::find::Search> as fn(&mut Session) -> Result<bool>),
            (CKF_ENCRYPT, cancel::<Ciphering<Encrypting>>),
            (CKF_DECRYPT, cancel::<Ciphering<Decrypting>>),
            (CKF_DIGEST, cancel::<super::digest::Digesting>),
            (CKF_SIGN, cancel::<super::sign::Signing>),
            (CKF_VERIFY, cancel::<super::verify::Verification>),
            (CKF_VERIFY, cancel::<SignatureVerification>),
            (CKF_SIGN_RECOVER, cancel::<SignRecovery>),
            (CKF_VERIFY_RECOVER, cancel::<VerifyRecovery>),
            (CKF_MESSAGE_ENCRYPT, cancel::<Messages<Encrypting>>),
            (CKF_MESSAGE_DECRYPT, cancel::<Messages<Decrypting>>),
            (CKF_MESSAGE_SIGN, cancel::<SignedMessages<Signing>>),
            (CKF_MESSAGE_VERIFY, cancel::<SignedMessages<Verifying>>),
        ] {
            if flags & flag != 0 {
                stop(session)?;
            }
        }
        Ok(())
    })
}
