//! A store with something of each kind in it.

use crate::store::{Opened, fresh};
use canis_core::Caller;
use canis_core::crypto::Provider;
use canis_core::object::{Class, Content, GenerateObjects, KeyFacts};
use canis_core::secret::SecretBytes;
use canis_core::token::{InitUserPin, ListTokens, Login, Role};
use canis_proto::{KeyType, Usage};

pub(crate) const PIN: &[u8] = b"a known PIN of the user";

/// A store with keys made through the API and through PKCS#11, a token and a PIN.
pub(crate) fn filled(provider: &'static Provider) -> Opened {
    let opened = fresh(provider);
    for (name, kind) in
        [("a", KeyType::Aes256), ("b", KeyType::Aes256), ("p", KeyType::EcdsaP256), ("e", KeyType::Ed25519)]
    {
        opened.create(name, kind);
    }
    let core = &opened.core;
    let token = core.call(&Caller::anonymous(), ListTokens).unwrap()[0].id;
    let pin = SecretBytes::copied_from(PIN);
    core.call(&core.owner(token).unwrap(), InitUserPin { pin: (&pin).into() }).unwrap();
    let application = core.application();
    let user = Caller::pkcs11(&application, token);
    core.call(&user, Login { role: Role::User, pin: (&pin).into() }).unwrap();
    core.call(&user, generate()).unwrap();
    opened
}

fn generate() -> GenerateObjects {
    let facts = KeyFacts {
        kind: KeyType::EcdsaP256,
        usage: Usage::SIGN,
        trusted: false,
        sensitive: true,
        always_sensitive: false,
        extractable: false,
        never_extractable: false,
        local: false,
        always_authenticate: false,
        wrap_with_trusted: false,
        by_api: false,
        from_kdf: false,
        mechanism: 0x1040,
        spki: Vec::new(),
    };
    let secret = Content {
        class: Class::PrivateKey,
        private: true,
        modifiable: true,
        copyable: true,
        destroyable: true,
        label: b"signer".to_vec(),
        id: vec![1],
        key: Some(facts.clone()),
        attributes: vec![(0x101, b"a subject".to_vec())],
    };
    let public_facts = KeyFacts { usage: Usage::VERIFY, sensitive: false, extractable: true, ..facts };
    let public =
        Content { class: Class::PublicKey, private: false, key: Some(public_facts), ..secret.clone() };
    GenerateObjects { kind: KeyType::EcdsaP256, len: 0, session: None, secret, public: Some(public) }
}
