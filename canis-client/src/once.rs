//! Requests that may be sent again, and the keys by which the server recognises a change that is.

use crate::frames::Payload;
use canis_proto::message::{Terms, WireRequest, encode_request_on};
use canis_proto::{Error, Result};
use std::time::Duration;
use zeroize::Zeroizing;

/// Between two tries to send a change again.
pub(crate) const PAUSE: Duration = Duration::from_millis(100);

/// The payload of a request. A change is recognised by a key when it comes again; after `limit` the server does not
/// begin with it any more.
pub(crate) fn request<'a>(
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
