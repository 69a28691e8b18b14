//! A PKCS#11 application: who is logged in where, and the objects that live in its sessions.

use crate::keyring::ready::ReadyKey;
use crate::object::Object;
use crate::token::Role;
use canis_proto::Id;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One application's state; it is gone with the value.
#[derive(Default)]
pub struct Application {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    roles: HashMap<Id, Role>,
    /// Session objects by id, in the order they were made.
    objects: Vec<SessionObject>,
}

/// An object that lives in a session.
#[derive(Clone)]
pub(crate) struct SessionObject {
    pub(crate) token: Id,
    pub(crate) object: Arc<Object>,
    /// A private or secret key's material.
    pub(crate) ready: Option<Arc<ReadyKey>>,
}

impl Application {
    /// Who is logged in to a token.
    #[must_use]
    pub fn role(&self, token: Id) -> Option<Role> {
        self.state().roles.get(&token).copied()
    }

    /// Destroys the objects of a session.
    pub fn end_session(&self, session: u64) {
        self.state().objects.retain(|o| o.object.session != Some(session));
    }

    /// Notes a login.
    pub(crate) fn log_in(&self, token: Id, role: Role) {
        self.state().roles.insert(token, role);
    }

    /// Notes a logout: private session objects go. Tells who was logged in.
    pub(crate) fn log_out(&self, token: Id) -> Option<Role> {
        let mut state = self.state();
        state.objects.retain(|o| o.token != token || !o.object.content.needs_login());
        state.roles.remove(&token)
    }

    /// Forgets a token that was wiped.
    pub(crate) fn forget(&self, token: Id) {
        let mut state = self.state();
        state.objects.retain(|o| o.token != token);
        state.roles.remove(&token);
    }

    /// The session objects of a token.
    pub(crate) fn objects(&self, token: Id) -> Vec<Arc<Object>> {
        self.state().objects.iter().filter(|o| o.token == token).map(|o| Arc::clone(&o.object)).collect()
    }

    /// One of them.
    pub(crate) fn object(&self, token: Id, id: Id) -> Option<SessionObject> {
        self.state().objects.iter().find(|o| o.token == token && o.object.id == id).cloned()
    }

    /// Adds one.
    pub(crate) fn add(&self, object: SessionObject) {
        self.state().objects.push(object);
    }

    /// Replaces one's attributes.
    pub(crate) fn replace(&self, object: Object) {
        if let Some(old) = self.state().objects.iter_mut().find(|o| o.object.id == object.id) {
            old.object = Arc::new(object);
        }
    }

    /// Destroys one.
    pub(crate) fn remove(&self, id: Id) {
        self.state().objects.retain(|o| o.object.id != id);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
