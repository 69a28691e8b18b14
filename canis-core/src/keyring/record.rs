//! The records inside sealed columns: versioned enums in bincode's layout, read to the last byte or not at all.
//!
//! A record is decoded only after it was authenticated. A new shape is a new variant at the end; old ones stay
//! readable for ever, and a file of each released format is kept in the tests.

use canis_proto::{Error, ErrorCode, Result};
use wincode::{SchemaRead, SchemaWrite};

/// A versioned record.
macro_rules! record {
    ($(#[doc = $doc:literal])+ $stored:ident, $v1:ident, $what:literal, { $($(#[doc = $fdoc:literal])+ $field:ident: $type:ty,)+ }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
        pub(crate) struct $v1 { $($(#[doc = $fdoc])+ pub(crate) $field: $type,)+ }

        #[derive(SchemaRead, SchemaWrite)]
        enum $stored { V1($v1) }

        impl $v1 {
            /// The bytes.
            pub(crate) fn encode(&self) -> Result<Vec<u8>> {
                wincode::serialize(&$stored::V1(self.clone()))
                    .map_err(|e| Error::internal(format!("cannot write the record of {}: {e}", $what)))
            }

            /// Reads all of `bytes`.
            pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
                match wincode::deserialize_exact(bytes) {
                    Ok($stored::V1(record)) => Ok(record),
                    Err(_) => Err(Error::new(
                        ErrorCode::StoreFormat,
                        format!("the record of {} is of a format this CANIS does not know", $what),
                    )),
                }
            }
        }
    };
}

pub(crate) use record;

record! {
    /// Facts about the store.
    StoredFacts, StoreFacts, "the store", {
        /// Its id.
        id: [u8; 16],
        /// When it was made, in microseconds since 1970-01-01 UTC.
        created_at: i64,
    }
}

record! {
    /// A tenant.
    StoredTenant, Tenant, "a tenant", {
        /// Its name.
        name: String,
        /// Its slot.
        slot: u32,
        /// 1 root, 2 PIN and root, 3 PIN.
        protection: u8,
        /// The tenant key wrapped under the root key; empty for PIN-protected tenants.
        wrapped_key: Vec<u8>,
        /// Commits to the tenant key.
        commitment: [u8; 32],
        /// When it was made.
        created_at: i64,
    }
}

record! {
    /// A PIN and its counters.
    StoredPin, Pin, "a PIN", {
        /// Argon2id's salt.
        salt: [u8; 16],
        /// Argon2id's memory in KiB.
        memory: u32,
        /// Argon2id's passes.
        passes: u32,
        /// What the PIN opens: the tenant key, or nothing (the seal alone proves the PIN).
        sealed: Vec<u8>,
        /// Wrong tries since the last right one.
        failures: u32,
        /// No try before this time, in microseconds since 1970-01-01 UTC.
        not_before: i64,
    }
}

/// A credential: a bearer token or a client certificate.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub(crate) struct Token {
    /// Which of them.
    pub(crate) kind: CredentialKind,
    /// A name for people.
    pub(crate) name: String,
    /// SHA-256: of a token's secret half, of a certificate's SubjectPublicKeyInfo.
    pub(crate) hash: [u8; 32],
    /// The capabilities' bits.
    pub(crate) capabilities: u16,
    /// When it was made.
    pub(crate) created_at: i64,
    /// When it ends.
    pub(crate) expires_at: Option<i64>,
    /// The names of the policies whose rules hold for it too.
    pub(crate) policies: Vec<String>,
    /// The networks it is good from; from anywhere if there are none.
    pub(crate) networks: Vec<String>,
    /// How many more connections it opens, if that is limited.
    pub(crate) uses_left: Option<u32>,
    /// SHA-256 of the SubjectPublicKeyInfo of the client certificate that must be shown beside it.
    pub(crate) bound_to: Option<[u8; 32]>,
    /// From when it is renewed it lives so long, in microseconds; `None` if it cannot be renewed.
    pub(crate) renewal: Option<i64>,
    /// Who made it, and who made that, and so on: so that it is told from somebody else's. Stands in the fourth shape.
    #[wincode(skip)]
    pub(crate) lineage: Vec<[u8; 16]>,
}

/// What a credential is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub(crate) enum CredentialKind {
    /// A bearer token.
    Bearer,
    /// A client certificate.
    Certificate,
}

/// A bearer token as the first stores have it.
#[derive(SchemaRead, SchemaWrite)]
struct FirstToken {
    hash: [u8; 32],
    capabilities: u16,
    created_at: i64,
    expires_at: Option<i64>,
}

/// A credential before there were policies.
#[derive(SchemaRead, SchemaWrite)]
struct SecondToken {
    kind: CredentialKind,
    name: String,
    hash: [u8; 32],
    capabilities: u16,
    created_at: i64,
    expires_at: Option<i64>,
}

#[derive(SchemaRead, SchemaWrite)]
enum StoredToken {
    V1(FirstToken),
    V2(SecondToken),
    V3(Token),
    /// With its lineage.
    V4(Token, Vec<[u8; 16]>),
}

impl From<FirstToken> for SecondToken {
    fn from(first: FirstToken) -> Self {
        let FirstToken { hash, capabilities, created_at, expires_at } = first;
        let (kind, name) = (CredentialKind::Bearer, String::new());
        SecondToken { kind, name, hash, capabilities, created_at, expires_at }
    }
}

impl From<SecondToken> for Token {
    fn from(second: SecondToken) -> Self {
        let SecondToken { kind, name, hash, capabilities, created_at, expires_at } = second;
        let (policies, networks) = (Vec::new(), Vec::new());
        let (uses_left, bound_to, renewal) = (None, None, None);
        Token {
            kind,
            name,
            hash,
            capabilities,
            created_at,
            expires_at,
            policies,
            networks,
            uses_left,
            bound_to,
            renewal,
            lineage: Vec::new(),
        }
    }
}

impl Token {
    /// The bytes.
    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        let stored = match &*self.lineage {
            [] => StoredToken::V3(self.clone()),
            lineage => StoredToken::V4(self.clone(), lineage.to_vec()),
        };
        wincode::serialize(&stored)
            .map_err(|e| Error::internal(format!("cannot write the record of a token: {e}")))
    }

    /// Reads all of `bytes`.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        match wincode::deserialize_exact(bytes) {
            Ok(StoredToken::V1(first)) => Ok(SecondToken::from(first).into()),
            Ok(StoredToken::V2(second)) => Ok(second.into()),
            Ok(StoredToken::V3(record)) => Ok(record),
            Ok(StoredToken::V4(record, lineage)) => Ok(Token { lineage, ..record }),
            Err(_) => Err(Error::new(
                ErrorCode::StoreFormat,
                "the record of a token is of a format this CANIS does not know",
            )),
        }
    }
}

record! {
    /// An object.
    StoredObject, ObjectRecord, "an object", {
        /// The class's number.
        class: u8,
        /// Flags: 1 private, 2 modifiable, 4 copyable, 8 destroyable.
        flags: u8,
        /// CKA_LABEL.
        label: Vec<u8>,
        /// CKA_ID.
        cka_id: Vec<u8>,
        /// The key it shows.
        key_id: Option<[u8; 16]>,
        /// The version it shows.
        version: u32,
        /// What it says about its key.
        facts: Option<FactsRecord>,
        /// Further attributes, by type.
        attributes: Vec<(u64, Vec<u8>)>,
    }
}

/// What a value of keys was used for; the bits stand in docs/storage.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ValueRoles {
    /// The bits.
    pub(crate) roles: u16,
}

#[derive(SchemaRead, SchemaWrite)]
enum StoredRoles {
    V1(u8),
    /// Where a role is beyond the first eight.
    V2(u16),
}

impl ValueRoles {
    /// The bytes.
    pub(crate) fn encode(self) -> Result<Vec<u8>> {
        let stored = u8::try_from(self.roles).map_or(StoredRoles::V2(self.roles), StoredRoles::V1);
        wincode::serialize(&stored)
            .map_err(|e| Error::internal(format!("cannot write the record of a value's roles: {e}")))
    }

    /// Reads all of `bytes`.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        match wincode::deserialize_exact(bytes) {
            Ok(StoredRoles::V1(roles)) => Ok(ValueRoles { roles: roles.into() }),
            Ok(StoredRoles::V2(roles)) => Ok(ValueRoles { roles }),
            Err(_) => Err(Error::new(
                ErrorCode::StoreFormat,
                "the record of a value's roles is of a format this CANIS does not know",
            )),
        }
    }
}

record! {
    /// An entry of the key-value store, without its private half.
    StoredEntry, EntryRecord, "an entry", {
        /// The identifier.
        identifier: String,
        /// The name.
        name: String,
        /// The public half.
        public_key: Vec<u8>,
        /// The number of the pair's type; 0 if the halves are no pair.
        kind: u8,
        /// Whether a private half stands beside it.
        has_private: bool,
        /// When it was made, in microseconds since 1970-01-01 UTC.
        created_at: i64,
        /// When it was last written; the revision that callers name.
        updated_at: i64,
    }
}

record! {
    /// What was answered to a change that carried an idempotency key.
    StoredReceipt, ReceiptRecord, "a receipt", {
        /// The operation's number.
        operation: u16,
        /// SHA-256 of its arguments.
        digest: [u8; 32],
        /// The answer, as CANISP carries it.
        answer: Vec<u8>,
        /// From when on it is forgotten, in microseconds since 1970-01-01 UTC.
        expires_at: i64,
    }
}

/// What an object says about its key.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub(crate) struct FactsRecord {
    /// The type's number.
    pub(crate) kind: u8,
    /// Usage bits.
    pub(crate) usage: u8,
    /// Flags, see `object::record`.
    pub(crate) flags: u16,
    /// CKA_KEY_GEN_MECHANISM.
    pub(crate) mechanism: u64,
    /// SubjectPublicKeyInfo.
    pub(crate) spki: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_grow_beyond_a_byte() {
        for (roles, bytes) in [(0x83, &[0, 0, 0, 0, 0x83][..]), (0x182, &[1, 0, 0, 0, 0x82, 1])] {
            assert_eq!(ValueRoles { roles }.encode().unwrap(), bytes);
            assert_eq!(ValueRoles::decode(bytes).unwrap(), ValueRoles { roles });
            assert!(
                ValueRoles::decode(&bytes[1..]).is_err()
                    && ValueRoles::decode(&[bytes, &[0]].concat()).is_err()
            );
        }
    }

    #[test]
    fn records_are_exact_and_in_bincodes_layout() {
        let token = Token {
            kind: CredentialKind::Certificate,
            name: "ab".to_owned(),
            hash: [7; 32],
            capabilities: 3,
            created_at: -1,
            expires_at: Some(5),
            policies: Vec::new(),
            networks: Vec::new(),
            uses_left: None,
            bound_to: None,
            renewal: None,
            lineage: Vec::new(),
        };
        let bytes = token.encode().unwrap();
        // bincode's legacy layout: u32 variant, fields in order, little endian, u64 lengths, Option as one byte.
        assert_eq!(&bytes[..8], [2, 0, 0, 0, 1, 0, 0, 0]);
        assert_eq!(&bytes[8..18], [2, 0, 0, 0, 0, 0, 0, 0, b'a', b'b']);
        assert_eq!(&bytes[18..50], [7; 32]);
        assert_eq!(&bytes[50..52], [3, 0]);
        assert_eq!(&bytes[52..60], [0xff; 8]);
        assert_eq!(&bytes[60..69], [1, 5, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(&bytes[69..], [0; 19]);
        assert_eq!(Token::decode(&bytes), Ok(token.clone()));
        // Before there were policies: the same up to the end of its time.
        assert_eq!(Token::decode(&[&[1, 0, 0, 0], &bytes[4..69]].concat()), Ok(token.clone()));
        // As the first stores have it: the same from the hash on, of a bearer without a name.
        let first = [&[0; 4], &bytes[18..69]].concat();
        let bearer = Token { kind: CredentialKind::Bearer, name: String::new(), ..token };
        assert_eq!(Token::decode(&first), Ok(bearer));
        for cut in 0..bytes.len() {
            assert!(Token::decode(&bytes[..cut]).is_err());
        }
        let longer: Vec<u8> = bytes.iter().copied().chain([0]).collect();
        assert!(Token::decode(&longer).is_err());
    }
}
