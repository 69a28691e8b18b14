//! The root slots of a store: opening it by one of them, and adding, renewing and removing them. The root key itself
//! stays what it is.

use super::{Keyring, RootKeys, RootState};
use crate::root::{
    Credential, HsmHelper, NewRoot, SlotView, is_weak, new_slot, open_slot, promises_counts, remade_slot,
};
use crate::secret::SecretBytes;
use crate::store::{Change, RootSlotRow, Row};
use canis_proto::{Error, ErrorCode, Id, Result, quote};
use std::sync::PoisonError;

/// How often a removal is looked at anew because another process has changed the store meanwhile.
const TRIES: usize = 50;

impl Keyring {
    /// Opens the store with the first slot that the credential fits.
    pub(crate) fn unseal(&self, credential: &Credential) -> Result<()> {
        self.unseal_at(self.sealing.turn(), credential, false).map(drop)
    }

    /// Opens it even if its HSM remembers a newer one; says whether it does.
    pub(crate) fn unseal_to_accept(&self, credential: &Credential) -> Result<bool> {
        self.unseal_at(self.sealing.turn(), credential, true)
    }

    /// Opens it unless the store was sealed since `turn`. `accept`: whatever its HSM remembers of it; says whether it differs.
    pub(super) fn unseal_at(&self, turn: u64, credential: &Credential, accept: bool) -> Result<bool> {
        let (slot, key) = self.open_by(credential, &self.store.root_slots()?)?;
        let keys = RootKeys::new(self.provider, key)?;
        self.refuse_replaced(&keys)?;
        let differs = self.check_anchor(&keys, &slot, credential, accept)?;
        let counting = self.counting(&keys, promises_counts(self.provider, &slot, &keys.root_key)?)?;
        self.open_root(keys, counting, turn)?;
        if let (Credential::Passphrase(passphrase), true) = (credential, is_weak(&slot)?) {
            // The store is open either way; a full disk leaves the slot for the next time.
            drop(self.strengthen(&slot, passphrase));
        }
        Ok(differs)
    }

    /// Lets requests name HSM libraries, which `helper` loads.
    pub(crate) fn set_hsm_helper(&self, helper: HsmHelper) {
        // Whoever opened the store says it once.
        drop(self.hsm_helper.set(helper));
    }

    /// What loads the libraries that one request names; its process ends with it.
    pub(crate) fn hsm_helper(&self) -> Result<HsmHelper> {
        self.hsm_helper.get().map(HsmHelper::afresh).ok_or_else(|| {
            Error::new(
                ErrorCode::RootUnavailable,
                "this program cannot start the process that loads HSM libraries",
            )
        })
    }

    /// The first of `slots` that the credential fits, and what it wraps.
    fn open_by(&self, credential: &Credential, slots: &[RootSlotRow]) -> Result<(RootSlotRow, SecretBytes)> {
        let mut refusal = Error::invalid(format!(
            "the store has no {} root; its roots are: {}",
            credential.kind(),
            slots.iter().map(|s| s.kind.as_str()).collect::<Vec<_>>().join(", ")
        ));
        for slot in slots.iter().filter(|s| s.kind == credential.kind()) {
            match open_slot(self.provider, self.store_id(), slot, credential) {
                Ok(key) => return Ok((slot.clone(), key)),
                // An HSM counts wrong PINs: what one slot refused is not tried on the next.
                Err(error)
                    if error.code == ErrorCode::RootCredentialWrong
                        && matches!(credential, Credential::Hsm { .. }) =>
                {
                    return Err(error);
                }
                Err(error) => refusal = error,
            }
        }
        Err(refusal)
    }

    /// Wraps the root key anew under the passphrase that has just opened the slot, at today's price of a guess.
    fn strengthen(&self, slot: &RootSlotRow, passphrase: &SecretBytes) -> Result<()> {
        let new = NewRoot::Passphrase { passphrase: SecretBytes::copied_from(passphrase.expose()) };
        self.renew_slot(slot, new).map(drop)
    }

    /// Every slot, oldest first, as it is seen from outside.
    pub(crate) fn root_slots(&self) -> Result<Vec<SlotView>> {
        self.store.root_slots()?.iter().map(SlotView::of).collect()
    }

    /// Adds a slot that wraps the root key by `new`.
    pub(crate) fn add_root(&self, new: NewRoot) -> Result<SlotView> {
        let keys = self.root_keys()?;
        let slot = new_slot(self.provider, self.store_id(), new, &keys.root_key, self.clock.now_micros())?;
        self.store.commit(&[Change::Put(Row::RootSlot(slot.clone()))])?;
        SlotView::of(&slot)
    }

    /// Wraps the root key anew in the slot that `name` leads to; what opened it before does not any more.
    pub(crate) fn renew_root(&self, name: &str, new: NewRoot) -> Result<SlotView> {
        SlotView::of(&self.renew_slot(&self.slot_named(name)?, new)?)
    }

    fn renew_slot(&self, slot: &RootSlotRow, new: NewRoot) -> Result<RootSlotRow> {
        let (keys, now) = (self.root_keys()?, self.clock.now_micros());
        let renewed = remade_slot(self.provider, self.store_id(), slot, new, &keys.root_key, now)?;
        self.store.commit(&[Change::Put(Row::RootSlot(renewed.clone()))])?;
        self.purge();
        Ok(renewed)
    }

    /// Removes the slot that `name` leads to, unless nobody could open the store then. The number of slots left.
    pub(crate) fn remove_root(&self, name: &str) -> Result<(SlotView, usize)> {
        self.root_keys()?;
        // Two who each remove one of the last two would leave none.
        let _turn = self.roots.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tries = 0;
        let (slot, left) = loop {
            tries += 1;
            match self.try_remove_root(name) {
                Err(error) if error.code == ErrorCode::Conflict && tries < TRIES => {}
                done => break done?,
            }
        };
        self.purge();
        Ok((SlotView::of(&slot)?, left))
    }

    fn try_remove_root(&self, name: &str) -> Result<(RootSlotRow, usize)> {
        // First: another server may be removing the other one.
        let seen = self.store.accumulator(Id::STORE)?.map_or(0, |row| row.revision);
        let slot = self.slot_named(name)?;
        let views = self.root_slots()?;
        if !views.iter().any(|view| view.opens && view.id != slot.id) {
            return Err(Error::new(
                ErrorCode::OperationNotAllowed,
                format!(
                    "root slot {} is the last that opens the store (a recipient's does so elsewhere only); \
                     add another one first",
                    slot.id
                ),
            ));
        }
        let changes =
            [Change::ExpectUnchanged(Id::STORE, seen), Change::RemoveRootSlot(slot.id, slot.revision)];
        self.store.commit(&changes)?;
        Ok((slot, views.len() - 1))
    }

    /// The slot that the credential opens, among all or only the one that is named. Nothing is unsealed by it.
    pub(crate) fn test_root(&self, name: Option<&str>, credential: &Credential) -> Result<SlotView> {
        let slots = match name {
            Some(name) => vec![self.slot_named(name)?],
            None => self.store.root_slots()?,
        };
        let (slot, key) = self.open_by(credential, &slots)?;
        match self.root_state() {
            RootState::Open(keys) if !keys.root_key.equals(key.expose()) => Err(Error::new(
                ErrorCode::StoreTampered,
                format!("root slot {} holds another root key than this store's; remove it", slot.id),
            )),
            _ => SlotView::of(&slot),
        }
    }

    /// A slot by its id or the beginning of it, or by its kind if it is the only one of that.
    pub(crate) fn slot_named(&self, name: &str) -> Result<RootSlotRow> {
        /// Fewer characters of an id are too easily another's.
        const SHORTEST: usize = 4;
        let slots = self.store.root_slots()?;
        let by_id = |slot: &RootSlotRow| name.len() >= SHORTEST && slot.id.to_string().starts_with(name);
        let mut found = slots.iter().filter(|slot| slot.kind == name || by_id(slot));
        match (found.next(), found.next()) {
            (Some(slot), None) => Ok(slot.clone()),
            (Some(_), Some(_)) => Err(Error::invalid(format!(
                "several root slots go by `{}`; name one by its id, which `canis root list` shows",
                quote(name)
            ))),
            (None, _) => Err(Error::invalid(format!(
                "there is no root slot `{}`; `canis root list` shows them",
                quote(name)
            ))),
        }
    }
}
