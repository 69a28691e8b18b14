//! How far a writer's chain goes, as the store knows it: what the log lacks of that was taken away.

use super::chain::Chain;
use super::keys::AuditKeys;
use crate::store::AuditHeadRow;
use canis_proto::{Error, ErrorCode, Id, Result};
use wincode::{SchemaRead, SchemaWrite};

/// The table.
const TABLE: &str = "audit_heads";

/// How far a chain goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The number of the last line.
    pub(crate) seq: u64,
    /// Its MAC.
    pub(crate) mac: [u8; 32],
    /// How many files it has.
    pub(crate) files: u32,
    /// Whether the writer has ended it.
    pub(crate) ended: bool,
    /// The host that has the files, where several share the store; [`Id::STORE`] where there is one.
    pub(crate) host: Id,
}

#[derive(SchemaRead, SchemaWrite)]
enum StoredHead {
    /// Of the only host.
    V1(u64, [u8; 32], u32, bool),
    /// With its host.
    V2(u64, [u8; 32], u32, bool, [u8; 16]),
}

impl Head {
    /// The head of a chain.
    pub(super) fn of(chain: &Chain, files: u32, ended: bool, host: Id) -> Self {
        Head { seq: chain.seq, mac: chain.mac, files, ended, host }
    }

    /// Its row. The number of the writer's row is always 0.
    pub(super) fn row(&self, keys: &AuditKeys, writer: Id) -> Result<AuditHeadRow> {
        Ok(AuditHeadRow { writer, ended: self.ended, sealed: keys.seal(TABLE, writer, 0, &self.encode()?)? })
    }

    /// What a row says.
    pub(super) fn read(keys: &AuditKeys, row: &AuditHeadRow) -> Result<Self> {
        Head::decode(&keys.open(TABLE, row.writer, 0, &row.sealed)?)
    }

    fn encode(&self) -> Result<Vec<u8>> {
        let Head { seq, mac, files, ended, host } = self.clone();
        let stored = match host {
            Id::STORE => StoredHead::V1(seq, mac, files, ended),
            host => StoredHead::V2(seq, mac, files, ended, host.0),
        };
        wincode::serialize(&stored)
            .map_err(|e| Error::internal(format!("cannot write the record of an audit head: {e}")))
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        match wincode::deserialize_exact(bytes) {
            Ok(StoredHead::V1(seq, mac, files, ended)) => {
                Ok(Head { seq, mac, files, ended, host: Id::STORE })
            }
            Ok(StoredHead::V2(seq, mac, files, ended, host)) => {
                Ok(Head { seq, mac, files, ended, host: Id(host) })
            }
            Err(_) => Err(Error::new(
                ErrorCode::StoreFormat,
                "the record of an audit head is of a format this CANIS does not know",
            )),
        }
    }
}
