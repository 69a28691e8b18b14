//! Tokens, PINs and objects, as the PKCS#11 module asks for them, on a store without a root.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_core::clock::Clock;
use canis_core::crypto::SignScheme;
use canis_core::datadir::DataDir;
use canis_core::object::{
    Class, Content, CreateObject, DestroyObject, FindObjects, GenerateObjects, KeyFacts, OpenKey, ReadObject,
    UpdateObject, UseToSign, UseToVerify,
};
use canis_core::secret::SecretBytes;
use canis_core::token::{ChangePin, InitToken, InitUserPin, ListTokens, Login, Logout, MAX_TRIES, Role};
use canis_core::{Application, Caller, Core, default_provider};
use canis_proto::{ErrorCode, Id, KeyType, Result, Usage};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// A clock that a test moves.
#[derive(Default)]
struct TestClock(AtomicI64);

impl TestClock {
    fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000_000, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now_micros(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

struct Token {
    dir: tempfile::TempDir,
    core: Core,
    clock: Arc<TestClock>,
    application: Arc<Application>,
    id: Id,
}

const USER: &[u8] = b"user-pin";
const SO: &[u8] = b"so-pin";

fn pin(bytes: &[u8]) -> SecretBytes {
    SecretBytes::copied_from(bytes)
}

impl Token {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = DataDir::new(dir.path()).open_or_create_store().unwrap();
        let clock = Arc::new(TestClock::default());
        let core = Core::open(Arc::new(store), default_provider(), Arc::<TestClock>::clone(&clock)).unwrap();
        let application = core.application();
        let slots = Caller::pkcs11_slots(&application);
        let id = core.call(&slots, InitToken { slot: 0, label: "token", so_pin: &pin(SO) }).unwrap();
        let token = Token { dir, core, clock, application, id };
        token.login(Role::So, SO).unwrap();
        token.core.call(&token.caller(), InitUserPin { pin: &pin(USER) }).unwrap();
        token.core.call(&token.caller(), Logout).unwrap();
        token
    }

    fn caller(&self) -> Caller {
        Caller::pkcs11(&self.application, self.id)
    }

    fn login(&self, role: Role, bytes: &[u8]) -> Result<()> {
        self.core.call(&self.caller(), Login { role, pin: &pin(bytes) })
    }

    fn generate(&self, label: &str, session: Option<u64>) -> Result<(Id, Id)> {
        let secret = content(Class::PrivateKey, label, Usage::SIGN);
        let public = content(Class::PublicKey, label, Usage::VERIFY);
        let request = GenerateObjects { kind: KeyType::EcdsaP256, session, secret, public: Some(public) };
        self.core.call(&self.caller(), request).map(|(secret, public)| (secret, public.unwrap()))
    }

    fn open(&self, object: Id, usage: Usage) -> Result<Arc<canis_core::object::KeyHandle>> {
        self.core.call(&self.caller(), OpenKey { object, usage })
    }

    fn read(&self, object: Id) -> Result<Arc<canis_core::object::Object>> {
        self.core.call(&self.caller(), ReadObject { object })
    }

    fn find(&self, label: &[u8]) -> usize {
        let request = FindObjects { class: None, label: Some(label), id: None };
        self.core.call(&self.caller(), request).unwrap().len()
    }

    fn change(&self, object: Id, edit: impl FnOnce(&mut Content)) -> Result<()> {
        let old = self.read(object)?;
        let mut content = old.content.clone();
        edit(&mut content);
        self.core.call(&self.caller(), UpdateObject { object, revision: old.revision, content })
    }
}

fn content(class: Class, label: &str, usage: Usage) -> Content {
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
            mechanism: 0x1040,
            spki: Vec::new(),
        }),
        attributes: Vec::new(),
    }
}

fn code<T>(result: Result<T>) -> ErrorCode {
    result.map(|_| ()).unwrap_err().code
}

/// A pair signs and verifies; its public half is seen and used without a login, its private half is not.
#[test]
fn a_pair_signs_for_the_user_only() {
    let token = Token::new();
    assert_eq!(code(token.generate("k", None)), ErrorCode::LoginRequired);
    token.login(Role::User, USER).unwrap();
    assert_eq!(code(token.login(Role::User, USER)), ErrorCode::OperationNotAllowed);
    let (secret, public) = token.generate("k", None).unwrap();
    let key = token.open(secret, Usage::SIGN).unwrap();
    let mut signature = [0; 64];
    let input = &[7; 32];
    let request = UseToSign { key: &key, scheme: SignScheme::Ecdsa, input, out: &mut signature };
    assert_eq!(token.core.call(&token.caller(), request).unwrap(), 64);
    assert!(token.core.is_current(&token.caller(), &key));
    assert_eq!(code(token.open(secret, Usage::DECRYPT)), ErrorCode::OperationNotAllowed);
    let facts = token.read(secret).unwrap().content.key.clone().unwrap();
    assert!(facts.local && facts.always_sensitive && facts.never_extractable);

    token.core.call(&token.caller(), Logout).unwrap();
    assert!(!token.core.is_current(&token.caller(), &key), "a key opened before the logout is not current");
    assert_eq!(code(token.open(secret, Usage::SIGN)), ErrorCode::ObjectNotFound);
    assert_eq!(token.find(b"k"), 1);
    let key = token.open(public, Usage::VERIFY).unwrap();
    let verify = |signature: &[u8]| {
        let request = UseToVerify { key: &key, scheme: SignScheme::Ecdsa, input, signature };
        token.core.call(&token.caller(), request).unwrap()
    };
    assert!(verify(&signature) && !verify(&[1; 64]));
}

/// One application's login is not another's, though both work on one core.
#[test]
fn applications_do_not_share_logins() {
    let token = Token::new();
    token.login(Role::User, USER).unwrap();
    let (secret, _) = token.generate("k", None).unwrap();
    let (in_session, _) = token.generate("s", Some(1)).unwrap();
    token.open(secret, Usage::SIGN).unwrap();
    token.open(in_session, Usage::SIGN).unwrap();
    let other = Caller::pkcs11(&token.core.application(), token.id);
    for object in [secret, in_session] {
        let opened = token.core.call(&other, OpenKey { object, usage: Usage::SIGN });
        assert_eq!(code(opened), ErrorCode::ObjectNotFound);
    }
    // The security officer uses no keys either.
    let so = token.core.application();
    let so = Caller::pkcs11(&so, token.id);
    token.core.call(&so, Login { role: Role::So, pin: &pin(SO) }).unwrap();
    assert_eq!(
        code(token.core.call(&so, OpenKey { object: secret, usage: Usage::SIGN })),
        ErrorCode::ObjectNotFound
    );
    // The token stays open for the first one when the other leaves.
    token.core.call(&so, Logout).unwrap();
    token.open(secret, Usage::SIGN).unwrap();
}

/// Session objects end with their session, private ones at logout, and leave no row.
#[test]
fn session_objects_end() {
    let token = Token::new();
    token.login(Role::User, USER).unwrap();
    let (secret, public) = token.generate("s", Some(7)).unwrap();
    assert_eq!(token.find(b"s"), 2);
    token.core.call(&token.caller(), Logout).unwrap();
    assert_eq!((token.find(b"s"), code(token.read(secret))), (1, ErrorCode::ObjectNotFound));
    token.application.end_session(7);
    assert_eq!((token.find(b"s"), code(token.read(public))), (0, ErrorCode::ObjectNotFound));
}

/// PKCS#11 v3.1, section 4.9: what can only go one way goes one way, whoever asks.
#[test]
fn one_way_attributes() {
    let token = Token::new();
    token.login(Role::User, USER).unwrap();
    let (secret, _) = token.generate("k", None).unwrap();
    let change = |edit: fn(&mut KeyFacts)| {
        token.change(secret, |content| content.key.as_mut().into_iter().for_each(edit))
    };
    for refused in [
        change(|f| f.sensitive = false),
        change(|f| f.extractable = true),
        change(|f| f.local = false),
        change(|f| f.always_sensitive = false),
        change(|f| f.never_extractable = false),
        change(|f| f.trusted = true),
        change(|f| f.spki = vec![1]),
        change(|f| f.usage = Usage::ENCRYPT),
        token.change(secret, |content| content.private = false),
        token.change(secret, |content| content.class = Class::PublicKey),
    ] {
        assert_eq!(code(refused), ErrorCode::AttributeReadOnly);
    }
    // Usage can be taken away; the key's own row follows.
    change(|f| f.usage = Usage::NONE).unwrap();
    assert_eq!(code(token.open(secret, Usage::SIGN)), ErrorCode::OperationNotAllowed);
    let stale = token.read(secret).unwrap();
    token.change(secret, |content| content.label = b"new".to_vec()).unwrap();
    let request = UpdateObject { object: secret, revision: stale.revision, content: stale.content.clone() };
    assert_eq!(code(token.core.call(&token.caller(), request)), ErrorCode::Conflict);
    token.change(secret, |content| content.modifiable = false).unwrap();
    assert_eq!(
        code(token.change(secret, |content| content.label = b"x".to_vec())),
        ErrorCode::AttributeReadOnly
    );
}

/// A public key from outside is checked, is not local, and is trusted by nobody but the security officer.
#[test]
fn public_keys_from_outside() {
    let token = Token::new();
    token.login(Role::User, USER).unwrap();
    let (_, public) = token.generate("k", None).unwrap();
    let good = token.read(public).unwrap().content.clone();
    let create = |edit: fn(&mut KeyFacts)| {
        let mut content = good.clone();
        content.key.as_mut().into_iter().for_each(edit);
        token.core.call(&token.caller(), CreateObject { session: None, content })
    };
    let made = create(|_| ()).unwrap();
    assert!(!token.read(made).unwrap().content.key.as_ref().unwrap().local);
    assert_eq!(code(create(|f| f.spki[40] ^= 1)), ErrorCode::InvalidArgument);
    assert_eq!(code(create(|f| f.trusted = true)), ErrorCode::AttributeReadOnly);
    let mut secret = good.clone();
    secret.class = Class::PrivateKey;
    let refused = token.core.call(&token.caller(), CreateObject { session: None, content: secret });
    assert_eq!(code(refused), ErrorCode::OperationNotSupported);
}

/// A destroyed private half is gone; the public half stays and verifies.
#[test]
fn destroying() {
    let token = Token::new();
    token.login(Role::User, USER).unwrap();
    let (secret, public) = token.generate("k", None).unwrap();
    token.change(secret, |content| content.destroyable = false).unwrap();
    let destroy = |object| token.core.call(&token.caller(), DestroyObject { object });
    assert_eq!(code(destroy(secret)), ErrorCode::OperationNotAllowed);
    token.change(secret, |content| content.destroyable = true).unwrap();
    destroy(secret).unwrap();
    assert_eq!(code(destroy(secret)), ErrorCode::ObjectNotFound);
    assert_eq!(code(token.open(secret, Usage::SIGN)), ErrorCode::ObjectNotFound);
    token.open(public, Usage::VERIFY).unwrap();
    // Its name is free.
    token.generate("k", None).unwrap();
}

/// R93: ten wrong PINs lock it, waiting between the later ones; the security officer unlocks; each PIN counts alone.
#[test]
fn wrong_pins_wait_and_lock() {
    let token = Token::new();
    let state = || token.core.call(&token.caller(), ListTokens).unwrap()[0].clone();
    for wrong in 1..=MAX_TRIES {
        assert_eq!(code(token.login(Role::User, b"wrong")), ErrorCode::PinIncorrect, "try {wrong}");
        assert_eq!(state().user_pin.tries_left, MAX_TRIES - wrong);
        if (5..MAX_TRIES).contains(&wrong) {
            assert_eq!(code(token.login(Role::User, USER)), ErrorCode::PinDelayed, "right, but too early");
            token.clock.advance(3600);
        }
    }
    token.clock.advance(3600);
    assert_eq!(code(token.login(Role::User, USER)), ErrorCode::PinLocked);
    assert_eq!(state().so_pin.tries_left, MAX_TRIES);
    token.login(Role::So, SO).unwrap();
    token.core.call(&token.caller(), InitUserPin { pin: &pin(b"another") }).unwrap();
    token.core.call(&token.caller(), Logout).unwrap();
    assert_eq!(code(token.login(Role::User, USER)), ErrorCode::PinIncorrect);
    token.login(Role::User, b"another").unwrap();
    assert_eq!(state().user_pin.tries_left, MAX_TRIES);
}

/// The counter stands in the store, not in the process.
#[test]
fn tries_are_counted_across_processes() {
    let token = Token::new();
    let other = || {
        let store = DataDir::new(token.dir.path()).open_store().unwrap();
        Core::open(Arc::new(store), default_provider(), Arc::<TestClock>::clone(&token.clock)).unwrap()
    };
    for _ in 0..3 {
        let core = other();
        let caller = Caller::pkcs11(&core.application(), token.id);
        assert_eq!(
            code(core.call(&caller, Login { role: Role::User, pin: &pin(b"wrong") })),
            ErrorCode::PinIncorrect
        );
    }
    assert_eq!(token.core.call(&token.caller(), ListTokens).unwrap()[0].user_pin.tries_left, MAX_TRIES - 3);
}

#[test]
fn pins_change_and_have_lengths() {
    let token = Token::new();
    let change = |old: &[u8], new: &[u8]| {
        let (old, new) = (pin(old), pin(new));
        token.core.call(&token.caller(), ChangePin { role: Role::User, old: &old, new: &new })
    };
    assert_eq!(code(change(USER, b"abc")), ErrorCode::PinInvalid);
    assert_eq!(code(change(USER, &[b'x'; 256])), ErrorCode::PinInvalid);
    assert_eq!(code(change(b"wrong", b"new-pin")), ErrorCode::PinIncorrect);
    change(USER, b"new-pin").unwrap();
    token.login(Role::User, b"new-pin").unwrap();
    token.generate("k", None).unwrap();
}

/// C_InitToken over a token: the SO's PIN, and then nothing of it is left.
#[test]
fn wiping_a_token() {
    let token = Token::new();
    token.login(Role::User, USER).unwrap();
    let (secret, _) = token.generate("k", None).unwrap();
    let init =
        |so: &[u8]| token.core.call(&token.caller(), InitToken { slot: 0, label: "again", so_pin: &pin(so) });
    assert_eq!(code(init(b"wrong")), ErrorCode::PinIncorrect);
    assert_eq!(token.find(b"k"), 2);
    assert_eq!(init(SO).unwrap(), token.id);
    assert_eq!((token.find(b"k"), code(token.read(secret))), (0, ErrorCode::ObjectNotFound));
    assert_eq!(code(token.login(Role::User, USER)), ErrorCode::PinNotInitialized);
    assert_eq!(token.core.call(&token.caller(), ListTokens).unwrap()[0].label, "again");
}

/// Rows that were kept from before a wipe do not open in the token that took its place.
#[test]
fn rows_from_before_a_wipe_stay_closed() {
    let token = Token::new();
    token.login(Role::User, USER).unwrap();
    token.generate("k", None).unwrap();
    let sql = |statement: &str| {
        let store = rusqlite::Connection::open(token.dir.path().join("canis.dat")).unwrap();
        store.execute_batch(statement).unwrap();
    };
    sql("CREATE TABLE kept AS SELECT * FROM objects WHERE private = 1");
    token.core.call(&token.caller(), InitToken { slot: 0, label: "again", so_pin: &pin(SO) }).unwrap();
    token.login(Role::So, SO).unwrap();
    token.core.call(&token.caller(), InitUserPin { pin: &pin(USER) }).unwrap();
    token.core.call(&token.caller(), Logout).unwrap();
    sql("INSERT INTO objects SELECT * FROM kept");
    token.login(Role::User, USER).unwrap();
    let found = token.core.call(&token.caller(), FindObjects { class: None, label: None, id: None });
    assert_eq!(code(found), ErrorCode::StoreTampered);
}

/// Right PINs given at one moment by many processes all open the token, and count against nobody.
#[test]
fn right_pins_at_one_moment() {
    let token = Token::new();
    let threads: Vec<_> = (0..12)
        .map(|_| {
            let store = DataDir::new(token.dir.path()).open_store().unwrap();
            let clock = Arc::<TestClock>::clone(&token.clock);
            let core = Core::open(Arc::new(store), default_provider(), clock).unwrap();
            let caller = Caller::pkcs11(&core.application(), token.id);
            std::thread::spawn(move || core.call(&caller, Login { role: Role::User, pin: &pin(USER) }))
        })
        .collect();
    for thread in threads {
        thread.join().unwrap().unwrap();
    }
    assert_eq!(token.core.call(&token.caller(), ListTokens).unwrap()[0].user_pin.tries_left, MAX_TRIES);
}

/// Putting the clock back does not keep the right PIN out for ever; the counter goes on counting.
#[test]
fn a_clock_that_was_ahead() {
    let token = Token::new();
    token.clock.advance(365 * 24 * 3600);
    for _ in 0..6 {
        assert_eq!(code(token.login(Role::User, b"wrong")), ErrorCode::PinIncorrect);
        token.clock.advance(1025);
    }
    token.clock.advance(-365 * 24 * 3600);
    token.login(Role::User, USER).unwrap();
}

/// The public half is seen by everybody and changed by the user only: its usage counts for the key's own.
#[test]
fn the_public_half_is_changed_by_the_user_only() {
    let token = Token::new();
    token.login(Role::User, USER).unwrap();
    let (_, public) = token.generate("k", None).unwrap();
    let change = |usage| {
        token.change(public, |content| content.key.as_mut().into_iter().for_each(|f| f.usage = usage))
    };
    assert_eq!(code(change(Usage::SIGN)), ErrorCode::AttributeReadOnly);
    change(Usage::NONE).unwrap();
    token.core.call(&token.caller(), Logout).unwrap();
    assert_eq!(code(change(Usage::VERIFY)), ErrorCode::LoginRequired);
}

/// Only the security officer makes a certificate trusted, and trust that no login has authenticated is not shown.
#[test]
fn trusted_certificates() {
    const CKA_TRUSTED: u64 = 0x86;
    let token = Token::new();
    let certificate = |trusted: u8| Content {
        class: Class::Certificate,
        key: None,
        attributes: vec![(0x11, vec![1, 2, 3]), (CKA_TRUSTED, vec![trusted])],
        ..content(Class::PublicKey, "cert", Usage::NONE)
    };
    let create = |trusted| {
        token.core.call(&token.caller(), CreateObject { session: None, content: certificate(trusted) })
    };
    assert_eq!(code(create(1)), ErrorCode::AttributeReadOnly);
    token.login(Role::User, USER).unwrap();
    assert_eq!(code(create(1)), ErrorCode::AttributeReadOnly);
    let plain = create(0).unwrap();
    let trust = |content: &mut Content| content.attributes[1].1 = vec![1];
    assert_eq!(code(token.change(plain, trust)), ErrorCode::AttributeReadOnly);
    token.core.call(&token.caller(), Logout).unwrap();
    token.login(Role::So, SO).unwrap();
    let trusted = create(1).unwrap();
    assert!(token.read(trusted).unwrap().content.is_trusted());
    token.core.call(&token.caller(), Logout).unwrap();
    assert!(!token.read(trusted).unwrap().content.is_trusted(), "nobody is logged in to authenticate it");
}
