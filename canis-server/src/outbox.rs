//! Frames as they go out: one writer task per connection, a bounded queue before it, a time-out on a peer that does
//! not read. What a frame paid for (its place among the requests in flight) is given back when it has been written.

use crate::limits;
use canis_proto::frame::{FrameType, frame};
use canis_proto::message::encode_error;
use canis_proto::{Error, Result};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::timeout;
use zeroize::Zeroizing;

/// The places that a request holds until its answer is written.
pub(crate) type Permits = Vec<OwnedSemaphorePermit>;

struct Outgoing {
    /// Wiped when written: answers may hold a plaintext.
    bytes: Zeroizing<Vec<u8>>,
    _permits: Permits,
}

/// The way to the writer task.
#[derive(Clone)]
pub(crate) struct Outbox(mpsc::Sender<Outgoing>);

impl Outbox {
    /// The outbox of a new connection, and its writer task, which ends when every outbox is dropped.
    pub(crate) fn new<W>(stream: W) -> (Self, tokio::task::JoinHandle<()>)
    where
        W: AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, queue) = mpsc::channel(limits::IN_FLIGHT as usize);
        (Outbox(sender), tokio::spawn(write_all(queue, stream)))
    }

    /// Sends a frame; waits while the queue is full.
    pub(crate) async fn send(&self, kind: FrameType, request: u32, payload: &[u8], permits: Permits) {
        let bytes = Zeroizing::new(frame(kind, request, payload));
        // A writer that has gone means the peer has; the reader learns it by `closed`.
        let _ = self.0.send(Outgoing { bytes, _permits: permits }).await;
    }

    /// Answers a request.
    pub(crate) async fn answer(&self, request: u32, answer: Result<Zeroizing<Vec<u8>>>, permits: Permits) {
        match answer {
            Ok(payload) => self.send(FrameType::Response, request, &payload, permits).await,
            Err(error) => self.send(FrameType::Error, request, &encode_error(&error), permits).await,
        }
    }

    /// Tells the peer what holds for the whole connection: ERROR with request id 0, or GOAWAY.
    pub(crate) async fn announce(&self, kind: FrameType, error: &Error) {
        self.send(kind, 0, &encode_error(error), Permits::new()).await;
    }

    /// Waits until nothing can be written any more.
    pub(crate) async fn closed(&self) {
        self.0.closed().await;
    }
}

async fn write_all(mut queue: mpsc::Receiver<Outgoing>, mut stream: impl AsyncWrite + Unpin) {
    while let Some(outgoing) = queue.recv().await {
        let write = async {
            stream.write_all(&outgoing.bytes).await?;
            stream.flush().await
        };
        if !matches!(timeout(limits::WRITE, write).await, Ok(Ok(()))) {
            return;
        }
    }
    // Says close_notify, so that the peer knows that nothing was cut off.
    let _ = timeout(limits::WRITE, stream.shutdown()).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tokio::io::AsyncReadExt;
    use tokio::sync::Semaphore;

    /// R81: a peer that does not read is dropped, and what its answers held is free again.
    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_read() {
        let (peer, ours) = tokio::io::duplex(16);
        let (outbox, writer) = Outbox::new(ours);
        let places = Arc::new(Semaphore::new(1));
        let permits = vec![Arc::clone(&places).acquire_owned().await.unwrap()];
        outbox.answer(1, Ok(Zeroizing::new(vec![7; 100])), permits).await;
        outbox.closed().await;
        writer.await.unwrap();
        assert_eq!(places.available_permits(), 1);
        drop(peer);
    }

    #[tokio::test]
    async fn ends_when_all_is_written() {
        let (mut peer, ours) = tokio::io::duplex(1024);
        let (outbox, writer) = Outbox::new(ours);
        outbox.answer(9, Ok(Zeroizing::new(b"xyz".to_vec())), Permits::new()).await;
        drop(outbox);
        writer.await.unwrap();
        let mut all = Vec::new();
        peer.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, frame(FrameType::Response, 9, b"xyz"));
    }
}
