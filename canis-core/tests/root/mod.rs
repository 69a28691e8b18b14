//! What every root is tried with; shared by the tests of roots.

#![allow(dead_code)] // each test file uses its own part

use canis_core::clock::SystemClock;
use canis_core::datadir::DataDir;
use canis_core::root::{Credential, HsmHelper, NewRoot, TokenName};
use canis_core::secret::SecretBytes;
use canis_core::{Core, default_provider, setup};
use canis_proto::message::{CreateKey, Decrypt, Encrypt};
use canis_proto::{ErrorCode, KeyType};
use canis_tests::SoftHsm;
use std::path::Path;
use std::sync::Arc;

pub(crate) fn secret(bytes: &[u8]) -> SecretBytes {
    SecretBytes::copied_from(bytes)
}

/// The program of the workspace that loads an HSM's library.
pub(crate) fn helper() -> HsmHelper {
    HsmHelper::new(canis_tests::binary("canis"))
}

pub(crate) fn hsm(token: &str, pin: &str) -> NewRoot {
    NewRoot::Hsm {
        helper: helper(),
        module: SoftHsm::MODULE.into(),
        name: Box::new(TokenName::labelled(token, "canis-root")),
        mechanism: None,
        pin: secret(pin.as_bytes()),
    }
}

pub(crate) fn hsm_credential(pin: &str) -> Credential {
    Credential::Hsm { helper: helper(), module: SoftHsm::MODULE.into(), pin: secret(pin.as_bytes()) }
}

pub(crate) fn create(dir: &Path, root: NewRoot) -> canis_proto::Result<String> {
    let made = setup::create(&DataDir::new(dir), root, &[], default_provider(), Arc::new(SystemClock))?;
    Ok(String::from_utf8(made.token.expose().to_vec()).unwrap())
}

pub(crate) fn open(dir: &Path) -> Core {
    let store = Arc::new(DataDir::new(dir).open_store().unwrap());
    Core::open(store, default_provider(), Arc::new(SystemClock)).unwrap()
}

/// R91, R92: what one root sealed opens again with its credential after a restart, and with no other.
pub(crate) fn contract(root: NewRoot, right: &dyn Fn() -> Credential, wrong: &dyn Fn() -> Credential) {
    let dir = tempfile::tempdir().unwrap();
    let token = create(dir.path(), root).unwrap();
    opens_again(dir.path(), &token, right, wrong);
}

pub(crate) fn opens_again(
    dir: &Path,
    token: &str,
    right: &dyn Fn() -> Credential,
    wrong: &dyn Fn() -> Credential,
) {
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
