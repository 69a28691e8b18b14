//! The contract of the root seam, run for passphrase, key file and SoftHSM2.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_core::clock::SystemClock;
use canis_core::datadir::DataDir;
use canis_core::root::{Credential, NewRoot};
use canis_core::secret::SecretBytes;
use canis_core::{Core, default_provider, setup};
use canis_proto::message::{CreateKey, Decrypt, Encrypt};
use canis_proto::{ErrorCode, KeyType};
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
    let core = open(dir.path());
    assert!(core.is_sealed());
    assert_eq!(core.authenticate(&token).map(|_| ()).unwrap_err().code, ErrorCode::Sealed);
    let before = std::fs::read(dir.path().join("canis.dat")).unwrap();
    let refused = core.unseal(&wrong()).unwrap_err();
    assert_eq!(refused.code, ErrorCode::RootCredentialWrong, "{refused}");
    assert!(core.is_sealed());
    assert_eq!(std::fs::read(dir.path().join("canis.dat")).unwrap(), before, "the store was touched");
    core.unseal(&right()).unwrap();
    let caller = core.authenticate(&token).unwrap();
    let create = CreateKey::new("k", KeyType::Aes256);
    core.call(&caller, create).map(|_| ()).unwrap();
    let context = &b""[..];
    let encrypt =
        Encrypt { name: "k".into(), plaintext: b"x"[..].into(), context: context.into(), version: 0 };
    let ciphertext = core.call(&caller, encrypt).map(|a| a.ciphertext).unwrap();
    drop(core);
    let core = open(dir.path());
    core.unseal(&right()).unwrap();
    let caller = core.authenticate(&token).unwrap();
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
