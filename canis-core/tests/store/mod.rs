//! A real store in a temporary directory, opened; shared by the tests of the core.
#![allow(dead_code)] // each test file uses its own part

use canis_core::clock::SystemClock;
use canis_core::crypto::{Provider, providers};
use canis_core::datadir::DataDir;
use canis_core::root::{Credential, NewRoot};
use canis_core::secret::SecretBytes;
use canis_core::{Caller, Core, setup};
use canis_proto::KeyType;
use canis_proto::message::CreateKey;
use std::sync::Arc;

/// An unsealed store with a key-file root.
pub(crate) struct Opened {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) core: Core,
    pub(crate) caller: Caller,
    pub(crate) token: String,
}

/// The key file of these stores.
pub(crate) const KEYFILE: [u8; 32] = *b"known key file of thirty-two byt";

pub(crate) fn on_every_provider(test: impl Fn(&Opened)) {
    for provider in providers() {
        println!("provider {}", provider.name);
        test(&fresh(provider));
    }
}

/// A fresh store.
pub(crate) fn fresh(provider: &'static Provider) -> Opened {
    let dir = tempfile::tempdir().unwrap();
    let root = NewRoot::Keyfile { key: SecretBytes::copied_from(&KEYFILE) };
    let secret = SecretBytes::copied_from(b"the CA's private key");
    let secrets = [("tls-ca-key", &secret)];
    let created =
        setup::create(&DataDir::new(dir.path()), root, &secrets, provider, Arc::new(SystemClock)).unwrap();
    let token = String::from_utf8(created.token.expose().to_vec()).unwrap();
    let core = open(dir.path(), provider);
    let caller = core.authenticate(&token).unwrap();
    Opened { dir, core, caller, token }
}

/// Opens and unseals the store in `dir`.
pub(crate) fn open(dir: &std::path::Path, provider: &'static Provider) -> Core {
    let store = Arc::new(DataDir::new(dir).open_store().unwrap());
    let core = Core::open(store, provider, Arc::new(SystemClock)).unwrap();
    core.unseal(&Credential::Keyfile(SecretBytes::copied_from(&KEYFILE))).unwrap();
    core
}

impl Opened {
    /// Makes a key.
    pub(crate) fn create(&self, name: &str, kind: KeyType) {
        let request = CreateKey { name: name.into(), kind, exportable: false, allow_plaintext_backup: false };
        self.core.call(&self.caller, request).map(|_| ()).unwrap();
    }
}
