//! How much memory the session objects of applications may take: each application's own bound, within its credential's,
//! within that of all.

use canis_proto::{Error, ErrorCode, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A bound in bytes, and how much of it is taken.
pub struct Room {
    most: usize,
    taken: AtomicUsize,
    /// The room that this is a part of.
    above: Option<Arc<Room>>,
}

impl Room {
    /// Room for so many bytes, in no more room than there is above.
    #[must_use]
    pub fn new(most: usize, above: Option<Arc<Room>>) -> Self {
        Room { most, taken: AtomicUsize::new(0), above }
    }

    /// How many bytes are taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Acquire)
    }

    /// Takes bytes until what is given is dropped.
    ///
    /// # Errors
    /// `limit_reached`.
    pub(super) fn take(self: &Arc<Self>, bytes: usize) -> Result<Taken> {
        let more = |taken: usize| taken.checked_add(bytes).filter(|sum| *sum <= self.most);
        if self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).is_err() {
            return Err(Error::new(
                ErrorCode::LimitReached,
                "session objects take as much memory as they may here; destroy some, or close sessions",
            ));
        }
        // From here on it is given back by whoever drops it.
        let mut taken = Taken { room: Arc::clone(self), bytes, _above: None };
        if let Some(above) = &self.above {
            taken._above = Some(Box::new(above.take(bytes)?));
        }
        Ok(taken)
    }
}

impl Default for Room {
    fn default() -> Self {
        Room::new(usize::MAX, None)
    }
}

/// Bytes of a room, given back when dropped.
pub(super) struct Taken {
    room: Arc<Room>,
    bytes: usize,
    _above: Option<Box<Taken>>,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.room.taken.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What one part takes, the other parts of the whole lack; what is refused takes nothing, and all comes back.
    #[test]
    fn parts_of_a_whole() {
        let whole = Arc::new(Room::new(10, None));
        let [one, other] = [8, 8].map(|most| Arc::new(Room::new(most, Some(Arc::clone(&whole)))));
        let taken = one.take(7).unwrap();
        for (room, bytes) in [(&one, 2), (&other, 4), (&one, usize::MAX)] {
            assert_eq!(room.take(bytes).map(drop).map_err(|e| e.code), Err(ErrorCode::LimitReached));
        }
        let rest = other.take(3).unwrap();
        assert_eq!((whole.taken(), one.taken(), other.taken()), (10, 7, 3));
        drop((taken, rest));
        assert_eq!((whole.taken(), one.taken(), other.taken()), (0, 0, 0));
    }
}
