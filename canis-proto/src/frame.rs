//! The frame of CANISP/1: a fixed header of 12 bytes, big endian, then the payload.
//!
//! ```text
//!  0      1         2      3       4            8          12
//!  +------+---------+------+-------+------------+----------+
//!  | 0xCA | version | type | flags | request id |  length  |  payload …
//!  +------+---------+------+-------+------------+----------+
//! ```

use crate::{Error, ErrorCode, Result};

/// The header's size in bytes.
pub const HEADER: usize = 12;
/// The first byte of every frame.
pub const MAGIC: u8 = 0xCA;
/// The protocol version.
pub const VERSION: u8 = 1;
/// The largest payload a server accepts unless it says otherwise in its HELLO: 16 MiB and room for names.
pub const MAX_PAYLOAD: u32 = (16 << 20) + 4096;
/// The largest HELLO payload, before anybody is authenticated.
pub const MAX_HELLO: u32 = 4096;
/// The largest payload of DATA.
pub const MAX_DATA: u32 = 64 << 10;
/// The largest payload of OPEN.
pub const MAX_OPEN: u32 = 64 << 10;
/// The ALPN name (RFC 7301).
pub const ALPN: &[u8] = b"canisp/1";

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FrameType {
    /// The first frame of each side: version, credential, limits.
    Hello = 1,
    /// Ask for an operation.
    Request = 2,
    /// Its answer.
    Response = 3,
    /// Its error; with request id 0 the connection's.
    Error = 4,
    /// Is anybody there? The payload comes back in a PONG.
    Ping = 5,
    /// The answer to PING.
    Pong = 6,
    /// The sender takes no new requests; those in flight are answered.
    GoAway = 7,
    /// A piece of a stream's bytes.
    Data = 8,
    /// The stream's bytes are over.
    End = 9,
    /// How many more bytes of a stream the sender of this frame takes.
    Credit = 10,
    /// The client does not want the answer any more.
    Cancel = 11,
    /// Ask for an operation on a stream of bytes.
    Open = 12,
}

impl FrameType {
    fn from_number(number: u8) -> Option<Self> {
        use FrameType::{
            Cancel, Credit, Data, End, Error, GoAway, Hello, Open, Ping, Pong, Request, Response,
        };
        [Hello, Request, Response, Error, Ping, Pong, GoAway, Data, End, Credit, Cancel, Open]
            .into_iter()
            .find(|kind| *kind as u8 == number)
    }
}

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the frame is.
    pub kind: FrameType,
    /// Ties an answer to its request; chosen by the client, never 0 for a request.
    pub request: u32,
    /// The payload's length in bytes.
    pub length: u32,
}

impl Header {
    /// The 12 bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..4].copy_from_slice(&[MAGIC, VERSION, self.kind as u8, 0]);
        bytes[4..8].copy_from_slice(&self.request.to_be_bytes());
        bytes[8..].copy_from_slice(&self.length.to_be_bytes());
        bytes
    }

    /// Reads a header and checks the length against `max_payload`, before anything is allocated.
    ///
    /// # Errors
    /// `protocol_error` for bytes that are no header, `too_large` naming both sizes.
    pub fn decode(bytes: &[u8; HEADER], max_payload: u32) -> Result<Self> {
        let [magic, version, kind, flags, rest @ ..] = bytes;
        let broken = |what: String| Err(Error::new(ErrorCode::ProtocolError, what));
        if *magic != MAGIC {
            return broken(format!("this is not CANISP: a frame starts with 0xCA, not 0x{magic:02X}"));
        }
        if *version != VERSION {
            return broken(format!("CANISP version {version} is not spoken here, only version {VERSION}"));
        }
        let Some(kind) = FrameType::from_number(*kind) else {
            return broken(format!("frame type {kind} is unknown to CANISP/1"));
        };
        if *flags != 0 {
            return broken(format!("frame flags 0x{flags:02X} are unknown to CANISP/1"));
        }
        let [a, b, c, d, e, f, g, h] = *rest;
        let (request, length) = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
        if length > max_payload {
            return Err(Error::new(
                ErrorCode::TooLarge,
                format!(
                    "a frame of {length} bytes is larger than the limit of {max_payload}; send less at a time"
                ),
            ));
        }
        Ok(Header { kind, request, length })
    }
}

/// A whole frame.
#[must_use]
pub fn frame(kind: FrameType, request: u32, payload: &[u8]) -> Vec<u8> {
    // A payload beyond 4 GiB cannot be built: every sender checks the peer's limit first.
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    bytes.extend_from_slice(&Header { kind, request, length }.encode());
    bytes.extend_from_slice(payload);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_round_trip_and_refusals() {
        let header = Header { kind: FrameType::Request, request: 7, length: 300 };
        let bytes = header.encode();
        assert_eq!(Header::decode(&bytes, 300), Ok(header));
        assert_eq!(Header::decode(&bytes, 299).map_err(|e| e.code), Err(ErrorCode::TooLarge));
        for (at, value) in [(0, b'G'), (1, 2), (2, 0), (2, 99), (3, 1)] {
            let mut bad = bytes;
            bad[at] = value;
            assert_eq!(Header::decode(&bad, 300).map_err(|e| e.code), Err(ErrorCode::ProtocolError));
        }
    }
}
