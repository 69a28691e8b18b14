//! Streams: requests whose data come in pieces behind them, in frames of their own, and may be of any length.
//!
//! A stream has the operation's own row in the table; its request is that of the operation without the data. An OPEN's
//! payload is `{"op": name, "args": map, "credit": integer, "deadline": integer}`.

use crate::answer::{Digest, MacMade, Signed, Streamed, Verified};
use crate::fields::Fields;
use crate::message::{WireRequest, called, request};
use crate::operation::{Operation, OperationId};
use crate::parse;
use crate::schema::{Field, Kind};
use crate::value::{Map, Value};
use crate::{Error, ErrorCode, HashName, Result, SignatureForm, SignatureScheme};
use std::borrow::Cow;

/// The operations that have a form for streams.
pub const STREAMED: &[OperationId] = &[
    OperationId::Encrypt,
    OperationId::Decrypt,
    OperationId::Sign,
    OperationId::Verify,
    OperationId::Mac,
    OperationId::VerifyMac,
    OperationId::HashData,
];

/// A request whose data follow it as a stream.
pub trait StreamRequest<'a>: WireRequest<'a> {}

macro_rules! stream_requests {
    ($($name:ident)+) => { $(impl<'a> StreamRequest<'a> for $name<'a> {})+ };
}
stream_requests! { EncryptStream DecryptStream SignStream VerifyStream MacStream VerifyMacStream }
impl StreamRequest<'_> for HashStream {}

/// An OPEN as it was read.
pub struct Open<'a> {
    /// The operation.
    pub operation: OperationId,
    /// Its arguments.
    pub args: Map<'a>,
    /// How many bytes of the answer's stream the client takes at once.
    pub credit: u32,
    /// In how many milliseconds the stream must be over; `None` for no matter when.
    pub deadline: Option<u32>,
}

/// The payload of an OPEN.
#[must_use]
pub fn encode_open<'a, R: StreamRequest<'a>>(request: &R, credit: u32) -> Vec<u8> {
    Map::new().with("op", R::ID.row().name).with("args", request.to_map()).with("credit", credit).encode()
}

/// Reads the payload of an OPEN.
///
/// # Errors
/// `protocol_error`, `invalid_argument`, `unknown_operation`, or `operation_not_supported` for one without streams.
pub fn decode_open(payload: &[u8]) -> Result<Open<'_>> {
    let mut fields = Fields::new("OPEN", Map::decode(payload)?);
    let (operation, args) = called(&mut fields)?;
    let credit = fields.optional("credit")?.unwrap_or_default();
    let deadline = fields.optional("deadline")?;
    fields.finish()?;
    if !STREAMED.contains(&operation) {
        let why = format!("operation `{}` takes no stream; send a REQUEST", operation.row().name);
        return Err(Error::new(ErrorCode::OperationNotSupported, why));
    }
    Ok(Open { operation, args, credit, deadline })
}

request! {
    /// Encrypts a stream, under the current version as a rule. What comes out is a ciphertext of the format `canis:s1`.
    EncryptStream: Encrypt => Streamed {
        /// The key, of an AES type.
        name: Cow<'a, str>, required, |v| v.as_ref();
        /// Bytes that decryption must be given again; not part of the ciphertext.
        context: Cow<'a, [u8]>, default, |v| v.as_ref();
        /// The version, if min_encryption_version allows an older one; 0 means the current one.
        version: u32, default, |v| *v;
    }
}

request! {
    /// Decrypts a stream that `encrypt` made.
    DecryptStream: Decrypt => Streamed {
        /// The key; a ciphertext of another key is refused.
        name: Cow<'a, str>, required, |v| v.as_ref();
        /// The ciphertext's first line; what follows it is the stream.
        header: Cow<'a, str>, required, |v| v.as_ref();
        /// The context given to `encrypt`.
        context: Cow<'a, [u8]>, default, |v| v.as_ref();
    }
}

request! {
    /// Signs a stream, which the server hashes.
    SignStream: Sign => Signed {
        /// The key.
        name: Cow<'a, str>, required, |v| v.as_ref();
        /// The scheme; the key type's default if missing.
        scheme: Option<SignatureScheme>, scheme, |v| v.map_or(Value::Null, |s| Value::from(s.name()));
        /// How an ECDSA signature is written.
        form: SignatureForm, choice, |v| v.name();
        /// The version, if min_encryption_version allows an older one; 0 means the current one.
        version: u32, default, |v| *v;
        /// The context string that a post-quantum signature is bound to, at most 255 bytes (FIPS 204, section 5.2).
        context: Cow<'a, [u8]>, default, |v| v.as_ref();
    }
}

request! {
    /// Verifies a signature over a stream.
    VerifyStream: Verify => Verified {
        /// The key.
        name: Cow<'a, str>, required, |v| v.as_ref();
        /// The signature's text form.
        signature: Cow<'a, str>, required, |v| v.as_ref();
        /// The scheme; the key type's default if missing.
        scheme: Option<SignatureScheme>, scheme, |v| v.map_or(Value::Null, |s| Value::from(s.name()));
        /// How an ECDSA signature is written.
        form: SignatureForm, choice, |v| v.name();
        /// The context string given to `sign`.
        context: Cow<'a, [u8]>, default, |v| v.as_ref();
    }
}

request! {
    /// Computes an HMAC over a stream with a generic secret's current version.
    MacStream: Mac => MacMade {
        /// The key.
        name: Cow<'a, str>, required, |v| v.as_ref();
        /// The hash function.
        hash: HashName, choice, |v| v.name();
    }
}

request! {
    /// Checks an HMAC over a stream.
    VerifyMacStream: VerifyMac => Verified {
        /// The key.
        name: Cow<'a, str>, required, |v| v.as_ref();
        /// The MAC's text form.
        mac: Cow<'a, str>, required, |v| v.as_ref();
        /// The hash function.
        hash: HashName, choice, |v| v.name();
    }
}

/// Hashes a stream.
#[derive(Clone, PartialEq, Eq)]
pub struct HashStream {
    /// The hash function.
    pub hash: HashName,
}

impl Operation for HashStream {
    const ID: OperationId = OperationId::HashData;
    type Answer = Digest;
}

impl<'a> WireRequest<'a> for HashStream {
    const FIELDS: &'static [Field] = &[Field { name: "hash", kind: HashName::KIND, required: false }];

    fn to_map(&self) -> Map<'_> {
        Map::new().with("hash", self.hash.name())
    }

    fn from_fields(fields: &mut Fields<'a>) -> Result<Self> {
        Ok(HashStream { hash: parse::choice(fields, "hash")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Random, encode_request};

    #[test]
    fn open_round_trip() {
        let request = MacStream { name: "tag".into(), hash: HashName::Sha512 };
        let payload = encode_open(&request, 70_000);
        let open = decode_open(&payload).unwrap();
        assert_eq!((open.operation, open.credit, open.deadline), (OperationId::Mac, 70_000, None));
        let mut fields = Fields::new("mac", open.args);
        assert!(MacStream::from_fields(&mut fields).unwrap() == request);
        fields.finish().unwrap();
    }

    #[test]
    fn operations_without_streams() {
        let refused = |payload: &[u8]| decode_open(payload).map(|_| ()).unwrap_err().code;
        assert_eq!(refused(&encode_request(&Random { length: 1 })), ErrorCode::OperationNotSupported);
        assert_eq!(refused(&Map::new().with("op", "fly").encode()), ErrorCode::UnknownOperation);
        let more = Map::new().with("op", "hash").with("speed", 1u32).encode();
        assert_eq!(refused(&more), ErrorCode::InvalidArgument);
    }
}
