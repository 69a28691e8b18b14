//! Bodies: JSON, or the data themselves for the operations that have one thing to work on.

use crate::limits;
use crate::wiped::Wiped;
use canis_proto::frame::MAX_PAYLOAD;
use canis_proto::{Error, ErrorCode, OperationId, Result};
use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::body::{Body, Incoming};
use hyper::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE};
use std::time::Duration;
use tokio::time::timeout;

/// The longest body: a full payload of CANISP in base64, and something around it.
pub(crate) const MAX_BODY: u32 = MAX_PAYLOAD / 3 * 4 + (1 << 20);

/// JSON, RFC 8259.
pub(crate) const JSON: &str = "application/json";
/// The data themselves.
pub(crate) const OCTETS: &str = "application/octet-stream";

/// The argument that a body of octets is, and the field of the answer that an answer in octets is.
#[derive(Clone, Copy)]
pub(crate) struct Raw {
    pub(crate) argument: &'static str,
    /// Whether the argument is text, which octets must be then.
    pub(crate) text: bool,
    pub(crate) field: Option<&'static str>,
}

/// What octets are to an operation, if it takes any.
pub(crate) fn raw(id: OperationId) -> Option<Raw> {
    let raw = |argument, field| Some(Raw { argument, text: argument == "ciphertext", field });
    match id {
        OperationId::Encrypt => raw("plaintext", Some("ciphertext")),
        OperationId::Decrypt => raw("ciphertext", Some("plaintext")),
        OperationId::Sign => raw("message", Some("signature")),
        OperationId::Verify | OperationId::VerifyMac => raw("message", None),
        OperationId::Mac => raw("message", Some("mac")),
        OperationId::HashData => raw("data", Some("digest")),
        OperationId::ImportKey => raw("material", None),
        _ => None,
    }
}

/// What a body is.
#[derive(Clone, Copy)]
pub(crate) enum Form {
    /// The arguments.
    Json,
    /// The data themselves.
    Octets(Raw),
}

/// What the body of a request for this operation says it is; `None` if that is not taken.
pub(crate) fn form(headers: &HeaderMap, operation: OperationId) -> Option<Form> {
    let Some(named) = headers.get(CONTENT_TYPE) else { return Some(Form::Json) };
    let essence = named.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    // `curl -d` says the second without being asked.
    let json = [JSON, "application/x-www-form-urlencoded"];
    match essence {
        _ if essence.eq_ignore_ascii_case(OCTETS) => raw(operation).map(Form::Octets),
        _ => json.iter().any(|known| essence.eq_ignore_ascii_case(known)).then_some(Form::Json),
    }
}

/// Whether the answer is wanted in octets.
pub(crate) fn wants_raw(headers: &HeaderMap) -> bool {
    let wanted = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    wanted.split(',').any(|one| one.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(OCTETS))
}

/// How long the body may be: what it says of itself, else the most.
///
/// # Errors
/// `too_large`.
pub(crate) fn announced(headers: &HeaderMap, body: &Incoming) -> Result<u32> {
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    match length.or_else(|| body.is_end_stream().then_some(0)) {
        None => Ok(MAX_BODY),
        Some(length) if length <= u64::from(MAX_BODY) => Ok(length as u32),
        Some(_) => Err(too_large()),
    }
}

/// Reads what follows `begun`, at most `most` bytes in all and no slower than large requests of CANISP may come.
///
/// # Errors
/// `too_large`, `deadline_exceeded`, `protocol_error` if it breaks off.
pub(crate) async fn read(begun: Wiped, body: &mut Incoming, most: u32) -> Result<Wiped> {
    let room = most.min(limits::LARGE) as usize;
    let mut bytes = if begun.is_empty() { Wiped::with_room(room) } else { begun };
    let time = limits::HTTP_BODY + Duration::from_secs(u64::from(most / limits::LARGE_RATE));
    let whole = async {
        while append(&mut bytes, body).await? {
            if bytes.len() > most as usize {
                return Err(too_large());
            }
        }
        Ok(bytes)
    };
    timeout(time, whole).await.map_err(|_| late())?
}

/// Reads until there are so many bytes, or all.
///
/// # Errors
/// As [`read`].
pub(crate) async fn beginning(body: &mut Incoming, wanted: usize) -> Result<Wiped> {
    let begun = async {
        let mut bytes = Wiped::default();
        while bytes.len() < wanted && append(&mut bytes, body).await? {}
        Ok(bytes)
    };
    timeout(limits::HTTP_BODY, begun).await.map_err(|_| late())?
}

/// Appends what comes next; says whether there may be more.
async fn append(bytes: &mut Wiped, body: &mut Incoming) -> Result<bool> {
    let Some(frame) = body.frame().await else { return Ok(false) };
    if let Ok(data) = frame.map_err(|_| broke_off())?.into_data() {
        bytes.append(&data);
    }
    Ok(true)
}

fn late() -> Error {
    Error::new(ErrorCode::DeadlineExceeded, "the body came too slowly; nothing has happened")
}

/// What came is not all that the peer meant to send.
pub(crate) fn broke_off() -> Error {
    Error::new(ErrorCode::ProtocolError, "the body broke off")
}

/// Reads the rest away, for a while.
pub(crate) async fn discard(mut body: Incoming) {
    let rest = async { while matches!(body.frame().await, Some(Ok(_))) {} };
    // Who sends on gets his answer in the middle of it.
    let _ = timeout(limits::LINGER, rest).await;
}

fn too_large() -> Error {
    Error::new(
        ErrorCode::TooLarge,
        format!(
            "a body has at most {MAX_BODY} bytes, and more as a stream: octets that are answered in octets"
        ),
    )
}
