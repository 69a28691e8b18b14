//! C_GetOperationState and C_SetOperationState (section 5.6.6), for digests.
//!
//! What the host gets is a ticket. The state itself, a copy of the running hash, stays in the module, so nobody can make
//! one up; a ticket is worth something in this process until C_Finalize, for sessions with the same token, as often as
//! the host likes. So many are kept and no more: the oldest goes first.

use super::digest::Digesting;
use super::output::Out;
use crate::module::Module;
use crate::pending::Pending;
use crate::rv::{Result, fail};
use crate::session::{Session, lock};
use canis_proto::Id;
use pkcs11_sys::*;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// How many states are kept; each is a few hundred bytes.
const MOST: usize = 4096;

/// The first bytes of a ticket: what it is, and its version.
const HEAD: [u8; 8] = *b"canis-s1";
const TAG: usize = 16;
const TICKET: usize = HEAD.len() + TAG + size_of::<u64>();

/// The states that the host has saved.
#[derive(Default)]
pub(crate) struct States {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Random, drawn with the first state: tickets of another process or initialisation are worth nothing.
    tag: Option<[u8; TAG]>,
    last: u64,
    states: BTreeMap<u64, (Id, Digesting)>,
}

impl Kept {
    fn save(
        &mut self,
        token: Id,
        digest: Digesting,
        draw: impl FnOnce() -> Result<[u8; TAG]>,
    ) -> Result<[u8; TICKET]> {
        let tag = match self.tag {
            Some(tag) => tag,
            None => *self.tag.insert(draw()?),
        };
        if self.states.len() >= MOST {
            self.states.pop_first();
        }
        self.last += 1;
        self.states.insert(self.last, (token, digest));
        let mut ticket = [0; TICKET];
        ticket[..HEAD.len()].copy_from_slice(&HEAD);
        ticket[HEAD.len()..HEAD.len() + TAG].copy_from_slice(&tag);
        ticket[HEAD.len() + TAG..].copy_from_slice(&self.last.to_be_bytes());
        Ok(ticket)
    }

    fn find(&self, token: Id, ticket: &[u8]) -> Option<Digesting> {
        let (head, rest) = ticket.split_first_chunk::<{ HEAD.len() }>()?;
        let (tag, number) = rest.split_first_chunk::<TAG>()?;
        if *head != HEAD || Some(*tag) != self.tag {
            return None;
        }
        let (owner, digest) = self.states.get(&u64::from_be_bytes(number.try_into().ok()?))?;
        (*owner == token).then(|| digest.fork())
    }
}

/// C_GetOperationState.
///
/// # Errors
/// CKR_OPERATION_NOT_INITIALIZED if none is active; CKR_STATE_UNSAVEABLE for operations with keys.
pub(crate) fn save(module: &Module, session: CK_SESSION_HANDLE, out: Result<Out<'_>>) -> Result {
    let (token, digest) = module.sessions.with(session, |session| {
        if works_with_a_key(session) {
            return fail(CKR_STATE_UNSAVEABLE);
        }
        match &session.digest {
            Pending::Active(digest) => Ok((session.token.id, digest.fork())),
            Pending::Busy => fail(CKR_OPERATION_ACTIVE),
            Pending::Idle => fail(CKR_OPERATION_NOT_INITIALIZED),
        }
    })?;
    let mut out = out?;
    let Some(space) = out.space(TICKET)? else { return Ok(()) };
    let draw = || {
        let mut tag = [0; TAG];
        module.provider().random.fill(&mut tag)?;
        Ok(tag)
    };
    space.copy_from_slice(&lock(&module.states.kept).save(token, digest, draw)?);
    Ok(())
}

/// C_SetOperationState: the session's digest goes on from the saved one.
///
/// # Errors
/// CKR_KEY_NOT_NEEDED, because no state with a key was ever saved; CKR_SAVED_STATE_INVALID.
pub(crate) fn restore(
    module: &Module,
    session: CK_SESSION_HANDLE,
    ticket: Result<&[u8]>,
    keys: [CK_OBJECT_HANDLE; 2],
) -> Result {
    let token = module.sessions.token(session)?;
    let Some(digest) = lock(&module.states.kept).find(token.id, ticket?) else {
        return fail(CKR_SAVED_STATE_INVALID);
    };
    if keys != [CK_INVALID_HANDLE; 2] {
        return fail(CKR_KEY_NOT_NEEDED);
    }
    module.sessions.with(session, |session| match session.digest {
        Pending::Busy => fail(CKR_OPERATION_ACTIVE),
        _ => {
            session.digest = Pending::Active(digest);
            Ok(())
        }
    })
}

fn works_with_a_key(session: &Session) -> bool {
    fn any<O>(place: &Pending<O>) -> bool {
        !matches!(place, Pending::Idle)
    }
    any(&session.encrypt)
        || any(&session.decrypt)
        || any(&session.sign)
        || any(&session.verify)
        || any(&session.verify_signature)
        || any(&session.sign_recover)
        || any(&session.verify_recover)
        || any(&session.message_encrypt)
        || any(&session.message_decrypt)
        || any(&session.message_sign)
        || any(&session.message_verify)
}

#[cfg(test)]
mod tests {
    use super::*;
    use canis_core::crypto::{Hash, default_provider};

    #[test]
    fn tickets_are_for_one_token_and_the_oldest_goes() {
        let mut kept = Kept::default();
        let digest = || Digesting::new(default_provider(), Hash::Sha256);
        let (here, there) = (Id([1; 16]), Id([2; 16]));
        let first = kept.save(here, digest(), || Ok([7; TAG])).unwrap();
        assert!(kept.find(here, &first).is_some() && kept.find(there, &first).is_none());
        for cut in 0..TICKET {
            assert!(kept.find(here, &first[..cut]).is_none());
            let mut torn = first;
            torn[cut] ^= 1;
            assert!(kept.find(here, &torn).is_none());
        }
        for _ in 0..MOST {
            kept.save(here, digest(), || fail(CKR_GENERAL_ERROR)).unwrap();
        }
        assert!(kept.find(here, &first).is_none() && kept.states.len() == MOST);
    }
}
