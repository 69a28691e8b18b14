//! Many operations in one request, against the real server.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod harness;

use canis_client::Client;
use canis_proto::answer::{BatchAnswer, Decrypted, EntryInfo, KeyInfo, RandomBytes};
use canis_proto::batch::{MAX_BATCH, item, read};
use canis_proto::message::{
    Batch, CreateKey, Decrypt, DeleteEntry, DestroyKey, DisableKey, Encrypt, GetEntry, PutEntry, Random,
    RotateKey, ShowKey, Sign,
};
use canis_proto::value::{Map, Value};
use canis_proto::{Error, ErrorCode, KeyState, KeyType, Result};
use harness::{Deployment, shared};

fn batch(client: &mut Client, operations: Vec<Map<'_>>, atomic: bool) -> Result<BatchAnswer> {
    client.call(&Batch { operations, atomic, preview: false })
}

fn code<T>(result: &Result<T>) -> ErrorCode {
    result.as_ref().err().map(|error: &Error| error.code).unwrap()
}

fn there(client: &mut Client, name: &str) -> Result<KeyInfo> {
    client.call(&ShowKey { name: name.into(), before_version: 0 })
}

fn entry<'a>(id: &'a str, revision: Option<u64>) -> PutEntry<'a> {
    PutEntry {
        id: id.into(),
        name: "".into(),
        public_key: (&b"half"[..]).into(),
        private_key: (&b""[..]).into(),
        generate: None,
        revision,
    }
}

/// R70, R71: the seed's batch: several operations and keys, `key` for `name`, each with its own answer or error in the
/// order of the request; what fails stops nothing.
#[test]
fn each_has_its_own_answer() {
    let shared = shared();
    let mut client = shared.client();
    client.call(&CreateKey::new("batch/key1", KeyType::Aes256)).unwrap();
    let sealed = client.call(&Encrypt::new("batch/key1", &b"one"[..])).unwrap().ciphertext;
    let seed = |op: &'static str, field: &'static str, value: Value<'static>| {
        Map::new().with("op", op).with("key", "batch/key1").with(field, value)
    };
    let decrypt =
        Decrypt { name: "batch/key1".into(), ciphertext: sealed.as_str().into(), context: (&b""[..]).into() };
    let sign = Sign::new("batch/key1", &b"x"[..]);
    let created = CreateKey::new("batch/made", KeyType::Ed25519);
    let operations = vec![
        seed("encrypt", "plaintext", Value::from(&b"two"[..])),
        item(&decrypt),
        item(&sign),
        seed("encrypt", "plaintext", Value::from("text, not bytes")),
        seed("encrypt", "plain", Value::from(&b""[..])),
        Map::new().with("op", "fly"),
        Map::new().with("key", "batch/key1"),
        Map::new().with("op", "batch").with("operations", vec![Value::Map(Map::new())]),
        seed("key.show", "name", Value::from("batch/key1")),
        item(&created),
        seed("decrypt", "ciphertext", Value::from(sealed.clone())),
    ];
    let results = batch(&mut client, operations, false).unwrap().results;
    let codes: Vec<_> = results.iter().map(|result| result.as_ref().err().map(|error| error.code)).collect();
    let invalid = Some(ErrorCode::InvalidArgument);
    assert_eq!(
        codes,
        [
            None,
            None,
            Some(ErrorCode::OperationNotSupported),
            invalid,
            invalid,
            Some(ErrorCode::UnknownOperation),
            invalid,
            invalid,
            invalid,
            None,
            None
        ]
    );
    for at in [1, 10] {
        assert_eq!(read::<Decrypted>(results[at].as_ref().unwrap()).unwrap().plaintext, b"one");
    }
    assert_eq!(read::<KeyInfo>(results[9].as_ref().unwrap()).unwrap().name, "batch/made");
    // Each counts as a use: one encryption before the batch and one in it, two decryptions.
    assert_eq!(there(&mut client, "batch/key1").unwrap().uses, Some(4));
}

/// R72: too many operations are refused, and so are answers that do not fit; memory is bounded by the frame.
#[test]
fn bounded() {
    let shared = shared();
    let mut client = shared.client();
    let random = Random { length: 65536 };
    let too_many = vec![item(&random); MAX_BATCH + 1];
    assert_eq!(code(&batch(&mut client, too_many, false)), ErrorCode::TooLarge);
    assert_eq!(code(&batch(&mut client, Vec::new(), false)), ErrorCode::TooLarge);
    let results = batch(&mut client, vec![item(&random); MAX_BATCH], false).unwrap().results;
    assert_eq!(results.len(), MAX_BATCH);
    let fitted = results.iter().take_while(|result| result.is_ok()).count();
    assert!((235..256).contains(&fitted), "{fitted} answers of 64 KiB in a frame of 16 MiB");
    assert_eq!(read::<RandomBytes>(results[fitted - 1].as_ref().unwrap()).unwrap().bytes.len(), 65536);
    let rest = &results[fitted..];
    assert!(rest.iter().all(|result| code(result) == ErrorCode::TooLarge));
    assert!(rest.iter().all(|result| result.as_ref().err().is_some_and(|e| e.message.contains("not begun"))));
}

/// All or none: what one operation of an atomic batch does the next one sees, and nobody else before the end.
#[test]
fn atomic_batches() {
    let deployment = Deployment::with_keyfile();
    let server = deployment.start();
    let mut client = deployment.client(&server);
    let made = CreateKey::new("a", KeyType::Aes256);
    let (rotate, disable) = (RotateKey { name: "a".into(), preview: false }, DisableKey { name: "a".into() });
    let (first, second) = (entry("e", Some(0)), entry("f", None));
    let all = || vec![item(&made), item(&rotate), item(&rotate), item(&first), item(&disable), item(&second)];

    // The last one fails: nothing was done, and the error says which it was.
    let absent = DeleteEntry { id: "absent".into(), revision: None };
    let failed = batch(&mut client, [all(), vec![item(&absent)]].concat(), true);
    let error = failed.map(|_| ()).unwrap_err();
    assert_eq!(error.code, ErrorCode::EntryNotFound);
    assert!(error.message.contains("operation 6 (kv.delete)") && error.message.contains("nothing was done"));
    assert_eq!(code(&there(&mut client, "a")), ErrorCode::KeyNotFound);
    let no_entry = client.call(&GetEntry { id: "e".into(), private: false });
    assert_eq!(code(&no_entry), ErrorCode::EntryNotFound);

    let results = batch(&mut client, all(), true).unwrap().results;
    assert_eq!(results.len(), 6);
    let key = there(&mut client, "a").unwrap();
    assert_eq!((key.current_version, key.state), (3, KeyState::Disabled));
    let revision = read::<EntryInfo>(results[3].as_ref().unwrap()).unwrap().revision;

    // Destroying and deleting, together with what replaces them under the same names.
    let sealed_before = std::fs::read(deployment.data().join("canis.dat")).unwrap();
    let destroy = DestroyKey { name: "a".into(), delay: Default::default() };
    let again = CreateKey::new("a", KeyType::Ed25519);
    let (delete, new) = (DeleteEntry { id: "e".into(), revision: Some(revision) }, entry("e", Some(0)));
    batch(&mut client, vec![item(&destroy), item(&again), item(&delete), item(&new)], true).unwrap();
    assert_eq!(there(&mut client, "a").unwrap().kind, KeyType::Ed25519);
    assert_ne!(std::fs::read(deployment.data().join("canis.dat")).unwrap(), sealed_before);

    // Two of one name, and what is no change.
    let twice = CreateKey::new("twice", KeyType::Aes256);
    assert_eq!(code(&batch(&mut client, vec![item(&twice), item(&twice)], true)), ErrorCode::KeyExists);
    assert_eq!(code(&there(&mut client, "twice")), ErrorCode::KeyNotFound);
    let look = ShowKey { name: "a".into(), before_version: 0 };
    assert_eq!(code(&batch(&mut client, vec![item(&twice), item(&look)], true)), ErrorCode::InvalidArgument);
    let stale = entry("e", Some(revision));
    assert_eq!(code(&batch(&mut client, vec![item(&twice), item(&stale)], true)), ErrorCode::Conflict);

    // A restart finds the same.
    server.stop();
    let server = deployment.start();
    let mut client = deployment.client(&server);
    assert_eq!(there(&mut client, "a").unwrap().kind, KeyType::Ed25519);
    assert_eq!(code(&there(&mut client, "twice")), ErrorCode::KeyNotFound);
}

/// Batches that change the same key at the same time are one after the other: no rotation is lost.
#[test]
fn atomic_batches_side_by_side() {
    let shared = shared();
    shared.client().call(&CreateKey::new("side/by-side", KeyType::Aes256)).unwrap();
    let rotate = RotateKey { name: "side/by-side".into(), preview: false };
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let mut client = shared.client();
                for _ in 0..5 {
                    batch(&mut client, vec![item(&rotate), item(&rotate)], true).unwrap();
                }
            });
        }
    });
    assert_eq!(there(&mut shared.client(), "side/by-side").unwrap().current_version, 61);
}

/// A preview of an atomic batch answers as the batch would, refusals too, and does nothing.
#[test]
fn a_preview_does_nothing() {
    let shared = shared();
    let mut client = shared.client();
    let created = CreateKey::new("batch/seen", KeyType::Ed25519);
    let rotated = RotateKey { name: "batch/seen".into(), preview: false };
    let mut ask = |operations, atomic| client.call(&Batch { operations, atomic, preview: true });
    let seen = ask(vec![item(&created), item(&rotated)], true).unwrap();
    let answers: Vec<_> = seen.results.into_iter().map(Result::unwrap).collect();
    assert_eq!(read::<KeyInfo>(&answers[0]).unwrap().current_version, 1);
    assert_eq!(code(&ask(vec![item(&created), item(&created)], true)), ErrorCode::KeyExists);
    assert_eq!(code(&ask(vec![item(&created)], false)), ErrorCode::InvalidArgument);
    assert_eq!(code(&there(&mut client, "batch/seen")), ErrorCode::KeyNotFound);
}
