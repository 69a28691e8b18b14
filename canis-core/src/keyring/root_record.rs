//! The record of a root slot, in the forms that stores have had.

use crate::root::WrapMechanism;
use canis_proto::{Error, ErrorCode, Result};
use wincode::{SchemaRead, SchemaWrite};

/// What a root needs to know besides the credential.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub(crate) enum RootParameters {
    /// Argon2id over a passphrase.
    Passphrase {
        /// Random.
        salt: [u8; 16],
        /// KiB.
        memory: u32,
        /// Passes.
        passes: u32,
    },
    /// A file of 32 random bytes.
    Keyfile,
    /// A key inside a PKCS#11 HSM.
    Hsm {
        /// The token's label.
        token: String,
        /// The key's label.
        key: String,
    },
    /// Shares of a secret.
    Shares {
        /// The id of the split.
        split: [u8; 16],
        /// How many shares open it.
        threshold: u8,
        /// The hash of each share, in the order of their numbers.
        hashes: Vec<[u8; 32]>,
    },
    /// A public X25519 key.
    Recipient {
        /// Its 32 bytes.
        public_key: [u8; 32],
    },
    /// A key inside a PKCS#11 HSM, which wraps what seals the root key.
    Token {
        /// Token and key as a PKCS#11 URI (RFC 7512).
        name: String,
        /// How the key wraps.
        mechanism: WrapMechanism,
    },
    /// A public hybrid key (`ml-kem-768-x25519`).
    HybridRecipient {
        /// Its 1216 bytes.
        public_key: Vec<u8>,
    },
}

impl RootParameters {
    /// The bytes.
    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        wincode::serialize(self)
            .map_err(|e| Error::internal(format!("cannot write the parameters of a root slot: {e}")))
    }
}

/// A root slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RootSlot {
    /// What is needed besides the credential.
    pub(crate) parameters: RootParameters,
    /// The root key wrapped by the root.
    pub(crate) sealed: Vec<u8>,
    /// Commits to the root key, so that no slot can open to another one.
    pub(crate) commitment: [u8; 32],
    /// When it was made, in microseconds since 1970-01-01 UTC; 0 if that was not written down.
    pub(crate) created_at: i64,
}

/// 0 without the time, as slots were written first; 1 with it.
#[derive(SchemaRead, SchemaWrite)]
enum StoredRootSlot {
    V1(RootParameters, Vec<u8>, [u8; 32]),
    V2(RootParameters, Vec<u8>, [u8; 32], i64),
}

impl RootSlot {
    /// The bytes.
    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        let RootSlot { parameters, sealed, commitment, created_at } = self.clone();
        wincode::serialize(&StoredRootSlot::V2(parameters, sealed, commitment, created_at))
            .map_err(|e| Error::internal(format!("cannot write the record of a root slot: {e}")))
    }

    /// Reads all of `bytes`.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        match wincode::deserialize_exact(bytes) {
            Ok(StoredRootSlot::V1(parameters, sealed, commitment)) => {
                Ok(RootSlot { parameters, sealed, commitment, created_at: 0 })
            }
            Ok(StoredRootSlot::V2(parameters, sealed, commitment, created_at)) => {
                Ok(RootSlot { parameters, sealed, commitment, created_at })
            }
            Err(_) => Err(Error::new(
                ErrorCode::StoreFormat,
                "the record of a root slot is of a format this CANIS does not know",
            )),
        }
    }
}

/// Which root key a store has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RootKeyFacts {
    /// Counts root keys, from 1.
    pub(crate) number: u32,
    /// When it was drawn, in microseconds since 1970-01-01 UTC.
    pub(crate) created_at: i64,
    /// What the keys of the store's accumulators are derived with; `None` in a store that has none yet.
    pub(crate) counted: Option<[u8; 16]>,
}

/// 0 without accumulators, as the fact was written first; 1 with them.
#[derive(SchemaRead, SchemaWrite)]
enum StoredRootKey {
    V1(u32, i64),
    V2(u32, i64, [u8; 16]),
}

impl RootKeyFacts {
    /// The bytes.
    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        let stored = match self.counted {
            None => StoredRootKey::V1(self.number, self.created_at),
            Some(salt) => StoredRootKey::V2(self.number, self.created_at, salt),
        };
        wincode::serialize(&stored)
            .map_err(|e| Error::internal(format!("cannot write the record of the root key: {e}")))
    }

    /// Reads all of `bytes`.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        match wincode::deserialize_exact(bytes) {
            Ok(StoredRootKey::V1(number, created_at)) => {
                Ok(RootKeyFacts { number, created_at, counted: None })
            }
            Ok(StoredRootKey::V2(number, created_at, salt)) => {
                Ok(RootKeyFacts { number, created_at, counted: Some(salt) })
            }
            Err(_) => Err(Error::new(
                ErrorCode::StoreFormat,
                "the record of the root key is of a format this CANIS does not know",
            )),
        }
    }
}
