//! Stores that are moved to another place: the mark that says so, and what a store does for whoever moves it. ADR 0039.
//!
//! The mark stands in the store itself and is looked at within each transaction, so that every process that has the store
//! open keeps to it. Nobody vouches for it: it keeps two copies from going on by mistake, not by malice.

use super::columns::Columns;
use super::{AccumulatorRow, AuditHeadRow, OutboxRow, Row, Store, UseRow};
use canis_proto::value::{Map, Value};
use canis_proto::{Error, ErrorCode, Id, Result};

/// The mark of a store that moves, or has moved. A store without one is where it belongs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MoveRow {
    /// The move; both stores name the same one.
    pub id: Id,
    /// The store's id.
    pub store: Id,
    /// `leaving`, `left` or `arriving`.
    pub state: String,
    /// The other place.
    pub other: String,
    /// How many rows have arrived.
    pub arrived: u64,
}

/// What a store is in a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It is being copied: it is read, and not changed.
    Leaving,
    /// It is another place's now.
    Left,
    /// Its rows have not all come.
    Arriving,
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Stage::Leaving => "leaving",
            Stage::Left => "left",
            Stage::Arriving => "arriving",
        }
    }
}

/// What somebody wants to do with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Look at it.
    Read,
    /// Write down what is no change of keys: the audit log's rows and counts of uses.
    Note,
    /// Change it.
    Change,
}

impl MoveRow {
    pub(crate) fn new(id: Id, store: Id, stage: Stage, other: &str) -> Self {
        MoveRow { id, store, state: stage.name().to_owned(), other: other.to_owned(), arrived: 0 }
    }

    /// The same move at another stage.
    pub(crate) fn at(&self, stage: Stage) -> Self {
        MoveRow { state: stage.name().to_owned(), ..self.clone() }
    }

    /// The stage; a word that is not known counts as [`Stage::Left`], which nobody uses.
    pub(crate) fn stage(&self) -> Stage {
        let known = [Stage::Leaving, Stage::Arriving];
        known.into_iter().find(|stage| stage.name() == self.state).unwrap_or(Stage::Left)
    }

    /// Fails if a store with this mark is not to be used so.
    ///
    /// # Errors
    /// `store_moved`.
    pub(crate) fn refuse(&self, wanted: Use) -> Result<()> {
        match (self.stage(), wanted) {
            (Stage::Leaving, Use::Read | Use::Note) => Ok(()),
            _ => Err(self.refusal()),
        }
    }

    /// Why a store with this mark is not used, and what to do.
    pub(crate) fn refusal(&self) -> Error {
        let why = match self.stage() {
            Stage::Leaving => format!(
                "the store is being moved to {}: until that is done its keys can be used and nothing can be changed. \
                 `canis store migrate` goes on with a move that was cut short, `canis store verify --accept-moved` gives it up",
                self.other
            ),
            Stage::Left => format!(
                "the store was moved to {}: use it there (canis.toml, [store]), or bring it back with `canis store migrate`. \
                 `canis store verify --accept-moved` takes this copy of before for the store all the same",
                self.other
            ),
            Stage::Arriving => format!(
                "only a part of the store has come here from {}; `canis store migrate` goes on",
                self.other
            ),
        };
        Error::new(ErrorCode::StoreMoved, why)
    }
}

/// The same for a store that may have a mark.
pub(crate) fn refuse(mark: Option<&MoveRow>, wanted: Use) -> Result<()> {
    mark.map_or(Ok(()), |mark| mark.refuse(wanted))
}

/// A row that no accumulator counts, and that moves with the store all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Beside {
    /// `key_uses`
    Use(UseRow),
    /// `outbox`
    Line(OutboxRow),
    /// `audit_heads`
    Head(AuditHeadRow),
}

impl Beside {
    /// The name of its table.
    #[must_use]
    pub fn table(&self) -> &'static str {
        match self {
            Beside::Use(_) => UseRow::TABLE,
            Beside::Line(_) => OutboxRow::TABLE,
            Beside::Head(_) => AuditHeadRow::TABLE,
        }
    }

    /// Its columns.
    pub(crate) fn columns(&self) -> Map<'_> {
        match self {
            Beside::Use(row) => row.columns(),
            Beside::Line(row) => row.columns(),
            Beside::Head(row) => row.columns(),
        }
    }

    /// The name of its table, and the table's columns.
    #[cfg(feature = "postgres")]
    pub(crate) fn description(&self) -> (&'static str, &'static [super::columns::Column]) {
        match self {
            Beside::Use(_) => (UseRow::TABLE, UseRow::COLUMNS),
            Beside::Line(_) => (OutboxRow::TABLE, OutboxRow::COLUMNS),
            Beside::Head(_) => (AuditHeadRow::TABLE, AuditHeadRow::COLUMNS),
        }
    }

    /// The row as bytes: equal rows have equal bytes, and no others.
    pub(crate) fn encode(&self) -> Vec<u8> {
        Value::Array(vec![Value::from(self.table()), Value::Map(self.columns())]).encode()
    }
}

/// The tables of the rows beside.
pub(crate) const TABLES_BESIDE: [&str; 3] = [UseRow::TABLE, OutboxRow::TABLE, AuditHeadRow::TABLE];

/// What is handed over when a store is left: the rows beside, and the store's accumulator as it is then.
pub(crate) type HandOver<'a> = dyn FnMut(Vec<Beside>, Option<AccumulatorRow>) -> Result<()> + 'a;

/// A store that can be moved.
pub trait Movable: Store {
    /// The mark as it is now.
    ///
    /// # Errors
    /// `store_unavailable`.
    fn mark(&self) -> Result<Option<MoveRow>>;

    /// The names of the tables whose rows move.
    fn tables(&self) -> Vec<&'static str>;

    /// Replaces the mark in one transaction.
    ///
    /// # Errors
    /// `conflict` unless the mark is `now`; `store_unavailable`, `store_full`.
    fn set_mark(&self, now: Option<&MoveRow>, then: Option<&MoveRow>) -> Result<()>;

    /// Takes every row of every table away, and replaces the mark, in one transaction.
    ///
    /// # Errors
    /// As above.
    fn empty(&self, now: &MoveRow, then: &MoveRow) -> Result<()>;

    /// How many rows there are that accumulators count, and accumulators.
    ///
    /// # Errors
    /// `store_unavailable`.
    fn count_rows(&self) -> Result<u64>;

    /// Every row that no accumulator counts.
    ///
    /// # Errors
    /// `store_unavailable`.
    fn all_beside(&self) -> Result<Vec<Beside>>;

    /// Writes rows that have arrived, in one transaction with the mark, which counts them.
    ///
    /// # Errors
    /// `conflict` unless the mark is `now`; `store_unavailable`, `store_full`.
    fn bring(&self, now: &MoveRow, rows: &[Row]) -> Result<MoveRow>;

    /// Writes the rows beside in place of those that are there.
    ///
    /// # Errors
    /// As above.
    fn bring_beside(&self, now: &MoveRow, rows: &[Beside]) -> Result<()>;

    /// Leaves the store for another place: while nobody can write anything, hands over what was written until then, and
    /// sets the mark. If `hand_over` fails the store stays as it is.
    ///
    /// # Errors
    /// `conflict` unless the mark is `now`; those of `hand_over`; `store_unavailable`, `store_full`.
    fn leave(&self, now: &MoveRow, hand_over: &mut HandOver<'_>) -> Result<()>;
}

/// Somebody else is at this move.
pub(crate) fn other_mover() -> Error {
    Error::new(
        ErrorCode::Conflict,
        "somebody else is moving this store at the same time; ask again when that is done",
    )
}
