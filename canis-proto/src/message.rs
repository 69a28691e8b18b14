//! The bodies of requests and answers, one struct each, and how they stand in a CANISP map.
//!
//! A REQUEST's payload is `{"op": name, "args": map}`; a RESPONSE's is the answer's map; an ERROR's is
//! `{"code": number, "name": text, "message": text}`. Unknown fields of a request are refused; unknown fields of an
//! answer are ignored, so that a newer server can say more.

use crate::SignatureForm;
use crate::answer::{Decrypted, Encrypted, KeyInfo, KeyList, PublicKeyInfo, Signed, StatusInfo, Verified};
use crate::fields::Fields;
use crate::operation::{Operation, OperationId};
use crate::schema::Field;
use crate::signature::SignatureScheme;
use crate::value::{Map, Value};
use crate::{Error, ErrorCode, Interval, KeyFormat, KeyState, KeyType, Result, Usage};
use std::borrow::Cow;

pub use crate::aes_gcm::{DecryptAesGcm, EncryptAesGcm};
pub use crate::batch::Batch;
pub use crate::entry::{DeleteEntry, GetEntry, ListEntries, PutEntry};
pub use crate::lifecycle::{
    ActivateKey, CancelDestroyKey, CreateKey, DestroyKey, DisableKey, EnableKey, RotateKey, UpdateKey,
};
pub use crate::uses::{Derive, HashData, MAX_REWRAP, Mac, MakeDataKey, Random, Rewrap, VerifyMac};

pub use crate::transfer::{ExportKey, ImportKey, WrappingKey};

/// A request that CANISP carries.
pub trait WireRequest<'a>: Operation + Sized {
    /// Its arguments as a table.
    const FIELDS: &'static [Field] = &[];
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
    Map::new().with("op", R::ID.row().name).with("args", request.to_map()).encode()
}

/// The same of a change that is to happen once, however often it is sent with `key`.
#[must_use]
pub fn encode_request_once<'a, R: WireRequest<'a>>(request: &R, key: &[u8]) -> Vec<u8> {
    let asked = Map::new().with("op", R::ID.row().name).with("args", request.to_map());
    asked.with(IDEMPOTENCY_KEY, key).encode()
}

const IDEMPOTENCY_KEY: &str = "idempotency_key";

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
}

/// Reads the payload of a REQUEST.
///
/// # Errors
/// `protocol_error`, `invalid_argument` or `unknown_operation`.
pub fn decode_request(payload: &[u8]) -> Result<Asked<'_>> {
    let mut fields = Fields::new("a request", Map::decode(payload)?);
    let (operation, args) = called(&mut fields)?;
    let idempotency_key: Option<Cow<'_, [u8]>> = fields.optional(IDEMPOTENCY_KEY)?;
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
    Ok(Asked { operation, args, idempotency_key })
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
}

/// Reads the payload of an ERROR. A code unknown here keeps its text and counts as internal.
#[must_use]
pub fn decode_error(payload: &[u8]) -> Error {
    Map::decode(payload).map_or_else(|broken| broken, read_error)
}

fn read_error(map: Map<'_>) -> Error {
    let mut fields = Fields::new("an error", map);
    let mut read = || -> Result<Error> {
        let code: u16 = fields.required("code")?;
        let message: String = fields.required("message")?;
        Ok(Error::new(ErrorCode::from_number(code).unwrap_or(ErrorCode::Internal), message))
    };
    read().unwrap_or_else(|broken| broken)
}

/// The client's HELLO.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientHello<'a> {
    /// The program and its version.
    pub client: Cow<'a, str>,
    /// The bearer token; without one only `status` is answered.
    pub token: Option<Cow<'a, str>>,
}

impl<'a> ClientHello<'a> {
    /// The payload.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Map::new().with("client", self.client.as_ref()).with_some("token", self.token.as_deref()).encode()
    }

    /// Reads the payload.
    ///
    /// # Errors
    /// `protocol_error` or `invalid_argument`.
    pub fn decode(payload: &'a [u8]) -> Result<Self> {
        let mut fields = Fields::new("HELLO", Map::decode(payload)?);
        let hello = ClientHello { client: fields.required("client")?, token: fields.optional("token")? };
        fields.ignore_rest();
        Ok(hello)
    }
}

/// The server's HELLO.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerHello {
    /// The program and its version.
    pub server: String,
    /// The largest payload it accepts, in bytes.
    pub max_payload: u32,
    /// How many requests of one connection it works on at a time; more wait.
    pub max_in_flight: u32,
    /// How many streams of one connection it holds at a time; more are refused. 0 if it has none.
    pub max_streams: u32,
}

impl ServerHello {
    /// The payload.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Map::new()
            .with("server", self.server.as_str())
            .with("max_payload", self.max_payload)
            .with("max_in_flight", self.max_in_flight)
            .with("max_streams", self.max_streams)
            .encode()
    }

    /// Reads the payload.
    ///
    /// # Errors
    /// `protocol_error` or `invalid_argument`.
    pub fn decode(payload: &[u8]) -> Result<Self> {
        let mut fields = Fields::new("HELLO", Map::decode(payload)?);
        let hello = ServerHello {
            server: fields.required("server")?,
            max_payload: fields.required("max_payload")?,
            max_in_flight: fields.required("max_in_flight")?,
            max_streams: fields.optional("max_streams")?.unwrap_or_default(),
        };
        fields.ignore_rest();
        Ok(hello)
    }
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
                Ok($name { $($field: $crate::message::parse::$take(fields, stringify!($field))?,)+ })
            }
        }
    };
}
pub(crate) use request;

/// How fields of requests and answers are read.
pub(crate) mod parse {
    use super::{
        Cow, Error, Fields, Interval, KeyFormat, KeyState, KeyType, Map, Result, SignatureScheme, Usage,
        Value, WireAnswer,
    };
    use crate::answer::{EntryInfo, KeyInfo, VersionInfo};
    use crate::fields::FromValue;
    use crate::slot::{PinInfo, SlotInfo};

    pub(crate) fn required<'a, T: FromValue<'a>>(fields: &mut Fields<'a>, key: &str) -> Result<T> {
        fields.required(key)
    }

    pub(crate) fn default<'a, T: FromValue<'a> + Default>(fields: &mut Fields<'a>, key: &str) -> Result<T> {
        Ok(fields.optional(key)?.unwrap_or_default())
    }

    pub(crate) fn optional<'a, T: FromValue<'a>>(fields: &mut Fields<'a>, key: &str) -> Result<Option<T>> {
        fields.optional(key)
    }

    /// True unless it says otherwise.
    pub(crate) fn yes(fields: &mut Fields<'_>, key: &str) -> Result<bool> {
        Ok(fields.optional(key)?.unwrap_or(true))
    }

    pub(crate) fn interval(fields: &mut Fields<'_>, key: &str) -> Result<Interval> {
        Ok(optional_interval(fields, key)?.unwrap_or_default())
    }

    pub(crate) fn optional_interval(fields: &mut Fields<'_>, key: &str) -> Result<Option<Interval>> {
        fields.optional::<Cow<'_, str>>(key)?.map(|text| text.parse()).transpose()
    }

    pub(crate) fn numbers(fields: &mut Fields<'_>, key: &str) -> Result<Vec<u32>> {
        let items: Vec<Value<'_>> = fields.required(key)?;
        let one =
            |item| u32::from_value(item).ok_or_else(|| Error::invalid(format!("`{key}` must hold numbers")));
        items.into_iter().map(one).collect()
    }

    pub(crate) fn texts<'a>(fields: &mut Fields<'a>, key: &str) -> Result<Vec<Cow<'a, str>>> {
        let items: Vec<Value<'a>> = fields.required(key)?;
        let one = |item| {
            <Cow<'a, str>>::from_value(item).ok_or_else(|| Error::invalid(format!("`{key}` must hold texts")))
        };
        items.into_iter().map(one).collect()
    }

    pub(crate) fn maps<'a>(fields: &mut Fields<'a>, key: &str) -> Result<Vec<Map<'a>>> {
        let items: Vec<Value<'a>> = fields.required(key)?;
        let one =
            |item| Map::from_value(item).ok_or_else(|| Error::invalid(format!("`{key}` must hold maps")));
        items.into_iter().map(one).collect()
    }

    /// What became of each operation of a batch.
    pub(crate) fn results(fields: &mut Fields<'_>, key: &str) -> Result<Vec<Result<Map<'static>>>> {
        let one = |map| {
            let mut fields = Fields::new("a result", map);
            let error: Option<Map<'_>> = fields.optional("error")?;
            Ok(match error {
                Some(map) => Err(super::read_error(map)),
                None => Ok(fields.required::<Map<'_>>("result")?.into_owned()),
            })
        };
        maps(fields, key)?.into_iter().map(one).collect()
    }

    /// A choice by its name; the first one if nothing is said.
    pub(crate) fn choice<T>(fields: &mut Fields<'_>, key: &str) -> Result<T>
    where
        T: std::str::FromStr<Err = Error> + Default,
    {
        Ok(fields.optional::<Cow<'_, str>>(key)?.map(|name| name.parse()).transpose()?.unwrap_or_default())
    }

    /// What became of each ciphertext: `{"ciphertext": text}` or `{"error": as the payload of ERROR}`.
    pub(crate) fn rewrapped(fields: &mut Fields<'_>, key: &str) -> Result<Vec<Result<String>>> {
        let items: Vec<Value<'_>> = fields.required(key)?;
        let one = |item| {
            let map = Map::from_value(item).ok_or_else(|| Error::invalid("a result must be a map"))?;
            let mut fields = Fields::new("a result", map);
            let error: Option<Map<'_>> = fields.optional("error")?;
            Ok(match error {
                Some(map) => Err(super::read_error(map)),
                None => Ok(fields.required("ciphertext")?),
            })
        };
        items.into_iter().map(one).collect()
    }

    pub(crate) fn optional_usage(fields: &mut Fields<'_>, key: &str) -> Result<Option<Usage>> {
        fields.optional::<u16>(key)?.map(to_usage).transpose()
    }

    pub(crate) fn key_type(fields: &mut Fields<'_>, key: &str) -> Result<KeyType> {
        fields.required::<Cow<'_, str>>(key)?.parse()
    }

    pub(crate) fn strings(fields: &mut Fields<'_>, key: &str) -> Result<Vec<String>> {
        Ok(texts(fields, key)?.into_iter().map(Cow::into_owned).collect())
    }

    /// What has a name.
    pub(crate) fn required_name<T>(fields: &mut Fields<'_>, key: &str) -> Result<T>
    where
        T: std::str::FromStr<Err = Error>,
    {
        fields.required::<Cow<'_, str>>(key)?.parse()
    }

    /// What has a name, if it is said.
    pub(crate) fn optional_name<T>(fields: &mut Fields<'_>, key: &str) -> Result<Option<T>>
    where
        T: std::str::FromStr<Err = Error>,
    {
        fields.optional::<Cow<'_, str>>(key)?.map(|name| name.parse()).transpose()
    }

    pub(crate) fn key_format(fields: &mut Fields<'_>, key: &str) -> Result<KeyFormat> {
        fields.required::<Cow<'_, str>>(key)?.parse()
    }

    pub(crate) fn scheme(fields: &mut Fields<'_>, key: &str) -> Result<Option<SignatureScheme>> {
        fields.optional::<Cow<'_, str>>(key)?.map(|name| name.parse()).transpose()
    }

    pub(crate) fn state(fields: &mut Fields<'_>, key: &str) -> Result<KeyState> {
        let name: Cow<'_, str> = fields.required(key)?;
        KeyState::from_name(&name)
            .ok_or_else(|| Error::invalid(format!("unknown key state `{}`", crate::quote(&name))))
    }

    pub(crate) fn usage(fields: &mut Fields<'_>, key: &str) -> Result<Usage> {
        to_usage(fields.required(key)?)
    }

    pub(crate) fn slots(fields: &mut Fields<'_>, key: &str) -> Result<Vec<SlotInfo>> {
        list(fields, key, "a slot")
    }

    pub(crate) fn pin_info(fields: &mut Fields<'_>, key: &str) -> Result<PinInfo> {
        PinInfo::from_fields(&mut Fields::new("a PIN", fields.required(key)?))
    }

    fn to_usage(bits: u16) -> Result<Usage> {
        let known = u8::try_from(bits).ok().and_then(Usage::from_bits);
        known.ok_or_else(|| Error::invalid("unknown usage bits"))
    }

    pub(crate) fn versions(fields: &mut Fields<'_>, key: &str) -> Result<Vec<VersionInfo>> {
        list(fields, key, "a version")
    }

    pub(crate) fn entries(fields: &mut Fields<'_>, key: &str) -> Result<Vec<EntryInfo>> {
        list(fields, key, "an entry")
    }

    pub(crate) fn keys(fields: &mut Fields<'_>, key: &str) -> Result<Vec<KeyInfo>> {
        list(fields, key, "a key")
    }

    fn list<T: WireAnswer>(fields: &mut Fields<'_>, key: &str, what: &'static str) -> Result<Vec<T>> {
        let items: Vec<Value<'_>> = fields.required(key)?;
        let one = |item| {
            let map = Map::from_value(item).ok_or_else(|| Error::invalid(format!("{what} must be a map")))?;
            T::from_fields(&mut Fields::new(what, map))
        };
        items.into_iter().map(one).collect()
    }
}

/// Asks for the state of server and store. Anybody connected may.
#[derive(Clone, PartialEq, Eq)]
pub struct Status;

impl Operation for Status {
    const ID: OperationId = OperationId::Status;
    type Answer = StatusInfo;
}

impl<'a> WireRequest<'a> for Status {
    fn to_map(&self) -> Map<'_> {
        Map::new()
    }

    fn from_fields(_: &mut Fields<'a>) -> Result<Self> {
        Ok(Status)
    }
}

request! {
    /// Lists keys in the order of their names.
    ListKeys => KeyList {
        /// Only names that start with this.
        prefix: Cow<'a, str>, default, |v| v.as_ref();
        /// Only names after this one: where the last page ended.
        after: Cow<'a, str>, default, |v| v.as_ref();
        /// How many at most; 0 and more than 100 mean 100.
        limit: u32, default, |v| *v;
        /// Whether destroyed keys follow the others. They are called `~<name>~<id>`.
        include_deleted: bool, default, |v| *v;
    }
}

request! {
    /// Asks for a key's metadata. The answer holds its newest versions, 1000 at most.
    ShowKey => KeyInfo {
        /// The key, or what is left of a destroyed one, `~<name>~<id>`.
        name: Cow<'a, str>, required, |v| v.as_ref();
        /// Only versions before this one; 0 means from the newest on.
        before_version: u32, default, |v| *v;
    }
}

request! {
    /// Asks for a version's public key.
    PublicKey => PublicKeyInfo {
        /// The key.
        name: Cow<'a, str>, required, |v| v.as_ref();
        /// The version; 0 means the current one.
        version: u32, default, |v| *v;
    }
}

request! {
    /// Encrypts, under the current version as a rule: XAES-256-GCM for AES keys, RSA-OAEP (SHA-256) for RSA keys.
    Encrypt => Encrypted {
        /// The key.
        name: Cow<'a, str>, required, |v| v.as_ref();
        /// What to encrypt; may be empty.
        plaintext: Cow<'a, [u8]>, required, |v| v.as_ref();
        /// Bytes that decryption must be given again; not part of the ciphertext.
        context: Cow<'a, [u8]>, default, |v| v.as_ref();
        /// The version, if min_encryption_version allows an older one; 0 means the current one.
        version: u32, default, |v| *v;
    }
}

impl<'a> Encrypt<'a> {
    /// Without context, under the current version.
    #[must_use]
    pub fn new(name: impl Into<Cow<'a, str>>, plaintext: impl Into<Cow<'a, [u8]>>) -> Self {
        Encrypt { name: name.into(), plaintext: plaintext.into(), context: Cow::default(), version: 0 }
    }
}

request! {
    /// Decrypts what `encrypt` made.
    Decrypt => Decrypted {
        /// The key; a ciphertext of another key is refused.
        name: Cow<'a, str>, required, |v| v.as_ref();
        /// The ciphertext's text form.
        ciphertext: Cow<'a, str>, required, |v| v.as_ref();
        /// The context given to `encrypt`.
        context: Cow<'a, [u8]>, default, |v| v.as_ref();
    }
}

impl<'a> Decrypt<'a> {
    /// Without context.
    #[must_use]
    pub fn new(name: impl Into<Cow<'a, str>>, ciphertext: impl Into<Cow<'a, str>>) -> Self {
        Decrypt { name: name.into(), ciphertext: ciphertext.into(), context: Cow::default() }
    }
}

request! {
    /// Signs, with the current version as a rule.
    Sign => Signed {
        /// The key.
        name: Cow<'a, str>, required, |v| v.as_ref();
        /// The message.
        message: Cow<'a, [u8]>, required, |v| v.as_ref();
        /// The scheme; the key type's default if missing.
        scheme: Option<SignatureScheme>, scheme, |v| v.map_or(Value::Null, |s| Value::from(s.name()));
        /// Whether the message is a digest already, by the scheme's hash function.
        prehashed: bool, default, |v| *v;
        /// How an ECDSA signature is written.
        form: SignatureForm, choice, |v| v.name();
        /// The version, if min_encryption_version allows an older one; 0 means the current one.
        version: u32, default, |v| *v;
    }
}

impl<'a> Sign<'a> {
    /// A message, with the current version and the key type's scheme.
    #[must_use]
    pub fn new(name: impl Into<Cow<'a, str>>, message: impl Into<Cow<'a, [u8]>>) -> Self {
        Sign {
            name: name.into(),
            message: message.into(),
            scheme: None,
            prehashed: false,
            form: SignatureForm::Der,
            version: 0,
        }
    }
}

request! {
    /// Verifies a signature. A wrong one is an answer, not an error.
    Verify => Verified {
        /// The key.
        name: Cow<'a, str>, required, |v| v.as_ref();
        /// The message.
        message: Cow<'a, [u8]>, required, |v| v.as_ref();
        /// The signature's text form.
        signature: Cow<'a, str>, required, |v| v.as_ref();
        /// The scheme; the key type's default if missing.
        scheme: Option<SignatureScheme>, scheme, |v| v.map_or(Value::Null, |s| Value::from(s.name()));
        /// Whether the message is a digest already, by the scheme's hash function.
        prehashed: bool, default, |v| *v;
        /// How an ECDSA signature is written.
        form: SignatureForm, choice, |v| v.name();
    }
}

impl<'a> Verify<'a> {
    /// A signature over a message, by the key type's scheme.
    #[must_use]
    pub fn new(
        name: impl Into<Cow<'a, str>>,
        message: impl Into<Cow<'a, [u8]>>,
        signature: impl Into<Cow<'a, str>>,
    ) -> Self {
        Verify {
            name: name.into(),
            message: message.into(),
            signature: signature.into(),
            scheme: None,
            prehashed: false,
            form: SignatureForm::Der,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn errors_cross_the_wire() {
        let error = Error::new(ErrorCode::KeyNotFound, "no key `x`");
        assert_eq!(decode_error(&encode_error(&error)), error);
        assert_eq!(decode_error(b"junk").code, ErrorCode::ProtocolError);
    }
}
