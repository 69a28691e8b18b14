//! Uses through PKCS#11 are counted where they happen and written now and then: what another process on the store sees.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

mod token;

use canis_core::clock::Clock;
use canis_core::crypto::SignScheme;
use canis_core::datadir::DataDir;
use canis_core::object::{SignWith, UseToSign};
use canis_core::token::{Login, Role};
use canis_core::{Caller, Core, default_provider};
use canis_proto::message::ShowKey;
use canis_proto::{ErrorCode, Usage};
use std::sync::Arc;
use token::{TestClock, Token, USER, code, pin};

/// Uses and last use of the key's only version.
fn shown(core: &Core, caller: &Caller) -> (u64, Option<i64>) {
    let key = core.call(caller, ShowKey { name: "counted".into(), before_version: 0 }).unwrap();
    (key.versions[0].uses, key.versions[0].last_used_at)
}

#[test]
fn uses_are_written_when_they_are_due() {
    let token = Token::new();
    token.login(Role::User, USER).unwrap();
    let (secret, _) = token.generate("counted", None).unwrap();
    let (another, _) = token.generate("another", None).unwrap();
    let store = DataDir::new(token.dir.path()).open_or_create_store().unwrap();
    let clock = Arc::<TestClock>::clone(&token.clock);
    let other = Core::open(Arc::new(store), default_provider(), clock).unwrap();
    let caller = Caller::pkcs11(&other.application(), token.id);
    other.call(&caller, Login { role: Role::User, pin: pin(USER).into() }).unwrap();

    let key = token.open(secret, Usage::SIGN).unwrap();
    let sign = |scheme, input: &[u8]| {
        let out = &mut [0; 64];
        token.core.call(&token.caller(), UseToSign { key: &key, scheme: SignWith::Pair(scheme), input, out })
    };
    let start = token.clock.now_micros();
    for _ in 0..3 {
        sign(SignScheme::Ecdsa, &[7; 32]).unwrap();
    }
    assert_eq!(code(sign(SignScheme::Ed25519, &[7; 32])), ErrorCode::OperationNotSupported);
    token.core.write_uses_when_due();
    assert_eq!(shown(&other, &caller), (0, None), "too early to write");
    assert_eq!(shown(&token.core, &token.caller()), (3, Some(start)), "its own process knows");
    token.clock.advance(5);
    token.core.write_uses_when_due();
    assert_eq!(shown(&other, &caller), (3, Some(start)));
    sign(SignScheme::Ecdsa, &[7; 32]).unwrap();
    token.core.write_uses_when_due();
    assert_eq!(shown(&other, &caller).0, 3);
    // The store is asked for a key anyway.
    token.clock.advance(5);
    token.open(another, Usage::SIGN).unwrap();
    assert_eq!(shown(&other, &caller), (4, Some(start + 5_000_000)));
    token.core.write_uses().unwrap();
    assert_eq!(shown(&other, &caller).0, 4, "nothing is written twice");
}
