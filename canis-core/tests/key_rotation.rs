//! Rotation of keys through the one door: by hand, by schedule, by several processes; with a clock that the test moves.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

mod life;
mod store;

use canis_core::Core;
use canis_proto::message::{ActivateKey, Decrypt, EnableKey, Encrypt, RotateKey, ShowKey};
use canis_proto::{ErrorCode, Interval, KeyType};
use life::{HOUR, Life, code};

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

/// A key of more than a thousand versions is shown by pages.
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
