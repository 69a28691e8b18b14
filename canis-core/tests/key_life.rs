//! The life of a key through the one door: configuration and states; with a clock that the test moves.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

mod life;
mod store;

use canis_proto::answer::KeyInfo;
use canis_proto::message::{
    ActivateKey, CancelDestroyKey, DestroyKey, EnableKey, ListKeys, PublicKey, ShowKey, Sign, Verify,
    WireAnswer,
};
use canis_proto::{ErrorCode, KeyState, KeyType, Result};
use life::{HOUR, Life, code};

/// R14, R55: configuration changes as it is asked, only downwards where keys could get out, and `updated_at` moves.
#[test]
fn configuration() {
    let life = Life::new();
    life.make("k", |k| (k.exportable, k.allow_plaintext_backup) = (true, true)).unwrap();
    let before = life.show("k");
    life.clock.advance(5);
    assert_eq!(life.update("k", |_| ()).unwrap().updated_at, before.updated_at, "nothing changed");
    let off = life.update("k", |k| k.deletion_allowed = Some(false)).unwrap();
    assert_eq!(
        (off.deletion_allowed, off.exportable, off.updated_at),
        (false, true, before.updated_at + 5_000_000)
    );
    let off = life.update("k", |k| k.allow_plaintext_backup = Some(false)).unwrap();
    assert_eq!((off.exportable, off.allow_plaintext_backup), (true, false));
    assert_eq!(
        code(life.update("k", |k| k.allow_plaintext_backup = Some(true))),
        ErrorCode::AttributeReadOnly
    );
    assert!(!life.update("k", |k| k.exportable = Some(false)).unwrap().exportable);
    assert_eq!(code(life.update("k", |k| k.exportable = Some(true))), ErrorCode::AttributeReadOnly);
    assert!(!life.show("k").exportable);
    assert_eq!(code(life.update("absent", |_| ())), ErrorCode::KeyNotFound);
}

/// R35, R36, R37: limits of versions; a pair that could not be decrypted is refused, and so is what is out of range.
#[test]
fn limits_of_versions() {
    let life = Life::new();
    life.make("k", |_| ()).unwrap();
    let first = life.encrypt("k").unwrap();
    life.rotate("k").unwrap();
    life.rotate("k").unwrap();
    for (decryption, encryption, right) in [
        (1, 0, true),
        (3, 0, true),
        (3, 3, true),
        (2, 3, true),
        (1, 1, true),
        (2, 2, true),
        (0, 0, false),
        (4, 0, false),
        (1, 4, false),
        (2, 1, false),
        (3, 2, false),
        (u32::MAX, 0, false),
        (1, u32::MAX, false),
    ] {
        let done = life.update("k", |k| {
            (k.min_decryption_version, k.min_encryption_version) = (Some(decryption), Some(encryption));
        });
        match done {
            Ok(key) => assert!(
                right && (key.min_decryption_version, key.min_encryption_version) == (decryption, encryption)
            ),
            Err(error) => assert!(
                !right && error.code == ErrorCode::InvalidArgument,
                "{decryption} {encryption} {error}"
            ),
        }
    }
    // R35: raised, refused; lowered, works.
    life.update("k", |k| (k.min_decryption_version, k.min_encryption_version) = (Some(2), Some(0))).unwrap();
    assert_eq!(code(life.decrypt("k", &first)), ErrorCode::VersionNotAllowed);
    // What stays must fit what changes.
    life.update("k", |k| k.min_encryption_version = Some(2)).unwrap();
    assert_eq!(code(life.update("k", |k| k.min_decryption_version = Some(3))), ErrorCode::InvalidArgument);
    life.update("k", |k| (k.min_decryption_version, k.min_encryption_version) = (Some(1), Some(0))).unwrap();
    assert_eq!(life.decrypt("k", &first).unwrap(), b"plain");
}

/// R15–R20: the drawn steps and the one extension, and no other; steps done already do nothing.
#[test]
fn steps_between_states() {
    let life = Life::new();
    type Ask = fn(&Life, &str) -> Result<KeyInfo>;
    let asks: [(Ask, KeyState, KeyState); 4] = [
        (|l, n| l.call(ActivateKey { name: n.into() }), KeyState::Created, KeyState::Active),
        (|l, n| l.disable(n), KeyState::Active, KeyState::Disabled),
        (|l, n| l.call(EnableKey { name: n.into() }), KeyState::Disabled, KeyState::Active),
        (|l, n| l.destroy(n), KeyState::Disabled, KeyState::Destroyed),
    ];
    for state in [KeyState::Created, KeyState::Active, KeyState::Disabled] {
        for (at, (ask, from, to)) in asks.iter().enumerate() {
            let name = format!("{state}/{at}");
            life.make(&name, |k| k.activate = state != KeyState::Created).unwrap();
            if state == KeyState::Disabled {
                life.disable(&name).unwrap();
            }
            match ask(&life, &name) {
                Ok(key) => assert!(state == *from || state == *to, "{name} became {}", key.state),
                Err(error) => {
                    assert!(state != *from && state != *to, "{name}: {error}");
                    assert_eq!(error.code, ErrorCode::OperationNotAllowed);
                    assert_eq!(life.show(&name).state, state);
                }
            }
        }
    }
}

/// R19, R66: what is destroyed is gone, says so, leaves metadata and public keys, and its name is free again.
#[test]
fn tombstones() {
    let life = Life::new();
    life.make("a/k", |k| k.kind = KeyType::EcdsaP256).unwrap();
    life.rotate("a/k").unwrap();
    let public = life.call(PublicKey { name: "a/k".into(), version: 1 }).unwrap().spki;
    let request = Sign::new("a/k", &b"m"[..]);
    let signature = life.call(request).unwrap().signature;
    assert_eq!(code(life.destroy("a/k")), ErrorCode::OperationNotAllowed, "R20: it must be disabled first");
    life.disable("a/k").unwrap();
    life.update("a/k", |k| k.deletion_allowed = Some(false)).unwrap();
    assert_eq!(code(life.destroy("a/k")), ErrorCode::OperationNotAllowed, "R22");
    life.update("a/k", |k| k.deletion_allowed = Some(true)).unwrap();
    life.clock.advance(7);
    let left = life.destroy("a/k").unwrap();
    assert_eq!((left.state, left.deleted_at), (KeyState::Destroyed, Some(left.updated_at)));
    assert_eq!(left.name, format!("~a/k~{}", left.id));
    for gone in [
        code(life.encrypt("a/k")),
        code(life.rotate("a/k")),
        code(life.disable("a/k")),
        code(life.call(ShowKey { name: "a/k".into(), before_version: 0 })),
        code(life.call(Verify::new("a/k", &b"m"[..], &*signature))),
    ] {
        assert_eq!(gone, ErrorCode::KeyDestroyed);
    }
    let list = |include_deleted| {
        let request = ListKeys { prefix: "a/".into(), after: "".into(), limit: 0, include_deleted };
        life.call(request).unwrap().keys.into_iter().map(|k| k.name).collect::<Vec<_>>()
    };
    assert_eq!((list(false), list(true)), (vec![], vec![left.name.clone()]));
    assert_eq!(life.show(&left.name).to_map().encode(), left.to_map().encode());
    let kept = life.call(PublicKey { name: left.name.as_str().into(), version: 1 }).unwrap();
    assert_eq!(kept.spki, public);
    // The name is free, and its new bearer is another key.
    life.make("a/k", |k| k.kind = KeyType::EcdsaP256).unwrap();
    let again = Verify::new("a/k", &b"m"[..], &*signature);
    assert_eq!(code(life.call(again)), ErrorCode::VersionNotFound);
    life.disable("a/k").unwrap();
    life.destroy("a/k").unwrap();
    assert_eq!(list(true).len(), 2);
}

/// Destroying can be planned and taken back; planned, the key stays disabled; the plan is kept and carried out once.
#[test]
fn planned_destruction() {
    let life = Life::new();
    for name in ["gone", "kept", "forbidden"] {
        life.make(name, |_| ()).unwrap();
        assert_eq!(
            code(life.call(DestroyKey { name: name.into(), delay: "7d".parse().unwrap() })),
            ErrorCode::OperationNotAllowed
        );
        life.disable(name).unwrap();
        let planned = life.call(DestroyKey { name: name.into(), delay: "7d".parse().unwrap() }).unwrap();
        assert_eq!(planned.destroy_at, Some(planned.updated_at + 7 * 24 * HOUR * 1_000_000));
        assert_eq!(planned.state, KeyState::Disabled);
        assert_eq!(
            code(life.call(EnableKey { name: name.into() })),
            ErrorCode::OperationNotAllowed,
            "cancel first"
        );
    }
    life.call(CancelDestroyKey { name: "kept".into() }).unwrap();
    life.update("forbidden", |k| k.deletion_allowed = Some(false)).unwrap();
    life.clock.advance(7 * 24 * HOUR - 1);
    assert_eq!(life.opened.core.run_due().unwrap().destroyed, [""; 0]);
    life.clock.advance(1);
    let (other, _) = life.another();
    assert_eq!(other.run_due().unwrap().destroyed, ["gone"]);
    assert_eq!(life.opened.core.run_due().unwrap(), canis_core::DueReport::default());
    assert_eq!(code(life.call(ShowKey { name: "gone".into(), before_version: 0 })), ErrorCode::KeyDestroyed);
    assert_eq!(life.call(EnableKey { name: "kept".into() }).unwrap().state, KeyState::Active);
    assert_eq!(life.show("forbidden").state, KeyState::Disabled);
}
