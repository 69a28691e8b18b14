//! The life of a key through the one door: configuration, states, rotation, schedules; with a clock that the test moves.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

mod store;

use canis_core::crypto::default_provider;
use canis_core::{Caller, Core};
use canis_proto::answer::{KeyInfo, Rotated};
use canis_proto::message::{
    ActivateKey, CancelDestroyKey, CreateKey, Decrypt, DestroyKey, DisableKey, EnableKey, Encrypt, ListKeys,
    PublicKey, RotateKey, ShowKey, Sign, UpdateKey, Verify, WireAnswer,
};
use canis_proto::{ErrorCode, Interval, KeyState, KeyType, Result};
use std::sync::Arc;
use store::{Opened, TestClock, fresh_at, open_at};

const HOUR: i64 = 3600;

struct Life {
    opened: Opened,
    clock: Arc<TestClock>,
}

impl Life {
    fn new() -> Self {
        let clock = Arc::new(TestClock::at(1_790_000_000));
        Life { opened: fresh_at(default_provider(), Arc::<TestClock>::clone(&clock)), clock }
    }

    /// Another process on the same store.
    fn another(&self) -> (Core, Caller) {
        let core = open_at(self.opened.dir.path(), default_provider(), Arc::<TestClock>::clone(&self.clock));
        let caller = core.authenticate(&self.opened.token).unwrap();
        (core, caller)
    }

    fn call<R: canis_core::Run>(&self, request: R) -> Result<R::Answer> {
        self.opened.core.call(&self.opened.caller, request)
    }

    fn make(&self, name: &str, edit: impl FnOnce(&mut CreateKey<'_>)) -> Result<KeyInfo> {
        let mut request = CreateKey::new(name, KeyType::Aes256);
        edit(&mut request);
        self.call(request)
    }

    fn update(&self, name: &str, edit: impl FnOnce(&mut UpdateKey<'_>)) -> Result<KeyInfo> {
        let mut request = UpdateKey::new(name);
        edit(&mut request);
        self.call(request)
    }

    fn show(&self, name: &str) -> KeyInfo {
        self.call(ShowKey { name: name.into(), before_version: 0 }).unwrap()
    }

    fn encrypt(&self, name: &str) -> Result<String> {
        let request = Encrypt {
            name: name.into(),
            plaintext: b"plain"[..].into(),
            context: b""[..].into(),
            version: 0,
        };
        self.call(request).map(|answer| answer.ciphertext)
    }

    fn decrypt(&self, name: &str, ciphertext: &str) -> Result<Vec<u8>> {
        let request = Decrypt { name: name.into(), ciphertext: ciphertext.into(), context: b""[..].into() };
        self.call(request).map(|answer| answer.plaintext)
    }

    fn rotate(&self, name: &str) -> Result<Rotated> {
        self.call(RotateKey { name: name.into(), preview: false })
    }

    fn disable(&self, name: &str) -> Result<KeyInfo> {
        self.call(DisableKey { name: name.into() })
    }

    fn destroy(&self, name: &str) -> Result<KeyInfo> {
        self.call(DestroyKey { name: name.into(), delay: Interval::NEVER })
    }

    fn versions(&self, name: &str) -> Vec<u32> {
        self.show(name).versions.iter().map(|v| v.version).collect()
    }
}

fn code<T>(result: Result<T>) -> ErrorCode {
    result.map(|_| ()).unwrap_err().code
}

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

/// R21, R24, R31–R34: a rotation adds a version, which is used from then on; older ones still decrypt and verify.
#[test]
fn rotation() {
    let life = Life::new();
    for kind in [KeyType::Aes256, KeyType::Rsa2048] {
        let name = kind.name();
        life.make(name, |k| k.kind = kind).unwrap();
        let mut made = vec![life.encrypt(name).unwrap()];
        for version in 2..=4 {
            let preview = life.call(RotateKey { name: name.into(), preview: true }).unwrap();
            assert_eq!((preview.version, life.show(name).current_version), (version, version - 1));
            let done = life.rotate(name).unwrap();
            assert_eq!((done.version, done.retires.len()), (version, 0));
            made.push(life.encrypt(name).unwrap());
        }
        for (version, ciphertext) in (1..).zip(&made) {
            assert!(ciphertext.starts_with(&format!("canis:v1:{name}:{version}:")), "{ciphertext}");
            assert_eq!(life.decrypt(name, ciphertext).unwrap(), b"plain");
        }
        let key = life.show(name);
        let states: Vec<_> = key.versions.iter().map(|v| v.state.as_str()).collect();
        assert_eq!(states, ["rotated", "rotated", "rotated", "active"]);
    }
    life.disable("aes256-gcm").unwrap();
    assert_eq!(code(life.rotate("aes256-gcm")), ErrorCode::OperationNotAllowed);
}

/// R27: as many versions are kept as the key says; a preview tells which go; what they made is `version_retired`.
#[test]
fn retained_versions() {
    let life = Life::new();
    life.make("k", |k| k.retain_versions = 10).unwrap();
    let first = life.encrypt("k").unwrap();
    for version in 2..=12 {
        let preview = life.call(RotateKey { name: "k".into(), preview: true }).unwrap();
        let done = life.rotate("k").unwrap();
        assert_eq!((preview.version, &preview.retires), (version, &done.retires));
        assert_eq!(done.retires, (version > 10).then(|| version - 10).into_iter().collect::<Vec<_>>());
    }
    assert_eq!(life.versions("k"), (3..=12).collect::<Vec<_>>());
    assert_eq!(life.show("k").oldest_version, 3);
    let gone = life.decrypt("k", &first).unwrap_err();
    assert_eq!(gone.code, ErrorCode::VersionRetired);
    assert!(gone.message.contains("version 1"));
    let ahead = first.replacen(":1:", ":13:", 1);
    assert_eq!(code(life.decrypt("k", &ahead)), ErrorCode::VersionNotFound);
    // Fewer: they go at the next rotation, not before, and not at all while the key must not be destroyed.
    life.update("k", |k| (k.retain_versions, k.deletion_allowed) = (Some(2), Some(false))).unwrap();
    assert!(life.rotate("k").unwrap().retires.is_empty());
    life.update("k", |k| k.deletion_allowed = Some(true)).unwrap();
    assert_eq!(life.versions("k").len(), 11);
    assert_eq!(life.rotate("k").unwrap().retires, (3..=12).collect::<Vec<_>>());
    assert_eq!(life.versions("k"), [13, 14]);
}

/// R25, R26, R28: a schedule rotates without a request, once however long it was missed, and not while disabled.
#[test]
fn schedules() {
    let life = Life::new();
    let hourly: Interval = "1h".parse().unwrap();
    assert_eq!(code(life.make("k", |k| k.interval = "59m".parse().unwrap())), ErrorCode::InvalidArgument);
    life.make("k", |k| k.interval = hourly).unwrap();
    let due = || life.opened.core.run_due().unwrap().rotated;
    assert!(due().is_empty());
    life.clock.advance(HOUR - 1);
    assert!(due().is_empty());
    life.clock.advance(1);
    assert_eq!(due(), [("k".to_owned(), 2)]);
    assert!(due().is_empty());
    life.clock.advance(10 * HOUR + 5);
    assert_eq!(due(), [("k".to_owned(), 3)], "ten were missed, one makes up for them");
    assert!(due().is_empty());
    let next = life.show("k").next_rotation_at.unwrap();
    // By hand: the interval is counted from then.
    life.clock.advance(60);
    life.rotate("k").unwrap();
    assert_eq!(life.show("k").next_rotation_at, Some(next + 60_000_000));
    life.disable("k").unwrap();
    life.clock.advance(2 * HOUR);
    assert!(due().is_empty());
    life.call(EnableKey { name: "k".into() }).unwrap();
    assert_eq!(due(), [("k".to_owned(), 5)]);
    life.update("k", |k| k.interval = Some(Interval::NEVER)).unwrap();
    life.clock.advance(2 * HOUR);
    assert!(due().is_empty() && life.show("k").next_rotation_at.is_none());
    // A created key has time until it is activated.
    life.make("later", |k| (k.interval, k.activate) = (hourly, false)).unwrap();
    life.clock.advance(2 * HOUR);
    assert!(due().is_empty());
    life.call(ActivateKey { name: "later".into() }).unwrap();
    assert!(due().is_empty());
    life.clock.advance(HOUR);
    assert_eq!(due(), [("later".to_owned(), 2)]);
}

/// R28: never twice, however many processes look at the same moment.
#[test]
fn schedules_of_several_processes() {
    let life = Life::new();
    for n in 0..20 {
        life.make(&format!("k{n}"), |k| k.interval = "1h".parse().unwrap()).unwrap();
    }
    let others: Vec<_> = (0..4).map(|_| life.another().0).collect();
    for round in 2..=4 {
        life.clock.advance(HOUR);
        let mut rotated: Vec<_> = std::thread::scope(|scope| {
            let look = |core: &'_ Core| core.run_due().unwrap();
            let looking: Vec<_> = others.iter().map(|core| scope.spawn(move || look(core))).collect();
            looking
                .into_iter()
                .flat_map(|thread| {
                    let report = thread.join().unwrap();
                    assert!(report.failed.is_empty(), "{report:?}");
                    report.rotated
                })
                .collect()
        });
        rotated.sort();
        let mut expected: Vec<_> = (0..20).map(|n| (format!("k{n}"), round)).collect();
        expected.sort();
        assert_eq!(rotated, expected);
    }
}

/// R29: fifty rotations at once, by two processes, give fifty consecutive versions; what is encrypted meanwhile decrypts.
#[test]
fn fifty_rotations_at_once() {
    let life = Life::new();
    life.make("k", |_| ()).unwrap();
    let (other, caller) = life.another();
    let (mut versions, ciphertexts) = std::thread::scope(|scope| {
        let rotate = |n: u32| {
            let request = RotateKey { name: "k".into(), preview: false };
            let done = if n.is_multiple_of(2) { life.call(request) } else { other.call(&caller, request) };
            done.unwrap().version
        };
        let rotating: Vec<_> = (0..50).map(|n| scope.spawn(move || rotate(n))).collect();
        let encrypting = scope.spawn(|| (0..200).map(|_| life.encrypt("k").unwrap()).collect::<Vec<_>>());
        let versions: Vec<u32> = rotating.into_iter().map(|thread| thread.join().unwrap()).collect();
        (versions, encrypting.join().unwrap())
    });
    versions.sort_unstable();
    assert_eq!(versions, (2..=51).collect::<Vec<_>>());
    assert_eq!(life.versions("k"), (1..=51).collect::<Vec<_>>());
    for ciphertext in ciphertexts {
        assert_eq!(life.decrypt("k", &ciphertext).unwrap(), b"plain");
    }
}

/// R69: what one process has changed holds for the next request of another.
#[test]
fn changes_are_seen_at_once_by_other_processes() {
    let life = Life::new();
    life.make("k", |k| k.retain_versions = 1).unwrap();
    let ciphertext = life.encrypt("k").unwrap();
    let (other, caller) = life.another();
    let decrypt = || {
        let request =
            Decrypt { name: "k".into(), ciphertext: (&*ciphertext).into(), context: b""[..].into() };
        other.call(&caller, request).map(|_| ())
    };
    decrypt().unwrap();
    life.rotate("k").unwrap();
    assert_eq!(code(decrypt()), ErrorCode::VersionRetired);
    let encrypt = || {
        let request =
            Encrypt { name: "k".into(), plaintext: b"x"[..].into(), context: b""[..].into(), version: 0 };
        other.call(&caller, request).map(|_| ())
    };
    encrypt().unwrap();
    life.disable("k").unwrap();
    assert_eq!(code(encrypt()), ErrorCode::OperationNotAllowed);
    life.destroy("k").unwrap();
    assert_eq!(code(encrypt()), ErrorCode::KeyDestroyed);
}

/// R68: a key of ten thousand versions is shown by pages.
#[test]
fn many_versions_are_shown_by_pages() {
    let life = Life::new();
    life.make("k", |_| ()).unwrap();
    for _ in 0..1100 {
        life.rotate("k").unwrap();
    }
    let page = |before_version| {
        let key = life.call(ShowKey { name: "k".into(), before_version }).unwrap();
        let numbers: Vec<_> = key.versions.iter().map(|v| v.version).collect();
        (numbers.first().copied(), numbers.len())
    };
    assert_eq!((page(0), page(102), page(1)), ((Some(102), 1000), (Some(1), 101), (None, 0)));
}
