//! Filling a store that is being made: nobody sees it until all of it is there, and nothing of it if one step fails.

use super::{Change, Ledger, Row};
use canis_proto::Result;

/// Rows of one step.
const TOGETHER: usize = 1000;
/// And no more than about so many bytes of them.
const BYTES: usize = 4 << 20;

/// What takes the rows of a store that is being made.
pub(crate) trait Filling {
    /// Writes rows as they are. Nobody counts them: their accumulators are among them.
    fn bring(&mut self, rows: Vec<Row>) -> Result<()>;
    /// Makes changes, which the ledger counts.
    fn change(&mut self, changes: &[Change], ledger: Option<&dyn Ledger>) -> Result<()>;
}

/// Fills a store through what it is given.
pub(crate) type Fill<'a> = dyn FnMut(&mut dyn Filling) -> Result<()> + 'a;

/// Rows that wait until they are enough for one step.
#[derive(Default)]
pub(crate) struct Batch {
    rows: Vec<Row>,
    bytes: usize,
}

impl Batch {
    /// Adds a row; all that wait, once they are enough.
    pub(crate) fn add(&mut self, row: Row) -> Option<Vec<Row>> {
        self.bytes += row.encode().len();
        self.rows.push(row);
        (self.rows.len() >= TOGETHER || self.bytes >= BYTES).then(|| self.rest())
    }

    /// All that wait.
    pub(crate) fn rest(&mut self) -> Vec<Row> {
        self.bytes = 0;
        std::mem::take(&mut self.rows)
    }
}
