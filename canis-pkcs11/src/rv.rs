//! Return codes: the one table from the core's error codes to CK_RV, and the failure that carries both.

use canis_proto::{Error, ErrorCode};
use pkcs11_sys::*;

/// Why a call fails: the code for the host, and the core's words for the log if it was the core that refused.
#[derive(Debug)]
pub(crate) struct Fail {
    /// What the C function returns.
    pub(crate) rv: CK_RV,
    /// What the log says.
    pub(crate) cause: Option<Box<Error>>,
}

/// The result of everything in the module.
pub(crate) type Result<T = (), E = Fail> = std::result::Result<T, E>;

impl From<CK_RV> for Fail {
    fn from(rv: CK_RV) -> Self {
        Fail { rv, cause: None }
    }
}

impl From<Error> for Fail {
    fn from(error: Error) -> Self {
        Fail { rv: code(error.code), cause: Some(Box::new(error)) }
    }
}

impl Fail {
    /// A refusal that the log explains.
    pub(crate) fn explained(rv: CK_RV, why: String) -> Self {
        Fail { rv, cause: Some(Box::new(Error::invalid(why))) }
    }
}

/// Fails with `rv`.
pub(crate) fn fail<T>(rv: CK_RV) -> Result<T> {
    Err(rv.into())
}

/// Turns the general code for an error into the one that this place of the standard asks for.
pub(crate) trait Instead<T> {
    /// `rv` in place of what `code` gives as a rule.
    fn instead(self, code: ErrorCode, rv: CK_RV) -> Result<T>;
}

impl<T> Instead<T> for Result<T, Error> {
    fn instead(self, code: ErrorCode, rv: CK_RV) -> Result<T> {
        self.map_err(Fail::from).instead(code, rv)
    }
}

impl<T> Instead<T> for Result<T> {
    fn instead(self, code: ErrorCode, rv: CK_RV) -> Result<T> {
        self.map_err(|fail| match &fail.cause {
            Some(cause) if cause.code == code => Fail { rv, ..fail },
            _ => fail,
        })
    }
}

/// The table (PKCS#11 v3.1, section 5.1).
const fn code(code: ErrorCode) -> CK_RV {
    use ErrorCode as E;
    match code {
        E::InvalidArgument | E::ProtocolError | E::InvalidName => CKR_ARGUMENTS_BAD,
        E::InvalidKeyType => CKR_TEMPLATE_INCONSISTENT,
        E::UnknownOperation => CKR_FUNCTION_NOT_SUPPORTED,
        E::TooLarge => CKR_DATA_LEN_RANGE,
        E::OperationNotSupported => CKR_KEY_TYPE_INCONSISTENT,
        E::UnsupportedFormat => CKR_ENCRYPTED_DATA_INVALID,
        E::KeyNotFound | E::VersionNotFound | E::VersionRetired | E::KeyDestroyed => CKR_KEY_HANDLE_INVALID,
        E::KeyExists | E::TenantExists | E::Conflict | E::IdempotencyConflict => CKR_FUNCTION_FAILED,
        E::DecryptionFailed => CKR_ENCRYPTED_DATA_INVALID,
        E::ObjectNotFound | E::EntryNotFound => CKR_OBJECT_HANDLE_INVALID,
        E::TenantNotFound | E::TenantDisabled => CKR_TOKEN_NOT_PRESENT,
        E::LoginRequired | E::TenantLocked => CKR_USER_NOT_LOGGED_IN,
        E::PermissionDenied | E::ApprovalRequired => CKR_ACTION_PROHIBITED,
        E::PinIncorrect => CKR_PIN_INCORRECT,
        // Asking again at once would only cost another try, so clients must stop, as for a locked PIN; the token's
        // flags do not say locked.
        E::PinLocked | E::PinDelayed => CKR_PIN_LOCKED,
        E::PinInvalid => CKR_PIN_INVALID,
        E::PinNotInitialized => CKR_USER_PIN_NOT_INITIALIZED,
        E::OperationNotAllowed | E::VersionNotAllowed => CKR_KEY_FUNCTION_NOT_PERMITTED,
        E::MechanismNotAllowed => CKR_MECHANISM_INVALID,
        E::KeyNotExportable => CKR_KEY_UNEXTRACTABLE,
        E::KeyNotWrappable => CKR_KEY_NOT_WRAPPABLE,
        E::WrappingKeyTooWeak => CKR_WRAPPING_KEY_SIZE_RANGE,
        E::KeySensitive => CKR_TEMPLATE_INCONSISTENT,
        E::AttributeReadOnly => CKR_ATTRIBUTE_READ_ONLY,
        E::Cancelled => CKR_FUNCTION_CANCELED,
        E::StoreFull | E::LimitReached => CKR_DEVICE_MEMORY,
        E::RateLimited => CKR_FUNCTION_FAILED,
        // No server can be reached: it may come back, like a token that was taken out.
        E::Unavailable => CKR_DEVICE_REMOVED,
        // Nobody but a server asks for a credential, which no PIN replaces.
        E::Unauthenticated
        | E::DeadlineExceeded
        | E::Sealed
        | E::StoreUnavailable
        | E::AuditUnavailable
        | E::StoreFormat
        | E::StoreTampered
        | E::StoreLocked
        | E::StoreMoved
        | E::StoreExists
        | E::RootUnavailable
        | E::RootCredentialWrong => CKR_DEVICE_ERROR,
        E::Internal => CKR_GENERAL_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_face_and_only_defects_are_general_errors() {
        for error in ErrorCode::ALL {
            let rv = code(*error);
            assert_ne!(rv, CKR_OK, "{}", error.name());
            assert_eq!(rv == CKR_GENERAL_ERROR, *error == ErrorCode::Internal, "{}", error.name());
        }
    }

    #[test]
    fn instead_changes_only_the_named_code() {
        let wrong = || Err::<(), _>(Error::new(ErrorCode::ObjectNotFound, "gone"));
        assert_eq!(wrong().instead(ErrorCode::ObjectNotFound, CKR_KEY_HANDLE_INVALID).unwrap_err().rv, 0x60);
        assert_eq!(wrong().instead(ErrorCode::Internal, CKR_KEY_HANDLE_INVALID).unwrap_err().rv, 0x82);
    }
}
