//! The lines of a log that wait to be written: so many and no more.

use super::line::Line;

/// How many bytes of lines wait at most while none can be written.
const WAITING: usize = 64 << 20;

/// From how many waiting bytes on nothing new is begun where nothing may be done without its line, so that what is under way
/// finds room for its own.
const CROWDED: usize = WAITING / 2;

/// Lines that wait to be written.
#[derive(Default)]
pub(super) struct Queue {
    pub(super) text: Vec<u8>,
    /// Where each ends, and the number of its change.
    pub(super) ends: Vec<(usize, Option<u64>)>,
    /// How many found no room.
    pub(super) lost: u64,
    pub(super) stopping: bool,
}

impl Queue {
    pub(super) fn push(&mut self, line: Line) {
        if self.text.len() + line.body.len() > WAITING {
            self.lost += 1;
            // It counts all the same: whoever waits for it must not wait for ever.
            self.ends.push((self.text.len(), line.change));
            return;
        }
        self.text.extend_from_slice(&line.body);
        self.ends.push((self.text.len(), line.change));
    }

    /// Whether more lines come than are written.
    pub(super) fn is_crowded(&self) -> bool {
        self.text.len() > CROWDED
    }
}
