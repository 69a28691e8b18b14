//! A store, a caller and a clock that the test moves; shared by the tests of a key's life.
#![allow(dead_code)] // each test file uses its own part

use crate::store::{Opened, TestClock, fresh_at, open_at};
use canis_core::crypto::default_provider;
use canis_core::{Caller, Core};
use canis_proto::answer::{KeyInfo, Rotated};
use canis_proto::message::{
    CreateKey, Decrypt, DestroyKey, DisableKey, Encrypt, RotateKey, ShowKey, UpdateKey,
};
use canis_proto::{ErrorCode, Interval, KeyType, Result};
use std::sync::Arc;

pub(crate) const HOUR: i64 = 3600;

pub(crate) struct Life {
    pub(crate) opened: Opened,
    pub(crate) clock: Arc<TestClock>,
}

impl Life {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(TestClock::at(1_790_000_000));
        Life { opened: fresh_at(default_provider(), Arc::<TestClock>::clone(&clock)), clock }
    }

    /// Another process on the same store.
    pub(crate) fn another(&self) -> (Core, Caller) {
        let core = open_at(self.opened.dir.path(), default_provider(), Arc::<TestClock>::clone(&self.clock));
        let caller = core.authenticate(&self.opened.token).unwrap();
        (core, caller)
    }

    pub(crate) fn call<R: canis_core::Run>(&self, request: R) -> Result<R::Answer> {
        self.opened.core.call(&self.opened.caller, request)
    }

    pub(crate) fn make(&self, name: &str, edit: impl FnOnce(&mut CreateKey<'_>)) -> Result<KeyInfo> {
        let mut request = CreateKey::new(name, KeyType::Aes256);
        edit(&mut request);
        self.call(request)
    }

    pub(crate) fn update(&self, name: &str, edit: impl FnOnce(&mut UpdateKey<'_>)) -> Result<KeyInfo> {
        let mut request = UpdateKey::new(name);
        edit(&mut request);
        self.call(request)
    }

    pub(crate) fn show(&self, name: &str) -> KeyInfo {
        self.call(ShowKey { name: name.into(), before_version: 0 }).unwrap()
    }

    pub(crate) fn encrypt(&self, name: &str) -> Result<String> {
        let request = Encrypt {
            name: name.into(),
            plaintext: b"plain"[..].into(),
            context: b""[..].into(),
            version: 0,
        };
        self.call(request).map(|answer| answer.ciphertext)
    }

    pub(crate) fn decrypt(&self, name: &str, ciphertext: &str) -> Result<Vec<u8>> {
        let request = Decrypt { name: name.into(), ciphertext: ciphertext.into(), context: b""[..].into() };
        self.call(request).map(|answer| answer.plaintext)
    }

    pub(crate) fn rotate(&self, name: &str) -> Result<Rotated> {
        self.call(RotateKey { name: name.into(), preview: false })
    }

    pub(crate) fn disable(&self, name: &str) -> Result<KeyInfo> {
        self.call(DisableKey { name: name.into() })
    }

    pub(crate) fn destroy(&self, name: &str) -> Result<KeyInfo> {
        self.call(DestroyKey { name: name.into(), delay: Interval::NEVER })
    }

    pub(crate) fn versions(&self, name: &str) -> Vec<u32> {
        self.show(name).versions.iter().map(|v| v.version).collect()
    }
}

pub(crate) fn code<T>(result: Result<T>) -> ErrorCode {
    result.map(|_| ()).unwrap_err().code
}
