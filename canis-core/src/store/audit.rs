//! What the store keeps for the audit log: lines that travel with their changes, and where each writer's chain ends.

use canis_proto::{Id, Result};

/// The line of a change, written in the change's own transaction and kept until the log itself has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRow {
    /// The writer of the log that the line belongs to.
    pub writer: Id,
    /// Its number among the changes of this writer.
    pub number: u64,
    /// The line, sealed.
    pub sealed: Vec<u8>,
}

/// How far a writer's chain goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditHeadRow {
    /// The writer.
    pub writer: Id,
    /// Whether the writer has ended; for look-up, the record says it too.
    pub ended: bool,
    /// The record, sealed.
    pub sealed: Vec<u8>,
}

/// The tables of the audit log.
pub trait AuditRows: Send + Sync {
    /// Every line that the log may not have yet.
    fn outbox(&self) -> Result<Vec<OutboxRow>>;

    /// The heads of all writers.
    fn audit_heads(&self) -> Result<Vec<AuditHeadRow>>;

    /// Writes a head, and forgets lines of its writer that the log has up to there; both or neither, durably. Nothing
    /// that is cached hangs on it, so that the generation stays as it is.
    ///
    /// # Errors
    /// `store_full`, `store_unavailable`; then nothing was written.
    fn seal_audit(&self, head: &AuditHeadRow, written: &[u64]) -> Result<()>;
}
