//! A new key for a tenant: all that stands under the old one is sealed anew, in one transaction, so that whatever ends the
//! process leaves the one or the other. What the tenant holds stays as it is.
//!
//! The keys of fingerprints and of look-ups name rows, some of values that are gone; they are carried along behind the new key.

use super::pin::{PinRevision, ProvenPin};
use super::seal::{RowSealer, commitment};
use super::tenant::{KEY, OpenTenant, Protection, TenantInfo, wrap_context};
use super::{Keyring, object};
use crate::secret::SecretBytes;
use crate::store::{Change, ObjectQuery};
use crate::token::Role;
use canis_proto::{Error, ErrorCode, Id, Result, quote};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

/// How often it is begun anew because another process has changed the tenant meanwhile.
const TRIES: usize = 8;
/// How many entries are read at a time.
const PAGE: usize = 256;

/// The PINs that wrap a tenant's key, and are to wrap the new one.
pub(crate) struct GuardingPins {
    pub(crate) so: Option<SecretBytes>,
    pub(crate) user: Option<SecretBytes>,
}

/// A PIN that was right, and the key that it opened.
struct Proven<'p> {
    role: Role,
    pin: &'p SecretBytes,
    key: SecretBytes,
    row: PinRevision,
}

impl Keyring {
    /// Draws a new key for a tenant, and brings the tenant under it. The number of rows.
    ///
    /// # Errors
    /// `tenant_locked` naming the PIN that is missing for one that its PINs guard, those of trying a PIN;
    /// `store_tampered` naming a row that does not open; `conflict`.
    pub(crate) fn rekey_tenant(&self, id: Id, pins: &GuardingPins) -> Result<u64> {
        let _gate = self.root_gate.write().unwrap_or_else(PoisonError::into_inner);
        let mut tries = 0;
        loop {
            tries += 1;
            match self.try_rekey(id, pins) {
                Err(error) if error.code == ErrorCode::Conflict && tries < TRIES => {}
                done => {
                    // Old keys at hand open nothing any more; whoever comes next opens the tenant by the root, or logs in.
                    if done.is_ok() || !self.others_use(id) {
                        self.close_tenant(id);
                    }
                    self.purge();
                    return done;
                }
            }
        }
    }

    /// Whether applications are logged in to a tenant that the root does not open: they keep it open.
    fn others_use(&self, id: Id) -> bool {
        self.tenant_if_open(id).is_some_and(|tenant| {
            tenant.protection != Protection::Root && tenant.logins.load(Ordering::Acquire) > 0
        })
    }

    fn try_rekey(&self, id: Id, pins: &GuardingPins) -> Result<u64> {
        self.store.poll()?;
        // First: what is changed after this is not overwritten.
        let seen = self.store.accumulator(id)?.map_or(0, |row| row.revision);
        let info = self.tenant_info(id)?;
        let guarded = info.protection != Protection::Root;
        if !guarded && (pins.so.is_some() || pins.user.is_some()) {
            return Err(no_pin_needed(&info.record.name));
        }
        let proven = if guarded { self.prove(&info, pins)? } else { Vec::new() };
        let old = match proven.first() {
            Some(pin) => self.admit(&info, SecretBytes::copied_from(pin.key.expose()))?,
            None => self.tenant(id)?,
        };
        let key = self.next_tenant_key(&old)?;
        let rows = Arc::new(RowSealer::new(self.provider, &key)?);
        let mut record = info.record;
        if !guarded {
            record.wrapped_key =
                self.root_keys()?.tenant_wrap.seal_to_vec(&wrap_context(id), key.expose())?;
        }
        record.commitment = commitment(self.provider, &key)?;
        let moved = self.moved_rows(&old, &rows)?;
        let count = moved.len() as u64;
        let mut changes = vec![
            Change::ExpectUnchanged(id, seen),
            Change::Put(self.tenant_row(id, info.revision + 1, &record)?),
        ];
        for pin in &proven {
            let row = self.new_pin_row(id, info.protection, pin.role, pin.pin, &key, Some(pin.row))?;
            changes.push(Change::Put(row));
        }
        changes.extend(moved);
        // Whoever reads with the old key at this moment finds what is sealed under the new one.
        old.rows.followed_by(&rows);
        self.root_turns.fetch_add(1, Ordering::AcqRel);
        let committed = self.store.commit(&changes);
        self.root_turns.fetch_add(1, Ordering::AcqRel);
        committed.map(|()| count)
    }

    /// Tries the PINs that wrap a tenant's key: all of them, or the tenant would lose one.
    fn prove<'p>(&self, tenant: &TenantInfo, pins: &'p GuardingPins) -> Result<Vec<Proven<'p>>> {
        let mut proven = Vec::with_capacity(2);
        for (role, given) in [(Role::So, &pins.so), (Role::User, &pins.user)] {
            let Some(pin) = given else {
                if self.pin_state(tenant.id, role)?.set {
                    return Err(pin_missing(&tenant.record.name, role));
                }
                continue;
            };
            // The turn ends with each: who tries one meanwhile changes the row, and this is begun anew.
            let ProvenPin { key: Some(key), row, .. } = self.try_pin(tenant, role, pin)? else {
                return Err(Error::internal("a PIN-protected token without a key"));
            };
            proven.push(Proven { role, pin, key, row });
        }
        Ok(proven)
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
        changes.extend(self.moved_wrapping_keys(old, to)?);
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

fn pin_missing(token: &str, role: Role) -> Error {
    let (whose, flag) = match role {
        Role::So => ("security officer's", "--so-pin-file"),
        Role::User => ("user's", "--pin-file"),
    };
    Error::new(
        ErrorCode::TenantLocked,
        format!(
            "the key of token `{}` is wrapped by its PINs, and the {whose} is missing; give both, as {flag} does",
            quote(token)
        ),
    )
}

fn no_pin_needed(token: &str) -> Error {
    Error::invalid(format!("the root opens tenant `{}`, not its PINs; ask again without them", quote(token)))
}
