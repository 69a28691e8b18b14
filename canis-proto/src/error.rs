//! What can go wrong, in one table: a stable name, a CANISP status number, and whose fault it is.
//!
//! The name and the number never change their meaning once released. The text beside them may: it is for people,
//! names the thing that failed and the remedy, and holds no secret.

use std::fmt;

/// Whose fault an error is; the first thing an operator wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The request cannot be right as it stands.
    Caller,
    /// The caller may not do this.
    Policy,
    /// The key's state, version or usage forbids it now.
    State,
    /// The store is sealed or the tenant locked.
    Sealed,
    /// `canis.dat` or what holds it.
    Store,
    /// The root of trust: HSM, passphrase, key file.
    Root,
    /// A defect of CANIS.
    Bug,
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $number:literal, $name:literal, $blame:ident;)+) => {
        /// The stable error codes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum ErrorCode { $($(#[doc = $doc])+ $variant = $number,)+ }

        impl ErrorCode {
            /// Every code, in the order of their numbers.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$variant,)+];

            /// The stable name, as JSON and the command line show it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(ErrorCode::$variant => $name,)+ }
            }

            /// Whose fault it is.
            #[must_use]
            pub const fn blame(self) -> Blame {
                match self { $(ErrorCode::$variant => Blame::$blame,)+ }
            }

            /// The code with this CANISP status number.
            #[must_use]
            pub const fn from_number(number: u16) -> Option<ErrorCode> {
                match number { $($number => Some(ErrorCode::$variant),)+ _ => None }
            }
        }
    };
}

codes! {
    /// A field is missing, of the wrong type or out of range.
    InvalidArgument = 1, "invalid_argument", Caller;
    /// A key name breaks the rules of names.
    InvalidName = 2, "invalid_name", Caller;
    /// The key type is unknown.
    InvalidKeyType = 3, "invalid_key_type", Caller;
    /// The operation is unknown at this door.
    UnknownOperation = 4, "unknown_operation", Caller;
    /// The bytes are not what the protocol allows.
    ProtocolError = 5, "protocol_error", Caller;
    /// A payload is larger than the announced limit.
    TooLarge = 6, "too_large", Caller;
    /// A key of this type cannot do this.
    OperationNotSupported = 7, "operation_not_supported", Caller;
    /// A ciphertext or signature is of a format this version does not know.
    UnsupportedFormat = 8, "unsupported_format", Caller;
    /// There is no key of this name.
    KeyNotFound = 9, "key_not_found", Caller;
    /// The name is taken.
    KeyExists = 10, "key_exists", Caller;
    /// The key has no such version.
    VersionNotFound = 11, "version_not_found", Caller;
    /// The ciphertext, context or key does not fit; nothing was decrypted.
    DecryptionFailed = 12, "decryption_failed", Caller;
    /// There is no such object.
    ObjectNotFound = 13, "object_not_found", Caller;
    /// There is no such tenant (token).
    TenantNotFound = 14, "tenant_not_found", Caller;
    /// The tenant's name is taken.
    TenantExists = 15, "tenant_exists", Caller;
    /// There is no entry of this identifier.
    EntryNotFound = 16, "entry_not_found", Caller;
    /// The client took the request back; it has not happened.
    Cancelled = 17, "cancelled", Caller;
    /// The request's deadline came before it was begun, or its stream stood still; it has not happened. From a client
    /// that stopped waiting: its text says whether it may have.
    DeadlineExceeded = 18, "deadline_exceeded", Caller;
    /// The idempotency key was used for another request.
    IdempotencyConflict = 19, "idempotency_conflict", Caller;
    /// The credential is missing, unknown, expired or wrong.
    Unauthenticated = 20, "unauthenticated", Policy;
    /// The caller lacks the capability.
    PermissionDenied = 21, "permission_denied", Policy;
    /// The PIN is wrong.
    PinIncorrect = 22, "pin_incorrect", Policy;
    /// Too many wrong PINs.
    PinLocked = 23, "pin_locked", Policy;
    /// A wrong PIN was given a moment ago; the text says when the next try is allowed.
    PinDelayed = 24, "pin_delayed", Policy;
    /// The PIN is too short, too long or not UTF-8.
    PinInvalid = 25, "pin_invalid", Caller;
    /// No user PIN has been set yet.
    PinNotInitialized = 26, "pin_not_initialized", State;
    /// The object may be seen and used only after login.
    LoginRequired = 27, "login_required", Policy;
    /// The key is limited to other mechanisms.
    MechanismNotAllowed = 28, "mechanism_not_allowed", Policy;
    /// The caller holds as much as one may hold here; the text says of what.
    LimitReached = 29, "limit_reached", Policy;
    /// The key's usage or state forbids this operation.
    OperationNotAllowed = 30, "operation_not_allowed", State;
    /// A limit set on the key forbids this version.
    VersionNotAllowed = 31, "version_not_allowed", State;
    /// The attribute cannot be changed (again) or read.
    AttributeReadOnly = 32, "attribute_read_only", State;
    /// Someone else changed the row first; read it again and retry.
    Conflict = 33, "conflict", State;
    /// The version's material was destroyed: a rotation kept no more versions, or somebody destroyed it.
    VersionRetired = 34, "version_retired", State;
    /// The key of this name was destroyed.
    KeyDestroyed = 35, "key_destroyed", State;
    /// The key may not leave, not even wrapped.
    KeyNotExportable = 36, "key_not_exportable", State;
    /// The key may leave, but not wrapped by this key or in this way.
    KeyNotWrappable = 37, "key_not_wrappable", State;
    /// The wrapping key is weaker than the key it is to wrap.
    WrappingKeyTooWeak = 38, "wrapping_key_too_weak", State;
    /// What was wrapped was sensitive and must come back so.
    KeySensitive = 39, "key_sensitive", State;
    /// The store is sealed.
    Sealed = 40, "sealed", Sealed;
    /// The tenant opens with its PIN only, and nobody has logged in.
    TenantLocked = 41, "tenant_locked", Sealed;
    /// The tenant was disabled by the store's operator.
    TenantDisabled = 42, "tenant_disabled", Sealed;
    /// The store cannot be read or written.
    StoreUnavailable = 50, "store_unavailable", Store;
    /// The disk is full; nothing was written.
    StoreFull = 51, "store_full", Store;
    /// The file is no CANIS store, or of a newer format.
    StoreFormat = 52, "store_format", Store;
    /// A row was changed by other hands; it is named and refused.
    StoreTampered = 53, "store_tampered", Store;
    /// Another process holds the store.
    StoreLocked = 54, "store_locked", Store;
    /// A store stands here already.
    StoreExists = 55, "store_exists", Store;
    /// The audit log cannot be written, and nothing is done that it would not show.
    AuditUnavailable = 56, "audit_unavailable", Store;
    /// The store is being moved to another place, or was; the text says where.
    StoreMoved = 57, "store_moved", Store;
    /// The root's module, token or file cannot be reached.
    RootUnavailable = 60, "root_unavailable", Root;
    /// The passphrase, PIN or key file is the wrong one.
    RootCredentialWrong = 61, "root_credential_wrong", Root;
    /// The server is draining or has lost the connection.
    Unavailable = 70, "unavailable", Store;
    /// Too many tries or requests; `retry_after` says when to ask again.
    RateLimited = 71, "rate_limited", Policy;
    /// Others have to approve this first; the text names the request that waits for them.
    ApprovalRequired = 72, "approval_required", Policy;
    /// A defect of CANIS; the text helps its developers.
    Internal = 99, "internal", Bug;
}

impl ErrorCode {
    /// The CANISP status number.
    #[must_use]
    pub const fn number(self) -> u16 {
        self as u16
    }
}

/// An error: one code, and a line for people that names the thing and the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What programs act on.
    pub code: ErrorCode,
    /// What people read. Never holds secrets.
    pub message: String,
    /// In how many milliseconds the same may be asked again; `None` where waiting does not help.
    pub retry_after: Option<u32>,
}

impl Error {
    /// An error of `code` explained by `message`.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Error { code, message: message.into(), retry_after: None }
    }

    /// Too much was asked for: `what`, and in how many microseconds it may be asked again.
    #[must_use]
    pub fn rate_limited(what: &str, micros: i64) -> Self {
        let wait = u32::try_from(micros.max(1).saturating_add(999) / 1000).unwrap_or(u32::MAX);
        let seconds = wait.div_ceil(1000);
        let error = Error::new(ErrorCode::RateLimited, format!("{what}; try again in {seconds} s"));
        Error { retry_after: Some(wait), ..error }
    }

    /// A defect of CANIS itself.
    pub fn internal(message: impl Into<String>) -> Self {
        Error::new(ErrorCode::Internal, message)
    }

    /// A field that is missing, of the wrong type or out of range.
    pub fn invalid(message: impl Into<String>) -> Self {
        Error::new(ErrorCode::InvalidArgument, message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code.name())
    }
}

impl std::error::Error for Error {}

/// The result of everything that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_unique_and_resolve() {
        let mut names = std::collections::HashSet::new();
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::from_number(code.number()), Some(*code));
            assert!(names.insert(code.name()), "{} stands twice", code.name());
        }
        assert_eq!(ErrorCode::from_number(0), None);
    }
}
