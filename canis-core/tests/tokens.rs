//! Tokens and PINs, as the PKCS#11 module asks for them, on a store without a root.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

mod token;

use canis_core::datadir::DataDir;
use canis_core::object::{FindObjects, Wanted};
use canis_core::token::{
    ChangePin, DeleteToken, Deleted, InitToken, InitUserPin, ListTokens, Login, Logout, MAX_TRIES, Role,
};
use canis_core::{Caller, Core, default_provider};
use canis_proto::{ErrorCode, Usage};
use std::sync::Arc;
use token::{SO, TestClock, Token, USER, code, pin};

/// Ten wrong PINs lock it, waiting between the later ones; the security officer unlocks; each PIN counts alone.
#[test]
fn wrong_pins_wait_and_lock() {
    let token = Token::new();
    let state = || token.core.call(&token.caller(), ListTokens).unwrap()[0].clone();
    for wrong in 1..=MAX_TRIES {
        assert_eq!(code(token.login(Role::User, b"wrong")), ErrorCode::PinIncorrect, "try {wrong}");
        assert_eq!(state().user_pin.tries_left, MAX_TRIES - wrong);
        if (5..MAX_TRIES).contains(&wrong) {
            assert_eq!(code(token.login(Role::User, USER)), ErrorCode::PinDelayed, "right, but too early");
            token.clock.advance(3600);
        }
    }
    token.clock.advance(3600);
    assert_eq!(code(token.login(Role::User, USER)), ErrorCode::PinLocked);
    assert_eq!(state().so_pin.tries_left, MAX_TRIES);
    token.login(Role::So, SO).unwrap();
    token.core.call(&token.caller(), InitUserPin { pin: pin(b"another").into() }).unwrap();
    token.core.call(&token.caller(), Logout).unwrap();
    assert_eq!(code(token.login(Role::User, USER)), ErrorCode::PinIncorrect);
    token.login(Role::User, b"another").unwrap();
    assert_eq!(state().user_pin.tries_left, MAX_TRIES);
}

/// The counter stands in the store, not in the process.
#[test]
fn tries_are_counted_across_processes() {
    let token = Token::new();
    let other = || {
        let store = DataDir::new(token.dir.path()).open_store().unwrap();
        Core::open(Arc::new(store), default_provider(), Arc::<TestClock>::clone(&token.clock)).unwrap()
    };
    for _ in 0..3 {
        let core = other();
        let caller = Caller::pkcs11(&core.application(), token.id);
        assert_eq!(
            code(core.call(&caller, Login { role: Role::User, pin: pin(b"wrong").into() })),
            ErrorCode::PinIncorrect
        );
    }
    assert_eq!(token.core.call(&token.caller(), ListTokens).unwrap()[0].user_pin.tries_left, MAX_TRIES - 3);
}

#[test]
fn pins_change_and_have_lengths() {
    let token = Token::new();
    let change = |old: &[u8], new: &[u8]| {
        let (old, new) = (pin(old), pin(new));
        token
            .core
            .call(&token.caller(), ChangePin { role: Role::User, old: (&old).into(), new: (&new).into() })
    };
    assert_eq!(code(change(USER, b"abc")), ErrorCode::PinInvalid);
    assert_eq!(code(change(USER, &[b'x'; 256])), ErrorCode::PinInvalid);
    assert_eq!(code(change(b"wrong", b"new-pin")), ErrorCode::PinIncorrect);
    change(USER, b"new-pin").unwrap();
    token.login(Role::User, b"new-pin").unwrap();
    token.generate("k", None).unwrap();
}

/// C_InitToken over a token: the SO's PIN, and then nothing of it is left.
#[test]
fn wiping_a_token() {
    let token = Token::new();
    token.login(Role::User, USER).unwrap();
    let (secret, _) = token.generate("k", None).unwrap();
    let init = |so: &[u8]| {
        token.core.call(&token.caller(), InitToken { slot: 0, label: "again", so_pin: pin(so).into() })
    };
    assert_eq!(code(init(b"wrong")), ErrorCode::PinIncorrect);
    assert_eq!(token.find(b"k"), 2);
    assert_eq!(init(SO).unwrap(), token.id);
    assert_eq!((token.find(b"k"), code(token.read(secret))), (0, ErrorCode::ObjectNotFound));
    assert_eq!(code(token.login(Role::User, USER)), ErrorCode::PinNotInitialized);
    assert_eq!(token.core.call(&token.caller(), ListTokens).unwrap()[0].label, "again");
}

/// A token goes by the SO's PIN alone, with all that is on it; its slot is free again. Another application that was
/// logged in has nothing left.
#[test]
fn deleting_a_token() {
    let token = Token::new();
    token.login(Role::User, USER).unwrap();
    token.generate("k", None).unwrap();
    let delete = |so: Option<&[u8]>, dry_run| {
        let so = so.map(pin);
        let caller = Caller::pkcs11(&token.core.application(), token.id);
        token.core.call(&caller, DeleteToken { so_pin: so.as_ref().map(Into::into), dry_run })
    };
    assert_eq!(code(delete(Some(b"wrong"), false)), ErrorCode::PinIncorrect);
    assert_eq!(code(delete(Some(USER), false)), ErrorCode::PinIncorrect);
    assert_eq!(code(delete(None, false)), ErrorCode::LoginRequired);
    let tokens = || token.core.call(&token.caller(), ListTokens).unwrap();
    assert_eq!(tokens()[0].so_pin.tries_left, MAX_TRIES - 2, "wrong PINs count here, too");
    let all = Deleted { keys: 1, objects: 2 };
    assert_eq!(delete(Some(SO), true).unwrap(), all);
    assert_eq!(token.find(b"k"), 2, "a dry run changes nothing");
    assert_eq!(delete(Some(SO), false).unwrap(), all);
    assert!(tokens().is_empty());
    assert!(token.generate("late", None).is_err());
    let slots = Caller::pkcs11_slots(&token.application);
    let new = token.core.call(&slots, InitToken { slot: 0, label: "new", so_pin: pin(SO).into() }).unwrap();
    assert_ne!(new, token.id);
}

/// Rows that were kept from before a wipe do not open in the token that took its place.
#[test]
fn rows_from_before_a_wipe_stay_closed() {
    let token = Token::new();
    token.login(Role::User, USER).unwrap();
    token.generate("k", None).unwrap();
    let sql = |statement: &str| {
        let store = rusqlite::Connection::open(token.dir.path().join("canis.dat")).unwrap();
        store.execute_batch(statement).unwrap();
    };
    sql("CREATE TABLE kept AS SELECT * FROM objects WHERE private = 1");
    token.core.call(&token.caller(), InitToken { slot: 0, label: "again", so_pin: pin(SO).into() }).unwrap();
    token.login(Role::So, SO).unwrap();
    token.core.call(&token.caller(), InitUserPin { pin: pin(USER).into() }).unwrap();
    token.core.call(&token.caller(), Logout).unwrap();
    sql("INSERT INTO objects SELECT * FROM kept");
    token.login(Role::User, USER).unwrap();
    let found = token.core.call(&token.caller(), FindObjects { wanted: Wanted::default() }).unwrap();
    let refused: Vec<_> = found.refused.iter().map(|error| error.code).collect();
    assert_eq!((found.objects.len(), refused), (0, vec![ErrorCode::StoreTampered]));
}

/// Right PINs given at one moment by many processes all open the token, and count against nobody.
#[test]
fn right_pins_at_one_moment() {
    let token = Token::new();
    let threads: Vec<_> = (0..12)
        .map(|_| {
            let store = DataDir::new(token.dir.path()).open_store().unwrap();
            let clock = Arc::<TestClock>::clone(&token.clock);
            let core = Core::open(Arc::new(store), default_provider(), clock).unwrap();
            let caller = Caller::pkcs11(&core.application(), token.id);
            std::thread::spawn(move || core.call(&caller, Login { role: Role::User, pin: pin(USER).into() }))
        })
        .collect();
    for thread in threads {
        thread.join().unwrap().unwrap();
    }
    assert_eq!(token.core.call(&token.caller(), ListTokens).unwrap()[0].user_pin.tries_left, MAX_TRIES);
}

/// Putting the clock back does not keep the right PIN out for ever; the counter goes on counting.
#[test]
fn a_clock_that_was_ahead() {
    let token = Token::new();
    token.clock.advance(365 * 24 * 3600);
    for _ in 0..6 {
        assert_eq!(code(token.login(Role::User, b"wrong")), ErrorCode::PinIncorrect);
        token.clock.advance(1025);
    }
    token.clock.advance(-365 * 24 * 3600);
    token.login(Role::User, USER).unwrap();
}

/// A token that another process wiped is closed here: nothing is written under its old key, and it stays usable.
#[test]
fn a_wipe_by_another_process_is_noticed() {
    let token = Token::new();
    token.login(Role::User, USER).unwrap();
    token.generate("before", None).unwrap();
    let other = || {
        let store = DataDir::new(token.dir.path()).open_store().unwrap();
        Core::open(Arc::new(store), default_provider(), Arc::<TestClock>::clone(&token.clock)).unwrap()
    };
    let core = other();
    let application = core.application();
    let wipe = InitToken { slot: 0, label: "wiped", so_pin: pin(SO).into() };
    core.call(&Caller::pkcs11_slots(&application), wipe).unwrap();
    let refused = token.generate("after", None).map(|_| ()).unwrap_err();
    assert!(matches!(refused.code, ErrorCode::TenantLocked | ErrorCode::LoginRequired), "{refused}");
    // The other process sets it up and uses it.
    let caller = Caller::pkcs11(&application, token.id);
    core.call(&caller, Login { role: Role::So, pin: pin(SO).into() }).unwrap();
    core.call(&caller, InitUserPin { pin: pin(USER).into() }).unwrap();
    core.call(&caller, Logout).unwrap();
    core.call(&caller, Login { role: Role::User, pin: pin(USER).into() }).unwrap();
    assert_eq!(core.call(&caller, FindObjects { wanted: Wanted::default() }).unwrap().objects.len(), 0);
}

/// Of several threads that log in at once one does, and the tenant closes with its one logout.
#[test]
fn one_login_at_a_time() {
    let token = Token::new();
    let won = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..4).map(|_| scope.spawn(|| token.login(Role::User, USER).is_ok())).collect();
        tries.into_iter().filter_map(|t| t.join().ok()).filter(|won| *won).count()
    });
    assert_eq!(won, 1);
    token.core.call(&token.caller(), Logout).unwrap();
    assert_eq!(code(token.generate("k", None)), ErrorCode::LoginRequired);
}

/// A user who still knows the PIN that the security officer is just replacing cannot keep the token by changing it: the
/// change comes first and is replaced, or it comes too late.
#[test]
fn a_reset_is_not_undone_by_a_change() {
    let token = Token::new();
    token.login(Role::So, SO).unwrap();
    let user = Caller::pkcs11(&token.core.application(), token.id);
    let mut known = USER.to_vec();
    for round in 0..4 {
        let (kept, reset) = (format!("kept-{round}"), format!("reset-{round}"));
        std::thread::scope(|scope| {
            let (old, new) = (pin(&known), pin(kept.as_bytes()));
            let (core, user) = (&token.core, &user);
            scope.spawn(move || {
                core.call(user, ChangePin { role: Role::User, old: (&old).into(), new: (&new).into() })
            });
            let new = pin(reset.as_bytes());
            std::thread::sleep(std::time::Duration::from_millis(10 * round));
            token.core.call(&token.caller(), InitUserPin { pin: (&new).into() }).unwrap();
        });
        let refused = token.core.call(&user, Login { role: Role::User, pin: pin(kept.as_bytes()).into() });
        assert_eq!(code(refused), ErrorCode::PinIncorrect);
        token.core.call(&user, Login { role: Role::User, pin: pin(reset.as_bytes()).into() }).unwrap();
        token.core.call(&user, Logout).unwrap();
        known = reset.into_bytes();
    }
}

/// Who is logged in to a token that another process wipes is logged in no more, and the private session objects are gone,
/// also for keys that were opened before. The next login does not bring them back.
#[test]
fn a_wipe_by_another_process_ends_the_login() {
    let token = Token::new();
    token.login(Role::User, USER).unwrap();
    let (secret, public) = token.generate("session", Some(7)).unwrap();
    let opened = token.open(secret, Usage::SIGN).unwrap();
    assert!(token.core.is_current(&token.caller(), &opened));
    let store = DataDir::new(token.dir.path()).open_store().unwrap();
    let core =
        Core::open(Arc::new(store), default_provider(), Arc::<TestClock>::clone(&token.clock)).unwrap();
    let application = core.application();
    let wipe = InitToken { slot: 0, label: "wiped", so_pin: pin(SO).into() };
    core.call(&Caller::pkcs11_slots(&application), wipe).unwrap();

    assert!(!token.core.is_current(&token.caller(), &opened));
    assert_eq!(token.core.role(&token.caller()).unwrap(), None);
    assert_eq!(code(token.open(secret, Usage::SIGN)), ErrorCode::ObjectNotFound);
    assert_eq!(code(token.generate("after", Some(7))), ErrorCode::LoginRequired);
    assert_eq!(token.find(b"session"), 1, "the public half");
    token.read(public).unwrap();
    assert!(token.application.was_wiped(token.id) && !token.application.was_wiped(token.id));

    let caller = Caller::pkcs11(&application, token.id);
    core.call(&caller, Login { role: Role::So, pin: pin(SO).into() }).unwrap();
    core.call(&caller, InitUserPin { pin: pin(b"another").into() }).unwrap();
    token.login(Role::User, b"another").unwrap();
    assert_eq!(code(token.read(secret)), ErrorCode::ObjectNotFound);
    token.generate("after", None).unwrap();
}

/// A wipe that the security officer's PIN does not prove is counted as a wrong PIN, also against a login.
#[test]
fn a_wipe_with_a_wrong_pin_is_counted() {
    let token = Token::new();
    let wipe = |so: &[u8]| {
        token.core.call(&token.caller(), InitToken { slot: 0, label: "again", so_pin: pin(so).into() })
    };
    for _ in 0..MAX_TRIES {
        assert_eq!(code(wipe(b"wrong")), ErrorCode::PinIncorrect);
        token.clock.advance(3600);
    }
    assert_eq!(code(wipe(SO)), ErrorCode::PinLocked);
    assert_eq!(code(token.login(Role::So, SO)), ErrorCode::PinLocked);
    token.login(Role::User, USER).unwrap();
}
