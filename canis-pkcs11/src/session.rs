//! Sessions: a slab that is read without a global lock.
//!
//! A handle is `generation << 20 | index`: the index leads straight to the session's slot, and the generation, which
//! grows when a slot is used again, keeps a stale handle from reaching a newer session.

use crate::api::attributes::Seen;
use crate::api::cipher::Ciphering;
use crate::api::digest::Digesting;
use crate::api::find::Search;
use crate::api::message_cipher::Messages;
use crate::api::message_sign::SignedMessages;
use crate::api::recover::{SignRecovery, VerifyRecovery};
use crate::api::sign::Signing;
use crate::api::verify::Verification;
use crate::api::verify_signature::SignatureVerification;
use crate::pending::Pending;
use crate::rv::{Result, fail};
use crate::token::{ReadyKey, Token};
use canis_core::object::{Decrypting, Encrypting, Verifying};
use pkcs11_sys::*;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

const INDEX_BITS: u32 = 20;
const CHUNK: usize = 256;
const CHUNKS: usize = (1 << INDEX_BITS) / CHUNK;

/// What a session knows. One operation of each kind may be active in it (section 5.1.7).
pub(crate) struct Session {
    /// The token it was opened with.
    pub(crate) token: Arc<Token>,
    /// Whether it is R/W.
    pub(crate) writable: bool,
    /// The handles of the objects that live in it.
    pub(crate) objects: Vec<CK_OBJECT_HANDLE>,
    pub(crate) encrypt: Pending<Ciphering<Encrypting>>,
    pub(crate) decrypt: Pending<Ciphering<Decrypting>>,
    pub(crate) digest: Pending<Digesting>,
    pub(crate) sign: Pending<Signing>,
    pub(crate) verify: Pending<Verification>,
    pub(crate) verify_signature: Pending<SignatureVerification>,
    pub(crate) sign_recover: Pending<SignRecovery>,
    pub(crate) verify_recover: Pending<VerifyRecovery>,
    pub(crate) message_encrypt: Pending<Messages<Encrypting>>,
    pub(crate) message_decrypt: Pending<Messages<Decrypting>>,
    pub(crate) message_sign: Pending<SignedMessages<canis_core::object::Signing>>,
    pub(crate) message_verify: Pending<SignedMessages<Verifying>>,
    pub(crate) search: Pending<Search>,
    /// The key of the last operation that ended well; the next one often uses it again.
    pub(crate) last_key: Option<ReadyKey>,
    /// The object whose attributes were read last; hosts read them one by one.
    pub(crate) last_object: Option<Seen>,
}

impl Session {
    /// A fresh session.
    pub(crate) fn new(token: Arc<Token>, writable: bool) -> Self {
        Session {
            token,
            writable,
            objects: Vec::new(),
            encrypt: Pending::Idle,
            decrypt: Pending::Idle,
            digest: Pending::Idle,
            sign: Pending::Idle,
            verify: Pending::Idle,
            verify_signature: Pending::Idle,
            sign_recover: Pending::Idle,
            verify_recover: Pending::Idle,
            message_encrypt: Pending::Idle,
            message_decrypt: Pending::Idle,
            message_sign: Pending::Idle,
            message_verify: Pending::Idle,
            search: Pending::Idle,
            last_key: None,
            last_object: None,
        }
    }
}

/// Every open session.
pub(crate) struct Sessions {
    chunks: Box<[OnceLock<Box<[Slot]>>]>,
    free: Mutex<Vec<usize>>,
    used: AtomicU32,
}

/// Two cache lines, so that neighbours do not slow each other down.
#[repr(align(128))]
#[derive(Default)]
struct Slot {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    generation: CK_SESSION_HANDLE,
    session: Option<Box<Session>>,
}

impl Sessions {
    /// No sessions.
    pub(crate) fn new() -> Self {
        Sessions {
            chunks: (0..CHUNKS).map(|_| OnceLock::new()).collect(),
            free: Mutex::new(Vec::new()),
            used: AtomicU32::new(0),
        }
    }

    /// Adds a session and gives its handle.
    ///
    /// # Errors
    /// CKR_SESSION_COUNT when a million are open.
    pub(crate) fn open(&self, session: Session) -> Result<CK_SESSION_HANDLE> {
        let recycled = lock(&self.free).pop();
        let index = match recycled {
            Some(index) => index,
            None => self
                .used
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                    (used < 1 << INDEX_BITS).then(|| used + 1)
                })
                .map_err(|_| CKR_SESSION_COUNT)? as usize,
        };
        let chunk = self.chunks[index / CHUNK].get_or_init(|| (0..CHUNK).map(|_| Slot::default()).collect());
        let mut state = lock(&chunk[index % CHUNK].state);
        state.generation += 1;
        state.session = Some(Box::new(session));
        Ok(state.generation << INDEX_BITS | index as CK_SESSION_HANDLE)
    }

    /// Runs `f` on the session under its lock; nothing slow may happen in there.
    ///
    /// # Errors
    /// CKR_SESSION_HANDLE_INVALID, or what `f` fails with.
    #[inline]
    pub(crate) fn with<T>(
        &self,
        handle: CK_SESSION_HANDLE,
        f: impl FnOnce(&mut Session) -> Result<T>,
    ) -> Result<T> {
        let mut state = self.state(handle)?;
        match &mut state.session {
            Some(session) => f(session),
            None => fail(CKR_SESSION_HANDLE_INVALID),
        }
    }

    /// Checks that a session is open.
    ///
    /// # Errors
    /// CKR_SESSION_HANDLE_INVALID.
    pub(crate) fn check(&self, handle: CK_SESSION_HANDLE) -> Result {
        self.with(handle, |_| Ok(()))
    }

    /// The token of a session.
    pub(crate) fn token(&self, handle: CK_SESSION_HANDLE) -> Result<Arc<Token>> {
        self.with(handle, |session| Ok(session.token.clone()))
    }

    /// Removes a session; its operations end with it.
    pub(crate) fn close(&self, handle: CK_SESSION_HANDLE) -> Result<Box<Session>> {
        let session = self.state(handle)?.session.take();
        let Some(session) = session else { return fail(CKR_SESSION_HANDLE_INVALID) };
        lock(&self.free).push(index(handle));
        Ok(session)
    }

    /// The handles of the open sessions that `wanted` picks.
    pub(crate) fn handles(&self, wanted: impl Fn(&Session) -> bool) -> Vec<CK_SESSION_HANDLE> {
        let mut handles = Vec::new();
        for (number, chunk) in self.chunks.iter().enumerate() {
            for (offset, slot) in chunk.get().into_iter().flatten().enumerate() {
                let state = lock(&slot.state);
                if state.session.as_ref().is_some_and(|session| wanted(session)) {
                    let index = (number * CHUNK + offset) as CK_SESSION_HANDLE;
                    handles.push(state.generation << INDEX_BITS | index);
                }
            }
        }
        handles
    }

    #[inline(always)] // Every call of a host comes through here, some three times.
    fn state(&self, handle: CK_SESSION_HANDLE) -> Result<MutexGuard<'_, State>> {
        let index = index(handle);
        let Some(chunk) = self.chunks[index / CHUNK].get() else { return fail(CKR_SESSION_HANDLE_INVALID) };
        let state = lock(&chunk[index % CHUNK].state);
        if state.generation != handle >> INDEX_BITS {
            return fail(CKR_SESSION_HANDLE_INVALID);
        }
        Ok(state)
    }
}

fn index(handle: CK_SESSION_HANDLE) -> usize {
    (handle & ((1 << INDEX_BITS) - 1)) as usize
}

/// A panic while a lock is held is caught at the boundary; what the lock protects is whole at every step.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
