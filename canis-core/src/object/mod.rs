//! Objects: what PKCS#11 shows of keys, certificates and data, with attributes; and the operations on them.

use crate::crypto::{PublicKey, post_quantum};
use crate::keyring::ready::ReadyKey;
use crate::keyring::uses::Counter;
use canis_proto::{Error, ErrorCode, Family, Id, KeyType, Result, Usage};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A request as a struct, and its row in the table of operations, which has its name or stands behind `as`.
macro_rules! operation {
    (@row $name:ident) => { OperationId::$name };
    (@row $name:ident $row:ident) => { OperationId::$row };
    ($(#[doc = $doc:literal])+ $name:ident $(<$life:lifetime>)? $(as $row:ident)? => $answer:ty { $($(#[doc = $fdoc:literal])+ $field:ident: $type:ty,)* }) => {
        $(#[doc = $doc])+
        pub struct $name $(<$life>)? { $($(#[doc = $fdoc])+ pub $field: $type,)* }

        impl $(<$life>)? Operation for $name $(<$life>)? {
            const ID: OperationId = operation!(@row $name $($row)?);
            type Answer = $answer;
        }
    };
}

mod computed;
mod defaults;
mod derive;
mod encapsulate;
mod limits;
pub(crate) mod mechanism;
pub(crate) mod mechanism_scheme;
mod named;
mod profile;
mod record;
mod request;
mod scheme;
mod stream;
mod transfer;
mod wrap;

pub(crate) use computed::VALUE_LEN;
pub use derive::{Derivation, DeriveKey, DerivePassword, Derived, LEAST_DERIVED, Prf, Salt};
pub use encapsulate::{DecapsulateKey, EncapsulateKey, EncapsulatedKey};
pub use limits::template_attributes;
pub(crate) use limits::{
    DECAPSULATE_TEMPLATE, DERIVE_TEMPLATE, ENCAPSULATE_TEMPLATE, UNWRAP_TEMPLATE, WRAP_TEMPLATE,
};
pub use named::{
    ConfirmNamed, DecryptNamed, EncryptNamed, EndSession, FindPage, FoundPage, NamedKey, OpenNamed,
    OpenedKey, RecoverNamed, Recovered, SignNamed, Used, VerifyNamed,
};
pub(crate) use profile::{profile, profiles};
pub(crate) use record::{from_record, to_record};
pub use request::{
    ConfirmUse, CreateObject, DestroyObject, FindObjects, GenerateObjects, OpenKey, ReadObject, UpdateObject,
    UseToDecrypt, UseToEncrypt, UseToRecover, UseToSign, UseToVerify,
};
pub use scheme::{CipherScheme, MacScheme, MacWith, PostQuantumUse, SignWith};
pub use stream::{
    CheckMac, CipherPart, CipherRun, CipherUse, Decrypting, Encrypting, FeedMac, FinishCipher, FinishMac,
    MacRun, MacUse, Signing, StartCipher, StartMac, Verifying,
};
pub use transfer::{CopyObject, ExportObject, ImportObject};
pub use wrap::{GcmIv, Inside, UnwrapKey, WrapKey, Wrapped, Wrapping};

/// CKA_CLASS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Class {
    /// CKO_DATA.
    Data = 0,
    /// CKO_CERTIFICATE.
    Certificate = 1,
    /// CKO_PUBLIC_KEY.
    PublicKey = 2,
    /// CKO_PRIVATE_KEY.
    PrivateKey = 3,
    /// CKO_SECRET_KEY.
    SecretKey = 4,
    /// CKO_PROFILE; never stored.
    Profile = 5,
}

impl Class {
    /// The class that a row names.
    pub(crate) fn from_number(number: u8) -> Option<Self> {
        use Class::{Certificate, Data, PrivateKey, PublicKey, SecretKey};
        [Data, Certificate, PublicKey, PrivateKey, SecretKey].into_iter().find(|c| *c as u8 == number)
    }

    /// What a key of this class and type can be used for: the public half encrypts, verifies and wraps, the private
    /// half does the reverse.
    #[must_use]
    pub fn possible_usage(self, kind: KeyType) -> Usage {
        match self {
            Class::SecretKey => kind.possible_usage(),
            Class::PublicKey => kind.possible_usage().intersect(Usage::PUBLIC.with(Usage::RECOVER)),
            Class::PrivateKey => kind.possible_usage().without(Usage::PUBLIC),
            Class::Data | Class::Certificate | Class::Profile => Usage::NONE,
        }
    }

    /// Whether it holds material that must not be seen.
    #[must_use]
    pub fn is_secret(self) -> bool {
        matches!(self, Class::PrivateKey | Class::SecretKey)
    }
}

/// An object as its reader sees it.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its id, CKA_UNIQUE_ID.
    pub id: Id,
    /// Counts changes, from 1.
    pub revision: u64,
    /// The session it lives in; `None` for token objects.
    pub session: Option<u64>,
    /// The key and version it shows; lone public keys, certificates and data show none.
    pub key: Option<(Id, u32)>,
    /// Its attributes.
    pub content: Content,
}

/// Which objects are looked for; what is `None` is not looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// CKA_CLASS.
    pub class: Option<Class>,
    /// CKA_LABEL.
    pub label: Option<&'a [u8]>,
    /// CKA_ID.
    pub id: Option<&'a [u8]>,
    /// CKA_UNIQUE_ID.
    pub unique: Option<Id>,
    /// CKA_KEY_TYPE.
    pub family: Option<Family>,
}

impl Wanted<'_> {
    /// Whether it is one of them.
    pub(crate) fn fits(&self, object: &Object) -> bool {
        let content = &object.content;
        self.class.is_none_or(|class| content.class == class)
            && self.label.is_none_or(|label| content.label == label)
            && self.id.is_none_or(|id| content.id == id)
            && self.unique.is_none_or(|id| object.id == id)
            && self.family.is_none_or(|family| content.family() == Some(family))
    }
}

/// What a search finds.
#[derive(Debug)]
pub struct Found {
    /// The objects.
    pub objects: Vec<Arc<Object>>,
    /// One error for each row that was refused, naming it: one that was changed by other hands hides no others.
    pub refused: Vec<Error>,
}

/// An object's attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// CKA_CLASS; never changes.
    pub class: Class,
    /// CKA_PRIVATE: seen only after login.
    pub private: bool,
    /// CKA_MODIFIABLE.
    pub modifiable: bool,
    /// CKA_COPYABLE.
    pub copyable: bool,
    /// CKA_DESTROYABLE.
    pub destroyable: bool,
    /// CKA_LABEL.
    pub label: Vec<u8>,
    /// CKA_ID.
    pub id: Vec<u8>,
    /// What it says about its key; `None` for certificates and data.
    pub key: Option<KeyFacts>,
    /// Everything else, verbatim, sorted by type.
    pub attributes: Vec<(u64, Vec<u8>)>,
}

/// CKA_TRUSTED; an attribute of certificates, a fact of keys.
const CKA_TRUSTED: u64 = 0x86;

/// The longest generic secret, in bytes.
pub const MAX_SECRET: usize = 4096;

/// CK_UNAVAILABLE_INFORMATION: no PKCS#11 mechanism made the key here.
pub(crate) const NO_MECHANISM: u64 = u64::MAX;

/// The most that an object's attributes may take, in bytes.
const LARGEST: usize = 1 << 20;

impl Content {
    /// The bytes of its attributes that have no fixed length.
    pub(crate) fn size(&self) -> usize {
        let attributes: usize = self.attributes.iter().map(|(_, value)| value.len()).sum();
        let public = self.key.as_ref().map_or(0, |facts| facts.spki.len());
        attributes + self.label.len() + self.id.len() + public
    }

    /// Refuses attributes that are too large to be kept.
    pub(crate) fn check_size(&self) -> Result<()> {
        let size = self.size();
        if size <= LARGEST {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::TooLarge,
            format!("an object's attributes take at most {LARGEST} bytes, not {size}"),
        ))
    }

    /// Whether it says of itself that it is trusted.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        let claimed = |(kind, value): &(u64, Vec<u8>)| *kind == CKA_TRUSTED && value.iter().any(|b| *b != 0);
        self.key.as_ref().is_some_and(|facts| facts.trusted) || self.attributes.iter().any(claimed)
    }

    /// Takes the claim away.
    pub(crate) fn distrust(&mut self) {
        if let Some(facts) = &mut self.key {
            facts.trusted = false;
        }
        for (_, value) in self.attributes.iter_mut().filter(|(kind, _)| *kind == CKA_TRUSTED) {
            value.fill(0);
        }
    }
}

/// What an object says about its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFacts {
    /// CKA_KEY_TYPE and size.
    pub kind: KeyType,
    /// CKA_ENCRYPT, CKA_SIGN and so on.
    pub usage: Usage,
    /// CKA_TRUSTED; only the security officer sets it.
    pub trusted: bool,
    /// CKA_SENSITIVE; can only be switched on.
    pub sensitive: bool,
    /// CKA_ALWAYS_SENSITIVE; computed.
    pub always_sensitive: bool,
    /// CKA_EXTRACTABLE; can only be switched off.
    pub extractable: bool,
    /// CKA_NEVER_EXTRACTABLE; computed.
    pub never_extractable: bool,
    /// CKA_LOCAL; computed.
    pub local: bool,
    /// CKA_ALWAYS_AUTHENTICATE: each use needs the user's PIN anew; of private keys with CKA_PRIVATE only.
    pub always_authenticate: bool,
    /// CKA_WRAP_WITH_TRUSTED; can only be switched on.
    pub wrap_with_trusted: bool,
    /// Made or brought in by an operation of the API, or a copy of such a key. RSA keys of the API do nothing that is
    /// neither hashed nor padded by OAEP.
    pub by_api: bool,
    /// What a KDF has made of a key that is not to be read, or the beginning of a shared secret: that of a longer run of bytes, of which
    /// another key may have more. No key is made of its bytes.
    pub from_kdf: bool,
    /// CKA_KEY_GEN_MECHANISM, or CK_UNAVAILABLE_INFORMATION.
    pub mechanism: u64,
    /// SubjectPublicKeyInfo, DER; empty for secret keys.
    pub spki: Vec<u8>,
}

impl KeyFacts {
    /// The length of its signatures in bytes: the modulus; r ‖ s; 64 for Ed25519; 0 for keys without.
    #[must_use]
    pub fn signature_len(&self) -> usize {
        match self.kind.family() {
            Family::Aes | Family::Des | Family::TripleDes | Family::Generic | Family::Montgomery => 0,
            Family::Rsa => self.kind.bytes(),
            Family::Ec | Family::Edwards => 2 * self.kind.bytes(),
            Family::MlDsa | Family::MlKem | Family::SlhDsa | Family::Hybrid => {
                post_quantum::sizes(self.kind).map_or(0, |sizes| sizes.signature)
            }
        }
    }

    /// The length of what it encapsulates in bytes; `None` for keys that encapsulate nothing.
    #[must_use]
    pub fn ciphertext_len(&self) -> Option<usize> {
        post_quantum::sizes(self.kind).map(|sizes| sizes.ciphertext).filter(|len| *len != 0)
    }

    /// The length of the blocks that it encrypts in bytes: the cipher's, or the modulus; 0 for keys that do not.
    #[must_use]
    pub fn block_len(&self) -> usize {
        match self.kind.family() {
            Family::Rsa => self.kind.bytes(),
            family => family.block(),
        }
    }

    /// Whether the key's value is not to be read.
    pub(crate) fn stays_inside(&self) -> bool {
        self.sensitive || !self.extractable
    }
}

/// A key opened for one kind of use.
pub struct KeyHandle {
    pub(crate) object: Id,
    /// The key and the version of it that the object shows; session objects may have none.
    pub(crate) of: Option<(Id, u32)>,
    pub(crate) facts: KeyFacts,
    pub(crate) usage: Usage,
    /// The mechanism it was opened for, where its use of mechanisms is limited.
    pub(crate) mechanism: u64,
    pub(crate) key: HandleKey,
    pub(crate) since: Since,
    /// Whether a PIN was given for its next use; used up by it.
    pub(crate) confirmed: AtomicBool,
    /// Where its uses are counted; session objects have no key of the store.
    pub(crate) uses: Option<Arc<Counter>>,
}

/// When a key was opened or an object read: on which token, under which generation of the store, and under which logins.
/// As long as it is the same, so is what was seen.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Since {
    pub(crate) token: Id,
    pub(crate) generation: u64,
    pub(crate) epoch: u64,
}

pub(crate) enum HandleKey {
    /// A private or secret key.
    Ready(Arc<ReadyKey>),
    /// A public key.
    Public(Box<dyn PublicKey>),
}

impl KeyHandle {
    /// Whether its next use needs [`ConfirmUse`] first.
    #[must_use]
    pub fn wants_pin(&self) -> bool {
        self.facts.always_authenticate && !self.confirmed.load(Ordering::Acquire)
    }

    /// What the object says about the key.
    #[must_use]
    pub fn facts(&self) -> &KeyFacts {
        &self.facts
    }
}
