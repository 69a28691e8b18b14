//! Slots, tokens, PINs, sessions, login.

use crate::harness::{PIN, SO_PIN, bare_token, module, pin, refused, token, user_session};
use crate::raw::call;
use cryptoki::error::RvError;
use cryptoki::object::Attribute;
use cryptoki::session::{SessionState, UserType};
use pkcs11_sys::*;

/// R93: what clients ask first.
#[test]
fn info_slots_and_mechanisms_are_told() {
    let info = module().get_library_info().unwrap();
    assert_eq!((info.manufacturer_id(), info.cryptoki_version().major()), ("CANIS", 3));
    let slot = token("told");
    let token = module().get_token_info(slot).unwrap();
    assert_eq!((token.label(), token.model()), ("told", "CANIS"));
    assert_eq!(token.serial_number().len(), 16);
    assert!(
        token.token_initialized() && token.user_pin_initialized() && token.login_required() && token.rng()
    );
    assert_eq!((token.min_pin_length(), token.max_pin_length()), (4, 255));
    assert!(!token.write_protected() && !token.user_pin_count_low() && !token.user_pin_locked());
    assert!(module().get_slot_info(slot).unwrap().token_present());
    for mechanism in module().get_mechanism_list(slot).unwrap() {
        module().get_mechanism_info(slot, mechanism).unwrap();
    }
}

/// A slot keeps its number when it gets its token, and the empty slot is always there and always last.
#[test]
fn slots_are_stable() {
    let slot = bare_token("stable");
    assert_eq!(module().get_token_info(slot).unwrap().label(), "stable");
    let empty = *module().get_all_slots().unwrap().last().unwrap();
    assert!(empty.id() > slot.id());
    refused(module().open_rw_session(empty).map(|_| ()), RvError::TokenNotRecognized);
    let nowhere = cryptoki::slot::Slot::try_from(1u64 << 40).unwrap();
    refused(module().open_rw_session(nowhere).map(|_| ()), RvError::SlotIdInvalid);
}

#[test]
fn pins_are_set_changed_and_checked() {
    let slot = bare_token("pins");
    let session = module().open_rw_session(slot).unwrap();
    refused(session.login(UserType::User, Some(&pin(PIN))), RvError::UserPinNotInitialized);
    refused(session.init_pin(&pin(PIN)), RvError::UserNotLoggedIn);
    refused(session.login(UserType::So, Some(&pin("87654321"))), RvError::PinIncorrect);
    session.login(UserType::So, Some(&pin(SO_PIN))).unwrap();
    refused(session.init_pin(&pin("123")), RvError::PinLenRange);
    refused(session.init_pin(&pin(&"1".repeat(256))), RvError::PinLenRange);
    session.init_pin(&pin(PIN)).unwrap();
    session.set_pin(&pin(SO_PIN), &pin("so-so-so")).unwrap();
    session.logout().unwrap();
    refused(session.logout(), RvError::UserNotLoggedIn);

    refused(session.login(UserType::So, Some(&pin(SO_PIN))), RvError::PinIncorrect);
    refused(session.set_pin(&pin("4321"), &pin("5678")), RvError::PinIncorrect);
    session.set_pin(&pin(PIN), &pin("5678")).unwrap();
    refused(session.login(UserType::User, Some(&pin(PIN))), RvError::PinIncorrect);
    session.login(UserType::User, Some(&pin("5678"))).unwrap();
}

#[test]
fn logins_follow_the_states_of_the_standard() {
    let slot = token("states");
    let state = |session: &cryptoki::session::Session| session.get_session_info().unwrap().session_state();
    let reader = module().open_ro_session(slot).unwrap();
    let writer = module().open_rw_session(slot).unwrap();
    assert_eq!(state(&reader), SessionState::RoPublic);
    assert_eq!(state(&writer), SessionState::RwPublic);

    refused(writer.login(UserType::So, Some(&pin(SO_PIN))), RvError::SessionReadOnlyExists);
    reader.login(UserType::User, Some(&pin(PIN))).unwrap();
    assert_eq!(state(&reader), SessionState::RoUser);
    assert_eq!(state(&writer), SessionState::RwUser);
    refused(writer.login(UserType::User, Some(&pin(PIN))), RvError::UserAlreadyLoggedIn);
    refused(writer.login(UserType::So, Some(&pin(SO_PIN))), RvError::UserAnotherAlreadyLoggedIn);
    refused(writer.login(UserType::ContextSpecific, Some(&pin(PIN))), RvError::OperationNotInitialized);
    refused(writer.login(UserType::VendorExtension(7), Some(&pin(PIN))), RvError::UserTypeInvalid);
    writer.logout().unwrap();
    reader.close().unwrap();

    writer.login(UserType::So, Some(&pin(SO_PIN))).unwrap();
    assert_eq!(state(&writer), SessionState::RwSecurityOfficer);
    refused(module().open_ro_session(slot).map(|_| ()), RvError::SessionReadWriteSoExists);
    refused(writer.login(UserType::User, Some(&pin(PIN))), RvError::UserAnotherAlreadyLoggedIn);
    writer.logout().unwrap();
    module().open_ro_session(slot).unwrap();
}

#[test]
fn the_login_ends_with_the_last_session() {
    let slot = token("last");
    let first = module().open_rw_session(slot).unwrap();
    let second = module().open_ro_session(slot).unwrap();
    first.login(UserType::User, Some(&pin(PIN))).unwrap();
    first.close().unwrap();
    assert_eq!(second.get_session_info().unwrap().session_state(), SessionState::RoUser);
    assert_eq!(call!(C_CloseAllSessions(slot.id())), 0);
    refused(second.get_session_info(), RvError::SessionHandleInvalid);
    let fresh = module().open_ro_session(slot).unwrap();
    assert_eq!(fresh.get_session_info().unwrap().session_state(), SessionState::RoPublic);
}

/// The flags count wrong PINs down, a right one resets them; after five the next try must wait, even with the right PIN.
#[test]
fn wrong_pins_are_counted_and_slow_down() {
    let slot = token("counted");
    let session = module().open_rw_session(slot).unwrap();
    let flags = || {
        let info = module().get_token_info(slot).unwrap();
        (info.user_pin_count_low(), info.user_pin_final_try(), info.user_pin_locked())
    };
    assert_eq!(flags(), (false, false, false));
    refused(session.login(UserType::User, Some(&pin("0000"))), RvError::PinIncorrect);
    assert_eq!(flags(), (true, false, false));
    session.login(UserType::User, Some(&pin(PIN))).unwrap();
    session.logout().unwrap();
    assert_eq!(flags(), (false, false, false));

    for _ in 0..5 {
        refused(session.login(UserType::User, Some(&pin("0000"))), RvError::PinIncorrect);
    }
    refused(session.login(UserType::User, Some(&pin(PIN))), RvError::PinLocked);
    assert_eq!(flags(), (true, false, false), "it only waits");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    session.login(UserType::User, Some(&pin(PIN))).unwrap();
}

/// C_LoginUser without a name is C_Login; a name is nobody's, and costs no try.
#[test]
fn users_have_no_names() {
    let slot = token("nameless");
    let session = module().open_rw_session(slot).unwrap();
    let login = |pin: &str, name: &str| {
        let (pin, pin_len) = (pin.as_ptr().cast_mut(), pin.len() as CK_ULONG);
        call!(C_LoginUser(
            session.handle(),
            CKU_USER,
            pin,
            pin_len,
            name.as_ptr().cast_mut(),
            name.len() as CK_ULONG
        ))
    };
    assert_eq!(login("0000", "alice"), CKR_ARGUMENTS_BAD);
    assert!(!module().get_token_info(slot).unwrap().user_pin_count_low());
    assert_eq!(login("0000", ""), CKR_PIN_INCORRECT);
    assert_eq!(login(PIN, ""), CKR_OK);
    assert_eq!(login(PIN, ""), CKR_USER_ALREADY_LOGGED_IN);
    assert_eq!(session.get_session_info().unwrap().session_state(), SessionState::RwUser);
}

/// C_InitToken over a token needs its SO PIN and no sessions, and destroys everything on it.
#[test]
fn a_token_is_initialised_anew() {
    let session = user_session("first");
    let slot = session.get_session_info().unwrap().slot_id();
    let data = [Attribute::Class(cryptoki::object::ObjectClass::DATA), Attribute::Token(true)];
    let object = session.create_object(&data).unwrap();
    refused(module().init_token(slot, &pin(SO_PIN), "second"), RvError::SessionExists);
    drop(session);
    refused(module().init_token(slot, &pin("87654321"), "second"), RvError::PinIncorrect);
    module().init_token(slot, &pin(SO_PIN), "second").unwrap();

    let info = module().get_token_info(slot).unwrap();
    assert_eq!((info.label(), info.user_pin_initialized()), ("second", false));
    let session = module().open_rw_session(slot).unwrap();
    assert!(session.find_objects(&[]).unwrap().is_empty());
    refused(session.destroy_object(object), RvError::ObjectHandleInvalid);
}

#[test]
fn random_numbers_are_given_and_seeds_change_nothing() {
    let session = user_session("random");
    let (one, other) = (session.generate_random_vec(64).unwrap(), session.generate_random_vec(64).unwrap());
    assert!(one != other && one.len() == 64);
    session.generate_random_slice(&mut []).unwrap();
    let after = |seed: &[u8]| {
        session.seed_random(seed).unwrap();
        session.generate_random_vec(64).unwrap()
    };
    assert_ne!(after(b"seed"), after(b"seed"));
    after(b"");
}
