//! Frames out of a stream of bytes, whichever way the bytes are read.

use canis_proto::Result;
use canis_proto::frame::{self, FrameType, HEADER, Header};
use std::io::{self, Read, Write};
use zeroize::Zeroizing;

/// A payload; it may hold a token, a PIN or a plaintext.
pub(crate) type Payload = Zeroizing<Vec<u8>>;
/// A whole frame that came.
pub(crate) type Frame = (Header, Payload);

/// So many bytes are read at once; what is longer goes straight to its payload.
const CHUNK: usize = 64 << 10;

/// What has come of a stream of frames. Everything in it is wiped.
pub(crate) struct Frames {
    chunk: Payload,
    start: usize,
    end: usize,
    /// The frame whose payload is still coming.
    coming: Option<Coming>,
}

struct Coming {
    header: Header,
    payload: Payload,
    have: usize,
}

impl Coming {
    fn missing(&self) -> usize {
        self.payload.len() - self.have
    }
}

impl Frames {
    /// Of a stream that begins.
    pub(crate) fn new() -> Self {
        Frames { chunk: Zeroizing::new(vec![0; CHUNK]), start: 0, end: 0, coming: None }
    }

    /// The next frame, if all of it has come.
    ///
    /// # Errors
    /// `protocol_error` or `too_large`: the stream is of no use any more.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>> {
        if self.coming.is_none() {
            let Some(header) = self.chunk[self.start..self.end].first_chunk::<HEADER>() else {
                return Ok(None);
            };
            let header = Header::decode(header, frame::MAX_PAYLOAD)?;
            self.start += HEADER;
            let payload = Zeroizing::new(vec![0; header.length as usize]);
            self.coming = Some(Coming { header, payload, have: 0 });
        }
        let Some(mut coming) = self.coming.take() else { return Ok(None) };
        let count = coming.missing().min(self.end - self.start);
        let bytes = &self.chunk[self.start..self.start + count];
        coming.payload[coming.have..coming.have + count].copy_from_slice(bytes);
        (self.start, coming.have) = (self.start + count, coming.have + count);
        if coming.missing() == 0 {
            return Ok(Some((coming.header, coming.payload)));
        }
        self.coming = Some(coming);
        Ok(None)
    }

    /// Where bytes are to be read to when [`Frames::next`] has no frame; never empty.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        match &mut self.coming {
            Some(coming) if coming.missing() >= CHUNK => &mut coming.payload[coming.have..],
            _ => {
                self.chunk.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.end - self.start);
                &mut self.chunk[self.end..]
            }
        }
    }

    /// So many bytes were read into [`Frames::room`].
    pub(crate) fn came(&mut self, count: usize) {
        match &mut self.coming {
            Some(coming) if coming.missing() >= CHUNK => coming.have += count,
            _ => self.end += count,
        }
    }

    /// Reads a whole frame from a blocking stream; the outer error is the stream's, the inner one the frame's.
    pub(crate) fn read(&mut self, stream: &mut impl Read) -> io::Result<Result<Frame>> {
        loop {
            if let Some(frame) = self.next().transpose() {
                return Ok(frame);
            }
            match stream.read(self.room()) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.came(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Writes a whole frame. The copy that is sent is wiped afterwards.
pub(crate) fn write(
    stream: &mut impl Write,
    kind: FrameType,
    request: u32,
    payload: &[u8],
) -> io::Result<()> {
    stream.write_all(&whole(kind, request, payload))?;
    stream.flush()
}

/// A whole frame.
pub(crate) fn whole(kind: FrameType, request: u32, payload: &[u8]) -> Payload {
    Zeroizing::new(frame::frame(kind, request, payload))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However the bytes are cut, the same frames come out; what is no frame is refused.
    #[test]
    fn any_cuts() {
        let sent: Vec<Vec<u8>> = [0, 1, 5, CHUNK - 1, CHUNK, 3 * CHUNK + 7].map(|n| vec![7; n]).into();
        let stream: Vec<u8> = sent.iter().flat_map(|p| frame::frame(FrameType::Response, 9, p)).collect();
        for step in [1, 11, 12, 13, 4096, CHUNK, stream.len()] {
            let (mut frames, mut got, mut at) = (Frames::new(), Vec::new(), 0);
            loop {
                while let Some((header, payload)) = frames.next().unwrap() {
                    assert_eq!((header.kind, header.request), (FrameType::Response, 9));
                    got.push(payload.to_vec());
                }
                let room = frames.room();
                let count = room.len().min(step).min(stream.len() - at);
                if count == 0 {
                    break;
                }
                room[..count].copy_from_slice(&stream[at..at + count]);
                frames.came(count);
                at += count;
            }
            assert!(got == sent, "cut by {step}");
        }
        let mut frames = Frames::new();
        assert!(frames.read(&mut &b"HTTP/1.1 400 Bad Request"[..]).unwrap().is_err());
        assert!(Frames::new().read(&mut &b"\xca\x01\x03\x00"[..]).is_err());
    }
}
