//! Receipts: what was answered to a change that carried an idempotency key, so that asking again is not doing again.
//!
//! A receipt is written in the change's own transaction; there is no moment in which one of them is there alone.

use super::Keyring;
use super::record::ReceiptRecord;
use super::seal::{Place, RowSealer};
use super::tenant::OpenTenant;
use crate::caller::Caller;
use crate::core::Core;
use crate::crypto::{Hash, MAX_DIGEST};
use crate::store::{Change, ReceiptRow, Row};
use canis_proto::{Error, ErrorCode, Id, OperationId, Result};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// How long a receipt is kept: a day, in microseconds.
const KEPT: i64 = 24 * 60 * 60 * 1_000_000;

/// A change that is to happen once.
#[derive(Clone, Copy)]
pub struct Once<'a> {
    /// What the caller calls it, so that it can be recognised.
    pub key: &'a [u8],
    /// What is asked for.
    pub operation: OperationId,
    /// Its arguments, as CANISP carries them.
    pub arguments: &'a [u8],
}

fn place(tenant: Id, row: Id) -> Place<'static> {
    Place { tenant, table: "idempotency", row, version: 0, kind: "receipt", revision: 1 }
}

impl Core {
    /// Makes a change and writes its answer down, both or neither; if the caller has asked for the same before, the
    /// answer of then is given and nothing is done.
    ///
    /// # Errors
    /// `idempotency_conflict` if it asked for something else by this key; those of `work`, which leave no receipt.
    pub fn once(
        &self,
        caller: &Caller,
        once: &Once<'_>,
        mut work: impl FnMut(&Core) -> Result<Zeroizing<Vec<u8>>>,
    ) -> Result<Zeroizing<Vec<u8>>> {
        let mut digest = [0; MAX_DIGEST];
        self.provider().digest.hash(Hash::Sha256, once.arguments, &mut digest);
        let digest: [u8; 32] = std::array::from_fn(|at| digest[at]);
        let mut attempt = || self.attempt(caller, once, &digest, &mut work);
        match attempt() {
            // Another server did the same after this one had looked for a receipt, and was met by the work itself: what it was
            // to make is there.
            Err(error)
                if error.code != ErrorCode::IdempotencyConflict
                    && self.is_done(caller, once).unwrap_or(false) =>
            {
                attempt()
            }
            done => done,
        }
    }

    fn is_done(&self, caller: &Caller, once: &Once<'_>) -> Result<bool> {
        let keyring = &self.keyring;
        let tenant = keyring.tenant(caller.tenant()?)?;
        let id = keyring.receipt_id(&tenant, caller, once.key);
        Ok(keyring.receipt(&tenant, id, keyring.clock.now_micros())?.is_some())
    }

    fn attempt(
        &self,
        caller: &Caller,
        once: &Once<'_>,
        digest: &[u8; 32],
        work: &mut impl FnMut(&Core) -> Result<Zeroizing<Vec<u8>>>,
    ) -> Result<Zeroizing<Vec<u8>>> {
        self.together(|draft| {
            let keyring = &draft.keyring;
            let tenant = keyring.tenant(caller.tenant()?)?;
            let (id, now) = (keyring.receipt_id(&tenant, caller, once.key), keyring.clock.now_micros());
            if let Some(record) = keyring.receipt(&tenant, id, now)? {
                draft.audit_again(caller, once.operation)?;
                return record.answers(once.operation, digest);
            }
            let answer = work(draft)?;
            let operation = once.operation as u16;
            let expires_at = now.saturating_add(KEPT);
            let record = ReceiptRecord { operation, digest: *digest, answer: answer.to_vec(), expires_at };
            keyring.write_receipt(&tenant, id, now, &record)?;
            Ok(answer)
        })
    }
}

impl ReceiptRecord {
    fn answers(self, operation: OperationId, digest: &[u8; 32]) -> Result<Zeroizing<Vec<u8>>> {
        if self.operation == operation as u16 && bool::from(self.digest.ct_eq(digest)) {
            return Ok(Zeroizing::new(self.answer));
        }
        Err(Error::new(
            ErrorCode::IdempotencyConflict,
            "this idempotency key was used for another request within the last 24 hours; take a new one",
        ))
    }
}

impl Keyring {
    /// Whoever asks has idempotency keys of its own. The first 16 bytes of an HMAC, as for entries.
    fn receipt_id(&self, tenant: &OpenTenant, caller: &Caller, key: &[u8]) -> Id {
        let identity = caller.identity();
        let parts: [&[u8]; 3] = [&[2], identity.as_bytes(), key];
        let tag = self.provider.mac.hmac_sha256(tenant.lookup.expose(), &parts);
        let mut id = [0; 16];
        id.copy_from_slice(&tag[..16]);
        Id(id)
    }

    fn receipt(&self, tenant: &OpenTenant, id: Id, now: i64) -> Result<Option<ReceiptRecord>> {
        let row = self.store.receipt(id)?;
        row.filter(|row| row.expires_at > now).map(|row| self.read_receipt(tenant, &row)).transpose()
    }

    /// Opens a receipt's row.
    pub(crate) fn read_receipt(&self, tenant: &OpenTenant, row: &ReceiptRow) -> Result<ReceiptRecord> {
        let place = place(tenant.id, row.id);
        let record = ReceiptRecord::decode(&tenant.rows.open(&place, &row.sealed)?)?;
        if row.tenant_id != tenant.id || row.expires_at != record.expires_at {
            return Err(place.tampered());
        }
        Ok(record)
    }

    /// A receipt's row under another tenant key; what finds it stays.
    pub(super) fn moved_receipt(tenant: &OpenTenant, to: &RowSealer, row: ReceiptRow) -> Result<Change> {
        let sealed = tenant.rows.moved(to, &place(tenant.id, row.id), &row.sealed)?;
        Ok(Change::Restore(Row::Receipt(ReceiptRow { sealed, ..row })))
    }

    /// Those that are over go in the same transaction, so that they do not pile up.
    fn write_receipt(&self, tenant: &OpenTenant, id: Id, now: i64, record: &ReceiptRecord) -> Result<()> {
        let sealed = tenant.rows.seal(&place(tenant.id, id), &record.encode()?)?;
        let row = ReceiptRow { id, tenant_id: tenant.id, expires_at: record.expires_at, sealed };
        self.store.commit(&[Change::ForgetReceipts(now), tenant.expected(), Change::Put(Row::Receipt(row))])
    }
}
