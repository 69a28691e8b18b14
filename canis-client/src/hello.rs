//! The first frame of each side (docs/canisp.md, section 4).

use crate::Config;
use canis_proto::frame::{FrameType, Header};
use canis_proto::message::{ClientHello, ServerHello, decode_error};
use canis_proto::{Error, ErrorCode, Result};
use std::borrow::Cow;
use zeroize::Zeroizing;

/// The payload of our HELLO; it holds the token.
pub(crate) fn payload(config: &Config) -> Zeroizing<Vec<u8>> {
    let token = config.token.as_ref().map(|token| Cow::Borrowed(token.as_str()));
    let client = Cow::Borrowed(concat!("canis-client/", env!("CARGO_PKG_VERSION")));
    Zeroizing::new(ClientHello { client, token, application: None }.encode())
}

/// What the server says to it.
///
/// # Errors
/// The server's own; `protocol_error` if it says something else.
pub(crate) fn read(header: &Header, payload: &[u8]) -> Result<ServerHello> {
    match header.kind {
        FrameType::Hello => ServerHello::decode(payload),
        FrameType::Error | FrameType::GoAway => Err(decode_error(payload)),
        _ => Err(unexpected(header)),
    }
}

/// A frame that nothing asked for.
pub(crate) fn unexpected(header: &Header) -> Error {
    Error::new(
        ErrorCode::ProtocolError,
        format!(
            "the server sent a {:?} frame for request {}, which nothing asked for",
            header.kind, header.request
        ),
    )
}
