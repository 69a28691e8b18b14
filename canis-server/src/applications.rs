//! The PKCS#11 applications that connections have named in HELLO. One outlives its connections for a while, so that a
//! host that connects anew finds its logins and session objects; after that nobody comes back to it.
//!
//! An application is found by a hash of its secret and of the credential that named it: who has another credential and
//! learns the secret gets another application.

use crate::limits;
use canis_core::crypto::{Hash, MAX_DIGEST};
use canis_core::{Application, Caller, Core, Room};
use canis_proto::{Error, ErrorCode, Id, Result};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

type Name = [u8; 32];

/// Every application of a server.
pub(crate) struct Applications {
    state: Mutex<State>,
    /// What the session objects of all of them take.
    room: Arc<Room>,
}

#[derive(Default)]
struct State {
    entries: HashMap<Name, Entry>,
    /// The room of each credential that has applications.
    rooms: HashMap<Id, Arc<Room>>,
}

struct Entry {
    application: Arc<Application>,
    credential: Id,
    connections: usize,
    /// When its last connection ended; from when on it lingers if there is none.
    left: Instant,
    /// Whether its host has ended it: then nothing is kept for anybody.
    ended: bool,
}

/// A connection's hold on its application.
pub(crate) struct Attached {
    applications: Arc<Applications>,
    name: Name,
    application: Arc<Application>,
    /// Whether it was there before.
    pub(crate) resumed: bool,
}

impl Applications {
    /// None yet.
    pub(crate) fn new() -> Arc<Self> {
        let room = Arc::new(Room::new(limits::ALL_SESSION_OBJECTS, None));
        Arc::new(Applications { state: Mutex::default(), room })
    }

    /// The caller's application of this secret, made if it is not there.
    ///
    /// # Errors
    /// `limit_reached`.
    pub(crate) fn attach(self: &Arc<Self>, core: &Core, caller: &Caller, secret: &[u8]) -> Result<Attached> {
        self.attach_at(core, caller, secret, Instant::now())
    }

    fn attach_at(
        self: &Arc<Self>,
        core: &Core,
        caller: &Caller,
        secret: &[u8],
        now: Instant,
    ) -> Result<Attached> {
        self.end_left(core, now);
        let (credential, name) = (caller.credential(), name(core, caller.credential(), secret));
        let (attached, crowded_out) = {
            let mut state = self.state();
            let there = state.entries.get_mut(&name).map(|entry| {
                entry.connections += 1;
                (Arc::clone(&entry.application), !std::mem::take(&mut entry.ended))
            });
            let (crowded_out, (application, resumed)) = match there {
                Some(there) => (None, there),
                None => {
                    let crowded_out = state.make_room(credential)?;
                    (crowded_out, (state.add(name, credential, &self.room, now), false))
                }
            };
            (Attached { applications: Arc::clone(self), name, application, resumed }, crowded_out)
        };
        if let Some(application) = crowded_out {
            core.end_application(&application);
        }
        Ok(attached)
    }

    /// Ends the applications whose time is over.
    pub(crate) fn end_left(&self, core: &Core, now: Instant) {
        let over = |_: &Name, entry: &mut Entry| {
            let idle = now.saturating_duration_since(entry.left);
            entry.connections == 0 && (entry.ended || idle >= limits::APPLICATION_LINGER)
        };
        let mut state = self.state();
        let gone: Vec<_> = state.entries.extract_if(over).map(|(_, entry)| entry.application).collect();
        if gone.is_empty() {
            return;
        }
        state.forget_rooms();
        drop(state);
        gone.iter().for_each(|application| core.end_application(application));
    }

    /// Ends what every application holds, connected or not: logins, session objects, opened keys.
    pub(crate) fn end_all(&self) {
        let all: Vec<_> = self.state().entries.values().map(|entry| Arc::clone(&entry.application)).collect();
        all.iter().for_each(|application| drop(application.end()));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Sees to it that one more fits: of the credential's own applications the one that was left longest ago goes.
    fn make_room(&mut self, credential: Id) -> Result<Option<Arc<Application>>> {
        let own = self.entries.values().filter(|entry| entry.credential == credential).count();
        if own < limits::APPLICATIONS && self.entries.len() < limits::ALL_APPLICATIONS {
            return Ok(None);
        }
        let idle = |(_, entry): &(&Name, &Entry)| entry.credential == credential && entry.connections == 0;
        let oldest = self.entries.iter().filter(idle).min_by_key(|(_, entry)| entry.left);
        let gone = oldest.map(|(name, _)| *name).and_then(|name| self.entries.remove(&name));
        gone.map(|entry| Some(entry.application)).ok_or_else(|| {
            let why = "as many PKCS#11 applications are connected as may be; end some, or connect later";
            Error::new(ErrorCode::LimitReached, why)
        })
    }

    fn add(&mut self, name: Name, credential: Id, all: &Arc<Room>, now: Instant) -> Arc<Application> {
        let own = || Arc::new(Room::new(limits::CREDENTIAL_SESSION_OBJECTS, Some(Arc::clone(all))));
        let own = Arc::clone(self.rooms.entry(credential).or_insert_with(own));
        let application =
            Arc::new(Application::within(Arc::new(Room::new(limits::SESSION_OBJECTS, Some(own)))));
        let entry = Entry {
            application: Arc::clone(&application),
            credential,
            connections: 1,
            left: now,
            ended: false,
        };
        self.entries.insert(name, entry);
        application
    }

    /// Forgets the rooms of credentials that have no application. What of them is still taken counts in the room of all.
    fn forget_rooms(&mut self) {
        let State { entries, rooms } = self;
        rooms.retain(|credential, _| entries.values().any(|entry| entry.credential == *credential));
    }
}

impl Attached {
    /// The application.
    pub(crate) fn application(&self) -> &Arc<Application> {
        &self.application
    }

    /// Its host is done with it: it does not linger.
    pub(crate) fn end(&self) {
        if let Some(entry) = self.applications.state().entries.get_mut(&self.name) {
            entry.ended = true;
        }
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        if let Some(entry) = self.applications.state().entries.get_mut(&self.name) {
            entry.connections -= 1;
            entry.left = Instant::now();
        }
    }
}

fn name(core: &Core, credential: Id, secret: &[u8]) -> Name {
    let mut hasher = core.provider().digest.start(Hash::Sha256);
    hasher.update(b"canis/v1/application");
    hasher.update(&credential.0);
    hasher.update(secret);
    let mut digest = [0; MAX_DIGEST];
    hasher.finish(&mut digest);
    let mut name = [0; 32];
    name.copy_from_slice(&digest[..32]);
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use canis_core::clock::SystemClock;
    use canis_core::datadir::DataDir;
    use canis_core::default_provider;
    use std::time::Duration;

    fn core() -> Core {
        let folder = tempfile::tempdir().unwrap();
        let store = DataDir::new(folder.path()).open_or_create_store().unwrap();
        Core::open(Arc::new(store), default_provider(), Arc::new(SystemClock)).unwrap()
    }

    /// What a host left is there until its time is over, and not a moment longer; with a connection there is no such
    /// time.
    #[test]
    fn applications_linger() {
        let (core, applications) = (core(), Applications::new());
        let caller = Caller::anonymous();
        let later = |seconds| Instant::now() + Duration::from_secs(seconds);
        let at = |seconds| applications.attach_at(&core, &caller, &[1; 32], later(seconds)).unwrap();
        let first = at(0);
        let kept = Arc::clone(first.application());
        assert!(!first.resumed);
        applications.end_left(&core, later(1000));
        let second = at(0);
        assert!(second.resumed && Arc::ptr_eq(second.application(), &kept));
        drop((first, second));
        drop(at(limits::APPLICATION_LINGER.as_secs() - 1));
        let after = at(limits::APPLICATION_LINGER.as_secs() + 1);
        assert!(!after.resumed && !Arc::ptr_eq(after.application(), &kept));
        // One that its host has ended is not found again, though another connection of it still stands.
        after.end();
        assert!(!at(0).resumed);
        assert!(at(0).resumed);
    }

    /// A crowd of applications puts out its own, those that nobody is connected to, and is refused when there are none.
    #[test]
    fn applications_are_bounded() {
        let (core, applications) = (core(), Applications::new());
        let caller = Caller::anonymous();
        let attach = |number: usize| {
            let mut secret = [0; 32];
            secret[..8].copy_from_slice(&number.to_be_bytes());
            applications.attach(&core, &caller, &secret)
        };
        for number in 0..3 * limits::APPLICATIONS {
            attach(number).unwrap();
        }
        assert_eq!(applications.state().entries.len(), limits::APPLICATIONS);
        let connected: Vec<_> = (0..limits::APPLICATIONS).map(|number| attach(number).unwrap()).collect();
        let refused = attach(limits::APPLICATIONS).map(drop).unwrap_err();
        assert_eq!(refused.code, ErrorCode::LimitReached);
        assert!(attach(0).unwrap().resumed);
        drop(connected);
        attach(limits::APPLICATIONS).unwrap();
        applications.end_left(&core, Instant::now() + limits::APPLICATION_LINGER);
        assert!(applications.state().entries.is_empty() && applications.state().rooms.is_empty());
    }
}
