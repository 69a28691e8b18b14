//! The first frame of each side (docs/canisp.md, section 4).

use crate::frames::{self, Frames, Payload};
use crate::{Config, failure};
use canis_proto::frame::{FrameType, Header};
use canis_proto::message::{ClientHello, ServerHello, decode_error};
use canis_proto::{Error, ErrorCode, Result};
use std::borrow::Cow;
use std::io::{self, Read, Write};
use zeroize::Zeroizing;

/// Our HELLO, a whole frame; it holds the token.
pub(crate) fn ours(config: &Config) -> Payload {
    let token = config.token.as_ref().map(|token| Cow::Borrowed(token.as_str()));
    let client = Cow::Borrowed(concat!("canis-client/", env!("CARGO_PKG_VERSION")));
    let application = config.application.as_ref().map(|secret| Cow::Borrowed(secret.as_slice()));
    let payload = Zeroizing::new(ClientHello { client, token, application }.encode());
    frames::whole(FrameType::Hello, 0, &payload)
}

/// Says HELLO on a blocking stream and reads the server's.
///
/// # Errors
/// The server's own; `unavailable` if the connection breaks.
pub(crate) fn greet(
    stream: &mut (impl Read + Write),
    frames: &mut Frames,
    config: &Config,
) -> Result<ServerHello> {
    let lost = |error: io::Error| failure::lost(&config.addr, &error);
    let written = stream.write_all(&ours(config)).and_then(|()| stream.flush());
    // A server that refuses may close before it has read everything: its reason counts more than our write error.
    let (header, payload) = match (frames.read(stream), written) {
        (Ok(frame), _) => frame?,
        (Err(_), Err(error)) | (Err(error), Ok(())) => return Err(lost(error)),
    };
    read(&header, &payload)
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
