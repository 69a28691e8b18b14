//! A real store in a temporary directory, opened; shared by the tests of the core.
#![allow(dead_code)] // each test file uses its own part

use canis_core::clock::{Clock, SystemClock};
use canis_core::crypto::{Provider, providers};
use canis_core::datadir::DataDir;
use canis_core::root::{Credential, NewRoot};
use canis_core::secret::SecretBytes;
use canis_core::{Caller, Core, setup};
use canis_proto::KeyType;
use canis_proto::message::CreateKey;
use canis_proto::root::RotateRoot;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

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

/// A clock that a test moves.
pub(crate) struct TestClock(AtomicI64);

impl TestClock {
    /// A clock that stands at this second since 1970.
    pub(crate) fn at(second: i64) -> Self {
        TestClock(AtomicI64::new(second * 1_000_000))
    }

    pub(crate) fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000_000, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now_micros(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A fresh store.
pub(crate) fn fresh(provider: &'static Provider) -> Opened {
    fresh_at(provider, Arc::new(SystemClock))
}

/// A fresh store at the time of `clock`.
pub(crate) fn fresh_at(provider: &'static Provider, clock: Arc<dyn Clock>) -> Opened {
    let dir = tempfile::tempdir().unwrap();
    let root = NewRoot::Keyfile { key: SecretBytes::copied_from(&KEYFILE) };
    let secret = SecretBytes::copied_from(b"the CA's private key");
    let secrets = [("tls-ca-key", &secret)];
    let created =
        setup::create(&DataDir::new(dir.path()), root, &secrets, provider, Arc::clone(&clock)).unwrap();
    let token = String::from_utf8(created.token.expose().to_vec()).unwrap();
    let core = open_at(dir.path(), provider, clock);
    let caller = core.authenticate(&token).unwrap();
    Opened { dir, core, caller, token }
}

/// Opens and unseals the store in `dir`.
pub(crate) fn open(dir: &std::path::Path, provider: &'static Provider) -> Core {
    open_at(dir, provider, Arc::new(SystemClock))
}

/// The same at the time of `clock`.
pub(crate) fn open_at(dir: &std::path::Path, provider: &'static Provider, clock: Arc<dyn Clock>) -> Core {
    let store = Arc::new(DataDir::new(dir).open_store().unwrap());
    let core = Core::open(store, provider, clock).unwrap();
    core.unseal(&Credential::Keyfile(SecretBytes::copied_from(&KEYFILE))).unwrap();
    core
}

impl Opened {
    /// Makes a key.
    pub(crate) fn create(&self, name: &str, kind: KeyType) {
        let request = CreateKey::new(name, kind);
        self.core.call(&self.caller, request).map(|_| ()).unwrap();
    }
}

/// A root slot that is kept under a new root key by what opens it.
pub(crate) fn kept<'a>(slot: &'a str, kind: &'a str, secret: &'a [u8]) -> RotateRoot<'a> {
    RotateRoot {
        slot: slot.into(),
        kind: kind.into(),
        secret: secret.into(),
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
