//! The bytes of derived keys: what each derivation makes of its bases.

use super::object_export::Leave;
use super::object_unwrap::private;
use super::object_wrap::unfit;
use crate::caller::Caller;
use crate::crypto::{Hash, MAX_AGREED, MAX_DIGEST, Provider, derive};
use crate::keyring::Keyring;
use crate::object::{DERIVE_TEMPLATE, Derivation, KeyHandle, LEAST_DERIVED, MAX_SECRET, Prf, Salt};
use crate::secret::SecretBytes;
use canis_proto::{Error, ErrorCode, Family, Id, Result, Usage};
use std::sync::Arc;
use zeroize::Zeroizing;

/// A base key, opened for derivation.
pub(super) struct Base {
    pub(super) handle: Arc<KeyHandle>,
    /// A secret key's bytes.
    pub(super) value: Option<SecretBytes>,
    /// Whether the token keeps it, and not a session.
    pub(super) on_token: bool,
    /// CKA_DERIVE_TEMPLATE.
    pub(super) template: Option<Vec<u8>>,
}

impl Keyring {
    pub(super) fn open_base(&self, caller: &Caller, object: Id, mechanisms: &[u64]) -> Result<Base> {
        let handle = self.open_key(caller, object, Usage::DERIVE, mechanisms)?;
        let object = self.visible(caller, object)?;
        let value = match handle.facts.kind.is_asymmetric() {
            true => None,
            false => Some(self.material(caller, &object, Leave::Inside)?.1),
        };
        let template = object.content.kept(DERIVE_TEMPLATE).map(<[u8]>::to_vec);
        Ok(Base { handle, value, on_token: object.key.is_some(), template })
    }
}

impl Base {
    pub(super) fn bytes(&self) -> Result<&[u8]> {
        self.value.as_ref().map(SecretBytes::expose).ok_or_else(unfit)
    }

    /// How many of its bytes stand in a derived key that has room for so many: all, unless it may be read. A part,
    /// however long, would be told byte by byte: by its MAC beside that of the whole with one byte altered, as HMAC
    /// fills up with zeros; or as what is unknown in a key that was joined to known bytes. What a KDF made is a part
    /// of what it makes for a greater length.
    fn gives(&self, at_most: usize) -> Result<usize> {
        let (whole, facts) = (self.bytes()?.len(), &self.handle.facts);
        let given = whole.min(at_most);
        if !facts.stays_inside() {
            return Ok(given);
        }
        match (facts.from_kdf, given == whole) {
            (true, _) => Err(part_of_more()),
            (false, true) => Ok(given),
            (false, false) => Err(too_little()),
        }
    }
}

/// What a key is derived from.
pub(super) struct Bases {
    pub(super) provider: &'static Provider,
    pub(super) base: Base,
    /// A second key: the other one of a concatenation, the salt of HKDF.
    pub(super) other: Option<Base>,
    /// Whether the derived key is not to be read.
    pub(super) stays: bool,
}

impl Bases {
    /// The base, and the other one if there is one.
    pub(super) fn all(&self) -> impl Iterator<Item = &Base> {
        [Some(&self.base), self.other.as_ref()].into_iter().flatten()
    }

    pub(super) fn derive(&self, how: &Derivation<'_>, len: Option<usize>) -> Result<SecretBytes> {
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
        let from_inside = self.all().any(|base| base.handle.facts.stays_inside());
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
        // More than any key has would take locked memory for nothing.
        if len > whole || whole > 2 * MAX_SECRET {
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

/// A length that the derivation does not give, or the type does not have.
pub(super) fn unfit_length() -> Error {
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

fn part_of_more() -> Error {
    Error::new(
        ErrorCode::InvalidKeyType,
        "the key was derived by a KDF, which gives the same first bytes for a greater length; no key is made of its \
         bytes, or both together would tell what is in them; derive by a KDF from it, or ask the first one for more",
    )
}
