//! Tokens: what PKCS#11 shows of tenants, and the operations on their PINs.

use crate::secret::SecretBytes;
use canis_proto::{Id, Operation, OperationId};
use std::ops::Deref;
use std::sync::Arc;

/// The shortest PIN, in bytes.
pub const MIN_PIN: usize = 4;
/// The longest PIN, in bytes.
pub const MAX_PIN: usize = 255;
/// Wrong PINs in a row before it locks.
pub const MAX_TRIES: u32 = 10;

/// A PIN, the asker's own or lent.
pub enum Pin<'a> {
    /// It goes with the request.
    Held(SecretBytes),
    /// The asker keeps it.
    Lent(&'a SecretBytes),
}

impl Deref for Pin<'_> {
    type Target = SecretBytes;

    fn deref(&self) -> &SecretBytes {
        match self {
            Pin::Held(pin) => pin,
            Pin::Lent(pin) => pin,
        }
    }
}

impl From<SecretBytes> for Pin<'_> {
    fn from(pin: SecretBytes) -> Self {
        Pin::Held(pin)
    }
}

impl<'a> From<&'a SecretBytes> for Pin<'a> {
    fn from(pin: &'a SecretBytes) -> Self {
        Pin::Lent(pin)
    }
}

/// Who logs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Role {
    /// CKU_USER: uses keys.
    User = 1,
    /// CKU_SO, the security officer: sets the user PIN, uses no keys.
    So = 2,
}

/// A PIN as seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PinState {
    /// Whether one was set.
    pub set: bool,
    /// How many wrong tries are left; 0 is locked.
    pub tries_left: u32,
    /// How many there are after a right one.
    pub max_tries: u32,
}

/// A token as seen from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenInfo {
    /// Its id.
    pub id: Id,
    /// Its slot; never changes.
    pub slot: u32,
    /// Grows each time the token is initialised anew.
    pub revision: u64,
    /// Its label.
    pub label: String,
    /// The user's PIN.
    pub user_pin: PinState,
    /// The security officer's PIN.
    pub so_pin: PinState,
}

/// The tokens of the store, by slot.
pub struct ListTokens;

impl Operation for ListTokens {
    const ID: OperationId = OperationId::ListTokens;
    type Answer = Arc<Vec<TokenInfo>>;
}

/// Makes a token in a free slot, or wipes the one that is there (C_InitToken).
pub struct InitToken<'a> {
    /// The slot.
    pub slot: u32,
    /// The label, UTF-8, at most 32 bytes.
    pub label: &'a str,
    /// The new security officer's PIN; for an existing token it must be the one that is set.
    pub so_pin: Pin<'a>,
}

impl Operation for InitToken<'_> {
    const ID: OperationId = OperationId::InitToken;
    type Answer = Id;
}

/// Removes a token with its keys, objects and PINs; its slot is free again.
pub struct DeleteToken<'a> {
    /// The security officer's PIN. Without it the store's owner asks.
    pub so_pin: Option<Pin<'a>>,
    /// Whether only to say what would go.
    pub dry_run: bool,
}

impl Operation for DeleteToken<'_> {
    const ID: OperationId = OperationId::DeleteToken;
    type Answer = Deleted;
}

/// What goes with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deleted {
    /// How many keys; those that were destroyed before are not counted.
    pub keys: usize,
    /// How many objects: what shows these keys, certificates, data.
    pub objects: usize,
}

/// Sets the user PIN; the security officer must be logged in (C_InitPIN), or the store's owner asks.
pub struct InitUserPin<'a> {
    /// The new PIN.
    pub pin: Pin<'a>,
}

impl Operation for InitUserPin<'_> {
    const ID: OperationId = OperationId::InitUserPin;
    type Answer = ();
}

/// Changes one's own PIN (C_SetPIN).
pub struct ChangePin<'a> {
    /// Whose.
    pub role: Role,
    /// The PIN that is set.
    pub old: Pin<'a>,
    /// The new one.
    pub new: Pin<'a>,
}

impl Operation for ChangePin<'_> {
    const ID: OperationId = OperationId::ChangePin;
    type Answer = ();
}

/// Logs in with a PIN (C_Login).
pub struct Login<'a> {
    /// As whom.
    pub role: Role,
    /// The PIN.
    pub pin: Pin<'a>,
}

impl Operation for Login<'_> {
    const ID: OperationId = OperationId::Login;
    type Answer = ();
}

/// Asks who is logged in.
pub struct ShowLogin;

impl Operation for ShowLogin {
    const ID: OperationId = OperationId::ShowLogin;
    type Answer = LoginState;
}

/// Who is logged in to a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginState {
    /// Who; `None` if nobody is.
    pub role: Option<Role>,
    /// Whether the login ended since this was asked last because the token was wiped elsewhere.
    pub wiped: bool,
}

/// Ends the application: its logins, session objects and opened keys are gone (C_Finalize).
pub struct EndApplication;

impl Operation for EndApplication {
    const ID: OperationId = OperationId::EndApplication;
    type Answer = ();
}

/// Logs out (C_Logout); private session objects are gone.
pub struct Logout;

impl Operation for Logout {
    const ID: OperationId = OperationId::Logout;
    type Answer = ();
}
