//! Requests that may be sent again, and the keys by which the server recognises a change that is.

use crate::frames::Payload;
use crate::inbox::Unanswered;
use canis_proto::message::{Terms, WireRequest, changes, encode_request_on, repeats};
use canis_proto::{Error, ErrorCode, Result};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Between two tries to send a change again.
pub(crate) const PAUSE: Duration = Duration::from_millis(100);

/// A request that is sent as often as need be.
pub(crate) struct Asked {
    pub(crate) payload: Payload,
    /// Whether it does no harm to send it again after the connection was lost with it.
    again: bool,
}

impl Asked {
    /// After `limit` the server does not begin with it any more. A change is recognised by a key when it comes again.
    pub(crate) fn new<'a, R: WireRequest<'a>>(request: &R, limit: Duration) -> Result<Self> {
        let args = request.to_map();
        let change = changes(R::ID, &args);
        let again = change || repeats(R::ID, &args);
        Ok(Asked { payload: payload(request, change, Some(limit))?, again })
    }

    /// Whether there is another try, after [`PAUSE`].
    ///
    /// # Errors
    /// The last word.
    pub(crate) fn again(&self, unanswered: Unanswered, patience: Instant) -> Result<()> {
        let error = match unanswered {
            Unanswered::Refused(error) => return Err(error),
            Unanswered::Lost(error) if !self.again => return Err(error),
            Unanswered::NotSent(error) | Unanswered::Lost(error) => error,
        };
        match error.code == ErrorCode::Unavailable && Instant::now() + PAUSE < patience {
            true => Ok(()),
            false => Err(error),
        }
    }
}

/// The payload of a request, on its terms.
pub(crate) fn payload<'a>(
    request: &impl WireRequest<'a>,
    change: bool,
    limit: Option<Duration>,
) -> Result<Payload> {
    let key = if change { Some(fresh_key()?) } else { None };
    let idempotency_key = key.as_ref().map(<[u8; 16]>::as_slice);
    // What is longer than 49 days is as good as none.
    let deadline = limit.and_then(|limit| u32::try_from(limit.as_millis().max(1)).ok());
    Ok(Zeroizing::new(encode_request_on(request, Terms { idempotency_key, deadline })))
}

/// A key that nobody else draws.
fn fresh_key() -> Result<[u8; 16]> {
    let mut key = [0; 16];
    let random = rustls::crypto::aws_lc_rs::default_provider().secure_random;
    random.fill(&mut key).map_err(|_| Error::internal("the machine gives no random bytes"))?;
    Ok(key)
}
