//! Object handles: numbers for the host that stand for objects of the core, the same in every session of a token.
//!
//! Handles are never used again within one initialisation, so a stale one cannot come to mean another object.

use crate::rv::{Result, fail};
use canis_proto::Id;
use pkcs11_sys::*;
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The handles given out so far.
#[derive(Default)]
pub(crate) struct Handles {
    maps: RwLock<Maps>,
}

#[derive(Default)]
struct Maps {
    last: CK_OBJECT_HANDLE,
    entries: HashMap<CK_OBJECT_HANDLE, Entry>,
    by_object: HashMap<Id, CK_OBJECT_HANDLE>,
}

#[derive(Clone, Copy)]
struct Entry {
    token: Id,
    object: Id,
    private: bool,
}

impl Handles {
    /// The handle for an object of a token; a new one if it has none yet.
    pub(crate) fn issue(&self, token: Id, object: Id, private: bool) -> CK_OBJECT_HANDLE {
        if let Some(handle) = self.read().by_object.get(&object) {
            return *handle;
        }
        let mut maps = self.write();
        if let Some(handle) = maps.by_object.get(&object) {
            return *handle;
        }
        maps.last += 1;
        let handle = maps.last;
        maps.entries.insert(handle, Entry { token, object, private });
        maps.by_object.insert(object, handle);
        handle
    }

    /// The object that `handle` stands for in sessions with `token`.
    ///
    /// # Errors
    /// CKR_OBJECT_HANDLE_INVALID.
    pub(crate) fn object(&self, token: Id, handle: CK_OBJECT_HANDLE) -> Result<Id> {
        match self.read().entries.get(&handle) {
            Some(entry) if entry.token == token => Ok(entry.object),
            _ => fail(CKR_OBJECT_HANDLE_INVALID),
        }
    }

    /// Forgets one handle: its object is gone.
    pub(crate) fn forget(&self, handle: CK_OBJECT_HANDLE) {
        let mut maps = self.write();
        if let Some(entry) = maps.entries.remove(&handle) {
            maps.by_object.remove(&entry.object);
        }
    }

    /// Forgets the handles of a token's private objects: C_Logout makes them invalid for good (section 5.6.9).
    pub(crate) fn forget_private(&self, token: Id) {
        self.retain(|entry| entry.token != token || !entry.private);
    }

    /// Forgets every handle of a token: it has been initialised anew.
    pub(crate) fn forget_token(&self, token: Id) {
        self.retain(|entry| entry.token != token);
    }

    fn retain(&self, keep: impl Fn(&Entry) -> bool) {
        let mut maps = self.write();
        let Maps { entries, by_object, .. } = &mut *maps;
        entries.retain(|_, entry| {
            let kept = keep(entry);
            if !kept {
                by_object.remove(&entry.object);
            }
            kept
        });
    }

    fn read(&self) -> RwLockReadGuard<'_, Maps> {
        self.maps.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Maps> {
        self.maps.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_are_stable_bound_to_their_token_and_never_reused() {
        let (handles, here, there) = (Handles::default(), Id([1; 16]), Id([2; 16]));
        let open = handles.issue(here, Id([10; 16]), false);
        let secret = handles.issue(here, Id([11; 16]), true);
        assert_eq!(handles.issue(here, Id([10; 16]), false), open);
        assert_eq!(handles.object(here, secret).unwrap(), Id([11; 16]));
        assert_eq!(handles.object(there, secret).unwrap_err().rv, CKR_OBJECT_HANDLE_INVALID);
        handles.forget_private(here);
        assert!(handles.object(here, secret).is_err() && handles.object(here, open).is_ok());
        assert!(handles.issue(here, Id([11; 16]), true) > secret);
        handles.forget(open);
        assert!(handles.object(here, open).is_err());
        handles.forget_token(here);
        assert!(handles.read().entries.is_empty() && handles.read().by_object.is_empty());
    }
}
