//! A new root key for a store: all that stands under the old one is sealed anew, in one transaction, so that whatever
//! ends the process leaves the one or the other. Keys, PINs and what tenants hold stay as they are.

use super::accumulator::Accountant;
use super::brought::Brought;
use super::counted::Counting;
use super::record::{Pin, Tenant};
use super::root_record::RootKeyFacts;
use super::seal::{fresh_key, open_secret};
use super::store_rows::{fact_place, opened_row, place, sealed_row};
use super::tenant::{Protection, TenantInfo, wrap_context};
use super::{FACTS, Keyring, RootKeys, RootState, anchor, object, pin};
use crate::Core;
use crate::at_once::may_wait;
use crate::root::{NewRoot, SlotView, open_slot, remade_slot};
use crate::store::{Change, MetaRow, ObjectQuery, PinRow, PolicyRow, RootSlotRow, Row, TenantRow, TokenRow};
use crate::token::Role;
use canis_proto::{Error, ErrorCode, Id, Result};
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLockReadGuard, TryLockError};
use std::time::{Duration, Instant};

/// The name of the row that says which root key the store has; it is sealed under that key.
const ROOT_KEY: &str = "root-key";

/// How long a reader waits for a new root key that is being written.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often it is begun anew because another process has changed what stands under the root key meanwhile.
const TRIES: usize = 50;

/// What a root slot becomes when the root key is replaced.
pub(crate) enum Fate {
    /// It wraps the new root key by this root.
    Kept(NewRoot),
    /// It goes.
    Dropped,
}

impl Core {
    /// Whether another server has given the store a new root key. This one has to be opened again then.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub fn root_key_was_replaced(&self) -> Result<bool> {
        self.keyring.root_key_was_replaced()
    }
}

impl Keyring {
    /// The row that says which root key this is.
    pub(crate) fn root_key_fact(keys: &RootKeys, revision: u64, facts: &RootKeyFacts) -> Result<Row> {
        let body = keys.rows.seal(&fact_place(ROOT_KEY, revision), &facts.encode()?)?;
        Ok(Row::Meta(MetaRow { name: ROOT_KEY.to_owned(), revision, body }))
    }

    /// Refuses the keys of a root key that was replaced: a slot from an older copy of the file leads to it. Where only the
    /// row that says so was spoilt, the store opens, and whoever checks it is told.
    pub(super) fn refuse_replaced(&self, keys: &RootKeys) -> Result<()> {
        if self.root_key_facts(keys).is_ok() || self.opens_some_tenant(keys)? {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::RootCredentialWrong,
            "this root slot holds a root key that was replaced; it opens nothing any more",
        ))
    }

    /// Whether another process has given the store a new root key, so that the one at hand opens nothing.
    fn root_key_was_replaced(&self) -> Result<bool> {
        let _steady = self.steady_root()?;
        let RootState::Open(keys) = self.root_state() else { return Ok(false) };
        match self.refuse_replaced(&keys) {
            Err(error) if error.code == ErrorCode::RootCredentialWrong => Ok(true),
            looked => looked.map(|()| false),
        }
    }

    fn opens_some_tenant(&self, keys: &RootKeys) -> Result<bool> {
        let opens = |row: &TenantRow| {
            opened_row(keys, &place("tenants", Id::STORE, row.id, row.revision), &row.sealed).is_ok()
        };
        Ok(self.store.tenants()?.iter().any(opens))
    }

    /// What the store says of its root key, read by that key; `None` in stores of before.
    pub(super) fn root_key_facts(&self, keys: &RootKeys) -> Result<Option<(u64, RootKeyFacts)>> {
        let Some(row) = self.store.meta(ROOT_KEY)? else { return Ok(None) };
        let opened = keys.rows.open(&fact_place(ROOT_KEY, row.revision), &row.body)?;
        Ok(Some((row.revision, RootKeyFacts::decode(&opened)?)))
    }

    /// The revision of that row, whatever it says.
    pub(super) fn root_key_revision(&self) -> Result<u64> {
        Ok(self.store.meta(ROOT_KEY)?.map_or(0, |row| row.revision))
    }

    /// Which root key the store has, counted from 1, and since when; 0 while it is sealed.
    pub(crate) fn root_key_number(&self) -> Result<(u32, i64)> {
        let RootState::Open(keys) = self.root_state() else { return Ok((0, 0)) };
        let facts = self.root_key_facts(&keys)?.map(|(_, facts)| (facts.number, facts.created_at));
        Ok(facts.unwrap_or((1, self.facts.created_at)))
    }

    /// Held by whoever writes what stands under the root key.
    ///
    /// # Errors
    /// As [`may_wait`], where one would have to wait for a new root key.
    pub(crate) fn steady_root(&self) -> Result<RwLockReadGuard<'_, ()>> {
        match self.root_gate.try_read() {
            Ok(steady) => Ok(steady),
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => {
                may_wait()?;
                Ok(self.root_gate.read().unwrap_or_else(PoisonError::into_inner))
            }
        }
    }

    /// Runs `read`, which reads what stands under the root key without holding it steady; anew if the root key was
    /// replaced meanwhile, and once it is.
    pub(crate) fn rereading<T>(&self, mut read: impl FnMut() -> Result<T>) -> Result<T> {
        let end = Instant::now() + PATIENCE;
        loop {
            let before = self.root_turns.load(Ordering::Acquire);
            let found = read();
            let now = self.root_turns.load(Ordering::Acquire);
            let torn = matches!(&found, Err(error) if error.code == ErrorCode::StoreTampered);
            // Odd while it is being replaced.
            if !torn || (before == now && now.is_multiple_of(2)) || Instant::now() > end {
                return found;
            }
            if !now.is_multiple_of(2) {
                may_wait()?;
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }

    /// Draws a new root key and brings the store under it. `fates` says what becomes of every slot.
    ///
    /// # Errors
    /// `conflict` if others change root slots meanwhile, or what stands under the root key all the time.
    pub(crate) fn replace_root_key(&self, fates: Vec<(RootSlotRow, Fate)>) -> Result<u32> {
        let _turn = self.roots.lock().unwrap_or_else(PoisonError::into_inner);
        let (turn, old) = (self.sealing.turn(), self.root_keys()?);
        let new = Arc::new(RootKeys::new(self.provider, fresh_key(self.provider)?)?);
        let known: BTreeSet<_> = fates.iter().map(|(slot, _)| (slot.id, slot.revision)).collect();
        // Argon2id and HSMs take their time; nobody needs to wait for them.
        let slots = self.slots_under(&new, fates)?;
        let _gate = self.root_gate.write().unwrap_or_else(PoisonError::into_inner);
        self.require_whole()?;
        let mut tries = 0;
        let number = loop {
            tries += 1;
            // The gate keeps the others of this process away; another server, or a module, makes rows meanwhile.
            match self.bring_under(&old, &new, &slots, turn) {
                Err(error) if error.code == ErrorCode::Conflict && tries < TRIES => {
                    self.refuse_other_slots(&known)?;
                }
                done => break done?,
            }
        };
        self.purge();
        Ok(number)
    }

    /// Writes all that stands under the root key anew, as it is at this moment. The number of the new root key.
    fn bring_under(&self, old: &RootKeys, new: &Arc<RootKeys>, slots: &[Change], turn: u64) -> Result<u32> {
        let number = self.root_key_number()?.0.saturating_add(1);
        let revision = self.root_key_facts(old)?.map_or(1, |(revision, _)| revision + 1);
        let salt = self.fresh_salt()?;
        let accountant = Accountant::new(self.provider, new, &salt)?;
        let facts = RootKeyFacts { number, created_at: self.clock.now_micros(), counted: Some(salt) };
        let mut changes = slots.to_vec();
        changes.push(Change::Put(Keyring::root_key_fact(new, revision, &facts)?));
        changes.push(self.earlier_anchor_keys(old, new)?);
        changes.extend(Move { keyring: self, old, new }.rows()?.into_iter().map(Change::Reseal));
        changes.push(Change::Recount);
        self.root_turns.fetch_add(1, Ordering::AcqRel);
        let committed = self.store.commit_by(&changes, Some(&Brought::by(&changes, &accountant, old)));
        if committed.is_ok() {
            self.swap_root(Arc::clone(new), Counting::By(Arc::new(accountant)), turn);
        }
        self.root_turns.fetch_add(1, Ordering::AcqRel);
        committed.map(|()| number)
    }

    /// What was said of slots is about those that there were.
    fn refuse_other_slots(&self, known: &BTreeSet<(Id, u64)>) -> Result<()> {
        let there = self.store.root_slots()?.iter().map(|slot| (slot.id, slot.revision)).collect();
        if *known == there {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::Conflict,
            "somebody else changed the root slots meanwhile; look at `canis root list`, and ask again",
        ))
    }

    fn slots_under(&self, new: &RootKeys, fates: Vec<(RootSlotRow, Fate)>) -> Result<Vec<Change>> {
        let now = self.clock.now_micros();
        let mut opens = false;
        let change = |(slot, fate): (RootSlotRow, Fate)| match fate {
            Fate::Dropped => Ok(Change::RemoveRootSlot(slot.id, slot.revision)),
            Fate::Kept(root) => {
                opens |= SlotView::of(&slot)?.opens;
                let made = remade_slot(self.provider, self.store_id(), &slot, root, &new.root_key, now)?;
                Ok(Change::Put(Row::RootSlot(made)))
            }
        };
        let changes = fates.into_iter().map(change).collect::<Result<Vec<_>>>()?;
        if opens {
            return Ok(changes);
        }
        Err(Error::new(
            ErrorCode::OperationNotAllowed,
            "none of the slots that are kept opens the store here; keep one that does",
        ))
    }

    /// Refuses a credential that does not open the slot that it is to go on opening.
    pub(crate) fn check_credential(
        &self,
        slot: &RootSlotRow,
        credential: &crate::root::Credential,
    ) -> Result<()> {
        open_slot(self.provider, self.store_id(), slot, credential).map(drop)
    }
}

/// Rows on their way from one root key to another. Their revisions stay, so that nobody who works with them notices.
struct Move<'a> {
    keyring: &'a Keyring,
    old: &'a RootKeys,
    new: &'a RootKeys,
}

impl Move<'_> {
    fn rows(&self) -> Result<Vec<Row>> {
        let store = &self.keyring.store;
        let mut rows = Vec::new();
        for fact in store.all_meta()? {
            let elsewhere = [FACTS, ROOT_KEY, anchor::EARLIER].contains(&fact.name.as_str());
            if !elsewhere && !fact.name.starts_with(MetaRow::WRAPPING_KEY) {
                rows.push(self.fact(fact)?);
            }
        }
        for row in store.tenants()? {
            let info = self.keyring.tenant_info(row.id)?;
            for role in [Role::User, Role::So] {
                rows.extend(
                    store.pin(info.id, role as u8)?.map(|pin| self.pin(&info, role, pin)).transpose()?,
                );
            }
            for token in store.tokens(info.id)? {
                rows.push(self.token(token)?);
            }
            for policy in store.policies(info.id)? {
                rows.push(self.policy(policy)?);
            }
            let public = store.objects(&ObjectQuery::all(info.id))?.into_iter().filter(|row| !row.private);
            rows.extend(public.filter_map(|row| object::retagged(row, self.old, self.new)).map(Row::Object));
            rows.push(self.tenant(row, info)?);
        }
        Ok(rows)
    }

    fn fact(&self, row: MetaRow) -> Result<Row> {
        let place = fact_place(&row.name, row.revision);
        let secret = self.old.rows.open_secret(&place, &row.body)?;
        let body = self.new.rows.seal(&place, secret.expose())?;
        Ok(Row::Meta(MetaRow { body, ..row }))
    }

    fn tenant(&self, row: TenantRow, info: TenantInfo) -> Result<Row> {
        let wrapped_key = match info.protection {
            Protection::Root => self.rewrapped(&info)?,
            Protection::RootAndPin | Protection::Pin => info.record.wrapped_key.clone(),
        };
        let record = Tenant { wrapped_key, ..info.record };
        let place = place("tenants", Id::STORE, row.id, row.revision);
        Ok(Row::Tenant(TenantRow { sealed: sealed_row(self.new, &place, &record.encode()?)?, ..row }))
    }

    fn rewrapped(&self, info: &TenantInfo) -> Result<Vec<u8>> {
        let key = super::tenant::unwrap_by_root(self.old, info)?;
        self.new.tenant_wrap.seal_to_vec(&wrap_context(info.id), key.expose())
    }

    fn pin(&self, tenant: &TenantInfo, role: Role, row: PinRow) -> Result<Row> {
        let place = pin::pin_place(tenant.id, role, row.id, row.revision);
        let record = Pin::decode(&self.keyring.open_store_row(&place, &row.sealed)?)?;
        let sealed = match tenant.protection {
            Protection::RootAndPin => {
                let context = pin::outer_context(tenant.id, role);
                let inner = open_secret(&self.old.pin_outer, &context, &record.sealed)
                    .map_err(|_| place.tampered())?;
                self.new.pin_outer.seal_to_vec(&context, inner.expose())?
            }
            Protection::Root | Protection::Pin => record.sealed.clone(),
        };
        let record = Pin { sealed, ..record };
        Ok(Row::Pin(PinRow { sealed: sealed_row(self.new, &place, &record.encode()?)?, ..row }))
    }

    fn policy(&self, row: PolicyRow) -> Result<Row> {
        let place = place("policies", row.tenant_id, row.id, row.revision);
        let record = self.keyring.open_store_row(&place, &row.sealed)?;
        Ok(Row::Policy(PolicyRow { sealed: sealed_row(self.new, &place, &record)?, ..row }))
    }

    fn token(&self, row: TokenRow) -> Result<Row> {
        let place = place("tokens", row.tenant_id, row.id, row.revision);
        let record = self.keyring.open_store_row(&place, &row.sealed)?;
        Ok(Row::Token(TokenRow { sealed: sealed_row(self.new, &place, &record)?, ..row }))
    }
}
