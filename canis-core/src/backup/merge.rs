//! A backup brought into a store that is there: what the store has stays, what it lacks comes back, unless it lacks it
//! because it was destroyed.

use super::check::{BackupFacts, Opened};
use crate::caller::Caller;
use crate::core::{Resource, Run};
use crate::keyring::Keyring;
use crate::keyring::approval::APPROVAL;
use crate::keyring::record::Tenant;
use crate::keyring::store_rows::place;
use crate::secret::SecretBytes;
use crate::store::{Change, KeyRow, Row, TenantRow};
use canis_proto::{Error, ErrorCode, Id, Operation, OperationId, Result};
use std::collections::HashSet;
use std::io::Read;

/// Brings back what an existing store has lost. With `resurrect` also what was destroyed since: keys, versions, credentials,
/// entries and tenants.
pub struct RestoreBackup<'a> {
    /// The backup.
    pub file: &'a mut dyn Read,
    /// Whether what was destroyed comes back.
    pub resurrect: bool,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// What the backup is of.
    pub backup: BackupFacts,
    /// How many rows came back.
    pub restored: u64,
    /// How many keys, versions, credentials, policies, entries and tenants were destroyed since and stay so.
    pub left_out: u64,
}

impl Operation for RestoreBackup<'_> {
    const ID: OperationId = OperationId::RestoreBackup;
    type Answer = Merged;
}

impl Run for RestoreBackup<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::System
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<Merged> {
        if !caller.is_owner() {
            return Err(Error::new(
                ErrorCode::OperationNotAllowed,
                "only who opens the store with a root's credential restores a backup into it",
            ));
        }
        let keys = keyring.another_of_root_keys()?;
        let opened = Opened::under(keyring.provider, self.file, keys)?;
        if opened.file.header.store != keyring.store_id() {
            return Err(Error::invalid(format!(
                "the backup is of store {}, this is store {}; restore it into a new directory",
                opened.file.header.store,
                keyring.store_id()
            )));
        }
        let mut merge = Merge::of(keyring, self.resurrect);
        let backup = opened.rows(&mut |scope, row| merge.row(scope, row))?;
        let restored = merge.changes.len() as u64;
        if restored > 0 {
            merge.seen.append(&mut merge.changes);
            keyring.store.commit(&merge.seen)?;
        }
        keyring.forget_keys();
        keyring.credentials_changed();
        Ok(Merged { backup, restored, left_out: merge.left_out })
    }
}

struct Merge<'a> {
    keyring: &'a Keyring,
    resurrect: bool,
    /// Tenants whose rows are not looked at: gone, or wiped and under another key now.
    strange: HashSet<Id>,
    /// Tenants that come back.
    risen: HashSet<Id>,
    /// Keys that come back: lost ones, and destroyed ones.
    lost: HashSet<Id>,
    raised: HashSet<Id>,
    /// Tenants as they were looked at: one that gets another key meanwhile would not open what comes back.
    seen: Vec<Change>,
    changes: Vec<Change>,
    left_out: u64,
}

impl<'a> Merge<'a> {
    fn of(keyring: &'a Keyring, resurrect: bool) -> Self {
        Merge {
            keyring,
            resurrect,
            strange: HashSet::new(),
            risen: HashSet::new(),
            lost: HashSet::new(),
            raised: HashSet::new(),
            seen: Vec::new(),
            changes: Vec::new(),
            left_out: 0,
        }
    }

    fn row(&mut self, scope: Id, row: Row) -> Result<()> {
        if scope != Id::STORE && self.strange.contains(&scope) {
            return Ok(());
        }
        let store = &self.keyring.store;
        match &row {
            // What is true of the store now.
            Row::Meta(_) | Row::RootSlot(_) | Row::Receipt(_) | Row::Accumulator(_) => Ok(()),
            Row::Tenant(tenant) => self.tenant(tenant),
            // An old PIN does not come back; one of a tenant that comes back does.
            Row::Pin(pin) if self.risen.contains(&pin.tenant_id) => self.restore(row),
            Row::Pin(_) => Ok(()),
            Row::Token(token) if self.strange.contains(&token.tenant_id) => Ok(()),
            Row::Token(token) => {
                let there = store.token(token.id)?.is_some();
                self.destroyed(there, row)
            }
            Row::Policy(policy) if self.strange.contains(&policy.tenant_id) => Ok(()),
            // What was approved once is not approved again.
            Row::Policy(policy) if policy.kind == APPROVAL => Ok(()),
            // One that was taken away may have allowed what nobody is to do any more.
            Row::Policy(policy) => {
                let there = store.policy(policy.tenant_id, policy.kind, &policy.name)?.is_some();
                self.destroyed(there, row)
            }
            Row::Key(key) => self.key(key),
            Row::Version(version) if self.lost.contains(&version.key_id) => self.put_back(row),
            Row::Version(version) if self.raised.contains(&version.key_id) => self.restore(row),
            Row::Version(version) => {
                let there = store.version(version.key_id, version.version)?.is_some();
                let tombstone = store.key(version.key_id)?.is_none_or(|key| key.deleted_at.is_some());
                // Of a destroyed key: counted with the key.
                if tombstone { Ok(()) } else { self.destroyed(there, row) }
            }
            Row::Object(object) => {
                let there = store.object(object.id)?.is_some();
                match object.key_id {
                    _ if there => Ok(()),
                    Some(key) if self.lost.contains(&key) => self.put_back(row),
                    Some(key) if self.raised.contains(&key) => self.restore(row),
                    // Of a destroyed key: counted with the key.
                    Some(key) if store.key(key)?.is_none_or(|key| key.deleted_at.is_some()) => Ok(()),
                    _ => self.destroyed(false, row),
                }
            }
            Row::Role(role) if store.role(role.id)?.is_some() => Ok(()),
            // Nobody takes them away but who writes the file.
            Row::Role(_) => self.put_back(row),
            Row::Entry(entry) => {
                let there = store.entry(entry.tenant_id, entry.lookup)?.is_some();
                self.destroyed(there, row)
            }
        }
    }

    fn tenant(&mut self, old: &TenantRow) -> Result<()> {
        let Some(now) = self.keyring.store.tenant(old.id)? else {
            if self.resurrect {
                self.risen.insert(old.id);
                return self.restore(Row::Tenant(old.clone()));
            }
            self.strange.insert(old.id);
            self.left_out += 1;
            return Ok(());
        };
        if self.commitment(old)? != self.commitment(&now)? {
            // It was wiped: what stood under its old key opens under no key of today.
            self.strange.insert(old.id);
            self.left_out += 1;
            return Ok(());
        }
        self.seen.push(Change::ExpectTenant(now.id, now.revision));
        Ok(())
    }

    fn commitment(&self, row: &TenantRow) -> Result<[u8; 32]> {
        let place = place("tenants", Id::STORE, row.id, row.revision);
        Ok(Tenant::decode(&self.keyring.open_store_row(&place, &row.sealed)?)?.commitment)
    }

    fn key(&mut self, old: &KeyRow) -> Result<()> {
        match self.keyring.store.key(old.id)? {
            // A key that is destroyed leaves a tombstone; this one went behind the store's back, or with its tenant.
            None if self.risen.contains(&old.tenant_id) => {}
            None => {
                self.lost.insert(old.id);
                return self.put_back(Row::Key(old.clone()));
            }
            Some(now) if now.deleted_at.is_none() || old.deleted_at.is_some() => return Ok(()),
            Some(_) if self.resurrect => {}
            Some(_) => {
                self.left_out += 1;
                return Ok(());
            }
        }
        self.raised.insert(old.id);
        self.restore(Row::Key(old.clone()))
    }

    /// A row that is missing because it was destroyed.
    fn destroyed(&mut self, there: bool, row: Row) -> Result<()> {
        match (there, self.resurrect) {
            (true, _) => Ok(()),
            (false, true) => self.restore(row),
            (false, false) => {
                self.left_out += 1;
                Ok(())
            }
        }
    }

    /// A row that the accumulators still count.
    fn put_back(&mut self, row: Row) -> Result<()> {
        self.changes.push(if self.risen.contains(&tenant_of(&row)) {
            Change::Restore(row)
        } else {
            Change::PutBack(row)
        });
        Ok(())
    }

    fn restore(&mut self, row: Row) -> Result<()> {
        self.changes.push(Change::Restore(row));
        Ok(())
    }
}

fn tenant_of(row: &Row) -> Id {
    match row {
        Row::Role(role) => role.tenant_id,
        _ => Id::STORE,
    }
}

impl Keyring {
    /// The root's keys once more, for a backup to be opened by.
    fn another_of_root_keys(&self) -> Result<crate::keyring::RootKeys> {
        let keys = self.root_keys()?;
        crate::keyring::RootKeys::new(self.provider, SecretBytes::copied_from(keys.root_key.expose()))
    }
}
