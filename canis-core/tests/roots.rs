//! The contract of the root seam, run for passphrase, key file, shares, recipient and SoftHSM2; and what slots have in common.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_core::clock::SystemClock;
use canis_core::crypto::RUST;
use canis_core::datadir::DataDir;
use canis_core::root::{Credential, NewRoot, Share, Split};
use canis_core::secret::SecretBytes;
use canis_core::{Caller, Core, default_provider, setup};
use canis_proto::message::{CreateKey, Decrypt, Encrypt};
use canis_proto::root::{AddRoot, ListRoots, RemoveRoot, RootSlotInfo, RotateRoot, TestRoot};
use canis_proto::{ErrorCode, KeyType, Result};
use canis_tests::SoftHsm;
use std::path::Path;
use std::sync::Arc;

fn secret(bytes: &[u8]) -> SecretBytes {
    SecretBytes::copied_from(bytes)
}

fn hsm(token: &str, pin: &str) -> NewRoot {
    NewRoot::Hsm {
        module: SoftHsm::MODULE.into(),
        token_label: token.into(),
        key_label: "canis-root".into(),
        pin: secret(pin.as_bytes()),
    }
}

fn hsm_credential(pin: &str) -> Credential {
    Credential::Hsm { module: SoftHsm::MODULE.into(), pin: secret(pin.as_bytes()) }
}

fn create(dir: &Path, root: NewRoot) -> canis_proto::Result<String> {
    let made = setup::create(&DataDir::new(dir), root, &[], default_provider(), Arc::new(SystemClock))?;
    Ok(String::from_utf8(made.token.expose().to_vec()).unwrap())
}

fn open(dir: &Path) -> Core {
    let store = Arc::new(DataDir::new(dir).open_store().unwrap());
    Core::open(store, default_provider(), Arc::new(SystemClock)).unwrap()
}

/// R91, R92: what one root sealed opens again with its credential after a restart, and with no other.
fn contract(root: NewRoot, right: &dyn Fn() -> Credential, wrong: &dyn Fn() -> Credential) {
    let dir = tempfile::tempdir().unwrap();
    let token = create(dir.path(), root).unwrap();
    opens_again(dir.path(), &token, right, wrong);
}

fn opens_again(dir: &Path, token: &str, right: &dyn Fn() -> Credential, wrong: &dyn Fn() -> Credential) {
    let core = open(dir);
    assert!(core.is_sealed());
    assert_eq!(core.authenticate(token).map(|_| ()).unwrap_err().code, ErrorCode::Sealed);
    let before = std::fs::read(dir.join("canis.dat")).unwrap();
    let refused = core.unseal(&wrong()).unwrap_err();
    assert_eq!(refused.code, ErrorCode::RootCredentialWrong, "{refused}");
    assert!(core.is_sealed());
    assert_eq!(std::fs::read(dir.join("canis.dat")).unwrap(), before, "the store was touched");
    core.unseal(&right()).unwrap();
    let caller = core.authenticate(token).unwrap();
    let create = CreateKey::new("k", KeyType::Aes256);
    core.call(&caller, create).map(|_| ()).unwrap();
    let context = &b""[..];
    let encrypt =
        Encrypt { name: "k".into(), plaintext: b"x"[..].into(), context: context.into(), version: 0 };
    let ciphertext = core.call(&caller, encrypt).map(|a| a.ciphertext).unwrap();
    drop(core);
    let core = open(dir);
    core.unseal(&right()).unwrap();
    let caller = core.authenticate(token).unwrap();
    let decrypt = Decrypt { name: "k".into(), ciphertext: ciphertext.into(), context: context.into() };
    assert_eq!(core.call(&caller, decrypt).map(|a| a.plaintext).unwrap(), b"x");
}

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

/// The two halves of an X25519 key, PKCS#8 and SubjectPublicKeyInfo.
fn pair() -> (SecretBytes, Vec<u8>) {
    let private = default_provider().keys.generate(KeyType::X25519).unwrap();
    let spki =
        default_provider().keys.private(KeyType::X25519, private.expose()).unwrap().public_spki().to_vec();
    (private, spki)
}

/// R91: a recipient's slot needs the public key to be made and the private one to open.
#[test]
fn recipient() {
    let dir = tempfile::tempdir().unwrap();
    let (core, token) = with_keyfile(dir.path());
    let ((private, spki), (other, _)) = (pair(), pair());
    let slot = add(&core, AddRoot { public_key: spki.into(), ..fields("recipient") });
    assert!(!slot.map(|slot| slot.opens).unwrap());
    drop(core);
    opens_again(dir.path(), &token, &|| Credential::Recipient(secret(private.expose())), &|| {
        Credential::Recipient(secret(other.expose()))
    });
}

/// R91: any slot opens the store; what is removed opens nothing; the last that opens stays, however many recipients
/// there are.
#[test]
fn any_slot_opens_and_the_last_stays() {
    let dir = tempfile::tempdir().unwrap();
    let (core, token) = with_keyfile(dir.path());
    let one = add(&core, phrase(b"the first passphrase")).map(|slot| slot.slot).unwrap();
    let two = add(&core, phrase(b"the second passphrase")).map(|slot| slot.slot).unwrap();
    add(&core, AddRoot { public_key: pair().1.into(), ..fields("recipient") }).map(|_| ()).unwrap();
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

/// The HSM's tests run in a process of their own, because SoftHSM2 finds its tokens by an environment variable.
fn in_hsm_process(name: &str, test: impl FnOnce()) {
    if std::env::var_os("SOFTHSM2_CONF").is_some() {
        return test();
    }
    let hsm = SoftHsm::new("canis-root");
    hsm.add_token("other");
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child
        .args(["--exact", name, "--nocapture"])
        .env("SOFTHSM2_CONF", hsm.config())
        .env("TOKENS", hsm.tokens());
    let output = canis_tests::run(&mut child, b"").ok();
    assert!(output.text().contains("1 passed"), "{}", output.text());
}

/// R90, R92: the root key wrapped by an AES key inside SoftHSM2.
#[test]
fn softhsm() {
    in_hsm_process("softhsm", || {
        // The wrong PIN is tried once only: a real HSM would lock.
        contract(hsm("canis-root", SoftHsm::PIN), &|| hsm_credential(SoftHsm::PIN), &|| {
            hsm_credential("wrong-pin")
        });
    });
}

/// R90: every way the HSM can be missing is told apart, and nothing is made.
#[test]
fn softhsm_missing() {
    in_hsm_process("softhsm_missing", || {
        let dir = tempfile::tempdir().unwrap();
        let refused = |root| create(dir.path(), root).unwrap_err();
        let no_token = refused(hsm("nowhere", SoftHsm::PIN));
        assert!(
            no_token.code == ErrorCode::RootUnavailable && no_token.message.contains("`nowhere`"),
            "{no_token}"
        );
        let pin = refused(hsm("canis-root", "wrong-pin"));
        assert_eq!(pin.code, ErrorCode::RootCredentialWrong, "{pin}");
        let no_module = refused(NewRoot::Hsm {
            module: "/nonexistent.so".into(),
            token_label: "canis-root".into(),
            key_label: "k".into(),
            pin: secret(b"1234"),
        });
        assert!(
            no_module.code == ErrorCode::RootUnavailable && no_module.message.contains("/nonexistent.so"),
            "{no_module}"
        );
        let no_library = refused(NewRoot::Hsm {
            module: "/bin/true".into(),
            token_label: "canis-root".into(),
            key_label: "k".into(),
            pin: secret(b"1234"),
        });
        assert_eq!(no_library.code, ErrorCode::RootUnavailable, "{no_library}");
        assert!(std::fs::read_dir(dir.path()).unwrap().all(|f| f.unwrap().file_name() == "canis.dat.lock"));
        // The store made, its token gone.
        create(dir.path(), hsm("canis-root", SoftHsm::PIN)).unwrap();
        let tokens = std::path::PathBuf::from(std::env::var_os("TOKENS").unwrap());
        std::fs::rename(&tokens, tokens.with_extension("away")).unwrap();
        std::fs::create_dir(&tokens).unwrap();
        let gone = open(dir.path()).unseal(&hsm_credential(SoftHsm::PIN)).unwrap_err();
        assert!(gone.code == ErrorCode::RootUnavailable && gone.message.contains("`canis-root`"), "{gone}");
    });
}

/// R92: the HSM's key is AES-256, a token object, sensitive and never extractable, and it is made once.
#[test]
fn softhsm_key_attributes() {
    in_hsm_process("softhsm_key_attributes", || {
        for _ in 0..2 {
            let dir = tempfile::tempdir().unwrap();
            create(dir.path(), hsm("canis-root", SoftHsm::PIN)).unwrap();
        }
        let mut tool = std::process::Command::new("pkcs11-tool");
        tool.args([
            "--module",
            SoftHsm::MODULE,
            "--token-label",
            "canis-root",
            "--login",
            "--pin",
            SoftHsm::PIN,
        ]);
        let listed = canis_tests::run(tool.args(["--list-objects", "--type", "secrkey"]), b"").ok().text();
        assert_eq!(listed.matches("Secret Key Object").count(), 1, "{listed}");
        assert!(listed.contains("AES length 32") && listed.contains("canis-root"), "{listed}");
        assert!(listed.contains("sensitive, always sensitive, never extractable"), "{listed}");
    });
}

/// A key that is there already under the label is used only if it is as good as one made by CANIS.
#[test]
fn softhsm_weak_key() {
    in_hsm_process("softhsm_weak_key", || {
        let mut tool = std::process::Command::new("pkcs11-tool");
        tool.args([
            "--module",
            SoftHsm::MODULE,
            "--token-label",
            "canis-root",
            "--login",
            "--pin",
            SoftHsm::PIN,
        ]);
        tool.args(["--keygen", "--key-type", "AES:16", "--label", "canis-root", "--extractable"]);
        canis_tests::run(&mut tool, b"").ok();
        let dir = tempfile::tempdir().unwrap();
        let refused = create(dir.path(), hsm("canis-root", SoftHsm::PIN)).unwrap_err();
        assert!(refused.message.contains("not an AES-256 key"), "{refused}");
    });
}
