//! C_GetOperationState and C_SetOperationState: digests go on elsewhere, everything else stays where it is.

use crate::harness::{module, user_session};
use crate::keys;
use crate::raw::{call, mechanism};
use cryptoki::mechanism::Mechanism;
use pkcs11_sys::*;
use std::ptr::null_mut;

fn init(session: CK_SESSION_HANDLE) {
    assert_eq!(call!(C_DigestInit(session, &mut mechanism(CKM_SHA256))), CKR_OK);
}

fn update(session: CK_SESSION_HANDLE, part: &[u8]) {
    assert_eq!(call!(C_DigestUpdate(session, part.as_ptr().cast_mut(), part.len() as CK_ULONG)), CKR_OK);
}

fn last(session: CK_SESSION_HANDLE) -> [u8; 32] {
    let (mut digest, mut len) = ([0; 32], 32);
    assert_eq!(call!(C_DigestFinal(session, digest.as_mut_ptr(), &mut len)), CKR_OK);
    digest
}

fn save(session: CK_SESSION_HANDLE) -> Vec<u8> {
    let mut len = 0;
    assert_eq!(call!(C_GetOperationState(session, null_mut(), &mut len)), CKR_OK);
    let mut state = vec![0; len as usize];
    len -= 1;
    assert_eq!(call!(C_GetOperationState(session, state.as_mut_ptr(), &mut len)), CKR_BUFFER_TOO_SMALL);
    assert_eq!(call!(C_GetOperationState(session, state.as_mut_ptr(), &mut len)), CKR_OK);
    state
}

fn restore(session: CK_SESSION_HANDLE, state: &[u8]) -> CK_RV {
    call!(C_SetOperationState(session, state.as_ptr().cast_mut(), state.len() as CK_ULONG, 0, 0))
}

/// R93: pkcs11-provider copies a digest in this way.
#[test]
fn a_digest_goes_on_in_another_session() {
    let session = user_session("states");
    let slot = session.get_session_info().unwrap().slot_id();
    let other = module().open_ro_session(slot).unwrap();
    let (here, there) = (session.handle(), other.handle());
    init(here);
    let untouched = save(here);
    update(here, b"one ");
    let state = save(here);
    update(here, b"two");
    let whole = session.digest(&Mechanism::Sha256, b"x").is_err();
    assert!(whole, "the digest is still under way");
    assert_eq!(restore(there, &state), CKR_OK);
    update(there, b"two");
    assert_eq!(last(there), last(here));

    // As often as one likes, over another digest too, and from the very beginning.
    for _ in 0..2 {
        init(there);
        assert_eq!(restore(there, &state), CKR_OK);
        assert_eq!(last(there).to_vec(), session.digest(&Mechanism::Sha256, b"one ").unwrap());
    }
    assert_eq!(restore(there, &untouched), CKR_OK);
    assert_eq!(last(there).to_vec(), session.digest(&Mechanism::Sha256, b"").unwrap());
}

#[test]
fn what_was_not_saved_here_is_refused() {
    let (session, stranger) = (user_session("states refused"), user_session("states elsewhere"));
    let (handle, mut len) = (session.handle(), 64);
    assert_eq!(
        call!(C_GetOperationState(handle, [0; 64].as_mut_ptr(), &mut len)),
        CKR_OPERATION_NOT_INITIALIZED
    );
    init(handle);
    let state = save(handle);
    for at in 0..state.len() {
        let mut torn = state.clone();
        torn[at] ^= 0x80;
        assert_eq!(restore(handle, &torn), CKR_SAVED_STATE_INVALID);
        assert_eq!(restore(handle, &state[..at]), CKR_SAVED_STATE_INVALID);
    }
    assert_eq!(restore(stranger.handle(), &state), CKR_SAVED_STATE_INVALID, "another token");
    let mut copy = state.clone();
    let with_key = call!(C_SetOperationState(handle, copy.as_mut_ptr(), copy.len() as CK_ULONG, 1, 0));
    assert_eq!(with_key, CKR_KEY_NOT_NEEDED);
    assert_eq!(call!(C_SetOperationState(handle, null_mut(), 8, 0, 0)), CKR_ARGUMENTS_BAD);

    let key = keys::p256(&session).private.handle();
    assert_eq!(call!(C_SignInit(handle, &mut mechanism(CKM_ECDSA), key)), CKR_OK);
    assert_eq!(call!(C_GetOperationState(handle, [0; 64].as_mut_ptr(), &mut len)), CKR_STATE_UNSAVEABLE);
}

/// Verifying works with a key, too, also where the signature was told first.
#[test]
fn a_state_with_a_key_is_not_saved() {
    let session = user_session("states with keys");
    let (handle, pair, mut len) = (session.handle(), keys::p256(&session), 64);
    session.verify_signature_init(&Mechanism::Ecdsa, pair.public, &[1; 64]).unwrap();
    for with_digest in [false, true] {
        if with_digest {
            init(handle);
        }
        let rv = call!(C_GetOperationState(handle, [0; 64].as_mut_ptr(), &mut len));
        assert_eq!(rv, CKR_STATE_UNSAVEABLE, "{with_digest}");
    }
}
