//! The bodies of requests and answers, one struct each, and how they stand in a CANISP map.
//!
//! A REQUEST's payload is `{"op": name, "args": map}` and what [`Terms`] say; a RESPONSE's is the answer's map; an ERROR's is
//! `{"code": number, "name": text, "message": text}`. Unknown fields of a request are refused; unknown fields of an
//! answer are ignored, so that a newer server can say more.

use crate::fields::Fields;
use crate::operation::{Operation, OperationId};
use crate::schema::{Field, FieldKind};
use crate::value::{Map, Value};
use crate::{Error, ErrorCode, Result};
use std::borrow::Cow;

pub use crate::aes_gcm::{DecryptAesGcm, EncryptAesGcm};
pub use crate::batch::Batch;
pub use crate::crypt::{Decrypt, Encrypt, Sign, Verify};
pub use crate::encapsulation::{Decapsulate, Encapsulate};
pub use crate::entry::{DeleteEntry, GetEntry, ListEntries, PutEntry};
pub use crate::hello::{APPLICATION, ClientHello, ServerHello};
pub use crate::lifecycle::{
    ActivateKey, CancelDestroyKey, CreateKey, DestroyKey, DisableKey, EnableKey, RotateKey, UpdateKey,
};
pub use crate::lookup::{ListKeys, PublicKey, ShowKey, Status};
pub use crate::uses::{Derive, HashData, MAX_REWRAP, Mac, MakeDataKey, Random, Rewrap, VerifyMac};

pub use crate::transfer::{ExportKey, ImportKey, WrappingKey};

/// A request that CANISP carries.
pub trait WireRequest<'a>: Operation + Sized {
    /// Its arguments as a table.
    const FIELDS: &'static [Field];
    /// Its arguments.
    fn to_map(&self) -> Map<'_>;
    /// Reads its arguments.
    ///
    /// # Errors
    /// `invalid_argument`, `invalid_key_type`: a field that is missing, of the wrong type or unknown.
    fn from_fields(fields: &mut Fields<'a>) -> Result<Self>;
}

/// An answer that CANISP carries.
pub trait WireAnswer: Sized {
    /// Its fields as a table.
    const SHAPE: FieldKind;
    /// Its fields.
    fn to_map(&self) -> Map<'_>;
    /// Reads its fields.
    ///
    /// # Errors
    /// `invalid_argument` if one is missing or of the wrong type.
    fn from_fields(fields: &mut Fields<'_>) -> Result<Self>;
}

/// The payload of a REQUEST.
#[must_use]
pub fn encode_request<'a, R: WireRequest<'a>>(request: &R) -> Vec<u8> {
    encode_request_on(request, Terms::default())
}

/// The same of a change that is to happen once, however often it is sent with `key`.
#[must_use]
pub fn encode_request_once<'a, R: WireRequest<'a>>(request: &R, key: &[u8]) -> Vec<u8> {
    encode_request_on(request, Terms { idempotency_key: Some(key), deadline: None })
}

/// The same, on these terms.
#[must_use]
pub fn encode_request_on<'a, R: WireRequest<'a>>(request: &R, terms: Terms<'_>) -> Vec<u8> {
    let asked = Map::new().with("op", R::ID.row().name).with("args", request.to_map());
    asked.with_some(IDEMPOTENCY_KEY, terms.idempotency_key).with_some(DEADLINE, terms.deadline).encode()
}

/// What a REQUEST says besides its operation and arguments.
#[derive(Clone, Copy, Default)]
pub struct Terms<'a> {
    /// By what a change that is to happen once is recognised, 1 to [`MAX_IDEMPOTENCY_KEY`] bytes.
    pub idempotency_key: Option<&'a [u8]>,
    /// In how many milliseconds it must have begun; `None` for no matter when.
    pub deadline: Option<u32>,
}

const IDEMPOTENCY_KEY: &str = "idempotency_key";
const DEADLINE: &str = "deadline";

/// The longest idempotency key, in bytes.
pub const MAX_IDEMPOTENCY_KEY: usize = 64;

/// What a REQUEST asks for.
pub struct Asked<'a> {
    /// The operation.
    pub operation: OperationId,
    /// Its arguments.
    pub args: Map<'a>,
    /// What a change that is to happen once is recognised by.
    pub idempotency_key: Option<Cow<'a, [u8]>>,
    /// In how many milliseconds from its arrival it must have begun; `None` for no matter when.
    pub deadline: Option<u32>,
}

/// Reads the payload of a REQUEST.
///
/// # Errors
/// `protocol_error`, `invalid_argument` or `unknown_operation`.
pub fn decode_request(payload: &[u8]) -> Result<Asked<'_>> {
    let mut fields = Fields::new("a request", Map::decode(payload)?);
    let (operation, args) = called(&mut fields)?;
    let idempotency_key: Option<Cow<'_, [u8]>> = fields.optional(IDEMPOTENCY_KEY)?;
    let deadline = fields.optional(DEADLINE)?;
    fields.finish()?;
    if let Some(key) = &idempotency_key {
        if key.is_empty() || key.len() > MAX_IDEMPOTENCY_KEY {
            return Err(Error::invalid(format!("an idempotency key has 1 to {MAX_IDEMPOTENCY_KEY} bytes")));
        }
        if !changes(operation, &args) {
            let name = operation.row().name;
            return Err(Error::invalid(format!("`{name}` takes no idempotency key here: it is no change")));
        }
    }
    Ok(Asked { operation, args, idempotency_key, deadline })
}

/// The operation and its arguments, which REQUEST and OPEN name alike.
pub(crate) fn called<'a>(fields: &mut Fields<'a>) -> Result<(OperationId, Map<'a>)> {
    let name: Cow<'_, str> = fields.required("op")?;
    let args: Option<Map<'_>> = fields.optional("args")?;
    Ok((wire_operation(&name)?, args.unwrap_or_default()))
}

/// Whether a request changes keys or entries, all of what it asks for or nothing, so that it may carry an idempotency key.
#[must_use]
pub fn changes(operation: OperationId, args: &Map<'_>) -> bool {
    let atomic = |(name, value): (&str, &Value<'_>)| name == "atomic" && *value == Value::Bool(true);
    operation.changes() || (operation == OperationId::Batch && args.iter().any(atomic))
}

/// Whether a request that had no answer may be sent again without an idempotency key: nothing is there twice then.
#[must_use]
pub fn repeats(operation: OperationId, args: &Map<'_>) -> bool {
    let repeats = |item: &Value<'_>| {
        match item {
        Value::Map(item) => item.iter().any(|(key, value)| {
            matches!((key, value), ("op", Value::Text(op)) if OperationId::from_name(op).is_some_and(OperationId::repeats))
        }),
        _ => false,
    }
    };
    match operation {
        OperationId::Batch => args.iter().any(|(name, value)| {
            matches!((name, value), ("operations", Value::Array(items)) if items.iter().all(repeats))
        }),
        operation => operation.repeats(),
    }
}

/// The operation of this name, if CANISP carries it.
pub(crate) fn wire_operation(name: &str) -> Result<OperationId> {
    match OperationId::from_name(name) {
        Some(id) if id.row().wire => Ok(id),
        _ => Err(Error::new(
            ErrorCode::UnknownOperation,
            format!("operation `{}` is unknown to this server", crate::quote(name)),
        )),
    }
}

/// Reads the payload of a RESPONSE. Fields that are unknown here are ignored.
///
/// # Errors
/// `protocol_error`; `invalid_argument` if a field is missing or of the wrong type.
pub fn decode_answer<A: WireAnswer>(payload: &[u8]) -> Result<A> {
    let mut fields = Fields::new("an answer", Map::decode(payload)?);
    let answer = A::from_fields(&mut fields)?;
    fields.ignore_rest();
    Ok(answer)
}

/// The payload of an ERROR.
#[must_use]
pub fn encode_error(error: &Error) -> Vec<u8> {
    error_map(error).encode()
}

/// An error as a map.
pub(crate) fn error_map(error: &Error) -> Map<'_> {
    Map::new()
        .with("code", error.code.number())
        .with("name", error.code.name())
        .with("message", error.message.as_str())
        .with_some("retry_after", error.retry_after)
}

/// Reads the payload of an ERROR. A code unknown here keeps its text and counts as internal.
#[must_use]
pub fn decode_error(payload: &[u8]) -> Error {
    Map::decode(payload).map_or_else(|broken| broken, read_error)
}

pub(crate) fn read_error(map: Map<'_>) -> Error {
    let mut fields = Fields::new("an error", map);
    let mut read = || -> Result<Error> {
        let code: u16 = fields.required("code")?;
        let message: String = fields.required("message")?;
        let retry_after = fields.optional("retry_after")?;
        let code = ErrorCode::from_number(code).unwrap_or(ErrorCode::Internal);
        Ok(Error { retry_after, ..Error::new(code, message) })
    };
    read().unwrap_or_else(|broken| broken)
}

/// Implements a request and its codec from a list of fields: `name: type = how to write it`. Its row in the table of
/// operations is called as it is, or as stands behind a colon.
macro_rules! request {
    ($(#[doc = $doc:literal])+ $name:ident => $($rest:tt)+) => {
        $crate::message::request! { $(#[doc = $doc])+ $name: $name => $($rest)+ }
    };
    ($(#[doc = $doc:literal])+ $name:ident: $row:ident => $answer:ty { $($(#[doc = $fdoc:literal])+ $field:ident: $type:ty, $take:ident, |$it:ident| $write:expr;)+ }) => {
        $(#[doc = $doc])+
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name<'a> { $($(#[doc = $fdoc])+ pub $field: $type,)+ }

        impl $crate::Operation for $name<'_> {
            const ID: $crate::OperationId = $crate::OperationId::$row;
            type Answer = $answer;
        }

        impl<'a> $crate::message::WireRequest<'a> for $name<'a> {
            const FIELDS: &'static [$crate::schema::Field] = &[$($crate::schema::Field {
                name: stringify!($field),
                kind: <$type as $crate::schema::Kind>::KIND,
                required: $crate::schema::insists(stringify!($take)),
            }),+];

            fn to_map(&self) -> $crate::value::Map<'_> {
                let map = $crate::value::Map::new();
                $(let map = { let $it = &self.$field; map.with(stringify!($field), $write) };)+
                map
            }

            fn from_fields(fields: &mut $crate::fields::Fields<'a>) -> $crate::Result<Self> {
                Ok($name { $($field: $crate::parse::$take(fields, stringify!($field))?,)+ })
            }
        }
    };
}
pub(crate) use request;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KeyType;

    #[test]
    fn request_round_trip() {
        let request = Encrypt::new("a", &b"x"[..]);
        let payload = encode_request(&request);
        let asked = decode_request(&payload).unwrap();
        assert_eq!(asked.operation, OperationId::Encrypt);
        let mut fields = Fields::new("encrypt", asked.args);
        assert!(Encrypt::from_fields(&mut fields).unwrap() == request);
        fields.finish().unwrap();
    }

    #[test]
    fn unknown_operations_and_fields_are_named() {
        let payload = Map::new().with("op", "fly").encode();
        let error = decode_request(&payload).map(|asked| asked.operation).unwrap_err();
        assert_eq!(error.code, ErrorCode::UnknownOperation);
        let mut fields = Fields::new("key.show", Map::new().with("name", "a").with("nmae", "b"));
        ShowKey::from_fields(&mut fields).map(|_| ()).unwrap();
        assert!(fields.finish().unwrap_err().message.contains("nmae"));
    }

    /// Only changes are told apart by a key: what changes nothing may be asked for twice anyway.
    #[test]
    fn idempotency_keys() {
        let create = CreateKey::new("a", KeyType::Ed25519);
        let asked =
            |payload: &[u8]| decode_request(payload).map(|asked| asked.idempotency_key.map(Cow::into_owned));
        assert_eq!(asked(&encode_request(&create)), Ok(None));
        assert_eq!(asked(&encode_request_once(&create, &[7; 64])), Ok(Some(vec![7; 64])));
        let batch =
            |atomic| encode_request_once(&Batch { operations: Vec::new(), atomic, preview: false }, b"k");
        assert_eq!(asked(&batch(true)), Ok(Some(b"k".to_vec())));
        let encrypt = encode_request_once(&Encrypt::new("a", &b"x"[..]), b"k");
        for refused in
            [encode_request_once(&create, b""), encode_request_once(&create, &[7; 65]), batch(false), encrypt]
        {
            assert_eq!(asked(&refused).map_err(|e| e.code), Err(ErrorCode::InvalidArgument));
        }
    }

    #[test]
    fn deadlines() {
        let asked = |deadline| {
            let payload = encode_request_on(&Status, Terms { deadline, ..Terms::default() });
            decode_request(&payload).map(|asked| asked.deadline).unwrap()
        };
        assert_eq!(asked(None), None);
        assert_eq!(asked(Some(0)), Some(0));
        assert_eq!(asked(Some(u32::MAX)), Some(u32::MAX));
        let negative = Map::new().with("op", "status").with(DEADLINE, -1i64).encode();
        assert_eq!(decode_request(&negative).map(|_| ()).unwrap_err().code, ErrorCode::InvalidArgument);
    }

    #[test]
    fn errors_cross_the_wire() {
        let error = Error::new(ErrorCode::KeyNotFound, "no key `x`");
        assert_eq!(decode_error(&encode_error(&error)), error);
        let later = Error::rate_limited("too many tries", 1_500_001);
        assert_eq!((later.retry_after, later.message.ends_with("in 2 s")), (Some(1501), true));
        assert_eq!(decode_error(&encode_error(&later)), later);
        assert_eq!(decode_error(b"junk").code, ErrorCode::ProtocolError);
    }
}
