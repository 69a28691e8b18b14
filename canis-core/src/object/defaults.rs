//! What objects are where nobody says otherwise, the same at every door.

use super::{Class, Content, KeyFacts, NO_MECHANISM};
use canis_proto::{KeyType, Usage};

impl Content {
    /// An object with the defaults of its class; CKA_PRIVATE is true for what holds secrets.
    #[must_use]
    pub fn new(class: Class, key: Option<KeyFacts>) -> Self {
        Content {
            class,
            private: class.is_secret(),
            modifiable: true,
            copyable: true,
            destroyable: true,
            label: Vec::new(),
            id: Vec::new(),
            key,
            attributes: Vec::new(),
        }
    }
}

impl KeyFacts {
    /// The defaults of a key: it may do all that its type and class can, but wrap no other keys and make no signatures
    /// that give back what they sign; secrets stay inside.
    #[must_use]
    pub fn new(class: Class, kind: KeyType, spki: Vec<u8>) -> Self {
        let secret = class.is_secret();
        KeyFacts {
            kind,
            usage: class.possible_usage(kind).without(Usage::WRAP.with(Usage::UNWRAP).with(Usage::RECOVER)),
            trusted: false,
            sensitive: secret,
            always_sensitive: false,
            extractable: !secret,
            never_extractable: false,
            local: false,
            always_authenticate: false,
            wrap_with_trusted: false,
            by_api: false,
            from_kdf: false,
            mechanism: NO_MECHANISM,
            spki,
        }
    }
}
