//! What goes between a program and its helper: frames of four bytes of length, big endian, and one CBOR map of CANISP's
//! subset. The helper speaks first and says who it is; then each request has one answer.

use super::anchor::NewAnchor;
use super::mechanism::WrapMechanism;
use super::signing::ToSign;
use crate::secret::SecretBytes;
use canis_proto::fields::Fields;
use canis_proto::value::Map;
use canis_proto::{Error, ErrorCode, Result};
use std::borrow::Cow;
use std::io::{self, Read, Write};
use zeroize::Zeroizing;

/// The longest frame. What goes here are names, a PIN, and secrets of 32 bytes.
const LONGEST: usize = 64 * 1024;

/// The number of this protocol. Program and helper come from one package.
const VERSION: u32 = 3;

/// What the helper is asked to do with a token.
pub(super) enum Work {
    /// Say what the module has.
    Probe,
    /// Say which mechanism a new key is to have.
    Choose,
    /// Make the key unless it is there; refuse one that is not as good.
    EnsureKey,
    /// Wrap a secret.
    Wrap(SecretBytes),
    /// Unwrap it.
    Unwrap(Vec<u8>),
    /// Show the values of the data objects under this label.
    ReadAnchors(String),
    /// Write a data object in place of others.
    WriteAnchor(NewAnchor),
    /// Sign by a key of the token, which is made if it is not there.
    Sign(ToSign),
}

impl Work {
    /// Whether a key may be made for it, which takes an HSM its time.
    pub(super) fn makes_keys(&self) -> bool {
        matches!(self, Work::Probe | Work::Choose | Work::EnsureKey | Work::Sign(_))
    }
}

/// One request.
pub(super) struct Request {
    /// The vendor's library.
    pub(super) module: String,
    /// Token and key, as a URI; all but `Probe` need it.
    pub(super) token: Option<String>,
    /// The token's user PIN; the same.
    pub(super) pin: Option<SecretBytes>,
    /// How the key wraps.
    pub(super) mechanism: Option<WrapMechanism>,
    /// What a wrapped secret is bound to.
    pub(super) context: Vec<u8>,
    /// What is to be done.
    pub(super) work: Work,
}

impl Request {
    /// The frame's content; wiped, because the PIN stands in it.
    pub(super) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let (name, data) = match &self.work {
            Work::Probe => ("probe", Cow::default()),
            Work::Choose => ("choose", Cow::default()),
            Work::EnsureKey => ("ensure-key", Cow::default()),
            Work::Wrap(secret) => ("wrap", Cow::from(secret.expose())),
            Work::Unwrap(wrapped) => ("unwrap", wrapped.into()),
            Work::ReadAnchors(label) => ("read-anchors", label.as_bytes().into()),
            Work::WriteAnchor(anchor) => ("write-anchor", anchor.encode().into()),
            Work::Sign(asked) => ("sign", asked.encode().into()),
        };
        let map = Map::new()
            .with("do", name)
            .with("module", self.module.as_str())
            .with_some("token", self.token.as_deref())
            .with_some("pin", self.pin.as_ref().map(SecretBytes::expose))
            .with_some("mechanism", self.mechanism.map(WrapMechanism::name))
            .with("context", self.context.as_slice())
            .with("data", &*data);
        Zeroizing::new(map.encode())
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut fields = Fields::new("a request to the helper", Map::decode(bytes)?);
        let name: String = fields.required("do")?;
        let request = Request {
            module: fields.required("module")?,
            token: fields.optional("token")?,
            pin: optional_secret(&mut fields, "pin")?,
            mechanism: fields
                .optional::<String>("mechanism")?
                .map(|name| WrapMechanism::of_name(&name))
                .transpose()?,
            context: fields.required("context")?,
            work: match name.as_str() {
                "probe" => Work::Probe,
                "choose" => Work::Choose,
                "ensure-key" => Work::EnsureKey,
                "wrap" => Work::Wrap(secret(&mut fields, "data")?),
                "unwrap" => Work::Unwrap(fields.required("data")?),
                "read-anchors" => Work::ReadAnchors(label(fields.required("data")?)?),
                "write-anchor" => Work::WriteAnchor(NewAnchor::decode(&fields.required::<Vec<u8>>("data")?)?),
                "sign" => Work::Sign(ToSign::decode(&fields.required::<Vec<u8>>("data")?)?),
                _ => return Err(broken()),
            },
        };
        fields.ignore_rest();
        Ok(request)
    }
}

fn label(bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|_| broken())
}

fn secret(fields: &mut Fields<'_>, key: &str) -> Result<SecretBytes> {
    optional_secret(fields, key)?.ok_or_else(broken)
}

fn optional_secret(fields: &mut Fields<'_>, key: &str) -> Result<Option<SecretBytes>> {
    let bytes = fields.optional::<std::borrow::Cow<'_, [u8]>>(key)?;
    Ok(bytes.map(|bytes| SecretBytes::copied_from(&bytes)))
}

/// The frame that says what became of a request.
pub(super) fn encode_answer(answer: &Result<SecretBytes>) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(match answer {
        Ok(data) => Map::new().with("data", data.expose()).encode(),
        Err(error) => {
            Map::new().with("error", error.code.number()).with("message", error.message.as_str()).encode()
        }
    })
}

/// What became of a request.
///
/// # Errors
/// What the helper says; `protocol_error` if it says nothing that can be read.
pub(super) fn decode_answer(bytes: &[u8]) -> Result<SecretBytes> {
    let mut fields = Fields::new("an answer of the helper", Map::decode(bytes)?);
    let Some(number) = fields.optional::<u16>("error")? else { return secret(&mut fields, "data") };
    let code = ErrorCode::from_number(number).ok_or_else(broken)?;
    Err(Error::new(code, fields.required::<String>("message")?))
}

/// The helper's first frame.
pub(super) fn greeting() -> Vec<u8> {
    Map::new().with("canis-hsm-helper", VERSION).encode()
}

/// Whether a frame is the greeting of a helper that speaks this protocol.
pub(super) fn is_greeting(bytes: &[u8]) -> bool {
    bytes == greeting()
}

fn broken() -> Error {
    Error::new(ErrorCode::ProtocolError, "the helper's frame is not understood")
}

/// Writes one frame.
pub(super) fn write_frame(to: &mut impl Write, content: &[u8]) -> io::Result<()> {
    let length = u32::try_from(content.len()).ok().filter(|_| content.len() <= LONGEST);
    let length = length.ok_or(io::ErrorKind::InvalidInput)?;
    // In one piece: the other side reads the length and then waits.
    to.write_all(&Zeroizing::new([&length.to_be_bytes()[..], content].concat()))
}

/// Reads one frame; `None` at the end.
pub(super) fn read_frame(from: &mut impl Read) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let mut head = [0; 4];
    if from.read(&mut head[..1])? == 0 {
        return Ok(None);
    }
    from.read_exact(&mut head[1..])?;
    let length = usize::try_from(u32::from_be_bytes(head)).unwrap_or(usize::MAX);
    if length > LONGEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut content = Zeroizing::new(vec![0; length]);
    from.read_exact(&mut content)?;
    Ok(Some(content))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn frames_and_requests_come_back() {
        let request = Request {
            module: "/lib/p11.so".into(),
            token: Some("pkcs11:token=t".into()),
            pin: Some(SecretBytes::copied_from(b"1234")),
            mechanism: Some(WrapMechanism::RsaOaepSha384),
            context: vec![1, 2],
            work: Work::Wrap(SecretBytes::copied_from(&[7; 32])),
        };
        let mut stream = Vec::new();
        write_frame(&mut stream, &request.encode()).unwrap();
        write_frame(&mut stream, &greeting()).unwrap();
        let mut stream = &stream[..];
        let read = Request::decode(&read_frame(&mut stream).unwrap().unwrap()).unwrap();
        assert_eq!((read.module, read.token, read.context), (request.module, request.token, vec![1, 2]));
        assert_eq!(read.mechanism, request.mechanism);
        assert!(read.pin.unwrap().equals(b"1234"));
        assert!(matches!(read.work, Work::Wrap(secret) if secret.equals(&[7; 32])));
        assert!(is_greeting(&read_frame(&mut stream).unwrap().unwrap()));
        assert!(read_frame(&mut stream).unwrap().is_none());
    }

    #[test]
    fn anchors_come_back() {
        let anchor = NewAnchor { label: "a".into(), value: vec![1; 99], outworn: vec![vec![], vec![2]] };
        let read = NewAnchor::decode(&anchor.encode()).unwrap();
        assert_eq!(
            (read.label, read.value, read.outworn),
            ("a".to_owned(), vec![1; 99], vec![vec![], vec![2]])
        );
    }

    #[test]
    fn answers_come_back() {
        let good = encode_answer(&Ok(SecretBytes::copied_from(b"x")));
        assert!(decode_answer(&good).unwrap().equals(b"x"));
        let bad = encode_answer(&Err(Error::new(ErrorCode::RootCredentialWrong, "no")));
        assert_eq!(
            decode_answer(&bad).map(drop).unwrap_err(),
            Error::new(ErrorCode::RootCredentialWrong, "no")
        );
    }

    #[test]
    fn too_long_a_frame_is_not_read() {
        let mut stream = &[&[0xff, 0, 0, 0][..], &[0; 16]].concat()[..];
        assert_eq!(read_frame(&mut stream).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert!(write_frame(&mut Vec::new(), &vec![0; LONGEST + 1]).is_err());
    }

    proptest! {
        #[test]
        fn decoders_are_total(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(Request::decode(&bytes));
            drop(decode_answer(&bytes));
            drop(NewAnchor::decode(&bytes));
            drop(read_frame(&mut &bytes[..]));
        }
    }
}
