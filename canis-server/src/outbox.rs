//! Frames as they go out: one writer task per connection, a bounded queue before it, a time-out on a peer that does
//! not read. What waits is written together. What a frame paid for (its place among the requests in flight) is given
//! back when it has been written.

use crate::audit::{Gate, unwritten};
use crate::limits;
use crate::request::Done;
use crate::wiped::Wiped;
use canis_proto::Error;
use canis_proto::frame::{FrameType, HEADER, Header};
use canis_proto::message::encode_error;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// What a frame holds until it is written: its place, and bytes of three limits at most.
#[derive(Default)]
pub(crate) struct Permits([Option<OwnedSemaphorePermit>; 4]);

impl Permits {
    /// None.
    pub(crate) fn new() -> Self {
        Permits::default()
    }

    /// These.
    pub(crate) fn of(permits: [Option<OwnedSemaphorePermit>; 4]) -> Self {
        Permits(permits)
    }
}

impl From<OwnedSemaphorePermit> for Permits {
    fn from(permit: OwnedSemaphorePermit) -> Self {
        Permits([Some(permit), None, None, None])
    }
}

/// Frames that are written at once: one large one, or small ones of so many bytes in all.
const TOGETHER: usize = 64 << 10;

/// Frames that wait to be written at once.
struct Bundle {
    /// Wiped when written: answers may hold a plaintext.
    bytes: Wiped,
    /// What each frame waits for in the audit log.
    receipts: Vec<u64>,
    permits: Vec<OwnedSemaphorePermit>,
}

impl Bundle {
    fn with_room(room: usize) -> Self {
        Bundle { bytes: Wiped::with_room(room), receipts: Vec::new(), permits: Vec::new() }
    }

    fn add(&mut self, header: &[u8; HEADER], payload: &[u8], permits: Permits, receipt: u64) {
        self.bytes.append(header);
        self.bytes.append(payload);
        self.receipts.push(receipt);
        permits.0.into_iter().flatten().for_each(|permit| self.hold(permit));
    }

    /// Permits of one kind become one, so that they are given back together.
    fn hold(&mut self, permit: OwnedSemaphorePermit) {
        let alike = |held: &&mut OwnedSemaphorePermit| Arc::ptr_eq(held.semaphore(), permit.semaphore());
        match self.permits.iter_mut().find(alike) {
            Some(held) => held.merge(permit),
            None => self.permits.push(permit),
        }
    }
}

impl Bundle {
    /// The same frames, where those that the audit log does not show are refusals; `None` if there are pieces of a stream
    /// among them, which cannot be taken back.
    fn refused(&self, gate: &Gate) -> Option<Wiped> {
        let (mut out, mut rest) = (Wiped::with_room(self.bytes.len()), &self.bytes[..]);
        let refusal = encode_error(&unwritten());
        for receipt in &self.receipts {
            let (header, payload) = rest.split_first_chunk::<HEADER>()?;
            let Header { kind, request, length } = Header::decode(header, u32::MAX).ok()?;
            let (payload, further) = payload.split_at_checked(length as usize)?;
            rest = further;
            if gate.is_open(*receipt) || !matches!(kind, FrameType::Response | FrameType::Data) {
                out.append(header);
                out.append(payload);
                continue;
            }
            if kind == FrameType::Data {
                return None;
            }
            gate.count_refused();
            let length = u32::try_from(refusal.len()).ok()?;
            out.append(&Header { kind: FrameType::Error, request, length }.encode());
            out.append(&refusal);
        }
        Some(out)
    }
}

/// What the writer and those who send share.
struct Shared {
    waiting: Mutex<Waiting>,
    /// Something waits, or nothing will any more.
    changed: Notify,
    /// Room for so many frames; closed when the writer has gone.
    room: Semaphore,
    /// Has no permits; closed when the writer has gone.
    writer: Semaphore,
    gate: Gate,
}

#[derive(Default)]
struct Waiting {
    bundles: VecDeque<Bundle>,
    /// Nobody is left who sends.
    ended: bool,
    /// How many bytes went together last: the next are likely to need as much room.
    usual: usize,
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, header: &[u8; HEADER], payload: &[u8], permits: Permits, receipt: u64) {
        let size = HEADER + payload.len();
        let mut waiting = self.waiting();
        if waiting.bundles.back().is_none_or(|last| last.bytes.len() + size > TOGETHER) {
            let room = size.max(waiting.usual);
            waiting.bundles.push_back(Bundle::with_room(room));
        }
        if let Some(last) = waiting.bundles.back_mut() {
            last.add(header, payload, permits, receipt);
        }
    }

    /// What is to be written next; `None` when nobody is left who sends.
    async fn next(&self) -> Option<Bundle> {
        loop {
            {
                let mut waiting = self.waiting();
                if let Some(bundle) = waiting.bundles.pop_front() {
                    waiting.usual = bundle.bytes.len().min(TOGETHER);
                    return Some(bundle);
                }
                if waiting.ended {
                    return None;
                }
            }
            self.changed.notified().await;
        }
    }
}

/// Those who send; the last of them to go ends the writer.
struct Senders(Arc<Shared>);

impl Drop for Senders {
    fn drop(&mut self) {
        self.0.waiting().ended = true;
        self.0.changed.notify_one();
    }
}

/// The way to the writer task.
#[derive(Clone)]
pub(crate) struct Outbox(Arc<Senders>);

impl Outbox {
    /// The outbox of a new connection, and its writer task, which ends when every outbox is dropped.
    pub(crate) fn new<W>(stream: W, gate: Gate) -> (Self, tokio::task::JoinHandle<()>)
    where
        W: AsyncWrite + Unpin + Send + 'static,
    {
        let shared = Arc::new(Shared {
            waiting: Mutex::default(),
            changed: Notify::new(),
            room: Semaphore::new(limits::IN_FLIGHT as usize),
            writer: Semaphore::new(0),
            gate,
        });
        let writer = Writer(Arc::clone(&shared));
        (Outbox(Arc::new(Senders(shared))), tokio::spawn(writer.run(stream)))
    }

    /// Sends a frame; waits while the queue is full. It goes out when whoever sends does something else.
    pub(crate) async fn send(&self, kind: FrameType, request: u32, payload: &[u8], permits: Permits) {
        self.send_after(self.0.0.gate.receipt(), kind, request, payload, permits).await;
    }

    /// The same with what it waits for in the audit log.
    async fn send_after(
        &self,
        receipt: u64,
        kind: FrameType,
        request: u32,
        payload: &[u8],
        permits: Permits,
    ) {
        let shared = &self.0.0;
        // A writer that has gone means the peer has; the reader learns it by `closed`.
        match shared.room.try_acquire() {
            Ok(room) => room.forget(),
            Err(_) => match shared.room.acquire().await {
                Ok(room) => room.forget(),
                Err(_) => return,
            },
        }
        // A payload beyond 4 GiB cannot be built: every answer is checked against the limit first.
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        shared.push(&Header { kind, request, length }.encode(), payload, permits, receipt);
        shared.changed.notify_one();
    }

    /// Answers a request.
    pub(crate) async fn answer(&self, request: u32, answer: Done, permits: Permits) {
        let receipt = answer.receipt;
        match answer.result {
            Ok(payload) => self.send_after(receipt, FrameType::Response, request, &payload, permits).await,
            Err(error) => {
                self.send_after(receipt, FrameType::Error, request, &encode_error(&error), permits).await;
            }
        }
    }

    /// Tells the peer what holds for the whole connection: ERROR with request id 0, or GOAWAY.
    pub(crate) async fn announce(&self, kind: FrameType, error: &Error) {
        self.send(kind, 0, &encode_error(error), Permits::new()).await;
    }

    /// Waits until nothing can be written any more.
    pub(crate) async fn closed(&self) {
        // It has no permits, so that only its closing ends this.
        let _ = self.0.0.writer.acquire().await;
    }
}

/// The writer task's part.
struct Writer(Arc<Shared>);

impl Drop for Writer {
    /// What waits has nobody to be written to.
    fn drop(&mut self) {
        self.0.room.close();
        self.0.writer.close();
        let left = std::mem::take(&mut self.0.waiting().bundles);
        drop(left);
    }
}

impl Writer {
    async fn run(self, mut stream: impl AsyncWrite + Unpin) {
        while let Some(mut bundle) = self.0.next().await {
            let last = bundle.receipts.iter().max().copied().unwrap_or_default();
            if !self.0.gate.opens(last).await {
                match bundle.refused(&self.0.gate) {
                    Some(refused) => bundle.bytes = refused,
                    None => return,
                }
            }
            let write = async {
                stream.write_all(&bundle.bytes).await?;
                stream.flush().await
            };
            if !matches!(timeout(limits::WRITE, write).await, Ok(Ok(()))) {
                return;
            }
            self.0.room.add_permits(bundle.receipts.len());
        }
        // Says close_notify, so that the peer knows that nothing was cut off.
        let _ = timeout(limits::WRITE, stream.shutdown()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use canis_proto::frame::frame;
    use tokio::io::AsyncReadExt;

    fn done(payload: Wiped) -> Done {
        Done { result: Ok(payload), receipt: 0 }
    }

    fn bytes(byte: u8, len: usize) -> Wiped {
        let mut bytes = Wiped::zeros(len);
        bytes.fill(byte);
        bytes
    }

    /// R81: a peer that does not read is dropped, and what its answers held is free again.
    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_read() {
        let (peer, ours) = tokio::io::duplex(16);
        let (outbox, writer) = Outbox::new(ours, Gate::default());
        let places = Arc::new(Semaphore::new(2));
        for id in [1, 2] {
            let permit = Arc::clone(&places).acquire_owned().await.unwrap();
            outbox.answer(id, done(bytes(7, TOGETHER)), permit.into()).await;
        }
        outbox.closed().await;
        writer.await.unwrap();
        assert_eq!(places.available_permits(), 2);
        outbox.answer(3, done(bytes(7, 100)), Permits::new()).await;
        drop(peer);
    }

    #[tokio::test]
    async fn ends_when_all_is_written() {
        let (mut peer, ours) = tokio::io::duplex(1024);
        let (outbox, writer) = Outbox::new(ours, Gate::default());
        outbox.answer(9, done(bytes(b'x', 3)), Permits::new()).await;
        drop(outbox);
        writer.await.unwrap();
        let mut all = Vec::new();
        peer.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, frame(FrameType::Response, 9, b"xxx"));
    }

    /// What waits goes out together, a large frame by itself, and places are given back with what was written.
    #[tokio::test]
    async fn small_frames_go_together() {
        let (mut peer, ours) = tokio::io::duplex(4 * TOGETHER);
        let (outbox, _writer) = Outbox::new(ours, Gate::default());
        let places = Arc::new(Semaphore::new(10));
        let sizes = [1, 2, TOGETHER + 1, 3];
        for (id, size) in (1..).zip(sizes) {
            let permit = Arc::clone(&places).acquire_owned().await.unwrap();
            outbox.answer(id, done(bytes(id as u8, size)), permit.into()).await;
        }
        let bundles: Vec<usize> =
            outbox.0.0.waiting().bundles.iter().map(|bundle| bundle.receipts.len()).collect();
        assert_eq!((bundles, places.available_permits()), (vec![2, 1, 1], 6));
        for (id, size) in (1..).zip(sizes) {
            let mut came = vec![0; HEADER + size];
            peer.read_exact(&mut came).await.unwrap();
            assert_eq!(came, frame(FrameType::Response, id, &vec![id as u8; size]));
        }
        while places.available_permits() < 10 {
            tokio::task::yield_now().await;
        }
    }

    /// R81: who sends without paying waits when so many frames wait already.
    #[tokio::test(start_paused = true)]
    async fn the_queue_is_bounded() {
        let (_peer, ours) = tokio::io::duplex(16);
        let (outbox, _writer) = Outbox::new(ours, Gate::default());
        let flood = async {
            for _ in 0..1000 {
                outbox.send(FrameType::Pong, 0, &[7; 64], Permits::new()).await;
            }
        };
        assert!(timeout(limits::WRITE / 2, flood).await.is_err());
        let waiting: usize = outbox.0.0.waiting().bundles.iter().map(|bundle| bundle.receipts.len()).sum();
        assert!(waiting <= limits::IN_FLIGHT as usize, "{waiting} frames");
    }
}
