//! Active operations, and the one place that decides when an operation ends.
//!
//! An operation is moved out of its session while it works, so no lock is held over cryptography; meanwhile the
//! session says `Busy`, and another thread that uses the same session at the same time is told CKR_OPERATION_ACTIVE.

use crate::mechanism::Mechanism;
use crate::module::Module;
use crate::rv::{Fail, Result, fail};
use crate::session::Session;
use crate::token::{ReadyKey, Unconfirmed, Wanted};
use pkcs11_sys::*;

/// The place of one kind of operation in a session.
#[derive(Default)]
pub(crate) enum Pending<O> {
    /// None is active.
    #[default]
    Idle,
    /// One is at work in some thread.
    Busy,
    /// One waits for its next call.
    Active(O),
}

/// A kind of operation that C_…Init begins.
pub(crate) trait Operation: Sized {
    /// Where sessions keep it.
    fn place(session: &mut Session) -> &mut Pending<Self>;

    /// Its key, if it is one that may want a PIN for each use.
    fn key(&self) -> Option<&ReadyKey> {
        None
    }

    /// Its key, for the session's next operation.
    fn into_key(self) -> Option<ReadyKey> {
        None
    }
}

/// Which call works on the operation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// C_…Update: more is to follow.
    Update,
    /// C_Sign, C_SignFinal and their like: the last one.
    Last,
    /// C_EncryptMessage and its like: others may follow, also after one that failed.
    Message,
}

/// What a call did.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    /// It told the length of what it would give, no more.
    Measured,
    /// It did its work.
    Worked,
}

/// When an operation ends (section 5.2 and the paragraphs on each function): the last call ends it whatever the
/// outcome, except for a length query and CKR_BUFFER_TOO_SMALL; a call for more input ends it only by failing; one on a
/// message does not end it at all.
fn ends(stage: Stage, outcome: &Result<Done>) -> bool {
    match outcome {
        _ if stage == Stage::Message => false,
        Ok(Done::Measured) => false,
        Ok(Done::Worked) => stage == Stage::Last,
        Err(Fail { rv: CKR_BUFFER_TOO_SMALL, .. }) => false,
        Err(_) => true,
    }
}

/// Begins an operation that `make` makes of what `take` takes from the session, without the session's lock.
///
/// # Errors
/// CKR_OPERATION_ACTIVE, or what `make` fails with.
pub(crate) fn begin<O: Operation, T>(
    module: &Module,
    handle: CK_SESSION_HANDLE,
    take: impl FnOnce(&mut Session) -> T,
    make: impl FnOnce(T) -> Result<O>,
) -> Result {
    let taken = module.sessions.with(handle, |session| {
        if !matches!(O::place(session), Pending::Idle) {
            return fail(CKR_OPERATION_ACTIVE);
        }
        *O::place(session) = Pending::Busy;
        Ok(take(session))
    })?;
    let place = Busy::<O>::new(module, handle);
    place.leave(Pending::Active(make(taken)?));
    Ok(())
}

/// C_…Init of an operation with a key; without a mechanism it cancels the one that is active. `plan` says what the
/// operation makes of its mechanism. The session's last key is used on if it is the same and nothing has changed since:
/// then no map is looked at and no counter is shared with other threads.
///
/// # Errors
/// CKR_OPERATION_ACTIVE, what reading the mechanism or `plan` fails with, or those of [`ReadyKey::open`].
pub(crate) fn init<O: Operation, M>(
    module: &Module,
    handle: CK_SESSION_HANDLE,
    mechanism: Result<Option<Mechanism<'_>>>,
    wanted: Wanted,
    plan: impl FnOnce(&Mechanism<'_>) -> Result<M>,
    make: impl FnOnce(ReadyKey, M) -> O,
) -> Result {
    if let Ok(None) = mechanism {
        return cancel_by_init::<O>(module, handle);
    }
    let keeper = module.keeper()?;
    let begun = module.sessions.with(handle, |session| {
        if !matches!(O::place(session), Pending::Idle) {
            return fail(CKR_OPERATION_ACTIVE);
        }
        let given = match &mechanism {
            Ok(given) => given.as_ref().ok_or(CKR_ARGUMENTS_BAD)?,
            Err(_) => return mechanism.map(|_| None),
        };
        let (row, parsed) = (given.row, plan(given)?);
        match session.last_key.take() {
            Some(key) if key.is(wanted) && key.is_for(row) && key.is_current(keeper) => {
                *O::place(session) = Pending::Active(make(key, parsed));
                Ok(None)
            }
            _ => {
                *O::place(session) = Pending::Busy;
                Ok(Some((session.token.clone(), row, parsed, make)))
            }
        }
    })?;
    let Some((token, row, parsed, make)) = begun else { return Ok(()) };
    // Opening a key may ask the store, which no lock is held over.
    let place = Busy::<O>::new(module, handle);
    place.leave(Pending::Active(make(ReadyKey::open(module, &token, wanted, row)?, parsed)));
    Ok(())
}

/// The key of the active operation, if it waits for a PIN.
pub(crate) fn wanting_pin<O: Operation>(session: &mut Session) -> Option<Unconfirmed> {
    match O::place(session) {
        Pending::Active(operation) => operation.key().and_then(ReadyKey::unconfirmed),
        Pending::Idle | Pending::Busy => None,
    }
}

/// Ends the active operation unfinished: C_…Init with a NULL mechanism (section 5.8.1) or C_SessionCancel. Says
/// whether there was one.
///
/// # Errors
/// CKR_OPERATION_CANCEL_FAILED while another thread is at work on it.
pub(crate) fn cancel<O: Operation>(session: &mut Session) -> Result<bool> {
    match std::mem::take(O::place(session)) {
        Pending::Idle => Ok(false),
        Pending::Active(_) => Ok(true),
        Pending::Busy => {
            *O::place(session) = Pending::Busy;
            fail(CKR_OPERATION_CANCEL_FAILED)
        }
    }
}

/// [`cancel`] for C_…Init with a NULL mechanism.
///
/// # Errors
/// CKR_ARGUMENTS_BAD when there is nothing to cancel: then it was a mistake.
pub(crate) fn cancel_by_init<O: Operation>(module: &Module, handle: CK_SESSION_HANDLE) -> Result {
    match module.sessions.with(handle, cancel::<O>)? {
        true => Ok(()),
        false => fail(CKR_ARGUMENTS_BAD),
    }
}

/// Ends the active operation by the function that is there for it: C_MessageEncryptFinal and its like.
///
/// # Errors
/// CKR_OPERATION_NOT_INITIALIZED.
pub(crate) fn end<O: Operation>(module: &Module, handle: CK_SESSION_HANDLE) -> Result {
    match module.sessions.with(handle, cancel::<O>)? {
        true => Ok(()),
        false => fail(CKR_OPERATION_NOT_INITIALIZED),
    }
}

/// Runs one call on the active operation.
///
/// # Errors
/// CKR_OPERATION_NOT_INITIALIZED when none is active, or what `work` fails with.
pub(crate) fn work<O: Operation>(
    module: &Module,
    handle: CK_SESSION_HANDLE,
    stage: Stage,
    work: impl FnOnce(&mut O) -> Result<Done>,
) -> Result {
    let mut operation = module.sessions.with(handle, |session| match std::mem::take(O::place(session)) {
        Pending::Idle => fail(CKR_OPERATION_NOT_INITIALIZED),
        Pending::Active(operation) => {
            *O::place(session) = Pending::Busy;
            Ok(operation)
        }
        Pending::Busy => {
            *O::place(session) = Pending::Busy;
            fail(CKR_OPERATION_ACTIVE)
        }
    })?;
    let place = Busy::<O>::new(module, handle);
    let outcome = work(&mut operation);
    if ends(stage, &outcome) {
        place.finish(operation.into_key().filter(|key| outcome.is_ok() && !key.is_for_one_use()));
    } else {
        place.leave(Pending::Active(operation));
    }
    outcome.map(|_| ())
}

/// The call that gives the whole message and takes the whole answer. If it only asks how long that is, which hosts do
/// before most answers, `work` runs in place under the session's lock: lengths take no cryptography and no store.
///
/// # Errors
/// Those of [`work`].
pub(crate) fn whole<O: Operation>(
    module: &Module,
    handle: CK_SESSION_HANDLE,
    is_query: bool,
    work: impl FnOnce(&mut O) -> Result<Done>,
) -> Result {
    if !is_query {
        return self::work(module, handle, Stage::Last, work);
    }
    module.sessions.with(handle, |session| {
        let place = O::place(session);
        let outcome = match place {
            Pending::Idle => return fail(CKR_OPERATION_NOT_INITIALIZED),
            Pending::Busy => return fail(CKR_OPERATION_ACTIVE),
            Pending::Active(operation) => work(operation),
        };
        if ends(Stage::Last, &outcome) {
            *place = Pending::Idle;
        }
        outcome.map(|_| ())
    })
}

/// A place marked busy. Dropped, be it at the end of the operation, by a failure or a panic, it becomes idle again.
struct Busy<'a, O: Operation> {
    module: &'a Module,
    handle: CK_SESSION_HANDLE,
    kind: std::marker::PhantomData<O>,
}

impl<'a, O: Operation> Busy<'a, O> {
    fn new(module: &'a Module, handle: CK_SESSION_HANDLE) -> Self {
        Busy { module, handle, kind: std::marker::PhantomData }
    }

    fn leave(self, pending: Pending<O>) {
        self.settle(|session| *O::place(session) = pending);
        std::mem::forget(self);
    }

    fn finish(self, key: Option<ReadyKey>) {
        self.settle(|session| {
            *O::place(session) = Pending::Idle;
            if key.is_some() {
                session.last_key = key;
            }
        });
        std::mem::forget(self);
    }

    /// The session may have been closed meanwhile; then there is nothing left to settle.
    fn settle(&self, f: impl FnOnce(&mut Session)) {
        let _ = self.module.sessions.with(self.handle, |session| {
            f(session);
            Ok(())
        });
    }
}

impl<O: Operation> Drop for Busy<'_, O> {
    fn drop(&mut self) {
        self.settle(|session| *O::place(session) = Pending::Idle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_of_ends() {
        let worked = || Ok(Done::Worked);
        assert!(ends(Stage::Last, &worked()) && !ends(Stage::Update, &worked()));
        for stage in [Stage::Last, Stage::Update] {
            assert!(!ends(stage, &Ok(Done::Measured)));
            assert!(!ends(stage, &fail(CKR_BUFFER_TOO_SMALL)));
            assert!(ends(stage, &fail(CKR_SIGNATURE_INVALID)));
            assert!(ends(stage, &fail(CKR_ARGUMENTS_BAD)));
        }
        assert!(!ends(Stage::Message, &worked()) && !ends(Stage::Message, &fail(CKR_SIGNATURE_INVALID)));
    }
}
