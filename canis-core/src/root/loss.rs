//! What is done when an HSM goes away that a store was opened by.

use canis_proto::{Error, Interval, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The policy, as `canis.toml` and a server's flag write it: `keep`, or how long the HSM may be away, `10m`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum HsmLoss {
    /// The store stays open; the HSM is needed again at the next start.
    #[default]
    Keep,
    /// The store is sealed when the HSM was away so long.
    SealAfter(Interval),
}

impl fmt::Display for HsmLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HsmLoss::Keep => f.write_str("keep"),
            HsmLoss::SealAfter(span) => span.fmt(f),
        }
    }
}

impl FromStr for HsmLoss {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::invalid(
                "what is done when the HSM is lost is `keep`, or a span such as `10m` after which the store is sealed",
            )
        };
        match text {
            "keep" => Ok(HsmLoss::Keep),
            span => match span.parse::<Interval>() {
                Ok(span) if !span.is_never() => Ok(HsmLoss::SealAfter(span)),
                Ok(_) | Err(_) => Err(wrong()),
            },
        }
    }
}

impl TryFrom<String> for HsmLoss {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<HsmLoss> for String {
    fn from(loss: HsmLoss) -> Self {
        loss.to_string()
    }
}
