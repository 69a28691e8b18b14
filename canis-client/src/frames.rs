//! Frames on a blocking stream.

use canis_proto::Result;
use canis_proto::frame::{self, FrameType, HEADER, Header};
use std::io::{self, Read, Write};
use zeroize::Zeroizing;

/// Writes a whole frame. The copy that is sent is wiped afterwards: it may hold a token or a plaintext.
pub(crate) fn write(
    stream: &mut impl Write,
    kind: FrameType,
    request: u32,
    payload: &[u8],
) -> io::Result<()> {
    let bytes = Zeroizing::new(frame::frame(kind, request, payload));
    stream.write_all(&bytes)?;
    stream.flush()
}

/// Reads a whole frame; the outer error is the stream's, the inner one the frame's.
pub(crate) fn read(stream: &mut impl Read) -> io::Result<Result<(Header, Zeroizing<Vec<u8>>)>> {
    let mut header = [0; HEADER];
    stream.read_exact(&mut header)?;
    let header = match Header::decode(&header, frame::MAX_PAYLOAD) {
        Ok(header) => header,
        Err(error) => return Ok(Err(error)),
    };
    let mut payload = Zeroizing::new(vec![0; header.length as usize]);
    stream.read_exact(&mut payload)?;
    Ok(Ok((header, payload)))
}
