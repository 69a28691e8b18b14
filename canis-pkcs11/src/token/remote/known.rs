//! What this host knows of the server: what it was shown a moment ago, who is logged in, and PINs, if they are kept.
//!
//! What was shown counts for a second, and until this host changes something or the server has forgotten it.

use crate::session::lock;
use canis_core::object::{Content, Object};
use canis_core::secret::SecretBytes;
use canis_core::token::{LoginState, Role, TokenInfo};
use canis_proto::{Error, ErrorCode, Id, OperationId, Result};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long what was shown counts.
const FRESH: Duration = Duration::from_secs(1);
/// So many objects are remembered and no more, none of them with more bytes in its attributes than this.
const MOST: usize = 4096;
const LARGEST: usize = 8 << 10;

/// When something was shown, and how often this host had changed something before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    at: Instant,
    changes: u64,
}

/// How a login ended that the host did not end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The token was wiped.
    Wiped,
    /// The server has forgotten this host.
    Forgotten,
}

/// What is known.
pub(crate) struct Known {
    keep_pin: bool,
    changes: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tokens: Option<(Seen, Arc<Vec<TokenInfo>>)>,
    objects: HashMap<Id, (Seen, Arc<Object>)>,
    asked: HashMap<Id, Seen>,
    logins: HashMap<Id, Role>,
    pins: HashMap<Id, Arc<SecretBytes>>,
    ended: HashMap<Id, Ended>,
    /// Tokens whose login is to be made anew.
    returning: HashSet<Id>,
    /// Tokens whose login the server has forgotten, until the next one.
    forgotten: HashSet<Id>,
}

/// Whether an operation may make untrue what was shown, or what an opened key was opened for.
pub(super) fn changes(operation: OperationId) -> bool {
    use OperationId as O;
    matches!(
        operation,
        O::InitToken
            | O::InitUserPin
            | O::Login
            | O::ChangePin
            | O::Logout
            | O::ConfirmUse
            | O::UpdateObject
            | O::DestroyObject
    )
}

impl Known {
    /// Nothing yet.
    pub(super) fn new(keep_pin: bool) -> Self {
        Known { keep_pin, changes: AtomicU64::new(0), state: Mutex::default() }
    }

    /// This moment.
    pub(crate) fn now(&self) -> Seen {
        Seen { at: Instant::now(), changes: self.changes() }
    }

    /// How often this host has changed something.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Whether what was shown then still counts.
    pub(crate) fn is_still(&self, seen: Seen) -> bool {
        seen.changes == self.changes() && seen.at.elapsed() < FRESH
    }

    /// What was shown may be true no more.
    pub(super) fn change(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        let mut state = lock(&self.state);
        state.objects.clear();
        state.tokens = None;
    }

    /// The tokens; `ask` shows them.
    pub(super) fn tokens(
        &self,
        ask: impl FnOnce() -> Result<Arc<Vec<TokenInfo>>>,
    ) -> Result<Arc<Vec<TokenInfo>>> {
        if let Some((seen, tokens)) = &lock(&self.state).tokens
            && self.is_still(*seen)
        {
            return Ok(Arc::clone(tokens));
        }
        // Taken first: what changes meanwhile is asked again.
        let seen = self.now();
        let tokens = ask()?;
        lock(&self.state).tokens = Some((seen, Arc::clone(&tokens)));
        Ok(tokens)
    }

    /// An object; `ask` shows it.
    pub(super) fn object(&self, id: Id, ask: impl FnOnce() -> Result<Arc<Object>>) -> Result<Arc<Object>> {
        if let Some((seen, object)) = lock(&self.state).objects.get(&id)
            && self.is_still(*seen)
        {
            return Ok(Arc::clone(object));
        }
        let seen = self.now();
        let object = ask()?;
        self.remember(seen, std::slice::from_ref(&object));
        Ok(object)
    }

    /// Remembers objects that were shown.
    pub(super) fn remember(&self, seen: Seen, objects: &[Arc<Object>]) {
        let mut state = lock(&self.state);
        for object in objects.iter().filter(|object| size(&object.content) <= LARGEST).take(MOST) {
            if state.objects.len() >= MOST {
                state.objects.clear();
            }
            state.objects.insert(object.id, (seen, Arc::clone(object)));
        }
    }

    /// Who is logged in to a token as far as is known here.
    pub(crate) fn login(&self, token: Id) -> Option<Role> {
        lock(&self.state).logins.get(&token).copied()
    }

    /// Who is logged in; `ask` says it.
    pub(super) fn role(&self, token: Id, ask: impl FnOnce() -> Result<LoginState>) -> Result<Option<Role>> {
        {
            let state = lock(&self.state);
            if state.asked.get(&token).is_some_and(|seen| self.is_still(*seen)) {
                return Ok(state.logins.get(&token).copied());
            }
        }
        let seen = self.now();
        let LoginState { role, wiped } = ask()?;
        let mut state = lock(&self.state);
        if wiped && state.logins.remove(&token).is_some() {
            state.pins.remove(&token);
            state.ended.insert(token, Ended::Wiped);
        }
        match role {
            Some(role) => state.logins.insert(token, role),
            None => state.logins.remove(&token),
        };
        state.asked.insert(token, seen);
        Ok(role)
    }

    /// How the login to a token ended since the last such question, if it did so by itself.
    pub(crate) fn take_ended(&self, token: Id) -> Option<Ended> {
        lock(&self.state).ended.remove(&token)
    }

    /// Notes a login. The PIN of the user is kept if that is wanted; the security officer's never is.
    pub(super) fn logged_in(&self, token: Id, role: Role, pin: &SecretBytes) {
        let mut state = lock(&self.state);
        state.ended.remove(&token);
        state.forgotten.remove(&token);
        state.logins.insert(token, role);
        if self.keep_pin && role == Role::User {
            state.pins.insert(token, Arc::new(SecretBytes::copied_from(pin.expose())));
        }
    }

    /// Notes a logout; it is forgotten that there was a login before the server hears of it.
    pub(super) fn logged_out(&self, token: Id) {
        let mut state = lock(&self.state);
        state.logins.remove(&token);
        state.pins.remove(&token);
        state.returning.remove(&token);
        state.forgotten.remove(&token);
    }

    /// Notes another PIN.
    pub(super) fn pin_changed(&self, token: Id, role: Role, pin: &SecretBytes) {
        let mut state = lock(&self.state);
        if role == Role::User
            && let Some(kept) = state.pins.get_mut(&token)
        {
            *kept = Arc::new(SecretBytes::copied_from(pin.expose()));
        }
    }

    /// The server has forgotten this host: all logins have ended.
    pub(super) fn begin_anew(&self) {
        self.change();
        let mut state = lock(&self.state);
        let logins: Vec<_> = state.logins.drain().map(|(token, _)| token).collect();
        for token in logins {
            state.ended.insert(token, Ended::Forgotten);
            state.forgotten.insert(token);
            if state.pins.contains_key(&token) {
                state.returning.insert(token);
            }
        }
    }

    /// The logins that are to be made anew, and the PINs that were kept for that.
    pub(super) fn to_be_restored(&self) -> Vec<(Id, Arc<SecretBytes>)> {
        let state = lock(&self.state);
        let pins = |token: &Id| state.pins.get(token).map(|pin| (*token, Arc::clone(pin)));
        state.returning.iter().filter_map(pins).collect()
    }

    /// What a refusal means where the server has forgotten the login: what it does not show may only need one.
    pub(super) fn explained(&self, token: Id, error: Error) -> Error {
        if error.code == ErrorCode::ObjectNotFound && lock(&self.state).forgotten.contains(&token) {
            return Error::new(ErrorCode::LoginRequired, "the server has forgotten the login; log in again");
        }
        error
    }

    /// A login was made anew.
    pub(super) fn restored(&self, token: Id) {
        let mut state = lock(&self.state);
        if state.returning.remove(&token) {
            state.ended.remove(&token);
            state.forgotten.remove(&token);
            state.logins.insert(token, Role::User);
        }
    }

    /// The PIN that was kept is not the right one any more.
    pub(super) fn forget_pin(&self, token: Id) {
        let mut state = lock(&self.state);
        state.pins.remove(&token);
        state.returning.remove(&token);
    }
}

fn size(content: &Content) -> usize {
    let attributes: usize = content.attributes.iter().map(|(_, value)| value.len()).sum();
    attributes + content.label.len() + content.id.len()
}
