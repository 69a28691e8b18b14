//! A new key for a tenant: all that stands under the old one is sealed anew, in one transaction, so that whatever ends the
//! process leaves the one or the other. What the tenant holds stays as it is.
//!
//! The keys of fingerprints and of look-ups name rows, some of values that are gone; they are carried along behind the new key.

use super::seal::{RowSealer, commitment};
use super::tenant::{KEY, OpenTenant, Protection, wrap_context};
use super::{Keyring, object};
use crate::secret::SecretBytes;
use crate::store::{Change, ObjectQuery};
use canis_proto::{Error, ErrorCode, Id, Result, quote};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

/// How often it is begun anew because another process has changed the tenant meanwhile.
const TRIES: usize = 8;
/// How many entries are read at a time.
const PAGE: usize = 256;

impl Keyring {
    /// Draws a new key for a tenant that the root opens, and brings the tenant under it. The number of rows.
    ///
    /// # Errors
    /// `tenant_locked` for one that its PINs guard; `store_tampered` naming a row that does not open; `conflict`.
    pub(crate) fn rekey_tenant(&self, id: Id) -> Result<u64> {
        let _gate = self.root_gate.write().unwrap_or_else(PoisonError::into_inner);
        let mut tries = 0;
        loop {
            tries += 1;
            match self.try_rekey(id) {
                Err(error) if error.code == ErrorCode::Conflict && tries < TRIES => {}
                done => {
                    // Old keys at hand open nothing any more; whoever comes next opens the tenant by the root.
                    self.close_tenant(id);
                    self.purge();
                    return done;
                }
            }
        }
    }

    fn try_rekey(&self, id: Id) -> Result<u64> {
        self.store.poll()?;
        // First: what is changed after this is not overwritten.
        let seen = self.store.accumulator(id)?.map_or(0, |row| row.revision);
        let info = self.tenant_info(id)?;
        if info.protection != Protection::Root {
            return Err(guarded_by_pins(&info.record.name));
        }
        let (keys, old) = (self.root_keys()?, self.tenant(id)?);
        let key = self.next_tenant_key(&old)?;
        let rows = Arc::new(RowSealer::new(self.provider, &key)?);
        let mut record = info.record;
        record.wrapped_key = keys.tenant_wrap.seal_to_vec(&wrap_context(id), key.expose())?;
        record.commitment = commitment(self.provider, &key)?;
        let moved = self.moved_rows(&old, &rows)?;
        let count = moved.len() as u64;
        let mut changes = vec![
            Change::ExpectUnchanged(id, seen),
            Change::Put(self.tenant_row(id, info.revision + 1, &record)?),
        ];
        changes.extend(moved);
        // Whoever reads with the old key at this moment finds what is sealed under the new one.
        old.rows.followed_by(&rows);
        self.root_turns.fetch_add(1, Ordering::AcqRel);
        let committed = self.store.commit(&changes);
        self.root_turns.fetch_add(1, Ordering::AcqRel);
        committed.map(|()| count)
    }

    /// 32 fresh bytes, and behind them what stays.
    fn next_tenant_key(&self, old: &OpenTenant) -> Result<SecretBytes> {
        let mut key = SecretBytes::zeroed(3 * KEY);
        let (fresh, kept) = key.expose_mut().split_at_mut(KEY);
        self.provider.random.fill(fresh)?;
        kept[..KEY].copy_from_slice(old.values.expose());
        kept[KEY..].copy_from_slice(old.lookup.expose());
        Ok(key)
    }

    fn moved_rows(&self, old: &OpenTenant, to: &RowSealer) -> Result<Vec<Change>> {
        let mut changes = Vec::new();
        for row in self.store.all_keys(old.id)? {
            changes.extend(self.moved_key(old, to, row)?);
        }
        for row in self.store.objects(&ObjectQuery::all(old.id))? {
            changes.extend(object::moved(old, to, row)?);
        }
        for row in self.store.roles(old.id)? {
            changes.push(Keyring::moved_role(old, to, row)?);
        }
        for row in self.store.receipts(old.id)? {
            changes.push(Keyring::moved_receipt(old, to, row)?);
        }
        changes.extend(self.moved_wrapping_key(old, to)?);
        let mut after = Id([0; 16]);
        loop {
            let rows = self.store.entries(old.id, after, PAGE)?;
            let Some(last) = rows.last() else { return Ok(changes) };
            after = last.lookup;
            for row in rows {
                changes.push(Keyring::moved_entry(old, to, row)?);
            }
        }
    }
}

fn guarded_by_pins(token: &str) -> Error {
    Error::new(
        ErrorCode::TenantLocked,
        format!(
            "the key of token `{}` is wrapped by its user's and its security officer's PINs, and nobody else can wrap another one; \
             make a new token with `canis slot init`, copy into it what may be copied, and let go of this one with `canis slot delete`",
            quote(token)
        ),
    )
}
