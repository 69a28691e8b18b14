//! Frames as they come in: length checked before memory is taken, time bounded once a frame has begun.

use crate::limits;
use crate::wiped::{Wiped, wipe};
use canis_proto::frame::{HEADER, Header, MAGIC};
use canis_proto::{Error, ErrorCode};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::{Instant, timeout, timeout_at};

/// Why a connection ends.
#[derive(Debug)]
pub(crate) enum End {
    /// The peer closed it in order.
    Closed,
    /// It broke.
    Lost(String),
    /// The peer broke a rule; it is told by an ERROR frame with request id 0.
    Refused(Error),
    /// The server takes no more requests here; the peer is told by GOAWAY.
    GoAway(Error),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        End::Lost(error.to_string())
    }
}

/// Bytes that are read at once; larger payloads are read to where they belong. Every connection has so many, even an
/// idle one.
const TOGETHER: usize = 4 << 10;

/// Reads frames from the peer's half of a connection.
pub(crate) struct FrameReader<R> {
    stream: R,
    /// What has come together; that from `taken` to `came` is still to be taken.
    held: Wiped,
    taken: usize,
    came: usize,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(crate) fn new(stream: R) -> Self {
        FrameReader { stream, held: Wiped::zeros(TOGETHER), taken: 0, came: 0 }
    }

    /// Whether something has come that was not taken.
    pub(crate) fn holds_more(&self) -> bool {
        self.taken < self.came
    }

    /// Waits until something has come that was not taken. Dropping this future loses nothing.
    pub(crate) async fn more(&mut self) -> Result<(), End> {
        if self.holds_more() {
            return Ok(());
        }
        wipe(&mut self.held[..self.came]);
        (self.taken, self.came) = (0, 0);
        self.came = self.stream.read(&mut self.held).await?;
        if self.came == 0 { Err(End::Closed) } else { Ok(()) }
    }

    /// Waits for a frame to begin. Dropping this future loses nothing.
    pub(crate) async fn first_byte(&mut self) -> Result<u8, End> {
        self.more().await?;
        self.taken += 1;
        Ok(self.held[self.taken - 1])
    }

    /// The next `length` bytes, if they have come already.
    pub(crate) fn at_hand(&self, length: u32) -> Option<&[u8]> {
        self.held[self.taken..self.came].get(..length as usize)
    }

    /// Takes so many bytes that were at hand.
    pub(crate) fn pass(&mut self, length: u32) {
        self.take(length as usize);
    }

    /// Takes up to so many bytes of what has come.
    fn take(&mut self, most: usize) -> &[u8] {
        let from = self.taken;
        self.taken = self.came.min(from + most);
        &self.held[from..self.taken]
    }

    /// Fills `out`: with what has come, and then from the stream.
    async fn exact(&mut self, out: &mut [u8]) -> Result<(), End> {
        let (at_hand, rest) = out.split_at_mut(out.len().min(self.came - self.taken));
        at_hand.copy_from_slice(self.take(at_hand.len()));
        if rest.len() >= TOGETHER {
            return in_time(self.stream.read_exact(rest)).await.map(drop);
        }
        self.rest(rest).await
    }

    /// Fills `out` from the stream and holds what comes with it.
    async fn rest(&mut self, mut out: &mut [u8]) -> Result<(), End> {
        if out.is_empty() {
            return Ok(());
        }
        let end = Instant::now() + limits::FRAME;
        while !out.is_empty() {
            match timeout_at(end, self.more()).await {
                Ok(Err(End::Closed)) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(more) => more?,
                Err(_) => return Err(late()),
            }
            let came = self.take(out.len());
            let (now, later) = out.split_at_mut(came.len());
            now.copy_from_slice(came);
            out = later;
        }
        Ok(())
    }

    /// The rest of the header that began with `first`.
    pub(crate) async fn header(&mut self, first: u8, max_payload: u32) -> Result<Header, End> {
        let mut header = [0; HEADER];
        header[0] = first;
        // What is no CANISP is refused at its first byte: the other eleven may never come.
        if first == MAGIC {
            self.exact(&mut header[1..]).await?;
        }
        Header::decode(&header, max_payload).map_err(End::Refused)
    }

    /// A payload whose length has been checked and paid for.
    pub(crate) async fn payload(&mut self, length: u32) -> Result<Wiped, End> {
        let mut payload = Wiped::zeros(length as usize);
        if length > limits::LARGE {
            let at_hand = self.take(payload.len());
            payload[..at_hand.len()].copy_from_slice(at_hand);
            let have = at_hand.len();
            self.large(&mut payload, have).await?;
        } else {
            self.exact(&mut payload).await?;
        }
        Ok(payload)
    }

    /// Fills `payload` from `have` on, which must come at a rate: what it has paid for, others wait for.
    async fn large(&mut self, payload: &mut [u8], mut have: usize) -> Result<(), End> {
        let began = Instant::now();
        while have < payload.len() {
            let earned = Duration::from_secs_f64(have as f64 / f64::from(limits::LARGE_RATE));
            let read =
                timeout_at(began + limits::LARGE_START + earned, self.stream.read(&mut payload[have..]));
            match read.await {
                Ok(Ok(0)) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(came) => have += came?,
                Err(_) => {
                    let rate = limits::LARGE_RATE >> 10;
                    let why = format!("a large frame must come at {rate} KiB a second; send smaller ones");
                    return Err(End::Refused(Error::new(ErrorCode::ProtocolError, why)));
                }
            }
        }
        Ok(())
    }

    /// The payload of a frame that has from `least` to `most` bytes.
    pub(crate) async fn bounded(&mut self, header: Header, least: u32, most: u32) -> Result<Wiped, End> {
        if !(least..=most).contains(&header.length) {
            let (kind, length) = (header.kind, header.length);
            let why = format!("a {kind:?} frame has {least} to {most} bytes, not {length}");
            return Err(End::Refused(Error::new(ErrorCode::ProtocolError, why)));
        }
        self.payload(header.length).await
    }

    /// Reads a payload away without keeping it.
    pub(crate) async fn discard(&mut self, length: u32) -> Result<(), End> {
        let length = u64::from(length) - self.take(length as usize).len() as u64;
        let mut payload = (&mut self.stream).take(length);
        let copied = in_time(tokio::io::copy(&mut payload, &mut tokio::io::sink())).await?;
        if copied < length { Err(End::Lost("the frame ended early".into())) } else { Ok(()) }
    }

    /// Reads until the peer closes.
    pub(crate) async fn discard_all(&mut self) {
        // The connection is over; how it ends changes nothing.
        let _ = tokio::io::copy(&mut self.stream, &mut tokio::io::sink()).await;
    }
}

async fn in_time<T>(read: impl Future<Output = io::Result<T>>) -> Result<T, End> {
    match timeout(limits::FRAME, read).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(late()),
    }
}

fn late() -> End {
    let limit = limits::FRAME.as_secs();
    let why = format!("a frame was begun and not finished within {limit} s");
    End::Refused(Error::new(ErrorCode::ProtocolError, why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use canis_proto::frame::{FrameType, frame};
    use tokio::io::AsyncWriteExt;

    async fn next(reader: &mut FrameReader<tokio::io::DuplexStream>) -> Result<Vec<u8>, End> {
        let first = reader.first_byte().await?;
        let header = reader.header(first, 100).await?;
        Ok(reader.payload(header.length).await?.to_vec())
    }

    fn refused(end: Result<Vec<u8>, End>) -> ErrorCode {
        match end {
            Err(End::Refused(error)) => error.code,
            other => panic!("not refused: {other:?}"),
        }
    }

    #[tokio::test]
    async fn whole_frames_and_the_end() {
        let (mut peer, ours) = tokio::io::duplex(64);
        peer.write_all(&frame(FrameType::Ping, 1, b"abc")).await.unwrap();
        drop(peer);
        let mut reader = FrameReader::new(ours);
        assert_eq!(next(&mut reader).await.unwrap(), b"abc");
        assert!(matches!(next(&mut reader).await, Err(End::Closed)));
    }

    /// R81: garbage is refused at its first byte, an oversized frame at its header, before memory is taken.
    #[tokio::test]
    async fn garbage_and_oversize() {
        let (mut peer, ours) = tokio::io::duplex(64);
        peer.write_all(b"G").await.unwrap();
        assert_eq!(refused(next(&mut FrameReader::new(ours)).await), ErrorCode::ProtocolError);
        let (mut peer, ours) = tokio::io::duplex(64);
        peer.write_all(&Header { kind: FrameType::Request, request: 1, length: 101 }.encode()).await.unwrap();
        assert_eq!(refused(next(&mut FrameReader::new(ours)).await), ErrorCode::TooLarge);
    }

    /// R81: a peer that sends half a frame and waits is not waited for.
    #[tokio::test(start_paused = true)]
    async fn half_frames_time_out() {
        for part in [5, HEADER + 2] {
            let (mut peer, ours) = tokio::io::duplex(64);
            peer.write_all(&frame(FrameType::Ping, 1, b"abc")[..part]).await.unwrap();
            assert_eq!(refused(next(&mut FrameReader::new(ours)).await), ErrorCode::ProtocolError);
            drop(peer);
        }
    }

    /// R81: a large payload that stands still is given up after seconds, one that flows is not, however long it takes.
    #[tokio::test(start_paused = true)]
    async fn large_payloads_must_flow() {
        const LENGTH: u32 = 8 << 20;
        for (rate, whole) in [(0, false), (limits::LARGE_RATE / 2, false), (limits::LARGE_RATE, true)] {
            let (mut peer, ours) = tokio::io::duplex(1 << 20);
            let began = Instant::now();
            let sender = tokio::spawn(async move {
                for _ in 0..LENGTH / limits::LARGE_RATE * 2 {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    // The reader may have given up.
                    let _ = peer.write_all(&vec![7; rate as usize]).await;
                }
            });
            let read = FrameReader::new(ours).payload(LENGTH).await;
            assert_eq!(read.is_ok(), whole, "{rate} bytes a second");
            let most = if whole { 33 } else { 11 };
            assert!(began.elapsed() < Duration::from_secs(most), "{:?}", began.elapsed());
            sender.abort();
        }
    }

    #[tokio::test]
    async fn discards_exactly_one_payload() {
        let (mut peer, ours) = tokio::io::duplex(64);
        peer.write_all(b"abcdX").await.unwrap();
        let mut reader = FrameReader::new(ours);
        reader.discard(4).await.unwrap();
        assert_eq!(reader.first_byte().await.unwrap(), b'X');
    }
}
