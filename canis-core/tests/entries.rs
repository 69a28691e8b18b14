//! The key-value store through the core's one door, on every provider.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

mod store;

use canis_core::{VerifyStore, default_provider};
use canis_proto::answer::{EntryInfo, EntryList};
use canis_proto::message::{
    CreateKey, Decrypt, DeleteEntry, DisableKey, Encrypt, GetEntry, ListEntries, PublicKey, PutEntry, Sign,
    Verify,
};
use canis_proto::{Error, ErrorCode, KeyType, Result};
use store::{Opened, fresh, on_every_provider, open};

fn put<'a>(id: &'a str, public: &'a [u8], private: &'a [u8]) -> PutEntry<'a> {
    PutEntry {
        id: id.into(),
        name: "name".into(),
        public_key: public.into(),
        private_key: private.into(),
        generate: None,
        revision: None,
    }
}

fn generate(id: &str, kind: KeyType) -> PutEntry<'_> {
    PutEntry { generate: Some(kind), ..put(id, b"", b"") }
}

fn stored(opened: &Opened, request: PutEntry<'_>) -> Result<EntryInfo> {
    opened.core.call(&opened.caller, request)
}

fn halves(opened: &Opened, id: &str) -> (Vec<u8>, Vec<u8>) {
    let entry = opened.core.call(&opened.caller, GetEntry { id: id.into(), private: true }).unwrap();
    (entry.public_key.clone(), entry.private_key.clone().unwrap_or_default())
}

fn list(opened: &Opened, prefix: &str, after: &str, limit: u32) -> EntryList {
    let request = ListEntries { prefix: prefix.into(), after: after.into(), limit };
    opened.core.call(&opened.caller, request).unwrap()
}

fn ids(list: &EntryList) -> Vec<&str> {
    list.entries.iter().map(|entry| entry.id.as_str()).collect()
}

fn delete(opened: &Opened, id: &str, revision: Option<u64>) -> Result<u64> {
    opened.core.call(&opened.caller, DeleteEntry { id: id.into(), revision }).map(|gone| gone.revision)
}

fn code<T>(result: Result<T>) -> ErrorCode {
    result.map(drop).map_err(|error: Error| error.code).unwrap_err()
}

/// R73: any text names an entry; what was put comes back byte by byte.
#[test]
fn whatever_is_put_comes_back() {
    let opened = fresh(default_provider());
    let long = "ü".repeat(512);
    for id in ["a", "with spaces and :/%", "\0\n", "名前", "kv:a", &long] {
        let info = stored(&opened, put(id, b"\xff public", b"\0 private")).unwrap();
        assert_eq!((info.id.as_str(), info.kind, info.has_private), (id, None, true));
        assert_eq!(halves(&opened, id), (b"\xff public".to_vec(), b"\0 private".to_vec()));
        let public = opened.core.call(&opened.caller, GetEntry { id: id.into(), private: false }).unwrap();
        assert_eq!((public.has_private, public.private_key.is_none()), (true, true));
    }
    // Two texts that look alike are two identifiers.
    stored(&opened, put("e\u{301}", b"1", b"")).unwrap();
    assert_eq!(
        code(opened.core.call(&opened.caller, GetEntry { id: "é".into(), private: false })),
        ErrorCode::EntryNotFound
    );
    let too_long = "x".repeat(1025);
    assert_eq!(code(stored(&opened, put(&too_long, b"", b""))), ErrorCode::InvalidName);
    assert_eq!(code(stored(&opened, put("", b"", b""))), ErrorCode::InvalidName);
    let big = vec![0; (64 << 10) + 1];
    assert_eq!(code(stored(&opened, put("a", &big, b""))), ErrorCode::TooLarge);
    assert_eq!(code(stored(&opened, put("a", b"", &big))), ErrorCode::TooLarge);
    let name = "n".repeat(256);
    assert_eq!(
        code(stored(&opened, PutEntry { name: name.into(), ..put("a", b"", b"") })),
        ErrorCode::TooLarge
    );
}

/// R73: lists go by prefix and page in the order of bytes, over more rows than are read at a time.
#[test]
fn lists_by_prefix_and_page() {
    let opened = fresh(default_provider());
    let mut names: Vec<String> = (0..600).map(|n| format!("many/{n:03}")).collect();
    names.extend(["a", "b/1", "b/ä", "b/z", "c"].map(str::to_owned));
    for name in names.iter().rev() {
        stored(&opened, put(name, b"", b"")).unwrap();
    }
    names.sort();
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let page = list(&opened, "", &after, 0);
        assert!(page.entries.len() <= 100);
        all.extend(ids(&page).iter().map(|id| (*id).to_owned()));
        after = all.last().unwrap().clone();
        if !page.more {
            break;
        }
    }
    assert_eq!(all, names);
    let page = list(&opened, "b/", "", 2);
    assert_eq!((ids(&page), page.more), (vec!["b/1", "b/z"], true));
    let page = list(&opened, "b/", "b/z", 2);
    assert_eq!((ids(&page), page.more), (vec!["b/ä"], false));
    assert!(list(&opened, "none", "", 0).entries.is_empty());
}

/// R75: a revision names one state of one entry for ever; of many writers one is first.
#[test]
fn compare_and_swap() {
    let opened = fresh(default_provider());
    let at = |revision, content: &'static [u8]| {
        stored(&opened, PutEntry { revision: Some(revision), ..put("a", content, b"") })
            .map(|info| info.revision)
    };
    assert_eq!(code(at(5, b"x")), ErrorCode::Conflict);
    let first = at(0, b"1").unwrap();
    assert_eq!(code(at(0, b"x")), ErrorCode::Conflict);
    let second = at(first, b"2").unwrap();
    assert!(second > first);
    assert_eq!(code(at(first, b"x")), ErrorCode::Conflict);
    assert_eq!(code(delete(&opened, "a", Some(first))), ErrorCode::Conflict);
    assert_eq!(halves(&opened, "a").0, b"2");
    assert_eq!(delete(&opened, "a", Some(second)).unwrap(), second);
    assert_eq!(code(delete(&opened, "a", None)), ErrorCode::EntryNotFound);
    // Made anew it is another entry: what was read of the old one does not fit it.
    assert!(at(0, b"3").unwrap() > second);
    assert_eq!(code(at(second, b"x")), ErrorCode::Conflict);

    let start = at(stored(&opened, put("a", b"", b"")).unwrap().revision, b"0").unwrap();
    std::thread::scope(|scope| {
        let tries: Vec<_> = (0..8).map(|_| scope.spawn(|| at(start, b"mine").is_ok())).collect();
        let won = tries.into_iter().map(|one| one.join().unwrap()).filter(|won| *won);
        assert_eq!(won.count(), 1);
        // Without a revision nobody loses.
        let puts: Vec<_> =
            (0..8).map(|_| scope.spawn(|| stored(&opened, put("a", b"any", b"")).unwrap())).collect();
        let mut revisions: Vec<u64> = puts.into_iter().map(|one| one.join().unwrap().revision).collect();
        revisions.sort_unstable();
        revisions.dedup();
        assert_eq!(revisions.len(), 8);
    });
}

/// R73, R76: an entry whose halves are a pair is used like a key, and its texts name it.
#[test]
fn pairs_are_used_in_place() {
    on_every_provider(|opened| {
        let (core, caller) = (&opened.core, &opened.caller);
        let info = stored(opened, generate("user/ä 1:2", KeyType::Rsa2048)).unwrap();
        assert_eq!((info.kind, info.has_private), (Some(KeyType::Rsa2048), true));
        let name = "kv:user/ä 1:2";
        let ciphertext = core.call(caller, Encrypt::new(name, &b"hello"[..])).unwrap().ciphertext;
        assert!(ciphertext.starts_with("canis:v1:kv%3Auser/%C3%A4%201%3A2:1:"), "{ciphertext}");
        let decrypt = |name: &str| {
            let context = (&b""[..]).into();
            core.call(
                caller,
                Decrypt { name: name.to_owned().into(), ciphertext: ciphertext.clone().into(), context },
            )
        };
        assert_eq!(decrypt(name).unwrap().plaintext, b"hello");
        let signature = core.call(caller, Sign::new(name, &b"text"[..])).unwrap().signature;
        assert!(core.call(caller, Verify::new(name, &b"text"[..], signature)).unwrap().valid);
        let public = core.call(caller, PublicKey { name: name.into(), version: 0 }).unwrap();
        let (spki_pem, private_pem) = halves(opened, "user/ä 1:2");
        assert_eq!(canis_core::format::public::to_pem(&public.spki).as_bytes(), spki_pem);

        // The same pair brought under another name, as two halves and as either half alone.
        for (id, public, private) in [
            ("both", &spki_pem[..], &private_pem[..]),
            ("private", b"", &private_pem),
            ("public", &spki_pem, b""),
        ] {
            assert_eq!(
                stored(opened, put(id, public, private)).unwrap().kind,
                Some(KeyType::Rsa2048),
                "{id}"
            );
            let sealed = core.call(caller, Encrypt::new(format!("kv:{id}"), &b"x"[..])).unwrap().ciphertext;
            let context = (&b""[..]).into();
            let opens = core.call(
                caller,
                Decrypt { name: format!("kv:{id}").into(), ciphertext: sealed.into(), context },
            );
            match id {
                "public" => assert_eq!(code(opens), ErrorCode::OperationNotAllowed),
                _ => assert_eq!(opens.unwrap().plaintext, b"x"),
            }
        }
        // A text names the entry that made it; another one with the same pair refuses it.
        assert_eq!(code(decrypt("kv:both")), ErrorCode::InvalidArgument);

        // Replaced, the name stands for the new pair at once.
        stored(opened, generate("user/ä 1:2", KeyType::Ed25519)).unwrap();
        assert_eq!(code(decrypt(name)), ErrorCode::OperationNotSupported);
        let signature = core.call(caller, Sign::new(name, &b"text"[..])).unwrap().signature;
        assert!(core.call(caller, Verify::new(name, &b"text"[..], signature)).unwrap().valid);
        delete(opened, "user/ä 1:2", None).unwrap();
        assert_eq!(code(core.call(caller, Sign::new(name, &b"text"[..]))), ErrorCode::EntryNotFound);
    });
}

/// Halves of two pairs are a mistake; bytes are bytes, and no operation takes them for keys.
#[test]
fn halves_that_do_not_fit() {
    let opened = fresh(default_provider());
    for (id, kind) in [("one", KeyType::Ed25519), ("two", KeyType::Ed25519), ("three", KeyType::EcdsaP256)] {
        stored(&opened, generate(id, kind)).unwrap();
    }
    let (one, two) = (halves(&opened, "one"), halves(&opened, "two"));
    for other in [&two, &halves(&opened, "three")] {
        assert_eq!(code(stored(&opened, put("mixed", &one.0, &other.1))), ErrorCode::InvalidArgument);
    }
    assert_eq!(
        code(opened.core.call(&opened.caller, GetEntry { id: "mixed".into(), private: false })),
        ErrorCode::EntryNotFound
    );
    for (public, private) in
        [(&b"x"[..], &one.1[..]), (&one.0, b"x"), (b"x", b"x"), (&one.1, &one.0), (b"", b"")]
    {
        assert_eq!(stored(&opened, put("bytes", public, private)).unwrap().kind, None);
        let used = opened.core.call(&opened.caller, Sign::new("kv:bytes", &b"text"[..]));
        assert_eq!(code(used), ErrorCode::OperationNotSupported);
    }
    let aes = stored(&opened, generate("aes", KeyType::Aes256));
    assert_eq!(code(aes), ErrorCode::InvalidArgument);
    let both = PutEntry { generate: Some(KeyType::Ed25519), ..put("x", b"half", b"") };
    assert_eq!(code(stored(&opened, both)), ErrorCode::InvalidArgument);
}

/// An entry is no key: nothing that changes keys, makes them or lists them takes it for one.
#[test]
fn entries_are_no_keys() {
    let opened = fresh(default_provider());
    stored(&opened, generate("a", KeyType::Ed25519)).unwrap();
    opened.core.call(&opened.caller, Sign::new("kv:a", &b"now it is cached"[..])).unwrap();
    let disabled = opened.core.call(&opened.caller, DisableKey { name: "kv:a".into() });
    assert_eq!(code(disabled), ErrorCode::InvalidName);
    let made = CreateKey::new("kv:a", KeyType::Ed25519);
    assert_eq!(code(opened.core.call(&opened.caller, made)), ErrorCode::InvalidName);
    let keys = canis_proto::message::ListKeys {
        prefix: "".into(),
        after: "".into(),
        limit: 0,
        include_deleted: true,
    };
    assert!(opened.core.call(&opened.caller, keys).unwrap().keys.is_empty());
}

/// R64: neither identifier nor name nor either half is readable in the files, and deleted ones are not there at all.
#[test]
fn nothing_is_readable_at_rest() {
    let opened = fresh(default_provider());
    let marks =
        ["identifier-of-somebody", "name-of-somebody", "public-half-of-somebody", "private-half-of-somebody"];
    let [id, name, public, private] = marks;
    let request = PutEntry { name: name.into(), ..put(id, public.as_bytes(), private.as_bytes()) };
    stored(&opened, request).unwrap();
    let holds = |mark: &[u8]| {
        ["canis.dat", "canis.dat-wal"].iter().any(|file| {
            let bytes = std::fs::read(opened.dir.path().join(file)).unwrap_or_default();
            bytes.windows(mark.len()).any(|window| window == mark)
        })
    };
    assert!(marks.iter().all(|mark| !holds(mark.as_bytes())));

    let sealed = private_column(&opened);
    assert!(holds(&sealed));
    stored(&opened, put(id, b"", b"another")).unwrap();
    assert!(!holds(&sealed), "what was replaced is still in the files");
    let sealed = private_column(&opened);
    delete(&opened, id, None).unwrap();
    assert!(!holds(&sealed), "what was deleted is still in the files");
}

fn private_column(opened: &Opened) -> Vec<u8> {
    sql(opened).query_row("SELECT private_key FROM kv_entries", [], |row| row.get(0)).unwrap()
}

fn sql(opened: &Opened) -> rusqlite::Connection {
    rusqlite::Connection::open(opened.dir.path().join("canis.dat")).unwrap()
}

/// R64, R67: rows that were edited, exchanged or mixed are refused and named; `store.verify` finds them.
#[test]
fn edited_rows_are_refused() {
    let edits = [
        "UPDATE kv_entries SET sealed = (SELECT sealed FROM kv_entries ORDER BY lookup DESC LIMIT 1)",
        "UPDATE kv_entries SET private_key = (SELECT private_key FROM kv_entries ORDER BY lookup DESC LIMIT 1)",
        "UPDATE kv_entries SET private_key = sealed",
        "UPDATE kv_entries SET private_key = x''",
        "UPDATE kv_entries SET revision = revision + 1",
        "UPDATE kv_entries SET lookup = CAST(substr(lookup, 2, 15) || x'00' AS BLOB)",
    ];
    for edit in edits {
        let opened = fresh(default_provider());
        for id in ["a", "b"] {
            stored(&opened, put(id, b"public", b"private")).unwrap();
        }
        assert!(verify(&opened).is_empty());
        sql(&opened).execute_batch(edit).unwrap();
        let refused = verify(&opened);
        assert!(!refused.is_empty() && refused.iter().all(|e| e.message.contains("kv_entries")), "{edit}");
        let read = |id: &str| {
            opened.core.call(&opened.caller, GetEntry { id: id.to_owned().into(), private: true }).map(drop)
        };
        let refusals = ["a", "b"].map(|id| read(id).map_err(|e| e.code));
        let named =
            |r: &Result<(), ErrorCode>| matches!(r, Err(ErrorCode::StoreTampered | ErrorCode::EntryNotFound));
        assert!(refusals.iter().any(named), "{edit}: {refusals:?}");
    }
}

fn verify(opened: &Opened) -> Vec<Error> {
    let owner = opened.core.owner(canis_proto::Id::STORE).unwrap();
    opened.core.call(&owner, VerifyStore).unwrap().refused
}

/// R75: entries are there when the store is opened anew.
#[test]
fn entries_survive_a_restart() {
    let opened = fresh(default_provider());
    stored(&opened, put("a", b"public", b"private")).unwrap();
    let Opened { dir, core, token, .. } = opened;
    drop(core);
    let core = open(dir.path(), default_provider());
    let caller = core.authenticate(&token).unwrap();
    let opened = Opened { dir, core, caller, token };
    assert_eq!(halves(&opened, "a"), (b"public".to_vec(), b"private".to_vec()));
}
