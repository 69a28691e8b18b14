//! A token on a store without a root, as the PKCS#11 module makes it; shared by the tests of tokens and objects.
#![allow(dead_code)] // each test file uses its own part

use canis_core::clock::Clock;
use canis_core::datadir::DataDir;
use canis_core::object::{
    Class, Content, FindObjects, GenerateObjects, KeyFacts, OpenKey, ReadObject, UpdateObject, Wanted,
};
use canis_core::secret::SecretBytes;
use canis_core::token::{InitToken, InitUserPin, Login, Logout, Role};
use canis_core::{Application, Caller, Core, default_provider};
use canis_proto::{ErrorCode, Id, KeyType, Result, Usage};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// A clock that a test moves.
#[derive(Default)]
pub(crate) struct TestClock(AtomicI64);

impl TestClock {
    pub(crate) fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000_000, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now_micros(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

pub(crate) struct Token {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) core: Core,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) application: Arc<Application>,
    pub(crate) id: Id,
}

pub(crate) const USER: &[u8] = b"user-pin";
pub(crate) const SO: &[u8] = b"so-pin";

pub(crate) fn pin(bytes: &[u8]) -> SecretBytes {
    SecretBytes::copied_from(bytes)
}

impl Token {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = DataDir::new(dir.path()).open_or_create_store().unwrap();
        let clock = Arc::new(TestClock::default());
        let core = Core::open(Arc::new(store), default_provider(), Arc::<TestClock>::clone(&clock)).unwrap();
        let application = core.application();
        let slots = Caller::pkcs11_slots(&application);
        let id = core.call(&slots, InitToken { slot: 0, label: "token", so_pin: pin(SO).into() }).unwrap();
        let token = Token { dir, core, clock, application, id };
        token.login(Role::So, SO).unwrap();
        token.core.call(&token.caller(), InitUserPin { pin: pin(USER).into() }).unwrap();
        token.core.call(&token.caller(), Logout).unwrap();
        token
    }

    pub(crate) fn caller(&self) -> Caller {
        Caller::pkcs11(&self.application, self.id)
    }

    pub(crate) fn login(&self, role: Role, bytes: &[u8]) -> Result<()> {
        self.core.call(&self.caller(), Login { role, pin: pin(bytes).into() })
    }

    pub(crate) fn generate(&self, label: &str, session: Option<u64>) -> Result<(Id, Id)> {
        let secret = content(Class::PrivateKey, label, Usage::SIGN);
        let public = content(Class::PublicKey, label, Usage::VERIFY);
        let request =
            GenerateObjects { kind: KeyType::EcdsaP256, len: 0, session, secret, public: Some(public) };
        self.core.call(&self.caller(), request).map(|(secret, public)| (secret, public.unwrap()))
    }

    pub(crate) fn open(&self, object: Id, usage: Usage) -> Result<Arc<canis_core::object::KeyHandle>> {
        self.core.call(&self.caller(), OpenKey { object, usage, mechanism: 0 })
    }

    pub(crate) fn read(&self, object: Id) -> Result<Arc<canis_core::object::Object>> {
        self.core.call(&self.caller(), ReadObject { object })
    }

    pub(crate) fn find(&self, label: &[u8]) -> usize {
        let request = FindObjects { wanted: Wanted { label: Some(label), ..Wanted::default() } };
        self.core.call(&self.caller(), request).unwrap().objects.len()
    }

    pub(crate) fn change(&self, object: Id, edit: impl FnOnce(&mut Content)) -> Result<()> {
        let old = self.read(object)?;
        let mut content = old.content.clone();
        edit(&mut content);
        self.core.call(&self.caller(), UpdateObject { object, revision: old.revision, content })
    }
}

pub(crate) fn content(class: Class, label: &str, usage: Usage) -> Content {
    let private = class == Class::PrivateKey;
    Content {
        class,
        private,
        modifiable: true,
        copyable: true,
        destroyable: true,
        label: label.into(),
        id: vec![1],
        key: Some(KeyFacts {
            kind: KeyType::EcdsaP256,
            usage,
            trusted: false,
            sensitive: private,
            always_sensitive: false,
            extractable: !private,
            never_extractable: false,
            local: false,
            always_authenticate: false,
            wrap_with_trusted: false,
            by_api: false,
            from_kdf: false,
            mechanism: 0x1040,
            spki: Vec::new(),
        }),
        attributes: Vec::new(),
    }
}

pub(crate) fn code<T>(result: Result<T>) -> ErrorCode {
    result.map(|_| ()).unwrap_err().code
}
