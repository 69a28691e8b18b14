//! What goes out as the body of an answer: all of it at once, or piece by piece as it is made.

use hyper::body::{Body, Bytes, Frame, SizeHint};
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// A body.
pub(crate) enum Outgoing {
    /// All of it; nothing is left when it was taken.
    Whole(Option<Bytes>),
    /// What comes by a channel, until its other end is dropped.
    Pieces(mpsc::Receiver<Result<Bytes, Broken>>),
}

impl Default for Outgoing {
    fn default() -> Self {
        Outgoing::Whole(None)
    }
}

impl From<Vec<u8>> for Outgoing {
    fn from(bytes: Vec<u8>) -> Self {
        Outgoing::Whole((!bytes.is_empty()).then(|| bytes.into()))
    }
}

/// A body that cannot be brought to its end. hyper then breaks the answer off, so that no client takes it for whole: HTTP/1.1
/// lacks the last chunk (RFC 9112, section 7.1), HTTP/2 has RST_STREAM (RFC 9113, section 6.4).
#[derive(Debug)]
pub(crate) struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the answer cannot be brought to its end; the log says why")
    }
}

impl std::error::Error for Broken {}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.get_mut() {
            Outgoing::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Outgoing::Pieces(pieces) => {
                pieces.poll_recv(context).map(|next| next.map(|piece| piece.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Outgoing::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Outgoing::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Outgoing::Pieces(_) => SizeHint::default(),
        }
    }
}
