//! A PKCS#11 application: who is logged in where, and the objects that live in its sessions.

use self::opened::OpenedKeys;
use self::room::Taken;
use crate::keyring::ready::ReadyKey;
use crate::keyring::role::Roles;
use crate::object::{KeyHandle, NamedKey, Object};
use crate::secret::SecretBytes;
use crate::token::Role;
use canis_proto::{Error, ErrorCode, Id, Result};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

mod opened;
mod room;

pub use room::Room;

/// One application's state; it is gone with the value.
pub struct Application {
    /// Held while a PIN is tried; never while `state` is.
    login: Mutex<()>,
    state: Mutex<State>,
    /// Another number after every login, logout and change of a session object; opened keys are checked against it.
    epoch: AtomicU64,
    /// The store's generation under which every token that is logged in to was last found to be the same token.
    settled: AtomicU64,
    /// What its session objects may take.
    room: Arc<Room>,
}

/// No generation: the tokens must be looked at.
const UNSETTLED: u64 = u64::MAX;

/// Epochs are drawn from one counter, so that no two applications of a process ever have the same: a key that one of
/// them opened is never current for another.
static EPOCHS: AtomicU64 = AtomicU64::new(0);

fn next_epoch() -> u64 {
    EPOCHS.fetch_add(1, Ordering::AcqRel) + 1
}

impl Default for Application {
    fn default() -> Self {
        Application::within(Arc::default())
    }
}

/// What a session object takes besides its attributes and its value, in bytes: itself, and a key made ready.
const OBJECT: usize = 4096;

impl Application {
    /// An application whose session objects take no more memory than there is room.
    #[must_use]
    pub fn within(room: Arc<Room>) -> Self {
        Application {
            room,
            login: Mutex::default(),
            state: Mutex::default(),
            epoch: AtomicU64::new(next_epoch()),
            settled: AtomicU64::new(UNSETTLED),
        }
    }
}

#[derive(Default)]
struct State {
    logins: HashMap<Id, TokenLogin>,
    /// Tokens whose login ended by a wipe in another process, until the host is told.
    ended: HashSet<Id>,
    objects: HashMap<Id, SessionObject>,
    /// How many session objects were made so far.
    made: u64,
    opened: OpenedKeys,
}

/// Who is logged in, and to which token: one that was wiped has another revision.
#[derive(Clone, Copy)]
struct TokenLogin {
    role: Role,
    revision: u64,
}

/// An object that lives in a session.
#[derive(Clone)]
pub(crate) struct SessionObject {
    /// The how many-th it is, for their order.
    number: u64,
    pub(crate) token: Id,
    pub(crate) object: Arc<Object>,
    /// A private or secret key's material.
    pub(crate) ready: Option<Arc<ReadyKey>>,
    /// The memory that it is said to take.
    taken: Arc<Taken>,
}

impl Application {
    /// Who is logged in to a token as far as is known here, without a look at the store; see [`crate::Core::role`].
    #[must_use]
    pub fn role(&self, token: Id) -> Option<Role> {
        self.state().role(token)
    }

    /// Whether the login to a token ended since the last such question because another process wiped it.
    #[must_use]
    pub fn was_wiped(&self, token: Id) -> bool {
        self.state().ended.remove(&token)
    }

    /// Ends the logins to tokens that are not what they were: `revision` says what they are now. What was found holds
    /// for this generation of the store.
    pub(crate) fn end_wiped_logins(
        &self,
        generation: u64,
        stands: impl Fn(u64) -> bool,
        revision: impl Fn(Id) -> Result<Option<u64>>,
    ) -> Result<()> {
        let settled = self.settled.load(Ordering::Acquire);
        if settled == generation || (settled != UNSETTLED && stands(settled)) {
            return Ok(());
        }
        let (epoch, logins) = {
            let state = self.state();
            (self.epoch(), state.logins.clone())
        };
        let mut wiped = Vec::new();
        for (token, login) in logins {
            if revision(token)? != Some(login.revision) {
                wiped.push((token, login.revision));
            }
        }
        if wiped.is_empty() {
            let _state = self.state();
            // Who logged in meanwhile is looked at next time.
            if self.epoch() == epoch {
                self.settled.store(generation, Ordering::Release);
            }
            return Ok(());
        }
        let mut state = self.change();
        for (token, revision) in wiped {
            // Unless it is a login of now.
            if state.logins.get(&token).is_some_and(|login| login.revision == revision) {
                state.end_login(token);
                state.ended.insert(token);
            }
        }
        Ok(())
    }

    /// A number of this application alone, another after every login, logout and change of a session object.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Destroys the objects of a session.
    pub fn end_session(&self, session: u64) {
        let mut state = self.change();
        let State { objects, opened, .. } = &mut *state;
        let ends = |o: &SessionObject| o.object.session == Some(session);
        opened.forget(|_, key| objects.get(&key.object).is_some_and(ends));
        objects.retain(|_, o| !ends(o));
    }

    /// Ends everything; gives the tokens that somebody was logged in to.
    pub fn end(&self) -> Vec<Id> {
        let mut state = self.change();
        let tokens = state.logins.keys().copied().collect();
        *state = State { made: state.made, ..State::default() };
        tokens
    }

    /// A key that was opened for a request that named it so.
    pub(crate) fn opened(&self, token: Id, key: &NamedKey) -> Option<Arc<KeyHandle>> {
        self.state().opened.get(token, key)
    }

    /// Keeps an opened key for the next such request.
    pub(crate) fn keep_opened(&self, token: Id, key: &NamedKey, opened: &Arc<KeyHandle>) {
        self.state().opened.keep(token, *key, opened);
    }

    /// Waits until no other thread of this application logs in.
    pub(crate) fn login_turn(&self) -> MutexGuard<'_, ()> {
        self.login.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a login to the token of this revision.
    pub(crate) fn log_in(&self, token: Id, revision: u64, role: Role) {
        let mut state = self.change();
        self.settled.store(UNSETTLED, Ordering::Release);
        state.ended.remove(&token);
        state.logins.insert(token, TokenLogin { role, revision });
    }

    /// Notes a logout: private session objects go. Tells who was logged in.
    pub(crate) fn log_out(&self, token: Id) -> Option<Role> {
        self.change().end_login(token)
    }

    /// Forgets a token that was wiped.
    pub(crate) fn forget(&self, token: Id) {
        let mut state = self.change();
        state.objects.retain(|_, o| o.token != token);
        state.opened.forget(|of, _| of == token);
        state.logins.remove(&token);
    }

    /// The session objects of a token, in the order they were made.
    pub(crate) fn objects(&self, token: Id) -> Vec<Arc<Object>> {
        let state = self.state();
        let mut found: Vec<_> = state.objects.values().filter(|o| o.token == token).collect();
        found.sort_by_key(|o| o.number);
        found.into_iter().map(|o| Arc::clone(&o.object)).collect()
    }

    /// The private and secret session keys of a token whose value has one of the roles.
    pub(crate) fn ready_keys(&self, token: Id, roles: Roles) -> Vec<(Arc<Object>, Arc<ReadyKey>)> {
        let keys = |o: &SessionObject| {
            let ready = o.ready.as_ref().filter(|ready| ready.known.roles().meets(roles))?;
            Some((Arc::clone(&o.object), Arc::clone(ready)))
        };
        self.state().objects.values().filter(|o| o.token == token).filter_map(keys).collect()
    }

    /// One of them.
    pub(crate) fn object(&self, token: Id, id: Id) -> Option<SessionObject> {
        self.state().objects.get(&id).filter(|o| o.token == token).cloned()
    }

    /// Adds one. A private one needs the user's login still to last.
    pub(crate) fn add(&self, token: Id, object: Object, ready: Option<Arc<ReadyKey>>) -> Result<()> {
        let taken = self.take(&object, ready.as_deref())?;
        let mut state = self.state();
        if object.content.needs_login() && state.role(token) != Some(Role::User) {
            return Err(Error::new(ErrorCode::LoginRequired, "the login ended meanwhile"));
        }
        state.made += 1;
        let number = state.made;
        state
            .objects
            .insert(object.id, SessionObject { number, token, object: Arc::new(object), ready, taken });
        Ok(())
    }

    /// Replaces one's attributes.
    pub(crate) fn replace(&self, object: Object) -> Result<()> {
        let mut state = self.change();
        if let Some(old) = state.objects.get_mut(&object.id) {
            old.taken = self.take(&object, old.ready.as_deref())?;
            old.object = Arc::new(object);
        }
        Ok(())
    }

    /// Takes the memory for an object, if its attributes are none too large.
    fn take(&self, object: &Object, ready: Option<&ReadyKey>) -> Result<Arc<Taken>> {
        object.content.check_size()?;
        let value = ready.and_then(|ready| ready.value.as_ref()).map_or(0, SecretBytes::len);
        self.room.take(OBJECT + object.content.size() + value).map(Arc::new)
    }

    /// Destroys one.
    pub(crate) fn remove(&self, id: Id) {
        let mut state = self.change();
        state.objects.remove(&id);
        state.opened.forget(|_, key| key.object == id);
    }

    /// The state, about to be changed in a way that opened keys must notice.
    fn change(&self) -> MutexGuard<'_, State> {
        let state = self.state();
        self.epoch.store(next_epoch(), Ordering::Release);
        state
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn role(&self, token: Id) -> Option<Role> {
        self.logins.get(&token).map(|login| login.role)
    }

    /// Private session objects go with the login. Tells who was logged in.
    fn end_login(&mut self, token: Id) -> Option<Role> {
        self.objects.retain(|_, o| o.token != token || !o.object.content.needs_login());
        self.opened.forget(|of, _| of == token);
        self.logins.remove(&token).map(|login| login.role)
    }
}
