//! `object.derive`: a key is made of another one; `object.derive-password`: of a password.

use super::create_key::NewMaterial;
use super::object_export::Leave;
use super::object_keep::{Heritage, NewKey, Origin};
use super::object_unwrap::private;
use super::object_wrap::unfit;
use crate::caller::Caller;
use crate::core::{Resource, Run};
use crate::crypto::{Hash, MAX_AGREED, MAX_DIGEST, Provider, derive};
use crate::keyring::Keyring;
use crate::object::{
    Content, CreateObject, Derivation, DeriveKey, DerivePassword, Derived, KeyFacts, KeyHandle,
    LEAST_DERIVED, MAX_SECRET, OpenKey, Prf, Salt,
};
use crate::secret::SecretBytes;
use canis_proto::{Capability, Error, ErrorCode, Family, Id, KeyType, Result, Usage};
use std::sync::Arc;
use zeroize::Zeroizing;

/// CKA_VALUE, of a data object.
const CKA_VALUE: u64 = 0x11;

/// The most iterations of PBKDF2; more would stop its host for minutes.
const MOST_ITERATIONS: u32 = 10_000_000;

impl Run for DeriveKey<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Object(self.base)
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<Id> {
        caller.require(Capability::Create)?;
        let base = keyring.open_base(caller, self.base)?;
        let other = match self.how {
            Derivation::JoinKey(id) | Derivation::Hkdf { extract: Some(Salt::Key(id)), .. } => {
                Some(keyring.open_base(caller, id)?)
            }
            _ => None,
        };
        let heritage = heritage(&base.handle.facts, other.as_ref().map(|other| &other.handle.facts));
        let stays = self.content.key.as_ref().is_some_and(stays_inside);
        let len = match self.derived {
            Derived::Secret { len, .. } => len,
            Derived::Data { len } => Some(len),
        };
        let from = Bases { provider: keyring.provider, base, other, stays };
        let bytes = from.derive(&self.how, len)?;
        match self.derived {
            Derived::Secret { family, .. } => {
                let content = inherit(self.content, &heritage, &self.how)?;
                let kind = kind_of(family, bytes.len())?;
                let made = NewMaterial::given(keyring.provider, kind, bytes).map_err(|_| unfit_length())?;
                let new = NewKey::new(keyring.provider, &Origin::Derived(heritage), made, content, None)?;
                keyring.keep(caller, self.session, new).map(|(id, _)| id)
            }
            Derived::Data { .. } if heritage.sensitive || !heritage.extractable => Err(weaker()),
            Derived::Data { .. } => {
                let mut content = self.content;
                let at = content.attributes.partition_point(|(kind, _)| *kind < CKA_VALUE);
                content.attributes.insert(at, (CKA_VALUE, bytes.expose().to_vec()));
                CreateObject { session: self.session, content }.run(keyring, caller)
            }
        }
    }
}

/// Whether a key's value is not to be read.
fn stays_inside(facts: &KeyFacts) -> bool {
    facts.sensitive || !facts.extractable
}

/// What the bases hand down.
fn heritage(base: &KeyFacts, other: Option<&KeyFacts>) -> Heritage {
    let of = |facts: &KeyFacts| Heritage {
        sensitive: facts.sensitive,
        extractable: facts.extractable,
        always_sensitive: facts.always_sensitive,
        never_extractable: facts.never_extractable,
        wrap_with_trusted: facts.wrap_with_trusted,
    };
    let (one, Some(two)) = (of(base), other.map(of)) else { return of(base) };
    Heritage {
        sensitive: one.sensitive || two.sensitive,
        extractable: one.extractable && two.extractable,
        always_sensitive: one.always_sensitive && two.always_sensitive,
        never_extractable: one.never_extractable && two.never_extractable,
        wrap_with_trusted: one.wrap_with_trusted || two.wrap_with_trusted,
    }
}

/// A key from a secret key promises no less than that. What two parties agree on is a new secret, no part of a private
/// key: its attributes are the caller's (PKCS#11 3.1, section 6.3.17).
fn inherit(mut content: Content, base: &Heritage, how: &Derivation<'_>) -> Result<Content> {
    let facts = content.key.as_mut().ok_or_else(|| Error::internal("a key object without facts"))?;
    if !matches!(how, Derivation::Agree { .. }) {
        if (base.sensitive && !facts.sensitive) || (!base.extractable && facts.extractable) {
            return Err(weaker());
        }
        facts.wrap_with_trusted |= base.wrap_with_trusted;
    }
    Ok(content)
}

fn weaker() -> Error {
    Error::new(
        ErrorCode::KeySensitive,
        "what is derived from a sensitive or not extractable key is so, too; ask for CKA_SENSITIVE true, CKA_EXTRACTABLE false",
    )
}

fn kind_of(family: Family, len: usize) -> Result<KeyType> {
    match (family, len) {
        (Family::Generic, 1..=MAX_SECRET) => Ok(KeyType::Generic),
        (Family::Aes, 16) => Ok(KeyType::Aes128),
        (Family::Aes, 24) => Ok(KeyType::Aes192),
        (Family::Aes, 32) => Ok(KeyType::Aes256),
        _ => Err(unfit_length()),
    }
}

/// A length that the derivation does not give, or the type does not have.
fn unfit_length() -> Error {
    Error::new(
        ErrorCode::InvalidKeyType,
        "the derivation gives no key of this length, or the type has no such keys",
    )
}

fn too_little() -> Error {
    Error::new(
        ErrorCode::InvalidKeyType,
        format!(
            "a key made of the bytes of one that is not to be read holds all of them, and no key derived from such a \
             one has less than {LEAST_DERIVED} bytes: parts could be found by trying and comparing"
        ),
    )
}

/// A base key, opened for derivation.
struct Base {
    handle: Arc<KeyHandle>,
    /// A secret key's bytes.
    value: Option<SecretBytes>,
}

impl Keyring {
    fn open_base(&self, caller: &Caller, object: Id) -> Result<Base> {
        let handle = OpenKey { object, usage: Usage::DERIVE }.run(self, caller)?;
        if handle.facts.kind.is_asymmetric() {
            return Ok(Base { handle, value: None });
        }
        let object = self.visible(caller, object)?;
        let (_, value) = self.material(caller, &object, Leave::Inside)?;
        Ok(Base { handle, value: Some(value) })
    }
}

impl Base {
    fn bytes(&self) -> Result<&[u8]> {
        self.value.as_ref().map(SecretBytes::expose).ok_or_else(unfit)
    }

    /// How many of its bytes stand in a derived key that has room for so many: all, unless it may be read. A part,
    /// however long, would be told byte by byte: by its MAC beside that of the whole with one byte altered, as HMAC
    /// fills up with zeros; or as what is unknown in a key that was joined to known bytes.
    fn gives(&self, at_most: usize) -> Result<usize> {
        let whole = self.bytes()?.len();
        let given = whole.min(at_most);
        if given == whole || !stays_inside(&self.handle.facts) {
            return Ok(given);
        }
        Err(too_little())
    }
}

/// What a key is derived from.
struct Bases {
    provider: &'static Provider,
    base: Base,
    /// A second key: the other one of a concatenation, the salt of HKDF.
    other: Option<Base>,
    /// Whether the derived key is not to be read.
    stays: bool,
}

impl Bases {
    fn derive(&self, how: &Derivation<'_>, len: Option<usize>) -> Result<SecretBytes> {
        if len == Some(0) || len.is_some_and(|len| len > MAX_SECRET) {
            return Err(unfit_length());
        }
        let derived = match how {
            Derivation::Agree { peer, kdf, shared } => self.agree(peer, *kdf, shared, len)?,
            Derivation::Hkdf { hash, extract, expand } => self.hkdf(*hash, extract.as_ref(), *expand, len)?,
            Derivation::Counter { prf, fields } => self.counter(*prf, fields, len)?,
            Derivation::JoinKey(_) => {
                let other = self.other.as_ref().ok_or_else(|| Error::internal("no second key was opened"))?;
                self.joined(&[Part::Key(&self.base), Part::Key(other)], len)?
            }
            Derivation::JoinData(data) => self.joined(&[Part::Key(&self.base), Part::Data(data)], len)?,
            Derivation::JoinAfter(data) => self.joined(&[Part::Data(data), Part::Key(&self.base)], len)?,
            Derivation::Xor(data) => self.xored(data, len)?,
            Derivation::Extract(bit) => self.extracted(*bit, len)?,
        };
        let mut bases = [Some(&self.base), self.other.as_ref()].into_iter().flatten();
        let from_inside = bases.any(|base| stays_inside(&base.handle.facts));
        if self.stays && from_inside && derived.len() < LEAST_DERIVED {
            return Err(too_little());
        }
        Ok(derived)
    }

    /// ECDH and what follows it. Without a KDF a shorter key is made of the last bytes (PKCS#11 3.1, section 6.3.17).
    fn agree(
        &self,
        peer: &[u8],
        kdf: Option<Hash>,
        shared: &[u8],
        len: Option<usize>,
    ) -> Result<SecretBytes> {
        let mut agreed = Zeroizing::new([0; MAX_AGREED]);
        let whole = private(&self.base.handle)?.agree(peer, &mut *agreed)?;
        let secret = &agreed[..whole];
        match kdf {
            Some(hash) => SecretBytes::filled(len.unwrap_or(hash.len()), |out| {
                derive::x963(self.provider, hash, secret, shared, out)
            }),
            None => {
                let from = whole.checked_sub(len.unwrap_or(whole)).ok_or_else(unfit_length)?;
                Ok(SecretBytes::copied_from(&secret[from..]))
            }
        }
    }

    fn hkdf(
        &self,
        hash: Hash,
        extract: Option<&Salt<'_>>,
        expand: Option<&[u8]>,
        len: Option<usize>,
    ) -> Result<SecretBytes> {
        let base = self.base.bytes()?;
        let mut prk = Zeroizing::new([0; MAX_DIGEST]);
        let pseudorandom = match extract {
            None => base,
            Some(salt) => {
                let salt = match (salt, &self.other) {
                    (Salt::Bytes(bytes), _) => bytes,
                    (Salt::Key(_), Some(key)) => key.bytes()?,
                    (Salt::Key(_), None) => return Err(Error::internal("no salt was opened")),
                };
                let whole = derive::hkdf_extract(self.provider, hash, salt, base, &mut prk)?;
                &prk[..whole]
            }
        };
        match expand {
            Some(info) => SecretBytes::filled(len.unwrap_or(hash.len()), |out| {
                derive::hkdf_expand(self.provider, hash, pseudorandom, info, out)
            }),
            None if extract.is_some() && len.is_none_or(|len| len == hash.len()) => {
                Ok(SecretBytes::copied_from(pseudorandom))
            }
            None => Err(unfit_length()),
        }
    }

    fn counter(&self, prf: Prf, fields: &[derive::Field<'_>], len: Option<usize>) -> Result<SecretBytes> {
        let base = self.base.bytes()?;
        let prf = match prf {
            Prf::Hmac(hash) => self.provider.mac.hmac(hash, base)?,
            Prf::Cmac if self.base.handle.facts.kind.family() == Family::Aes => {
                self.provider.cipher.aes(base)?.cmac()?
            }
            Prf::Cmac => return Err(unfit()),
        };
        SecretBytes::filled(len.unwrap_or(prf.tag_len()), |out| {
            derive::sp_800_108_counter(&*prf, fields, out)
        })
    }

    /// One after the other; a shorter key is made of the first bytes (PKCS#11 3.1, section 6.43).
    fn joined(&self, parts: &[Part<'_>; 2], len: Option<usize>) -> Result<SecretBytes> {
        let whole = parts[0].len()? + parts[1].len()?;
        let len = len.unwrap_or(whole);
        if len > whole {
            return Err(unfit_length());
        }
        let mut left = len;
        for part in parts {
            left -= part.gives(left)?;
        }
        SecretBytes::filled(whole, |out| {
            let (first, second) = out.split_at_mut(parts[0].len()?);
            first.copy_from_slice(parts[0].bytes()?);
            second.copy_from_slice(parts[1].bytes()?);
            Ok(())
        })
        .map(|joined| joined.truncated(len))
    }

    fn xored(&self, data: &[u8], len: Option<usize>) -> Result<SecretBytes> {
        let base = self.base.bytes()?;
        let whole = base.len().min(data.len());
        let len = len.unwrap_or(whole);
        if len > whole || len == 0 {
            return Err(unfit_length());
        }
        self.base.gives(len)?;
        SecretBytes::filled(len, |out| {
            for ((out, base), data) in out.iter_mut().zip(base).zip(data) {
                *out = base ^ data;
            }
            Ok(())
        })
    }

    /// Bits in a row, from bit `bit` on; after the last comes the first (PKCS#11 3.1, section 6.43.7).
    fn extracted(&self, bit: usize, len: Option<usize>) -> Result<SecretBytes> {
        let base = self.base.bytes()?;
        let len = len.ok_or_else(unfit_length)?;
        if len > base.len() || bit >= 8 * base.len() {
            return Err(unfit_length());
        }
        self.base.gives(len)?;
        let (skip, shift) = (bit / 8, bit % 8);
        SecretBytes::filled(len, |out| {
            for (at, out) in out.iter_mut().enumerate() {
                let high = base[(skip + at) % base.len()];
                let low = base[(skip + at + 1) % base.len()];
                *out = (u16::from_be_bytes([high, low]) << shift >> 8) as u8;
            }
            Ok(())
        })
    }
}

/// A part of a concatenation.
enum Part<'a> {
    Key(&'a Base),
    Data(&'a [u8]),
}

impl Part<'_> {
    fn bytes(&self) -> Result<&[u8]> {
        match self {
            Part::Key(base) => base.bytes(),
            Part::Data(data) => Ok(data),
        }
    }

    fn len(&self) -> Result<usize> {
        self.bytes().map(<[u8]>::len)
    }

    /// How many of its bytes stand in the key that has room for so many.
    fn gives(&self, room: usize) -> Result<usize> {
        match self {
            Part::Key(base) => base.gives(room),
            Part::Data(data) => Ok(data.len().min(room)),
        }
    }
}

impl Run for DerivePassword<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Token
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<Id> {
        keyring.require_login(caller, true)?;
        let kind = kind_of(self.family, self.len)?;
        // Every block of the key costs all the iterations.
        let blocks = self.len.div_ceil(self.hash.len()) as u64;
        if u64::from(self.iterations) * blocks > u64::from(MOST_ITERATIONS) {
            return Err(Error::invalid(format!(
                "PBKDF2 runs at most {MOST_ITERATIONS} times here, counted for each {} bytes of the key",
                self.hash.len()
            )));
        }
        let bytes = SecretBytes::filled(self.len, |out| {
            keyring.provider.kdf.pbkdf2(self.hash, self.password, self.salt, self.iterations, out)
        })?;
        let made = NewMaterial::given(keyring.provider, kind, bytes)?;
        let new = NewKey::new(keyring.provider, &Origin::Generated, made, self.content, None)?;
        keyring.keep(caller, self.session, new).map(|(id, _)| id)
    }
}
