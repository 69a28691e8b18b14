//! Keys made of other keys, and of passwords.

use super::Content;
use crate::crypto::Hash;
use crate::crypto::derive::Field;
use canis_proto::{Family, Id, Operation, OperationId};
use std::borrow::Cow;

/// The pseudorandom functions of SP 800-108.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prf {
    /// HMAC by the bytes of the base key.
    Hmac(Hash),
    /// AES-CMAC; the base key is an AES key.
    Cmac,
}

/// How a key is made of a base key.
#[derive(Clone)]
pub enum Derivation<'a> {
    /// CKM_ECDH1_DERIVE, CKM_ECDH1_COFACTOR_DERIVE (the cofactor of every curve here is 1, or part of X25519).
    Agree {
        /// The other side's public key: a point in SEC 1's uncompressed form, or 32 bytes.
        peer: &'a [u8],
        /// The KDF of X9.63 with this hash; `None` takes the shared secret itself, its last bytes if less is wanted.
        kdf: Option<Hash>,
        /// What the KDF takes besides.
        shared: &'a [u8],
    },
    /// CKM_HKDF_DERIVE, CKM_HKDF_DATA (RFC 5869).
    Hkdf {
        /// With which hash.
        hash: Hash,
        /// Extract first, with this salt.
        extract: Option<Salt<'a>>,
        /// Expand then, with this info.
        expand: Option<&'a [u8]>,
    },
    /// CKM_SP800_108_COUNTER_KDF.
    Counter {
        /// The PRF.
        prf: Prf,
        /// What each block is computed over.
        fields: Cow<'a, [Field<'a>]>,
    },
    /// CKM_CONCATENATE_BASE_AND_KEY: base ‖ other key.
    JoinKey(Id),
    /// CKM_CONCATENATE_BASE_AND_DATA: base ‖ data.
    JoinData(&'a [u8]),
    /// CKM_CONCATENATE_DATA_AND_BASE: data ‖ base.
    JoinAfter(&'a [u8]),
    /// CKM_XOR_BASE_AND_DATA, as long as the shorter of the two.
    Xor(&'a [u8]),
    /// CKM_EXTRACT_KEY_FROM_KEY: the bits from this one on, counted from the highest of the first byte, around the end.
    Extract(usize),
}

impl Derivation<'_> {
    /// The key that takes part beside the base.
    pub(crate) fn other_base(&self) -> Option<Id> {
        match self {
            Derivation::JoinKey(id) | Derivation::Hkdf { extract: Some(Salt::Key(id)), .. } => Some(*id),
            _ => None,
        }
    }

    /// Whether the base's own bytes stand in what is derived, so that it is the base under another name.
    pub(crate) fn moves_value(&self) -> bool {
        match self {
            Derivation::JoinKey(_)
            | Derivation::JoinData(_)
            | Derivation::JoinAfter(_)
            | Derivation::Xor(_)
            | Derivation::Extract(_) => true,
            Derivation::Agree { .. } | Derivation::Hkdf { .. } | Derivation::Counter { .. } => false,
        }
    }
}

/// The salt of HKDF.
#[derive(Clone, Copy)]
pub enum Salt<'a> {
    /// These bytes; none stand for a digest of zeros.
    Bytes(&'a [u8]),
    /// The bytes of this key.
    Key(Id),
}

/// What the derived bytes become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Derived {
    /// A secret key.
    Secret {
        /// AES or a generic secret.
        family: Family,
        /// Its length in bytes; `None` takes what the derivation gives by itself.
        len: Option<usize>,
    },
    /// The value of a data object of so many bytes (CKM_HKDF_DATA).
    Data {
        /// How many.
        len: usize,
    },
}

/// The fewest bytes of a key derived from one that is not to be read, 112 bits: fewer could be found by trying all of
/// them, and then the next few.
pub const LEAST_DERIVED: usize = 14;

operation! {
    /// Makes an object of what is derived from an object's key.
    DeriveKey<'a> => Id {
        /// The base key.
        base: Id,
        /// How.
        how: Derivation<'a>,
        /// What it becomes.
        derived: Derived,
        /// The session it lives in; `None` for a token object.
        session: Option<u64>,
        /// Its attributes; what is computed is filled in.
        content: Content,
    }
}
operation! {
    /// Makes a secret key of a password (PBKDF2; RFC 8018, section 5.2).
    DerivePassword<'a> => Id {
        /// The password.
        password: &'a [u8],
        /// The salt.
        salt: &'a [u8],
        /// The hash of the HMAC.
        hash: Hash,
        /// How often it is run.
        iterations: u32,
        /// AES or a generic secret.
        family: Family,
        /// Its length in bytes.
        len: usize,
        /// The session it lives in; `None` for a token object.
        session: Option<u64>,
        /// Its attributes; what is computed is filled in.
        content: Content,
    }
}
