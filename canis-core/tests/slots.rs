//! Tokens that a PIN guards, in a store with a root: who looks after the store does not get at their keys.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

mod store;

use canis_core::crypto::default_provider;
use canis_core::secret::SecretBytes;
use canis_core::token::{ListTokens, Login, Logout, Role};
use canis_core::{Application, Caller, DueReport};
use canis_proto::message::{CreateKey, ShowKey};
use canis_proto::slot::{ExportFromSlot, InitSlot, ListSlots, SetSlotPin, UnlockSlot};
use canis_proto::{ErrorCode, Id, KeyType};
use std::sync::Arc;
use store::{Opened, TestClock, fresh_at};

const SO: &[u8] = b"so-pin";
const USER: &[u8] = b"user-pin";

/// A store with a root, and in it a token that a PIN guards.
struct Guarded {
    opened: Opened,
    clock: Arc<TestClock>,
    id: Id,
}

impl Guarded {
    fn new() -> Self {
        let clock = Arc::new(TestClock::at(1_790_000_000));
        let opened = fresh_at(default_provider(), Arc::<TestClock>::clone(&clock));
        let request = InitSlot { token: "guarded".into(), so_pin: SO.into(), pin: Some(USER.into()) };
        opened.core.call(&opened.caller, request).map(drop).unwrap();
        let tokens = opened.core.call(&opened.core.operator(), ListTokens).unwrap();
        let id = tokens.iter().find(|token| token.label == "guarded").unwrap().id;
        Guarded { opened, clock, id }
    }

    fn log_in(&self, application: &Arc<Application>, pin: &[u8]) -> Result<(), ErrorCode> {
        let request = Login { role: Role::User, pin: SecretBytes::copied_from(pin).into() };
        self.opened.core.call(&Caller::pkcs11(application, self.id), request).map_err(|error| error.code)
    }
}

/// The user PIN is not for the owner of the store, nor for an administrator, to set: not even while its user is logged
/// in, so that the keys are at hand.
#[test]
fn an_open_token_is_not_taken_over() {
    let guarded = Guarded::new();
    let Opened { core, caller, .. } = &guarded.opened;
    let user = core.application();
    guarded.log_in(&user, USER).unwrap();
    for administrator in [caller, &core.operator()] {
        let request = SetSlotPin { token: "guarded".into(), pin: b"taken-over"[..].into() };
        let refused = core.call(administrator, request).map(drop).unwrap_err();
        assert_eq!(refused.code, ErrorCode::TenantLocked, "{refused}");
    }
    assert_eq!(guarded.log_in(&core.application(), b"taken-over"), Err(ErrorCode::PinIncorrect));
    // The security officer may.
    let request = UnlockSlot { token: "guarded".into(), so_pin: SO.into(), pin: b"new-pin"[..].into() };
    core.call(caller, request).map(drop).unwrap();
    guarded.log_in(&core.application(), b"new-pin").unwrap();
}

/// Nobody sees slots without a token; and no PIN is set that the module could not take.
#[test]
fn strangers_and_strange_pins() {
    let Opened { core, caller, .. } = &Guarded::new().opened;
    let refused = core.call(&Caller::anonymous(), ListSlots).map(drop).unwrap_err();
    assert_eq!(refused.code, ErrorCode::Unauthenticated);
    for pin in [&b"caf\xe9x"[..], b"123", &[b'x'; 256]] {
        let request = InitSlot { token: "x".into(), so_pin: pin.into(), pin: None };
        assert_eq!(core.call(caller, request).map(drop).unwrap_err().code, ErrorCode::PinInvalid);
    }
}

/// R25: rotations that fall due while a PIN keeps the token closed run once when it is opened, and not before.
#[test]
fn rotations_wait_for_the_pin() {
    let guarded = Guarded::new();
    let Opened { core, caller, .. } = &guarded.opened;
    let user = core.application();
    let as_user = Caller::pkcs11(&user, guarded.id);
    let version = || {
        let request = ShowKey { name: "due".into(), before_version: 0 };
        core.call(&as_user, request).map(|key| key.current_version)
    };
    guarded.log_in(&user, USER).unwrap();
    let request = CreateKey { interval: "2h".parse().unwrap(), ..CreateKey::new("due", KeyType::Aes256) };
    core.call(&as_user, request).map(drop).unwrap();
    core.call(&as_user, Logout).unwrap();
    guarded.clock.advance(5 * 3600);
    assert_eq!(core.run_due().unwrap(), DueReport::default(), "nobody can, and nobody is told of a failure");
    assert_eq!(version().unwrap_err().code, ErrorCode::TenantLocked);
    assert_eq!(guarded.log_in(&user, b"wrong-pin"), Err(ErrorCode::PinIncorrect));
    guarded.log_in(&user, USER).unwrap();
    assert_eq!(version().unwrap(), 2, "two were missed, one makes up for them");
    assert_eq!(core.run_due().unwrap(), DueReport::default());
    core.call(&as_user, Logout).unwrap();
    guarded.log_in(&user, USER).unwrap();
    assert_eq!(version().unwrap(), 2);
    core.call(&as_user, Logout).unwrap();
    // A request that brings the PIN opens the token as well.
    guarded.clock.advance(2 * 3600);
    let request = ExportFromSlot {
        token: "guarded".into(),
        pin: Some(USER.into()),
        label: Some("absent".into()),
        id: None,
        what: None,
    };
    assert_eq!(core.call(caller, request).map(drop).unwrap_err().code, ErrorCode::ObjectNotFound);
    guarded.log_in(&user, USER).unwrap();
    assert_eq!(version().unwrap(), 3);
}
