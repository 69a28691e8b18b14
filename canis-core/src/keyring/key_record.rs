//! The record of a key: the one that has grown. Every older shape is read as the newest.

use canis_proto::{Error, ErrorCode, KeyState, KeyType, Result, Usage};
use wincode::{SchemaRead, SchemaWrite};

/// A key, in the newest shape.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub(crate) struct KeyRecord {
    /// Its name; kept here when the row's name is freed.
    pub(crate) name: String,
    /// The type's number.
    pub(crate) kind: u8,
    /// The state's number.
    pub(crate) state: u8,
    /// Usage bits.
    pub(crate) usage: u8,
    /// The version that encrypts and signs.
    pub(crate) current_version: u32,
    /// The oldest version that may decrypt.
    pub(crate) min_decryption_version: u32,
    /// The oldest version that may encrypt; 0 is only the current one.
    pub(crate) min_encryption_version: u32,
    /// Whether it may be destroyed.
    pub(crate) deletion_allowed: bool,
    /// Whether it may leave, wrapped.
    pub(crate) exportable: bool,
    /// Whether it may leave in plain too.
    pub(crate) allow_plaintext_backup: bool,
    /// When it was made.
    pub(crate) created_at: i64,
    /// The last change.
    pub(crate) updated_at: i64,
    /// When it was destroyed.
    pub(crate) deleted_at: Option<i64>,
    /// The oldest version whose material is kept; those before it are retired.
    pub(crate) oldest_version: u32,
    /// When it rotates by itself.
    pub(crate) rotation: Option<RotationRecord>,
    /// How many versions a rotation keeps; 0 is all of them.
    pub(crate) retain_versions: u32,
    /// When it will be destroyed, if that was asked for and not cancelled.
    pub(crate) destroy_at: Option<i64>,
    /// What a destroyed pair leaves behind: version and SubjectPublicKeyInfo.
    pub(crate) public_keys: Vec<(u32, Vec<u8>)>,
    /// CKA_ALWAYS_AUTHENTICATE: each use of the private half needs the PIN anew. Stands in the third shape's flags.
    #[wincode(skip)]
    pub(crate) always_authenticate: bool,
    /// Whether attributes limit its mechanisms or what it wraps, unwraps and derives. Stands in the third shape's flags.
    #[wincode(skip)]
    pub(crate) limited: bool,
    /// Where its versions come from. Stands in the third shape's flags.
    #[wincode(skip)]
    pub(crate) source: Source,
    /// How many others have to approve that it leaves or is destroyed. Stands in the fourth shape.
    #[wincode(skip)]
    pub(crate) approvals: u8,
}

/// Where the versions of a key come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Source {
    /// They are drawn here.
    #[default]
    Here,
    /// The first one was brought from outside, and others may be; they may also be drawn here.
    Outside,
    /// Only public halves are kept, all from outside.
    PublicHalf,
}

/// When a key rotates by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub(crate) struct RotationRecord {
    /// Seconds from one rotation to the next.
    pub(crate) interval: u64,
    /// The next one, in microseconds since 1970-01-01 UTC.
    pub(crate) next_at: i64,
}

/// The first shape of a key.
#[derive(SchemaRead, SchemaWrite)]
struct KeyRecordV1 {
    name: String,
    kind: u8,
    state: u8,
    usage: u8,
    current_version: u32,
    min_decryption_version: u32,
    min_encryption_version: u32,
    deletion_allowed: bool,
    exportable: bool,
    allow_plaintext_backup: bool,
    created_at: i64,
    updated_at: i64,
    deleted_at: Option<i64>,
}

#[derive(SchemaRead, SchemaWrite)]
enum StoredKey {
    V1(KeyRecordV1),
    V2(KeyRecord),
    /// With flags: [`ALWAYS_AUTHENTICATE`], [`OUTSIDE`], [`PUBLIC_HALF`], [`LIMITED`].
    V3(KeyRecord, u8),
    /// With flags, and how many have to approve.
    V4(KeyRecord, u8, u8),
}

const ALWAYS_AUTHENTICATE: u8 = 1;
const OUTSIDE: u8 = 2;
const PUBLIC_HALF: u8 = 4;
const LIMITED: u8 = 8;

impl From<KeyRecordV1> for KeyRecord {
    fn from(old: KeyRecordV1) -> Self {
        KeyRecord {
            name: old.name,
            kind: old.kind,
            state: old.state,
            usage: old.usage,
            current_version: old.current_version,
            min_decryption_version: old.min_decryption_version,
            min_encryption_version: old.min_encryption_version,
            deletion_allowed: old.deletion_allowed,
            exportable: old.exportable,
            allow_plaintext_backup: old.allow_plaintext_backup,
            created_at: old.created_at,
            updated_at: old.updated_at,
            deleted_at: old.deleted_at,
            oldest_version: 1,
            rotation: None,
            retain_versions: 0,
            destroy_at: None,
            public_keys: Vec::new(),
            always_authenticate: false,
            limited: false,
            source: Source::Here,
            approvals: 0,
        }
    }
}

impl KeyRecord {
    /// An active key with one version, which may be destroyed and never leaves.
    pub(crate) fn new(name: String, kind: KeyType, usage: Usage, now: i64) -> Self {
        KeyRecord {
            name,
            kind: kind.number(),
            state: KeyState::Active as u8,
            usage: usage.bits(),
            current_version: 1,
            min_decryption_version: 1,
            min_encryption_version: 0,
            deletion_allowed: true,
            exportable: false,
            allow_plaintext_backup: false,
            created_at: now,
            updated_at: now,
            deleted_at: None,
            oldest_version: 1,
            rotation: None,
            retain_versions: 0,
            destroy_at: None,
            public_keys: Vec::new(),
            always_authenticate: false,
            limited: false,
            source: Source::Here,
            approvals: 0,
        }
    }

    /// When something is to be done to the key without anybody asking: only active keys rotate, only disabled ones
    /// that may be destroyed are.
    pub(crate) fn due_at(&self) -> Option<i64> {
        match KeyState::from_number(self.state)? {
            KeyState::Active => self.rotation.map(|rotation| rotation.next_at),
            KeyState::Disabled => self.destroy_at.filter(|_| self.deletion_allowed),
            KeyState::Created | KeyState::Destroyed => None,
        }
    }

    fn flags(&self) -> u8 {
        let source = match self.source {
            Source::Here => 0,
            Source::Outside => OUTSIDE,
            Source::PublicHalf => PUBLIC_HALF,
        };
        let flag = |on, bit| if on { bit } else { 0 };
        source | flag(self.always_authenticate, ALWAYS_AUTHENTICATE) | flag(self.limited, LIMITED)
    }

    /// `None` for a flag of a later CANIS: it forbids something that this one would do.
    fn with_flags(self, flags: u8) -> Option<Self> {
        let source = match flags & !(ALWAYS_AUTHENTICATE | LIMITED) {
            0 => Source::Here,
            OUTSIDE => Source::Outside,
            PUBLIC_HALF => Source::PublicHalf,
            _ => return None,
        };
        let (always_authenticate, limited) = (flags & ALWAYS_AUTHENTICATE != 0, flags & LIMITED != 0);
        Some(KeyRecord { source, always_authenticate, limited, ..self })
    }

    /// The bytes. A key without flags is written without them.
    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        let stored = match (self.flags(), self.approvals) {
            (0, 0) => StoredKey::V2(self.clone()),
            (flags, 0) => StoredKey::V3(self.clone(), flags),
            (flags, approvals) => StoredKey::V4(self.clone(), flags, approvals),
        };
        wincode::serialize(&stored)
            .map_err(|e| Error::internal(format!("cannot write the record of a key: {e}")))
    }

    /// Reads all of `bytes`.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let read = match wincode::deserialize_exact(bytes) {
            Ok(StoredKey::V1(old)) => Some(old.into()),
            Ok(StoredKey::V2(record)) => Some(record),
            Ok(StoredKey::V3(record, flags)) => record.with_flags(flags),
            Ok(StoredKey::V4(record, flags, approvals)) => {
                record.with_flags(flags).map(|record| KeyRecord { approvals, ..record })
            }
            Err(_) => None,
        };
        let unknown = "the record of a key is of a format this CANIS does not know";
        read.ok_or_else(|| Error::new(ErrorCode::StoreFormat, unknown))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record as the first shape wrote it: variant 0, then its fields, nothing after them.
    fn first_shape() -> Vec<u8> {
        let mut bytes = vec![0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, b'k', 1, 2, 3];
        for number in [4u32, 2, 1] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend([1, 0, 0]);
        bytes.extend(5i64.to_le_bytes());
        bytes.extend(6i64.to_le_bytes());
        bytes.push(0);
        bytes
    }

    #[test]
    fn every_shape_is_read() {
        let old = KeyRecord::decode(&first_shape()).unwrap();
        assert_eq!((old.name.as_str(), old.kind, old.state, old.usage), ("k", 1, 2, 3));
        assert_eq!((old.current_version, old.min_decryption_version, old.min_encryption_version), (4, 2, 1));
        assert_eq!((old.created_at, old.updated_at, old.oldest_version), (5, 6, 1));
        let rotation = Some(RotationRecord { interval: 9, next_at: -1 });
        let new = KeyRecord { rotation, public_keys: vec![(1, vec![7])], ..old };
        let bytes = new.encode().unwrap();
        assert_eq!(bytes[..4], [1, 0, 0, 0]);
        assert_eq!(KeyRecord::decode(&bytes), Ok(new));
        for cut in 0..bytes.len() {
            assert!(KeyRecord::decode(&bytes[..cut]).is_err());
        }
        assert!(KeyRecord::decode(&[first_shape(), vec![0]].concat()).is_err());
    }

    #[test]
    fn approvals_make_the_fourth_shape() {
        let guarded = KeyRecord { approvals: 2, limited: true, ..KeyRecord::decode(&first_shape()).unwrap() };
        let bytes = guarded.encode().unwrap();
        assert_eq!((&bytes[..4], &bytes[bytes.len() - 2..]), (&[3, 0, 0, 0][..], &[8, 2][..]));
        assert_eq!(KeyRecord::decode(&bytes).unwrap(), guarded);
    }

    #[test]
    fn flags_make_the_third_shape() {
        let plain = KeyRecord::decode(&first_shape()).unwrap();
        for (always_authenticate, limited, source, flags) in [
            (true, false, Source::Here, 1),
            (false, false, Source::Outside, 2),
            (true, false, Source::Outside, 3),
            (false, false, Source::PublicHalf, 4),
            (false, true, Source::Here, 8),
            (true, true, Source::Outside, 11),
        ] {
            let flagged = KeyRecord { always_authenticate, limited, source, ..plain.clone() };
            let bytes = flagged.encode().unwrap();
            assert_eq!(bytes[..4], [2, 0, 0, 0]);
            assert_eq!(bytes[4..], [&plain.encode().unwrap()[4..], &[flags]].concat());
            assert_eq!(KeyRecord::decode(&bytes).unwrap(), flagged);
            for unknown in [6, 16] {
                let bytes = [&bytes[..bytes.len() - 1], &[unknown]].concat();
                assert_eq!(KeyRecord::decode(&bytes).unwrap_err().code, ErrorCode::StoreFormat);
            }
        }
    }
}
