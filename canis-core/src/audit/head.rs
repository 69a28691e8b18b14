//! How far a writer's chain goes, as the store knows it: what the log lacks of that was taken away.

use super::chain::Chain;
use super::keys::AuditKeys;
use crate::keyring::record::record;
use crate::store::AuditHeadRow;
use canis_proto::{Error, ErrorCode, Id, Result};
use wincode::{SchemaRead, SchemaWrite};

/// The table.
const TABLE: &str = "audit_heads";

record! {
    /// How far a chain goes.
    StoredHead, Head, "an audit head", {
        /// The number of the last line.
        seq: u64,
        /// Its MAC.
        mac: [u8; 32],
        /// How many files it has.
        files: u32,
        /// Whether the writer has ended it.
        ended: bool,
    }
}

impl Head {
    /// The head of a chain.
    pub(super) fn of(chain: &Chain, files: u32, ended: bool) -> Self {
        Head { seq: chain.seq, mac: chain.mac, files, ended }
    }

    /// Its row. The number of the writer's row is always 0.
    pub(super) fn row(&self, keys: &AuditKeys, writer: Id) -> Result<AuditHeadRow> {
        Ok(AuditHeadRow { writer, ended: self.ended, sealed: keys.seal(TABLE, writer, 0, &self.encode()?)? })
    }

    /// What a row says.
    pub(super) fn read(keys: &AuditKeys, row: &AuditHeadRow) -> Result<Self> {
        Head::decode(&keys.open(TABLE, row.writer, 0, &row.sealed)?)
    }
}
