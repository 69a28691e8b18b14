//! Slots and tokens (section 5.5): one slot for every token of the store, and an empty one for the next.

use super::general::{MANUFACTURER, MODULE, padded};
use super::session::role;
use crate::mechanism;
use crate::module::Module;
use crate::rv::{Instead, Result, fail};
use crate::token::Keeper;
use canis_core::secret::SecretBytes;
use canis_core::token::{InitToken, InitUserPin, MAX_PIN, MIN_PIN, PinState, Role, TokenInfo};
use canis_proto::ErrorCode;
use pkcs11_sys::*;
use std::sync::Arc;

const NO_VERSION: CK_VERSION = CK_VERSION { major: 0, minor: 0 };

/// What is in a slot.
pub(crate) enum Slot {
    /// A token.
    Token(TokenInfo),
    /// Room for C_InitToken.
    Empty,
}

/// C_GetSlotList. All slots hold a token, be it an uninitialised one, so `tokenPresent` makes no difference. Without a
/// store (a server holds it, or there is no home directory) there are no slots.
pub(crate) fn list(module: &Module) -> Result<Vec<CK_SLOT_ID>> {
    if module.keeper.is_none() {
        return Ok(Vec::new());
    }
    // A server that cannot be reached is no reason that the standard knows for this function.
    let tokens = tokens(module).instead(ErrorCode::Unavailable, CKR_FUNCTION_FAILED)?;
    let empty = empty_slot(module, &tokens);
    module.slot_events.begin(&tokens, empty);
    Ok(tokens.iter().map(|token| CK_SLOT_ID::from(token.slot)).chain(empty).collect())
}

/// What is in the slot.
///
/// # Errors
/// CKR_SLOT_ID_INVALID.
pub(crate) fn look(module: &Module, slot: CK_SLOT_ID) -> Result<Slot> {
    if module.keeper.is_none() {
        return fail(CKR_SLOT_ID_INVALID);
    }
    let tokens = tokens(module)?;
    if let Some(token) = tokens.iter().find(|token| CK_SLOT_ID::from(token.slot) == slot) {
        return Ok(Slot::Token(token.clone()));
    }
    if Some(slot) == empty_slot(module, &tokens) { Ok(Slot::Empty) } else { fail(CKR_SLOT_ID_INVALID) }
}

/// The tokens that are shown.
pub(crate) fn tokens(module: &Module) -> Result<Arc<Vec<TokenInfo>>> {
    let tokens = module.keeper()?.tokens()?;
    let Some(tenant) = &module.tenant else { return Ok(tokens) };
    let is_shown = |token: &&TokenInfo| token.label == *tenant || serial(token) == *tenant;
    Ok(Arc::new(tokens.iter().filter(is_shown).cloned().collect()))
}

/// The serial number: the first half of the id.
fn serial(token: &TokenInfo) -> String {
    token.id.to_string().chars().filter(|c| *c != '-').take(16).collect()
}

/// The slot after the last token's: the empty one, where the host may make a token.
pub(crate) fn empty_slot(module: &Module, tokens: &[TokenInfo]) -> Option<CK_SLOT_ID> {
    let after = || tokens.iter().map(|token| CK_SLOT_ID::from(token.slot) + 1).max().unwrap_or(0);
    let has_room = module.tenant.is_none() && module.keeper.as_ref().is_some_and(Keeper::has_room);
    has_room.then(after)
}

/// C_GetSlotInfo.
pub(crate) fn slot_info(module: &Module, slot: CK_SLOT_ID) -> Result<CK_SLOT_INFO> {
    let description = match look(module, slot)? {
        Slot::Token(token) => format!("CANIS slot {slot}: {}", token.label),
        Slot::Empty => format!("CANIS slot {slot}"),
    };
    Ok(CK_SLOT_INFO {
        slotDescription: padded(&description),
        manufacturerID: padded(MANUFACTURER),
        flags: CKF_TOKEN_PRESENT,
        hardwareVersion: NO_VERSION,
        firmwareVersion: MODULE,
    })
}

/// C_GetTokenInfo.
pub(crate) fn token_info(module: &Module, slot: CK_SLOT_ID) -> Result<CK_TOKEN_INFO> {
    let token = match look(module, slot)? {
        Slot::Token(token) => Some(token),
        Slot::Empty => None,
    };
    let (read_only, read_write) = token.as_ref().map_or((0, 0), |token| module.opened.counts(token.id));
    Ok(CK_TOKEN_INFO {
        label: padded(token.as_ref().map_or("", |token| &token.label)),
        manufacturerID: padded(MANUFACTURER),
        model: padded("CANIS"),
        serialNumber: padded(&token.as_ref().map(serial).unwrap_or_default()),
        flags: token_flags(token.as_ref()),
        ulMaxSessionCount: CK_EFFECTIVELY_INFINITE,
        ulSessionCount: read_only + read_write,
        ulMaxRwSessionCount: CK_EFFECTIVELY_INFINITE,
        ulRwSessionCount: read_write,
        ulMaxPinLen: MAX_PIN as CK_ULONG,
        ulMinPinLen: MIN_PIN as CK_ULONG,
        ulTotalPublicMemory: CK_UNAVAILABLE_INFORMATION,
        ulFreePublicMemory: CK_UNAVAILABLE_INFORMATION,
        ulTotalPrivateMemory: CK_UNAVAILABLE_INFORMATION,
        ulFreePrivateMemory: CK_UNAVAILABLE_INFORMATION,
        hardwareVersion: NO_VERSION,
        firmwareVersion: MODULE,
        utcTime: [b' '; 16],
    })
}

fn token_flags(token: Option<&TokenInfo>) -> CK_FLAGS {
    let Some(token) = token else { return CKF_RNG | CKF_LOGIN_REQUIRED };
    let user = match token.user_pin.set {
        true => {
            let names = [CKF_USER_PIN_COUNT_LOW, CKF_USER_PIN_FINAL_TRY, CKF_USER_PIN_LOCKED];
            CKF_USER_PIN_INITIALIZED | tries(token.user_pin, names)
        }
        false => 0,
    };
    let so = tries(token.so_pin, [CKF_SO_PIN_COUNT_LOW, CKF_SO_PIN_FINAL_TRY, CKF_SO_PIN_LOCKED]);
    CKF_RNG | CKF_LOGIN_REQUIRED | CKF_TOKEN_INITIALIZED | user | so
}

/// The flags that say how many tries a PIN has left: fewer than at first, one, none (section 3.2).
fn tries(pin: PinState, [low, last, locked]: [CK_FLAGS; 3]) -> CK_FLAGS {
    match pin.tries_left {
        0 => locked,
        1 => low | last,
        left if left < pin.max_tries => low,
        _ => 0,
    }
}

/// C_GetMechanismList.
pub(crate) fn mechanisms(module: &Module, slot: CK_SLOT_ID) -> Result<Vec<CK_MECHANISM_TYPE>> {
    look(module, slot)?;
    let listed = mechanism::TABLE.iter().filter(|row| row.flags(module.legacy) != 0);
    Ok(listed.map(|row| row.kind).collect())
}

/// C_GetMechanismInfo.
pub(crate) fn mechanism_info(
    module: &Module,
    slot: CK_SLOT_ID,
    kind: CK_MECHANISM_TYPE,
) -> Result<CK_MECHANISM_INFO> {
    look(module, slot)?;
    let row = mechanism::row(kind)?;
    match row.flags(module.legacy) {
        0 => fail(CKR_MECHANISM_INVALID),
        flags => Ok(CK_MECHANISM_INFO { ulMinKeySize: row.sizes.0, ulMaxKeySize: row.sizes.1, flags }),
    }
}

/// C_InitToken; `label` is the host's 32 bytes.
pub(crate) fn init_token(module: &Module, slot: CK_SLOT_ID, pin: &[u8], label: &[u8]) -> Result {
    let token = match look(module, slot)? {
        Slot::Token(token) => Some(token.id),
        Slot::Empty => None,
    };
    if token.is_some_and(|id| module.opened.any(id)) {
        return fail(CKR_SESSION_EXISTS);
    }
    let label = std::str::from_utf8(label).map_err(|_| CKR_ARGUMENTS_BAD)?.trim_end_matches(' ');
    // A PIN that cannot be the right one for an existing token is a wrong PIN; a new one must keep the limits.
    let so_pin = if token.is_some() { SecretBytes::copied_from(pin) } else { new_pin(pin)? };
    let slot = u32::try_from(slot).map_err(|_| CKR_SLOT_ID_INVALID)?;
    module
        .keeper()?
        .init_token(InitToken { slot, label, so_pin: so_pin.into() })
        .instead(ErrorCode::PinInvalid, if token.is_some() { CKR_PIN_INCORRECT } else { CKR_PIN_INVALID })
        .instead(ErrorCode::OperationNotAllowed, CKR_ACTION_PROHIBITED)?;
    if let Some(id) = token {
        module.handles.forget_token(id);
    }
    Ok(())
}

/// C_InitPIN: the security officer gives the user a PIN.
pub(crate) fn init_pin(module: &Module, session: CK_SESSION_HANDLE, pin: &[u8]) -> Result {
    let (token, writable) = module.sessions.with(session, |s| Ok((s.token.clone(), s.writable)))?;
    if !writable {
        return fail(CKR_SESSION_READ_ONLY);
    }
    let keeper = module.keeper()?;
    if role(module, token.id)? != Some(Role::So) {
        return fail(CKR_USER_NOT_LOGGED_IN);
    }
    Ok(keeper.call(&token, InitUserPin { pin: new_pin(pin)?.into() })?)
}

/// C_SetPIN: changes the PIN of who is logged in, the user's if nobody is (section 5.5.8).
pub(crate) fn set_pin(module: &Module, session: CK_SESSION_HANDLE, old: &[u8], new: &[u8]) -> Result {
    let (token, writable) = module.sessions.with(session, |s| Ok((s.token.clone(), s.writable)))?;
    if !writable {
        return fail(CKR_SESSION_READ_ONLY);
    }
    let new = new_pin(new)?;
    let keeper = module.keeper()?;
    let role = role(module, token.id)?.unwrap_or(Role::User);
    let old = SecretBytes::copied_from(old);
    Ok(keeper.change_pin(&token, role, &old, &new)?)
}

/// A PIN that is to be set.
///
/// # Errors
/// CKR_PIN_LEN_RANGE, and CKR_PIN_INVALID for what is not UTF-8.
fn new_pin(pin: &[u8]) -> Result<SecretBytes> {
    if !(MIN_PIN..=MAX_PIN).contains(&pin.len()) {
        return fail(CKR_PIN_LEN_RANGE);
    }
    std::str::from_utf8(pin).map_err(|_| CKR_PIN_INVALID)?;
    Ok(SecretBytes::copied_from(pin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pin_flags_count_down() {
        let flags = |tries_left| tries(PinState { set: true, tries_left, max_tries: 10 }, [1, 2, 4]);
        assert_eq!([10, 9, 2, 1, 0].map(flags), [0, 1, 1, 3, 4]);
    }

    #[test]
    fn new_pins_keep_the_limits() {
        assert_eq!(new_pin(b"123").map(|_| ()).unwrap_err().rv, CKR_PIN_LEN_RANGE);
        assert_eq!(new_pin(&[b'1'; 256]).map(|_| ()).unwrap_err().rv, CKR_PIN_LEN_RANGE);
        assert_eq!(new_pin(&[0xff; 8]).map(|_| ()).unwrap_err().rv, CKR_PIN_INVALID);
        assert!(new_pin("äöüß".as_bytes()).is_ok());
    }
}
