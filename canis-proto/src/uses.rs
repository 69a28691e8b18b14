//! Requests that use keys in further ways: rewrapping, data keys, MACs, derivation; and two that need no key.

use crate::answer::{DataKey, Derived, Digest, MacMade, RandomBytes, Rewrapped, Verified};
use crate::fields::Fields;
use crate::message::{WireRequest, request};
use crate::schema::{Field, FieldKind};
use crate::value::{Map, Value};
use crate::{AgreementKdf, HashName, Operation, OperationId, Result};
use std::borrow::Cow;

/// The most ciphertexts that one `rewrap` takes.
pub const MAX_REWRAP: usize = 1000;

request! {
    /// Encrypts anew, under the current version, what older versions have encrypted. The plaintext is not shown.
    Rewrap => Rewrapped {
        /// The key.
        name: Cow<'a, str>, required, |v| v.as_ref();
        /// The ciphertexts' text forms, at most [`MAX_REWRAP`].
        ciphertexts: Vec<Cow<'a, str>>, texts, |v| Value::Array(v.iter().map(|c| Value::from(c.as_ref())).collect());
        /// The context given to `encrypt`; the same for all.
        context: Cow<'a, [u8]>, default, |v| v.as_ref();
    }
}

request! {
    /// Makes a random key for the caller's own use, encrypted under this key.
    MakeDataKey => DataKey {
        /// The key that encrypts it.
        name: Cow<'a, str>, required, |v| v.as_ref();
        /// Its length in bytes, 16 to 64; 0 means 32.
        length: u32, default, |v| *v;
        /// Bytes that decryption must be given again.
        context: Cow<'a, [u8]>, default, |v| v.as_ref();
        /// Whether the answer holds the key itself, too.
        plaintext: bool, yes, |v| *v;
    }
}

request! {
    /// Computes an HMAC (RFC 2104) with a generic secret's current version.
    Mac => MacMade {
        /// The key.
        name: Cow<'a, str>, required, |v| v.as_ref();
        /// The message.
        message: Cow<'a, [u8]>, required, |v| v.as_ref();
        /// The hash function.
        hash: HashName, choice, |v| v.name();
    }
}

request! {
    /// Checks an HMAC. A wrong one is an answer, not an error.
    VerifyMac => Verified {
        /// The key.
        name: Cow<'a, str>, required, |v| v.as_ref();
        /// The message.
        message: Cow<'a, [u8]>, required, |v| v.as_ref();
        /// The MAC's text form.
        mac: Cow<'a, str>, required, |v| v.as_ref();
        /// The hash function.
        hash: HashName, choice, |v| v.name();
    }
}

request! {
    /// Derives bytes: from a generic secret by HKDF, or from what a key on a curve shares with a peer's.
    Derive => Derived {
        /// The key.
        name: Cow<'a, str>, required, |v| v.as_ref();
        /// The version; 0 means the current one.
        version: u32, default, |v| *v;
        /// The peer's public key (SubjectPublicKeyInfo DER, of the same type); empty for a generic secret.
        peer: Cow<'a, [u8]>, default, |v| v.as_ref();
        /// What is done with the shared secret.
        kdf: AgreementKdf, choice, |v| v.name();
        /// HKDF's hash function.
        hash: HashName, choice, |v| v.name();
        /// HKDF's salt.
        salt: Cow<'a, [u8]>, default, |v| v.as_ref();
        /// HKDF's info: what the bytes are for.
        info: Cow<'a, [u8]>, default, |v| v.as_ref();
        /// How many bytes, 16 to 1024; 0 means 32. A raw shared secret has its own length.
        length: u32, default, |v| *v;
    }
}

/// Asks for random bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Random {
    /// How many, 1 to 65536.
    pub length: u32,
}

impl Operation for Random {
    const ID: OperationId = OperationId::Random;
    type Answer = RandomBytes;
}

impl<'a> WireRequest<'a> for Random {
    const FIELDS: &'static [Field] = &[Field { name: "length", kind: FieldKind::Integer, required: true }];

    fn to_map(&self) -> Map<'_> {
        Map::new().with("length", self.length)
    }

    fn from_fields(fields: &mut Fields<'a>) -> Result<Self> {
        Ok(Random { length: fields.required("length")? })
    }
}

request! {
    /// Hashes data.
    HashData => Digest {
        /// The data.
        data: Cow<'a, [u8]>, required, |v| v.as_ref();
        /// The hash function.
        hash: HashName, choice, |v| v.name();
    }
}
