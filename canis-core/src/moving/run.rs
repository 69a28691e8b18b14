//! The move itself, from the first mark to the last.

use super::compare::{self, Tables, require_same};
use super::place::Place;
use crate::crypto::Provider;
use crate::keyring::FACTS;
use crate::keyring::accumulator::Total;
use crate::keyring::record::StoreFacts;
use crate::keyring::seal::fresh_id;
use crate::store::filling::Batch;
use crate::store::{Movable, MoveRow, Row, Stage, Store};
use canis_proto::{Error, ErrorCode, Id, Result};
use std::sync::Arc;

/// What is being done, and how far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// So many of so many rows have been copied.
    Copied(u64, u64),
    /// So many of so many rows have been looked at again, at both places.
    Compared(u64, u64),
}

/// What was moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The store's id.
    pub store: Id,
    /// Every table, and how many rows of it were compared; empty where the move was all done before.
    pub tables: Vec<(&'static str, u64)>,
}

/// A move that is under way.
struct Move<'a> {
    provider: &'static Provider,
    store: Id,
    source: Arc<dyn Movable>,
    target: Arc<dyn Movable>,
    /// The mark at the source, once it is set.
    leaving: MoveRow,
    /// The mark at the target.
    arriving: MoveRow,
    on: &'a mut dyn FnMut(Step),
}

/// Moves a store. Meanwhile the place that it leaves is read and not changed; afterwards it is not used any more. A move that was
/// cut short is gone on with.
///
/// # Errors
/// `store_exists` if something else is at `to`; `store_moved` for a store that was moved elsewhere; `store_tampered` if what was
/// copied is not what is there; `invalid_argument`, `conflict`, `store_unavailable`, `store_full`.
pub fn migrate(
    provider: &'static Provider,
    from: &Place,
    to: &Place,
    on: &mut dyn FnMut(Step),
) -> Result<Report> {
    if from.name() == to.name() {
        return Err(Error::invalid("a store cannot be moved to where it is"));
    }
    let source = from.open()?;
    let mark = source.mark()?;
    let store = store_id(&*source, mark.as_ref())?;
    if to.is_shared() && source.root_slots()?.is_empty() {
        return Err(Error::invalid(
            "the store has no root: the PKCS#11 module made it for itself, and servers need one. It stays where it is; \
             `canis init --store` makes a store for servers",
        ));
    }
    let leaving = match &mark {
        None => MoveRow::new(fresh_id(provider)?, store, Stage::Leaving, &to.name()),
        Some(mark) if mark.stage() != Stage::Arriving && mark.other == to.name() => mark.clone(),
        Some(mark) => return Err(mark.refusal()),
    };
    let arriving = MoveRow { arrived: 0, ..MoveRow::new(leaving.id, store, Stage::Arriving, &from.name()) };
    let Some((target, arriving)) = arrive(to, arriving, leaving.stage() == Stage::Left)? else {
        return Ok(Report { store, tables: Vec::new() });
    };
    if mark.is_none() {
        source.set_mark(None, Some(&leaving))?;
    }
    Move { provider, store, source, target, leaving, arriving, on }.go_on()
}

fn store_id(source: &dyn Store, mark: Option<&MoveRow>) -> Result<Id> {
    if let Some(mark) = mark {
        return Ok(mark.store);
    }
    let facts = source.meta(FACTS)?.ok_or_else(|| {
        Error::new(ErrorCode::StoreFormat, "the store that is to be moved does not say what it is")
    })?;
    StoreFacts::decode(&facts.body).map(|facts| Id(facts.id))
}

/// The place that is come to, with its mark; `None` if all was done there already. `left`: the other place was left.
fn arrive(to: &Place, arriving: MoveRow, left: bool) -> Result<Option<(Arc<dyn Movable>, MoveRow)>> {
    if !to.is_taken()? {
        if left {
            return Err(lost(to));
        }
        to.make(&arriving)?;
        return Ok(Some((to.open()?, arriving)));
    }
    let target = to.open()?;
    let there = target.mark()?;
    match there {
        Some(mark) if mark.id == arriving.id && mark.stage() == Stage::Arriving => Ok(Some((target, mark))),
        _ if left => match there {
            None if store_id(&*target, None)? == arriving.store => Ok(None),
            _ => Err(lost(to)),
        },
        // What is left of another try, or of the store before it went where it comes from now.
        Some(mark) if mark.store == arriving.store && mark.stage() != Stage::Leaving => {
            target.empty(&mark, &arriving)?;
            Ok(Some((target, arriving)))
        }
        _ => Err(Error::new(
            ErrorCode::StoreExists,
            format!("{} holds a store already; it was left as it is. Take another place", to.name()),
        )),
    }
}

fn lost(to: &Place) -> Error {
    let why = format!(
        "the store was moved to {}, and is not there any more; `canis store verify --accept-moved` takes the copy of before for \
         the store",
        to.name()
    );
    Error::new(ErrorCode::StoreMoved, why)
}

impl Move<'_> {
    fn go_on(mut self) -> Result<Report> {
        let mut tables: Tables =
            self.source.tables().into_iter().map(|table| (table, Total::default())).collect();
        if self.leaving.stage() == Stage::Leaving {
            let total = self.source.count_rows()?;
            self.copy(total)?;
            tables.extend(self.compare(total)?);
            tables.extend(self.leave()?);
        }
        // From here on the other place is the store.
        self.target.set_mark(Some(&self.arriving), None)?;
        let tables = tables.into_iter().map(|(table, total)| (table, total.rows)).collect();
        Ok(Report { store: self.store, tables })
    }

    /// Copies what has not arrived. The source does not change meanwhile, so that its rows come in the same order each time.
    fn copy(&mut self, total: u64) -> Result<()> {
        let (mut seen, mut batch) = (0, Batch::default());
        let source = Arc::clone(&self.source);
        source.scan(&mut |_, row| {
            seen += 1;
            if seen <= self.arriving.arrived {
                return Ok(());
            }
            batch.add(row).map_or(Ok(()), |rows| self.bring(&rows, total))
        })?;
        self.bring(&batch.rest(), total)
    }

    fn bring(&mut self, rows: &[Row], total: u64) -> Result<()> {
        if !rows.is_empty() {
            self.arriving = self.target.bring(&self.arriving, rows)?;
        }
        (self.on)(Step::Copied(self.arriving.arrived, total));
        Ok(())
    }

    fn compare(&mut self, total: u64) -> Result<Tables> {
        let (mut seen, on) = (0, &mut self.on);
        let mut tell = || {
            seen += 1;
            on(Step::Compared(seen, 2 * total));
        };
        let there = compare::counted(self.provider, &*self.source, &mut tell)?;
        let here = compare::counted(self.provider, &*self.target, &mut tell)?;
        self.or_start_over(require_same(&there, &here))?;
        Ok(there)
    }

    /// What was copied and is not the same is worth nothing.
    fn or_start_over(&self, same: Result<()>) -> Result<()> {
        if same.is_err() {
            self.target.empty(&self.arriving, &MoveRow { arrived: 0, ..self.arriving.clone() })?;
        }
        same
    }

    fn leave(&mut self) -> Result<Tables> {
        let mut tables = Tables::new();
        self.source.leave(&self.leaving, &mut |beside, whole| {
            // The store's accumulator changes with every commit: nobody has written past the mark.
            if self.target.accumulator(Id::STORE)? != whole {
                let why = "the store was changed while it was copied, by a server of before that knows no moves; stop it and ask once more";
                return self.or_start_over(Err(Error::new(ErrorCode::Conflict, why)));
            }
            self.target.bring_beside(&self.arriving, &beside)?;
            tables = compare::beside(self.provider, &beside);
            require_same(&tables, &compare::beside(self.provider, &self.target.all_beside()?))
        })?;
        Ok(tables)
    }
}
