//! Slots, tokens, PINs, sessions, login.

use crate::harness::{PIN, SO_PIN, bare_token, module, pin, refused, token, user_session};
use crate::raw::{attribute, call, mechanism};
use cryptoki::error::{Error, RvError};
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

    let delayed = |shown: &str| match session.login(UserType::User, Some(&pin(shown))) {
        Ok(()) => session.logout().map(|()| false).unwrap(),
        Err(Error::Pkcs11(RvError::PinIncorrect, _)) => false,
        Err(Error::Pkcs11(RvError::PinLocked, _)) => true,
        Err(other) => panic!("{other}"),
    };
    // On a slow machine the second may be over before the next try is looked at. Further wrong ones cost longer; a right
    // one that comes too late begins all over again.
    let seconds = (0..5).find_map(|_| {
        for _ in 0..5 {
            refused(session.login(UserType::User, Some(&pin("0000"))), RvError::PinIncorrect);
        }
        let further = (0..3).find(|_| delayed("0000")).unwrap_or(3);
        delayed(PIN).then_some(1 << further)
    });
    assert_eq!(flags(), (true, false, false), "it only waits");
    std::thread::sleep(std::time::Duration::from_secs(seconds.expect("no wait was seen")));
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

/// R93: every token says without login which profiles it keeps to, if it is asked; what says so is not to be changed.
#[test]
fn profiles_are_shown_and_left_alone() {
    let session = module().open_rw_session(bare_token("profiles")).unwrap();
    let mut class = CKO_PROFILE;
    let mut template = [attribute(CKA_CLASS, &mut class)];
    let (mut found, mut count) = ([0; 8], 0);
    assert_eq!(call!(C_FindObjectsInit(session.handle(), template.as_mut_ptr(), 1)), CKR_OK);
    assert_eq!(call!(C_FindObjects(session.handle(), found.as_mut_ptr(), 8, &mut count)), CKR_OK);
    assert_eq!(call!(C_FindObjectsFinal(session.handle())), CKR_OK);
    let profile = |object| {
        let (mut id, mut on_token, mut modifiable) = (0 as CK_PROFILE_ID, CK_FALSE, CK_TRUE);
        let mut template = [
            attribute(CKA_PROFILE_ID, &mut id),
            attribute(CKA_TOKEN, &mut on_token),
            attribute(CKA_MODIFIABLE, &mut modifiable),
        ];
        assert_eq!(call!(C_GetAttributeValue(session.handle(), object, template.as_mut_ptr(), 3)), CKR_OK);
        assert_eq!((on_token, modifiable), (CK_TRUE, CK_FALSE));
        id
    };
    let shown: Vec<_> = found[..count as usize].iter().copied().map(profile).collect();
    assert_eq!(shown, [CKP_BASELINE_PROVIDER, CKP_EXTENDED_PROVIDER, CKP_AUTHENTICATION_TOKEN]);

    let (handle, object) = (session.handle(), found[0]);
    let mut label = attribute(CKA_LABEL, &mut class);
    assert_eq!(call!(C_SetAttributeValue(handle, object, &mut label, 1)), CKR_ACTION_PROHIBITED);
    assert_eq!(call!(C_DestroyObject(handle, object)), CKR_ACTION_PROHIBITED);
    assert_eq!(call!(C_SignInit(handle, &mut mechanism(CKM_ECDSA), object)), CKR_KEY_HANDLE_INVALID);
    let mut class = CKO_PROFILE;
    let mut template = [attribute(CKA_CLASS, &mut class)];
    let made = call!(C_CreateObject(handle, template.as_mut_ptr(), 1, &mut 0));
    assert_eq!(made, CKR_ATTRIBUTE_VALUE_INVALID);
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
