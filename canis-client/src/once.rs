//! Keys by which the server recognises a change that is sent again.

use canis_proto::{Error, Result};
use std::time::Duration;

/// Between two tries to send a change again.
pub(crate) const PAUSE: Duration = Duration::from_millis(100);

/// A key that nobody else draws.
pub(crate) fn fresh_key() -> Result<[u8; 16]> {
    let mut key = [0; 16];
    let random = rustls::crypto::aws_lc_rs::default_provider().secure_random;
    random.fill(&mut key).map_err(|_| Error::internal("the machine gives no random bytes"))?;
    Ok(key)
}
