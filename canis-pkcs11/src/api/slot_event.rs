//! Slot events (section 5.5.4): tokens that this or another process made, wiped or deleted.
//!
//! No thread watches. The calling thread looks at the store's generation, which costs a load, and sleeps in between;
//! C_Finalize wakes it.

use super::slot_token::{empty_slot, tokens};
use crate::module::Module;
use crate::rv::{Result, fail};
use crate::session::lock;
use canis_core::token::TokenInfo;
use canis_proto::Id;
use pkcs11_sys::*;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How long a waiting call sleeps before it looks again.
const PAUSE: Duration = Duration::from_millis(100);

/// What is in each slot: a token and how often it was initialised, or nothing yet.
type Seen = BTreeMap<CK_SLOT_ID, Option<(Id, u64)>>;

/// What the host has been told about the slots.
#[derive(Default)]
pub(crate) struct SlotEvents {
    state: Mutex<State>,
    closed: Condvar,
    /// How many threads wait.
    asleep: AtomicUsize,
}

#[derive(Default)]
struct State {
    /// `None` until the host asks about slots for the first time: what is there then is no event.
    told: Option<Seen>,
    closing: bool,
}

impl SlotEvents {
    /// Notes the slots that the host sees first.
    pub(crate) fn begin(&self, tokens: &[TokenInfo], empty: Option<CK_SLOT_ID>) {
        lock(&self.state).told.get_or_insert_with(|| seen(tokens, empty));
    }

    /// Wakes those who wait: C_Finalize has begun.
    pub(crate) fn close(&self) {
        lock(&self.state).closing = true;
        self.closed.notify_all();
    }

    /// A slot that is not as the host knows it; from now on it knows.
    fn take(&self, now: &[TokenInfo], empty: Option<CK_SLOT_ID>) -> Option<CK_SLOT_ID> {
        let now = seen(now, empty);
        let mut state = lock(&self.state);
        let told = state.told.get_or_insert_with(|| now.clone());
        let changed = |slot: &&CK_SLOT_ID| told.get(slot) != now.get(slot);
        let slot = *told.keys().chain(now.keys()).filter(changed).min()?;
        match now.get(&slot) {
            Some(content) => told.insert(slot, *content),
            None => told.remove(&slot),
        };
        Some(slot)
    }

    /// Sleeps for a moment; says whether C_Finalize has begun.
    fn pause(&self) -> bool {
        self.asleep.fetch_add(1, Ordering::SeqCst);
        let state = lock(&self.state);
        let waited = self.closed.wait_timeout_while(state, PAUSE, |state| !state.closing);
        let closing = waited.unwrap_or_else(PoisonError::into_inner).0.closing;
        self.asleep.fetch_sub(1, Ordering::SeqCst);
        closing
    }

    /// How many threads sleep in C_WaitForSlotEvent.
    pub(crate) fn asleep(&self) -> usize {
        self.asleep.load(Ordering::SeqCst)
    }
}

fn seen(tokens: &[TokenInfo], empty: Option<CK_SLOT_ID>) -> Seen {
    let filled = tokens.iter().map(|token| (token.slot.into(), Some((token.id, token.revision))));
    filled.chain(empty.map(|slot| (slot, None))).collect()
}

/// C_WaitForSlotEvent: the slot whose token is new, was initialised anew or is gone, or the empty slot where it is now.
///
/// # Errors
/// CKR_NO_EVENT with CKF_DONT_BLOCK; CKR_CRYPTOKI_NOT_INITIALIZED when C_Finalize ends the wait.
pub(crate) fn wait(module: &Module, flags: CK_FLAGS) -> Result<CK_SLOT_ID> {
    loop {
        // Without a store there are no slots, and nothing happens to them.
        if module.keeper.is_some() {
            let tokens = tokens(module)?;
            if let Some(slot) = module.slot_events.take(&tokens, empty_slot(module, &tokens)) {
                return Ok(slot);
            }
        }
        if flags & CKF_DONT_BLOCK != 0 {
            return fail(CKR_NO_EVENT);
        }
        if module.slot_events.pause() {
            return fail(CKR_CRYPTOKI_NOT_INITIALIZED);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use canis_core::token::PinState;

    fn token(slot: u32, revision: u64) -> TokenInfo {
        let pin = PinState { set: true, tries_left: 10, max_tries: 10 };
        let label = "a token".to_owned();
        TokenInfo { id: Id([slot as u8; 16]), slot, revision, label, user_pin: pin, so_pin: pin }
    }

    #[test]
    fn every_change_is_told_once() {
        let events = SlotEvents::default();
        let last = |now: &[TokenInfo]| CK_SLOT_ID::from(now.last().map_or(0, |token| token.slot + 1));
        let drain =
            |now: &[TokenInfo]| std::iter::from_fn(|| events.take(now, Some(last(now)))).collect::<Vec<_>>();
        assert!(drain(&[token(0, 1)]).is_empty(), "what is there at first is no event");
        assert_eq!(drain(&[token(0, 1), token(1, 1)]), [1, 2], "a token, and the empty slot has moved");
        assert_eq!(drain(&[token(0, 2), token(1, 1)]), [0], "initialised anew");
        assert_eq!(drain(&[token(1, 1)]), [0], "gone");
        assert!(drain(&[token(1, 1)]).is_empty());
    }

    #[test]
    fn closing_ends_the_pause() {
        let events = SlotEvents::default();
        assert!(!events.pause());
        events.close();
        assert!(events.pause());
    }
}
