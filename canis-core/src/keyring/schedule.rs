//! When keys rotate by themselves.

use super::key_record::{KeyRecord, RotationRecord, Source};
use canis_proto::{Error, Interval, Result};

/// The shortest interval. Every version stays in the store for as long as data may hang on it; more often than this
/// nobody rotates for a reason of cryptography.
const SHORTEST: Interval = Interval::from_seconds(3600);

/// The most versions that a rotation can be told to keep.
const MOST_RETAINED: u32 = 1_000_000;

impl KeyRecord {
    /// Lets the key rotate every `interval` from `now` on, or never.
    ///
    /// # Errors
    /// `invalid_argument` for an interval that is too short.
    pub(crate) fn rotate_every(&mut self, interval: Interval, now: i64) -> Result<()> {
        if interval.is_never() {
            self.rotation = None;
            return Ok(());
        }
        if self.source == Source::PublicHalf {
            return Err(Error::invalid(
                "a public half alone does not rotate by itself; import its next version, as its owner makes it",
            ));
        }
        if interval.seconds() < SHORTEST.seconds() {
            return Err(Error::invalid(format!(
                "a key rotates every {SHORTEST} at most, not every {interval}; `canis key rotate` rotates it at once"
            )));
        }
        // The same interval once more does not put the next rotation off.
        if self.interval() != interval {
            self.rotation = Some(RotationRecord { interval: interval.seconds(), next_at: 0 });
            self.rotated_at(now);
        }
        Ok(())
    }

    /// Keeps so many versions at a rotation; 0 is all of them.
    ///
    /// # Errors
    /// `invalid_argument` for more than anybody means.
    pub(crate) fn retain(&mut self, versions: u32) -> Result<()> {
        if versions > MOST_RETAINED {
            return Err(Error::invalid(format!(
                "a rotation keeps 1 to {MOST_RETAINED} versions, or 0 for all of them; not {versions}"
            )));
        }
        self.retain_versions = versions;
        Ok(())
    }

    /// How often it rotates.
    pub(crate) fn interval(&self) -> Interval {
        self.rotation.map_or(Interval::NEVER, |rotation| Interval::from_seconds(rotation.interval))
    }

    /// Counts the interval from `now`: after downtime one rotation makes up for all that were missed.
    pub(crate) fn rotated_at(&mut self, now: i64) {
        if let Some(rotation) = &mut self.rotation {
            rotation.next_at = now.saturating_add(Interval::from_seconds(rotation.interval).micros());
        }
    }
}
