//! The contract of the root seam, run for passphrase, key file, shares, recipient and SoftHSM2; and what slots have in common.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

mod root;

use canis_core::crypto::RUST;
use canis_core::root::{Credential, NewRoot, Share, Split};
use canis_core::secret::SecretBytes;
use canis_core::{Caller, Core, default_provider};
use canis_proto::root::{AddRoot, ListRoots, RemoveRoot, RootSlotInfo, RotateRoot, TestRoot};
use canis_proto::{ErrorCode, KeyType, Result};
use root::{contract, create, open, opens_again, secret};
use std::path::Path;

#[test]
fn passphrase() {
    let root = NewRoot::Passphrase { passphrase: secret(b"correct horse battery staple") };
    contract(root, &|| Credential::Passphrase(secret(b"correct horse battery staple")), &|| {
        Credential::Passphrase(secret(b"correct horse battery stapler"))
    });
}

#[test]
fn keyfile() {
    let key = || secret(&[7; 32]);
    contract(NewRoot::Keyfile { key: key() }, &|| Credential::Keyfile(key()), &|| {
        Credential::Keyfile(secret(&[8; 32]))
    });
}

#[test]
fn weak_credentials_and_wrong_kinds_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let short = create(dir.path(), NewRoot::Passphrase { passphrase: secret(b"short") }).unwrap_err();
    assert_eq!(short.code, ErrorCode::InvalidArgument);
    let size = create(dir.path(), NewRoot::Keyfile { key: secret(&[1; 31]) }).unwrap_err();
    assert!(size.message.contains("31") && size.message.contains("32"), "{size}");
    assert!(!dir.path().join("canis.dat").exists());
    create(dir.path(), NewRoot::Keyfile { key: secret(&[1; 32]) }).unwrap();
    let kind = open(dir.path()).unseal(&Credential::Passphrase(secret(b"long enough"))).unwrap_err();
    assert!(kind.message.contains("keyfile"), "{kind}");
    let again = create(dir.path(), NewRoot::Keyfile { key: secret(&[1; 32]) }).unwrap_err();
    assert_eq!(again.code, ErrorCode::StoreExists);
}

/// A slot of the fields, beside a key file's.
fn add(core: &Core, fields: AddRoot<'_>) -> Result<RootSlotInfo> {
    core.call(&core.operator(), fields)
}

fn fields(kind: &str) -> AddRoot<'_> {
    AddRoot {
        kind: kind.into(),
        secret: b""[..].into(),
        public_key: b""[..].into(),
        split: b""[..].into(),
        threshold: 0,
        hashes: b""[..].into(),
        module: "".into(),
        token: "".into(),
        key_label: "".into(),
        mechanism: "".into(),
    }
}

fn phrase(passphrase: &[u8]) -> AddRoot<'_> {
    AddRoot { secret: passphrase.into(), ..fields("passphrase") }
}

fn shares_of(split: &Split) -> AddRoot<'_> {
    AddRoot {
        secret: split.secret.expose().into(),
        split: split.split.0[..].into(),
        threshold: split.threshold.into(),
        hashes: split.hashes.concat().into(),
        ..fields("shares")
    }
}

/// A store under a key file, open, and its token.
fn with_keyfile(dir: &Path) -> (Core, String) {
    let token = create(dir, NewRoot::Keyfile { key: secret(&[7; 32]) }).unwrap();
    let core = open(dir);
    core.unseal(&Credential::Keyfile(secret(&[7; 32]))).unwrap();
    (core, token)
}

fn store_id(core: &Core) -> canis_proto::Id {
    canis_proto::Id::parse(&core.call(&core.operator(), ListRoots).map(|list| list.store).unwrap()).unwrap()
}

fn copies(split: &Split, chosen: &[usize]) -> Vec<Share> {
    let copy = |at: &usize| Share::parse(&RUST, split.shares[*at].to_text(&RUST).expose()).unwrap();
    chosen.iter().map(copy).collect()
}

/// R91: three of five people open the store; two do not, and a share given twice is one.
#[test]
fn shares() {
    let dir = tempfile::tempdir().unwrap();
    let (core, token) = with_keyfile(dir.path());
    let split = Split::deal(default_provider(), store_id(&core), 3, 5).unwrap();
    add(&core, shares_of(&split)).map(|_| ()).unwrap();
    core.call(&core.operator(), RemoveRoot { slot: "keyfile".into() }).map(|_| ()).unwrap();
    drop(core);
    opens_again(dir.path(), &token, &|| Credential::Shares(copies(&split, &[4, 0, 2])), &|| {
        Credential::Shares(copies(&split, &[1, 3, 1]))
    });
    let core = open(dir.path());
    let other = Split::deal(default_provider(), store_id(&core), 3, 5).unwrap();
    let mixed = copies(&split, &[0, 1]).into_iter().chain(copies(&other, &[2])).collect();
    let refused = core.unseal(&Credential::Shares(mixed)).unwrap_err();
    assert!(refused.message.contains("share 3 is of split"), "{refused}");
    let foreign = Split::deal(default_provider(), canis_proto::Id([9; 16]), 3, 5).unwrap();
    let refused = core.unseal(&Credential::Shares(copies(&foreign, &[0, 1, 2]))).unwrap_err();
    assert!(refused.message.contains("share 1 belongs to store"), "{refused}");
    assert!(core.is_sealed());
}

/// The types of a recipient's key.
const RECIPIENTS: [KeyType; 2] = [KeyType::X25519, KeyType::MlKem768X25519];

/// The two halves of a recipient's key, PKCS#8 and SubjectPublicKeyInfo.
fn pair(kind: KeyType) -> (SecretBytes, Vec<u8>) {
    let private = default_provider().keys.generate(kind).unwrap();
    let spki = default_provider().keys.private(kind, private.expose()).unwrap().public_spki().to_vec();
    (private, spki)
}

/// R91: a recipient's slot needs the public key to be made and the private one to open.
#[test]
fn recipient() {
    for (kind, foreign) in RECIPIENTS.into_iter().flat_map(|kind| RECIPIENTS.map(|other| (kind, other))) {
        let dir = tempfile::tempdir().unwrap();
        let (core, token) = with_keyfile(dir.path());
        let ((private, spki), (other, _)) = (pair(kind), pair(foreign));
        let slot = add(&core, AddRoot { public_key: spki.into(), ..fields("recipient") });
        assert!(!slot.map(|slot| slot.opens).unwrap());
        drop(core);
        opens_again(dir.path(), &token, &|| Credential::Recipient(secret(private.expose())), &|| {
            Credential::Recipient(secret(other.expose()))
        });
    }
}

/// A recipient's slot that was brought from another store of his, put under another slot's id, or changed anywhere opens nothing,
/// and who brings the right key hears that it was changed.
#[test]
fn a_recipients_slot_stays_where_it_was_made() {
    for kind in RECIPIENTS {
        let (private, spki) = pair(kind);
        let [one, other] = [(); 2].map(|()| {
            let dir = tempfile::tempdir().unwrap();
            let (core, _) = with_keyfile(dir.path());
            for _ in 0..2 {
                let fields = AddRoot { public_key: spki.clone().into(), ..fields("recipient") };
                add(&core, fields).map(drop).unwrap();
            }
            dir
        });
        let bodies = |dir: &Path| -> Vec<(Vec<u8>, Vec<u8>)> {
            let store = rusqlite::Connection::open(dir.join("canis.dat")).unwrap();
            let mut rows = store.prepare("SELECT id, body FROM root_slots WHERE kind = 'recipient'").unwrap();
            rows.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))
                .unwrap()
                .map(|row| row.unwrap())
                .collect()
        };
        let (own, foreign) = (bodies(one.path()), bodies(other.path()));
        let tries = |body: &[u8]| {
            let store = rusqlite::Connection::open(one.path().join("canis.dat")).unwrap();
            store.execute("DELETE FROM root_slots WHERE id = ?1", [&own[1].0]).unwrap();
            store.execute("UPDATE root_slots SET body = ?2 WHERE id = ?1", (&own[0].0, body)).unwrap();
            let core = open(one.path());
            core.unseal(&Credential::Recipient(secret(private.expose()))).map_err(|error| error.code)
        };
        assert_eq!(tries(&own[0].1), Ok(()));
        assert_eq!(tries(&foreign[0].1), Err(ErrorCode::StoreTampered));
        assert_eq!(tries(&own[1].1), Err(ErrorCode::StoreTampered));
        for at in (0..own[0].1.len()).step_by(29).chain(own[0].1.len() - 120..own[0].1.len()) {
            let mut spoilt = own[0].1.clone();
            spoilt[at] ^= 1;
            assert!(tries(&spoilt).is_err(), "{kind}, byte {at}");
        }
        assert_eq!(tries(&own[0].1), Ok(()));
    }
}

/// R91: a recipient's key of another type, or one that leads to nothing secret, makes no slot.
#[test]
fn keys_that_are_no_recipients() {
    let dir = tempfile::tempdir().unwrap();
    let (core, _) = with_keyfile(dir.path());
    let refused = |spki: Vec<u8>| {
        let slot = add(&core, AddRoot { public_key: spki.into(), ..fields("recipient") });
        let error = slot.map(drop).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidArgument, "{error}");
    };
    refused(pair(KeyType::MlKem768).1);
    refused(pair(KeyType::EcdsaP256).1);
    for (kind, zeros) in
        [(KeyType::X25519, 32), (KeyType::MlKem768X25519, 32), (KeyType::MlKem768X25519, 1216)]
    {
        let mut spki = pair(kind).1;
        let end = spki.len() - zeros;
        spki[end..].fill(0);
        refused(spki);
    }
}

/// R91: any slot opens the store; what is removed opens nothing; the last that opens stays, however many recipients
/// there are.
#[test]
fn any_slot_opens_and_the_last_stays() {
    let dir = tempfile::tempdir().unwrap();
    let (core, token) = with_keyfile(dir.path());
    let one = add(&core, phrase(b"the first passphrase")).map(|slot| slot.slot).unwrap();
    let two = add(&core, phrase(b"the second passphrase")).map(|slot| slot.slot).unwrap();
    add(&core, AddRoot { public_key: pair(KeyType::X25519).1.into(), ..fields("recipient") })
        .map(|_| ())
        .unwrap();
    let remove = |core: &Core, slot: &str| {
        core.call(&core.operator(), RemoveRoot { slot: slot.to_owned().into() }).map(|gone| gone.left)
    };
    for passphrase in [&b"the first passphrase"[..], b"the second passphrase"] {
        let core = open(dir.path());
        core.unseal(&Credential::Passphrase(secret(passphrase))).unwrap();
        core.authenticate(&token).map(|_| ()).unwrap();
    }
    let ambiguous = remove(&core, "passphrase").unwrap_err();
    assert!(ambiguous.message.contains("several root slots"), "{ambiguous}");
    assert_eq!(remove(&core, &one[..8]).unwrap(), 3);
    let core = open(dir.path());
    assert_eq!(
        core.call(&core.operator(), RemoveRoot { slot: two.clone().into() }).map(|_| ()).unwrap_err().code,
        ErrorCode::Sealed,
        "removing needs a credential"
    );
    let gone = core.unseal(&Credential::Passphrase(secret(b"the first passphrase"))).unwrap_err();
    assert_eq!(gone.code, ErrorCode::RootCredentialWrong);
    core.unseal(&Credential::Passphrase(secret(b"the second passphrase"))).unwrap();
    assert_eq!(remove(&core, "keyfile").unwrap(), 2);
    let last = remove(&core, &two).unwrap_err();
    assert!(last.code == ErrorCode::OperationNotAllowed && last.message.contains("is the last"), "{last}");
    assert_eq!(remove(&core, "recipient").unwrap(), 1);
    let none = remove(&core, "keyfile").unwrap_err();
    assert!(none.message.contains("no root slot `keyfile`"), "{none}");
}

/// R91: a slot that is rotated opens with the new credential and not with the old one; keys stay readable.
#[test]
fn a_slot_is_rotated() {
    let dir = tempfile::tempdir().unwrap();
    let (core, token) = with_keyfile(dir.path());
    let before = add(&core, phrase(b"the old passphrase")).map(|slot| slot.slot).unwrap();
    let AddRoot {
        kind,
        secret: phrase,
        public_key,
        split,
        threshold,
        hashes,
        module,
        token: label,
        key_label,
        mechanism,
    } = phrase(b"the new passphrase");
    let rotate = |slot: &str| RotateRoot {
        slot: slot.to_owned().into(),
        kind: kind.clone(),
        secret: phrase.clone(),
        public_key: public_key.clone(),
        split: split.clone(),
        threshold,
        hashes: hashes.clone(),
        module: module.clone(),
        token: label.clone(),
        key_label: key_label.clone(),
        mechanism: mechanism.clone(),
    };
    let other_kind = core.call(&core.operator(), rotate("keyfile")).map(|_| ()).unwrap_err();
    assert!(other_kind.message.contains("is of kind keyfile"), "{other_kind}");
    assert_eq!(core.call(&core.operator(), rotate("passphrase")).map(|slot| slot.slot).unwrap(), before);
    drop(core);
    opens_again(dir.path(), &token, &|| Credential::Passphrase(secret(b"the new passphrase")), &|| {
        Credential::Passphrase(secret(b"the old passphrase"))
    });
}

/// R91: a credential is tried without opening anything, on a sealed store too; strangers and tokens from elsewhere name
/// no library.
#[test]
fn credentials_are_tried() {
    let dir = tempfile::tempdir().unwrap();
    let (core, token) = with_keyfile(dir.path());
    add(&core, phrase(b"the passphrase")).map(|_| ()).unwrap();
    let bearer = core.authenticate(&token).unwrap();
    let foreign =
        TestRoot { slot: None, kind: "hsm".into(), secret: b"1234"[..].into(), module: "/tmp/x.so".into() };
    let refused = core.call(&bearer, foreign).map(|_| ()).unwrap_err();
    assert!(refused.code == ErrorCode::PermissionDenied && refused.message.contains("unix:DIR"), "{refused}");
    let hsm = AddRoot { module: "/tmp/x.so".into(), token: "t".into(), ..fields("hsm") };
    assert_eq!(core.call(&bearer, hsm).map(|_| ()).unwrap_err().code, ErrorCode::PermissionDenied);
    let stranger = core.call(&Caller::anonymous(), ListRoots).map(|_| ()).unwrap_err();
    assert_eq!(stranger.code, ErrorCode::Unauthenticated);
    let sealed = open(dir.path());
    let test = |slot: Option<&str>, secret: &'static [u8]| {
        let slot = slot.map(|slot| slot.to_owned().into());
        let asked = TestRoot { slot, kind: "passphrase".into(), secret: secret.into(), module: "".into() };
        sealed.call(&sealed.operator(), asked).map(|slot| slot.kind)
    };
    assert_eq!(test(None, b"the passphrase").unwrap(), "passphrase");
    assert_eq!(test(Some("passphrase"), b"a passphrase").unwrap_err().code, ErrorCode::RootCredentialWrong);
    assert_eq!(test(Some("keyfile"), b"the passphrase").unwrap_err().code, ErrorCode::InvalidArgument);
    assert!(sealed.is_sealed());
}

/// R91: new roots that could not open are refused before anything is written.
#[test]
fn impossible_roots_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (core, _) = with_keyfile(dir.path());
    let split = Split::deal(default_provider(), store_id(&core), 2, 3).unwrap();
    let rsa = default_provider().keys.generate(KeyType::EcdsaP256).unwrap();
    let ec =
        default_provider().keys.private(KeyType::EcdsaP256, rsa.expose()).unwrap().public_spki().to_vec();
    for asked in [
        phrase(b"short"),
        fields("keyfile"),
        fields("shares"),
        AddRoot { threshold: 4, ..shares_of(&split) },
        AddRoot { threshold: 1, ..shares_of(&split) },
        AddRoot { hashes: vec![0; 33].into(), ..shares_of(&split) },
        AddRoot { split: b"short"[..].into(), ..shares_of(&split) },
        AddRoot { secret: b"short"[..].into(), ..shares_of(&split) },
        fields("recipient"),
        AddRoot { public_key: ec.into(), ..fields("recipient") },
        fields("tpm"),
    ] {
        let kind = asked.kind.clone().into_owned();
        let refused = add(&core, asked).map(|_| ()).unwrap_err();
        assert_eq!(refused.code.blame(), canis_proto::Blame::Caller, "{kind}: {refused}");
    }
    assert_eq!(core.call(&core.operator(), ListRoots).map(|list| list.slots.len()).unwrap(), 1);
}
