//! What the peer of one stream has sent and not yet been worked on, and how much each side may still send.

use crate::limits;
use canis_proto::{Error, ErrorCode, Result};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio::time::timeout;
use zeroize::Zeroizing;

/// A buffer of one stream; wiped when dropped.
pub(crate) type Buffer = Zeroizing<Vec<u8>>;

/// Makes room for `more` bytes. Where a larger buffer takes the place of this one, this one is wiped.
pub(crate) fn make_room(buffer: &mut Buffer, more: usize) {
    let needed = buffer.len() + more;
    if needed > buffer.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity(needed.next_power_of_two()));
        larger.extend_from_slice(buffer);
        *buffer = larger;
    }
}

/// A stream as the reader of its connection sees it.
pub(crate) struct Inbox {
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    input: Buffer,
    /// Bytes that the peer may still send.
    room: u32,
    /// Whether the peer has said that nothing follows.
    ended: bool,
    /// Bytes that the peer still takes.
    credit: u32,
    /// Why the stream is over at once.
    cancelled: Option<Error>,
    /// Why nothing more will come from the peer: the stream goes on as long as it needs nothing.
    closing: Option<Error>,
}

impl Inbox {
    /// The inbox of a new stream: nothing may come, and nothing may be sent.
    pub(crate) fn new() -> Self {
        let state = State {
            input: Buffer::default(),
            room: 0,
            ended: false,
            credit: 0,
            cancelled: None,
            closing: None,
        };
        Inbox { state: Mutex::new(state), changed: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the peer send `bytes` more.
    pub(crate) fn grant(&self, bytes: u32) {
        self.state().room += bytes;
    }

    /// How many bytes the peer may send, and whether it has ended.
    pub(crate) fn room_and_end(&self) -> (u32, bool) {
        let state = self.state();
        (state.room, state.ended)
    }

    /// DATA came.
    ///
    /// # Errors
    /// `protocol_error` for more than the credit, or behind the end.
    pub(crate) fn data(&self, bytes: &[u8]) -> Result<()> {
        let mut state = self.state();
        if state.ended {
            return Err(broken("DATA came behind the stream's END or CANCEL"));
        }
        state.room = spend(state.room, bytes.len())?;
        make_room(&mut state.input, bytes.len());
        state.input.extend_from_slice(bytes);
        self.changed.notify_one();
        Ok(())
    }

    /// END came.
    ///
    /// # Errors
    /// `protocol_error` for a second one.
    pub(crate) fn end(&self) -> Result<()> {
        let mut state = self.state();
        if std::mem::replace(&mut state.ended, true) {
            return Err(broken("a stream ended twice"));
        }
        self.changed.notify_one();
        Ok(())
    }

    /// CREDIT came.
    ///
    /// # Errors
    /// `protocol_error` for more than 2^32 - 1 bytes in all.
    pub(crate) fn credit(&self, bytes: u32) -> Result<()> {
        let mut state = self.state();
        state.credit =
            state.credit.checked_add(bytes).ok_or_else(|| broken("a stream's credit is too large"))?;
        self.changed.notify_one();
        Ok(())
    }

    /// CANCEL came.
    pub(crate) fn cancel(&self) {
        let mut state = self.state();
        state.ended = true;
        state.cancelled = Some(Error::new(ErrorCode::Cancelled, "the client took the stream back"));
        self.changed.notify_one();
    }

    /// Nothing more will come from the peer.
    pub(crate) fn close(&self, why: &Error) {
        self.state().closing = Some(why.clone());
        self.changed.notify_one();
    }

    /// Waits for input and exchanges it for `spent`, which is empty; says whether more may follow.
    ///
    /// # Errors
    /// Why the stream is over.
    pub(crate) async fn next(&self, spent: &mut Buffer) -> Result<bool> {
        self.when(|state| {
            if !state.ended && state.input.is_empty() {
                return None;
            }
            std::mem::swap(&mut state.input, spent);
            Some(!state.ended)
        })
        .await
    }

    /// Waits until the peer takes something, and spends `most` bytes of that or fewer; says how many.
    ///
    /// # Errors
    /// Why the stream is over.
    pub(crate) async fn spend(&self, most: usize) -> Result<usize> {
        self.when(|state| {
            let part = state.credit.min(u32::try_from(most).unwrap_or(u32::MAX));
            state.credit -= part;
            (part > 0).then_some(part as usize)
        })
        .await
    }

    /// Waits until `ready` has something to give.
    async fn when<T>(&self, mut ready: impl FnMut(&mut State) -> Option<T>) -> Result<T> {
        loop {
            {
                let mut state = self.state();
                if let Some(cancelled) = &state.cancelled {
                    return Err(cancelled.clone());
                }
                if let Some(given) = ready(&mut state) {
                    return Ok(given);
                }
                if let Some(closing) = &state.closing {
                    return Err(closing.clone());
                }
            }
            timeout(limits::STREAM_IDLE, self.changed.notified()).await.map_err(|_| {
                let why = format!("the stream stood still for {} s", limits::STREAM_IDLE.as_secs());
                Error::new(ErrorCode::DeadlineExceeded, why)
            })?;
        }
    }

    /// Waits until the stream is over, come what may.
    pub(crate) async fn over(&self) -> Error {
        loop {
            {
                let state = self.state();
                if let Some(why) = state.cancelled.as_ref().or(state.closing.as_ref()) {
                    return why.clone();
                }
            }
            self.changed.notified().await;
        }
    }
}

/// What is left of a peer's credit behind so many bytes.
///
/// # Errors
/// `protocol_error` for more bytes than that.
pub(crate) fn spend(room: u32, bytes: usize) -> Result<u32> {
    let left = u32::try_from(bytes).ok().and_then(|bytes| room.checked_sub(bytes));
    left.ok_or_else(|| broken(format!("DATA of {bytes} bytes came where {room} were allowed")))
}

/// The peer broke a rule of streams.
pub(crate) fn broken(why: impl Into<String>) -> Error {
    Error::new(ErrorCode::ProtocolError, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream whose peer neither sends nor takes anything ends by its time, in either direction; one that goes on,
    /// however slowly, does not.
    #[tokio::test(start_paused = true)]
    async fn a_stream_that_stands_still_ends() {
        let inbox = Inbox::new();
        let began = tokio::time::Instant::now();
        let stood = inbox.next(&mut Buffer::default()).await.map(|_| ());
        assert_eq!(stood.map_err(|error| error.code), Err(ErrorCode::DeadlineExceeded));
        assert_eq!(began.elapsed(), limits::STREAM_IDLE);
        let stood = inbox.spend(1).await.map(|_| ());
        assert_eq!(stood.map_err(|error| error.code), Err(ErrorCode::DeadlineExceeded));
        assert_eq!(began.elapsed(), 2 * limits::STREAM_IDLE);
        let peer = async {
            for _ in 0..5 {
                tokio::time::sleep(limits::STREAM_IDLE * 9 / 10).await;
                inbox.grant(1);
                inbox.data(b"x").unwrap();
            }
        };
        let server = async {
            for _ in 0..5 {
                inbox.next(&mut Buffer::default()).await.unwrap();
            }
        };
        tokio::join!(peer, server);
    }
}
