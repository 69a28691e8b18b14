//! Spans of time as people write them: `30d`, `12h`.

use crate::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// A span of whole seconds, written with one unit; or never.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Interval(u64);

/// The units, longest first, in seconds.
const UNITS: [(char, u64); 5] = [('w', 604_800), ('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// A hundred years. Longer spans are slips of the hand, and sums with them could overflow.
const LONGEST: u64 = 36_525 * 86_400;

impl Interval {
    /// No span: what would happen after it never does.
    pub const NEVER: Interval = Interval(0);

    /// So many seconds; 0 is never.
    #[must_use]
    pub const fn from_seconds(seconds: u64) -> Self {
        Interval(seconds)
    }

    /// Its length in seconds; 0 is never.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        self.0
    }

    /// Its length in microseconds, the unit of times.
    #[must_use]
    pub const fn micros(self) -> i64 {
        (self.0 as i64).saturating_mul(1_000_000)
    }

    /// Whether it is no span at all.
    #[must_use]
    pub const fn is_never(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_never() {
            return f.write_str("never");
        }
        let fits = UNITS.into_iter().find(|(_, seconds)| self.0.is_multiple_of(*seconds));
        let (unit, seconds) = fits.unwrap_or(('s', 1));
        write!(f, "{}{unit}", self.0 / seconds)
    }
}

impl FromStr for Interval {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "never" {
            return Ok(Interval::NEVER);
        }
        let unit = UNITS.into_iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)));
        let plain = |number: &str| number.bytes().all(|b| b.is_ascii_digit());
        let seconds = unit
            .filter(|(number, _)| plain(number))
            .and_then(|(number, seconds)| number.parse::<u64>().ok()?.checked_mul(seconds));
        match seconds {
            Some(seconds @ 1..=LONGEST) => Ok(Interval(seconds)),
            _ => Err(Error::invalid(format!(
                "`{}` is no span of time; write a number and one of w, d, h, m, s, such as `30d`, at most a hundred \
                 years, or `never`",
                crate::quote(text)
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R26: the syntax of intervals.
    #[test]
    fn spans() {
        for (text, seconds, shown) in [
            ("30d", 2_592_000, "30d"),
            ("12h", 43_200, "12h"),
            ("24h", 86_400, "1d"),
            ("90m", 5_400, "90m"),
            ("2w", 1_209_600, "2w"),
            ("61s", 61, "61s"),
            ("never", 0, "never"),
        ] {
            let span: Interval = text.parse().unwrap();
            assert_eq!((span.seconds(), span.to_string().as_str()), (seconds, shown), "{text}");
            assert_eq!(span.to_string().parse(), Ok(span));
        }
        for text in
            ["", "d", "0s", "abc", "-1d", "+1d", "1.5h", "1 d", "1D", "30", "99999w", "99999999999999999999d"]
        {
            assert!(text.parse::<Interval>().is_err(), "{text}");
        }
    }
}
