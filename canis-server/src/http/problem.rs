//! Errors as HTTP tells them: RFC 9457 problems with the stable code, and the one table of statuses.

use canis_proto::value::Map;
use canis_proto::{Error, ErrorCode};
use hyper::StatusCode;
use serde_json::{Value as Json, json};

/// The media type, RFC 9457, section 3.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// The status of an error, RFC 9110, section 15.
pub(crate) fn status(code: ErrorCode) -> StatusCode {
    use ErrorCode as E;
    match code {
        E::Unauthenticated => StatusCode::UNAUTHORIZED,
        E::PermissionDenied
        | E::ApprovalRequired
        | E::PinIncorrect
        | E::PinLocked
        | E::LoginRequired
        | E::MechanismNotAllowed
        | E::TenantDisabled
        | E::RootCredentialWrong => StatusCode::FORBIDDEN,
        E::KeyNotFound
        | E::VersionNotFound
        | E::ObjectNotFound
        | E::TenantNotFound
        | E::EntryNotFound
        | E::UnknownOperation => StatusCode::NOT_FOUND,
        E::KeyDestroyed | E::VersionRetired => StatusCode::GONE,
        E::KeyExists
        | E::TenantExists
        | E::Conflict
        | E::StoreExists
        | E::PinNotInitialized
        | E::OperationNotAllowed
        | E::VersionNotAllowed
        | E::AttributeReadOnly
        | E::KeyNotExportable
        | E::KeyNotWrappable
        | E::WrappingKeyTooWeak
        | E::KeySensitive => StatusCode::CONFLICT,
        E::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        E::IdempotencyConflict => StatusCode::UNPROCESSABLE_ENTITY,
        E::PinDelayed | E::LimitReached | E::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        E::Sealed
        | E::TenantLocked
        | E::StoreUnavailable
        | E::StoreLocked
        | E::StoreMoved
        | E::AuditUnavailable
        | E::RootUnavailable
        | E::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        E::StoreFull => StatusCode::INSUFFICIENT_STORAGE,
        E::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        E::StoreFormat | E::StoreTampered | E::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        E::InvalidArgument
        | E::InvalidName
        | E::InvalidKeyType
        | E::ProtocolError
        | E::OperationNotSupported
        | E::UnsupportedFormat
        | E::DecryptionFailed
        | E::Cancelled
        | E::PinInvalid => StatusCode::BAD_REQUEST,
    }
}

/// The problem's document.
pub(crate) fn document(status: StatusCode, error: &Error) -> Json {
    json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or_default(),
        "status": status.as_u16(),
        "detail": error.message,
        "code": error.code.name(),
    })
}

/// An error within an answer, as of one operation of a batch.
pub(crate) fn within(error: &Map<'_>) -> Json {
    let field = |wanted: &str| error.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value);
    let text = |name: &str| match field(name) {
        Some(canis_proto::value::Value::Text(text)) => text.to_string(),
        _ => String::new(),
    };
    json!({"code": text("name"), "message": text("message")})
}
