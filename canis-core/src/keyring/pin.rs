//! PINs: Argon2id over the PIN opens the tenant key, or proves the PIN where the root holds the key.
//!
//! Why this is safe here: the try is counted and committed before Argon2id runs, so that killing the process saves
//! no try; tries take turns, so that right PINs given at one moment do not count against each other; a new PIN replaces
//! the row that was tried and no other, so that an old PIN cannot undo its reset; the counter is per PIN and ends in a
//! lock; under a root the slot is wrapped once more by a key of the root, so that a stolen file alone cannot be searched.

use super::record::Pin;
use super::seal::{open_secret, xaes_key};
use super::store_rows::place;
use super::tenant::{Protection, TenantInfo};
use super::{Keyring, seal};
use crate::crypto::xaes::XaesKey;
use crate::secret::SecretBytes;
use crate::store::{PinRow, Row, Turn};
use crate::token::{MAX_PIN, MAX_TRIES, MIN_PIN, PinState, Role};
use canis_proto::value::Value;
use canis_proto::{Error, ErrorCode, Id, Result};

/// Argon2id's default cost for PINs: 19 MiB, two passes (OWASP's first recommendation).
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
/// A record that asks for more was edited by other hands.
const MOST_MEMORY_KIB: u32 = 1024 * 1024;
/// From this many failures on, each further try must wait, twice as long each time.
const FREE_TRIES: u32 = 5;
/// The longest such wait, in microseconds.
const LONGEST_DELAY: i64 = 1024 * 1_000_000;

struct StoredPin {
    id: Id,
    revision: u64,
    record: Pin,
}

/// A PIN's row as it was read; a new PIN replaces this one or fails with `conflict`.
#[derive(Clone, Copy)]
pub(crate) struct PinRevision {
    id: Id,
    revision: u64,
}

/// A PIN that was right.
pub(crate) struct ProvenPin {
    /// The tenant key that it opened, or `None` where the root holds it.
    pub(crate) key: Option<SecretBytes>,
    /// What a change of the PIN replaces.
    pub(crate) row: PinRevision,
    /// Nobody else tries a PIN of the store meanwhile.
    _turn: Turn,
}

fn context(tenant: Id, role: Role, what: &str) -> Vec<u8> {
    Value::Array(vec![Value::from(what), Value::from(&tenant.0[..]), Value::from(role as u16 as u32)])
        .encode()
}

/// What the root's wrap around a PIN slot is bound to.
pub(super) fn outer_context(tenant: Id, role: Role) -> Vec<u8> {
    context(tenant, role, "canis/v1/pin-outer")
}

impl Keyring {
    /// What can be said about a PIN without knowing it.
    pub(crate) fn pin_state(&self, tenant: Id, role: Role) -> Result<PinState> {
        let stored = self.stored_pin(tenant, role)?;
        let failures = stored.as_ref().map_or(0, |pin| pin.record.failures);
        Ok(PinState {
            set: stored.is_some(),
            tries_left: MAX_TRIES.saturating_sub(failures),
            max_tries: MAX_TRIES,
        })
    }

    /// Tries a PIN.
    ///
    /// # Errors
    /// `pin_incorrect`, `pin_locked`, `pin_delayed`, `pin_not_initialized`.
    pub(crate) fn try_pin(&self, tenant: &TenantInfo, role: Role, pin: &SecretBytes) -> Result<ProvenPin> {
        check_length(pin)?;
        let turn = self.store.pin_turn()?;
        let stored = self.stored_pin(tenant.id, role)?.ok_or_else(|| {
            Error::new(
                ErrorCode::PinNotInitialized,
                "no such PIN was set; the security officer sets the user PIN",
            )
        })?;
        self.allowed_now(&stored.record)?;
        let counted = self.count_try(tenant.id, role, stored)?;
        let key = self.open_pin(tenant, role, &counted.record, pin)?;
        let reset = Pin { failures: 0, not_before: 0, ..counted.record };
        let row = PinRevision { id: counted.id, revision: counted.revision + 1 };
        self.put([self.pin_row(tenant.id, role, row.id, row.revision, &reset)?])?;
        Ok(ProvenPin { key, row, _turn: turn })
    }

    /// The PIN's row as it stands, for who may replace it without knowing the PIN. No try is under way until the turn
    /// is dropped.
    pub(crate) fn pin_to_replace(&self, tenant: Id, role: Role) -> Result<(Option<PinRevision>, Turn)> {
        let turn = self.store.pin_turn()?;
        let stored = self.stored_pin(tenant, role)?;
        Ok((stored.map(|pin| PinRevision { id: pin.id, revision: pin.revision }), turn))
    }

    /// The row of a PIN that opens `key` (or, where the root holds the tenant key, only proves itself), in place of
    /// `old`.
    pub(crate) fn new_pin_row(
        &self,
        tenant: Id,
        protection: Protection,
        role: Role,
        pin: &SecretBytes,
        key: &SecretBytes,
        old: Option<PinRevision>,
    ) -> Result<Row> {
        check_length(pin)?;
        let mut salt = [0; 16];
        self.provider.random.fill(&mut salt)?;
        let stretched = self.stretch(pin, &salt, MEMORY_KIB, PASSES)?;
        let held: &[u8] = if protection == Protection::Root { &[] } else { key.expose() };
        let inner = stretched.seal_to_vec(&context(tenant, role, "canis/v1/pin"), held)?;
        let sealed = match protection {
            Protection::RootAndPin => {
                self.root_keys()?.pin_outer.seal_to_vec(&outer_context(tenant, role), &inner)?
            }
            Protection::Root | Protection::Pin => inner,
        };
        let record = Pin { salt, memory: MEMORY_KIB, passes: PASSES, sealed, failures: 0, not_before: 0 };
        match old {
            Some(old) => self.pin_row(tenant, role, old.id, old.revision + 1, &record),
            None => self.pin_row(tenant, role, seal::fresh_id(self.provider)?, 1, &record),
        }
    }

    fn stored_pin(&self, tenant: Id, role: Role) -> Result<Option<StoredPin>> {
        let Some(row) = self.store.pin(tenant, role as u8)? else { return Ok(None) };
        let record = self.open_store_row(&pin_place(tenant, role, row.id, row.revision), &row.sealed)?;
        Ok(Some(StoredPin { id: row.id, revision: row.revision, record: Pin::decode(&record)? }))
    }

    fn pin_row(&self, tenant: Id, role: Role, id: Id, revision: u64, record: &Pin) -> Result<Row> {
        let sealed = self.seal_store_row(&pin_place(tenant, role, id, revision), &record.encode()?)?;
        Ok(Row::Pin(PinRow { id, tenant_id: tenant, role: role as u8, revision, sealed }))
    }

    fn allowed_now(&self, record: &Pin) -> Result<()> {
        if record.failures >= MAX_TRIES {
            return Err(Error::new(ErrorCode::PinLocked, "the PIN is locked after ten wrong tries"));
        }
        let wait = record.not_before.saturating_sub(self.clock.now_micros());
        // A longer wait than any that is set means that the clock was put back; the counter still protects.
        if wait > 0 && wait <= LONGEST_DELAY {
            return Err(Error::new(
                ErrorCode::PinDelayed,
                format!("too many wrong PINs; the next try is allowed in {} s", wait / 1_000_000 + 1),
            ));
        }
        Ok(())
    }

    /// Commits the try before the PIN is looked at.
    fn count_try(&self, tenant: Id, role: Role, stored: StoredPin) -> Result<StoredPin> {
        let failures = stored.record.failures + 1;
        let delay = match failures.checked_sub(FREE_TRIES) {
            Some(late) => (1_000_000_i64 << late.min(10)).min(LONGEST_DELAY),
            None => 0,
        };
        let record = Pin { failures, not_before: self.clock.now_micros() + delay, ..stored.record };
        let revision = stored.revision + 1;
        self.put([self.pin_row(tenant, role, stored.id, revision, &record)?])?;
        Ok(StoredPin { id: stored.id, revision, record })
    }

    fn open_pin(
        &self,
        tenant: &TenantInfo,
        role: Role,
        record: &Pin,
        pin: &SecretBytes,
    ) -> Result<Option<SecretBytes>> {
        if record.memory > MOST_MEMORY_KIB || record.passes > 64 {
            return Err(pin_place(tenant.id, role, Id::STORE, 0).tampered());
        }
        let outer = match tenant.protection {
            Protection::RootAndPin => {
                let keys = self.root_keys()?;
                Some(open_secret(&keys.pin_outer, &outer_context(tenant.id, role), &record.sealed)?)
            }
            Protection::Root | Protection::Pin => None,
        };
        let inner = outer.as_ref().map_or(&record.sealed[..], SecretBytes::expose);
        let stretched = self.stretch(pin, &record.salt, record.memory, record.passes)?;
        let opened =
            open_secret(&stretched, &context(tenant.id, role, "canis/v1/pin"), inner).map_err(|_| {
                let left = MAX_TRIES.saturating_sub(record.failures);
                Error::new(ErrorCode::PinIncorrect, format!("the PIN is wrong; {left} tries are left"))
            })?;
        Ok(if tenant.protection == Protection::Root { None } else { Some(opened) })
    }

    fn stretch(&self, pin: &SecretBytes, salt: &[u8; 16], memory: u32, passes: u32) -> Result<XaesKey> {
        let key = SecretBytes::filled(32, |out| {
            self.provider.kdf.argon2id(pin.expose(), salt, memory, passes, out)
        })?;
        xaes_key(self.provider, &key)
    }
}

pub(super) fn pin_place(tenant: Id, role: Role, id: Id, revision: u64) -> seal::Place<'static> {
    seal::Place { version: u32::from(role as u8), ..place("pins", tenant, id, revision) }
}

fn check_length(pin: &SecretBytes) -> Result<()> {
    if (MIN_PIN..=MAX_PIN).contains(&pin.len()) {
        return Ok(());
    }
    Err(Error::new(ErrorCode::PinInvalid, format!("a PIN has {MIN_PIN} to {MAX_PIN} bytes")))
}
