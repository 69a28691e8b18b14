//! What a process left that was killed: changes whose lines stand in the store only are written down, and its chain is
//! ended where it ends.

use super::files::is_alive;
use super::head::Head;
use super::keys::AuditKeys;
use super::line::Line;
use super::log::Log;
use super::read::{self, Found, Reader};
use super::writer::own_line;
use crate::store::{AuditHeadRow, OutboxRow};
use canis_proto::{Id, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

impl Log {
    /// Looks after what others have left. To be called where the store may be waited for.
    pub(super) fn recover(&self) -> Result<()> {
        let Some(keys) = self.keys() else { return Ok(()) };
        let (store, own) = (&self.place.store, self.place.writer);
        let open: Vec<_> =
            store.audit_heads()?.into_iter().filter(|row| row.writer != own && !row.ended).collect();
        if open.is_empty() {
            return Ok(());
        }
        let files = read::files(&self.place.folder)?;
        let mut left: BTreeMap<Id, Vec<OutboxRow>> = BTreeMap::new();
        for row in store.outbox()? {
            left.entry(row.writer).or_default().push(row);
        }
        let none = BTreeMap::new();
        for row in open {
            let own = files.get(&row.writer).unwrap_or(&none);
            if !is_of_host(store.host(), Head::read(keys, &row).ok().as_ref(), own) {
                continue;
            }
            if !own.values().next_back().is_some_and(|last| is_alive(last)) {
                self.recover_one(keys, &row, own, left.remove(&row.writer).unwrap_or_default())?;
            }
        }
        Ok(())
    }

    fn recover_one(
        &self,
        keys: &AuditKeys,
        row: &AuditHeadRow,
        files: &BTreeMap<u32, PathBuf>,
        left: Vec<OutboxRow>,
    ) -> Result<()> {
        let head = Head::read(keys, row).ok();
        let mut written = BTreeSet::new();
        let found = read::writer(
            &Reader { keys: Some(keys), hsm: None },
            row.writer,
            files,
            head.as_ref(),
            |line| written.extend(change_of(line)),
        )?;
        let mut lines: Vec<Line> = Vec::new();
        for lost in left.iter().filter(|lost| !written.contains(&lost.number)) {
            lines.push(recovered(keys, lost)?);
        }
        let mut ended = own_line("audit.recover", Some(keys));
        ended.text("writer", &row.writer);
        ended.number("lines", found.chain.seq);
        ended.number("recovered", lines.len() as u64);
        if let Some(broken) = &found.broken {
            ended.text("broken", &broken.why);
        }
        lines.push(ended.end::<()>(&Ok(()), self.now()));
        self.take(lines)?;
        self.flush()?;
        let numbers: Vec<u64> = left.iter().map(|row| row.number).collect();
        self.place.store.seal_audit(&self.ended(keys, row, &found)?, &numbers)
    }

    /// The head of a writer that has ended. One whose files are not what was written keeps what the store knows of it,
    /// so that it stays found.
    fn ended(&self, keys: &AuditKeys, row: &AuditHeadRow, found: &Found) -> Result<AuditHeadRow> {
        match found.broken {
            None => {
                let host = self.place.store.host();
                Head::of(&found.chain, found.files, true, host).row(keys, row.writer)
            }
            Some(_) => Ok(AuditHeadRow { ended: true, ..row.clone() }),
        }
    }
}

/// Whether a writer's files are to be on this host. Where a store has several, each looks after its own writers: the others'
/// may be at work. A head that cannot be read, or is of before the store was moved here, is of the host that has files of its
/// writer.
pub(super) fn is_of_host(host: Id, head: Option<&Head>, files: &BTreeMap<u32, PathBuf>) -> bool {
    match head {
        Some(head) if head.host == host => true,
        None if host == Id::STORE => true,
        _ => !files.is_empty(),
    }
}

/// The line of a change that was made, as far as it was known before.
fn recovered(keys: &AuditKeys, row: &OutboxRow) -> Result<Line> {
    let mut line = Line::empty();
    line.body = keys.open("outbox", row.writer, row.number, &row.sealed)?;
    line.text("result", &"ok");
    line.flag("recovered");
    line.text("writer", &row.writer);
    line.number("change", row.number);
    Ok(line)
}

/// The number of the change that a line is about.
fn change_of(line: &[u8]) -> Option<u64> {
    const FIELD: &[u8] = b",\"change\":";
    let at = line.windows(FIELD.len()).position(|window| window == FIELD)? + FIELD.len();
    let digits = line[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&line[at..at + digits]).ok()?.parse().ok()
}
