//! Spans of time in canis.toml.

use canis_proto::{Error, Interval, Result};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A span of at least a second, written as `6h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(Interval);

impl Span {
    /// Its length.
    #[must_use]
    pub fn length(self) -> Duration {
        Duration::from_secs(self.0.seconds())
    }
}

impl TryFrom<String> for Span {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        match text.parse::<Interval>() {
            Ok(span) if !span.is_never() => Ok(Span(span)),
            _ => Err(Error::invalid("a span of time is a number and a unit, such as `30s`, `15m` or `6h`")),
        }
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.0.to_string()
    }
}
