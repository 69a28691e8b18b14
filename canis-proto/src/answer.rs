//! What the operations answer.

pub use crate::batch::BatchAnswer;
pub use crate::encapsulation::{Decapsulated, Encapsulated};
pub use crate::entry::{Entry, EntryDeleted, EntryInfo, EntryList};
use crate::fields::Fields;
use crate::message::{WireAnswer, error_map};
use crate::schema::{Field, FieldKind, Shape};
pub use crate::sealing::StatusInfo;
use crate::value::{Map, Value};
use crate::{Error, Id, Interval, KeyFormat, KeyState, KeyType, Result, Usage};
use std::sync::Arc;
use zeroize::Zeroize;

macro_rules! answer {
    ($(#[doc = $doc:literal])+ $name:ident { $($(#[doc = $fdoc:literal])+ $field:ident: $type:ty, $take:ident, |$it:ident| $write:expr;)+ }) => {
        $(#[doc = $doc])+
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name { $($(#[doc = $fdoc])+ pub $field: $type,)+ }

        impl $crate::schema::Kind for $name {
            const KIND: $crate::schema::FieldKind =
                <$name as $crate::message::WireAnswer>::SHAPE;
        }

        impl $crate::message::WireAnswer for $name {
            const SHAPE: $crate::schema::FieldKind = $crate::schema::FieldKind::Map(&$crate::schema::Shape {
                name: stringify!($name),
                fields: &[$($crate::schema::Field {
                    name: stringify!($field),
                    kind: <$type as $crate::schema::Kind>::KIND,
                    required: !$crate::schema::spares(stringify!($take)),
                }),+],
                rest: None,
            });

            fn to_map(&self) -> $crate::value::Map<'_> {
                let map = $crate::value::Map::new();
                $(let map = { let $it = &self.$field; map.with(stringify!($field), $write) };)+
                map
            }

            fn from_fields(fields: &mut $crate::fields::Fields<'_>) -> $crate::Result<Self> {
                Ok($name { $($field: $crate::parse::$take(fields, stringify!($field))?,)+ })
            }
        }
    };
}
pub(crate) use answer;

/// Of what there is nothing to say but that it was done.
impl WireAnswer for () {
    const SHAPE: FieldKind = FieldKind::Map(&Shape { name: "Done", fields: &[], rest: None });

    fn to_map(&self) -> Map<'_> {
        Map::new()
    }

    fn from_fields(_: &mut Fields<'_>) -> Result<Self> {
        Ok(())
    }
}

/// The id of what was made.
impl WireAnswer for Id {
    const SHAPE: FieldKind = FieldKind::Map(&Shape {
        name: "Made",
        fields: &[Field { name: "id", kind: FieldKind::Bytes, required: true }],
        rest: None,
    });

    fn to_map(&self) -> Map<'_> {
        Map::new().with("id", &self.0[..])
    }

    fn from_fields(fields: &mut Fields<'_>) -> Result<Self> {
        fields.required("id")
    }
}

/// The id of what was made, and of its public half if it has one.
impl WireAnswer for (Id, Option<Id>) {
    const SHAPE: FieldKind = FieldKind::Map(&Shape {
        name: "MadePair",
        fields: &[
            Field { name: "id", kind: FieldKind::Bytes, required: true },
            Field { name: "public", kind: FieldKind::Bytes, required: false },
        ],
        rest: None,
    });

    fn to_map(&self) -> Map<'_> {
        self.0.to_map().with_some("public", self.1.as_ref().map(|id| &id.0[..]))
    }

    fn from_fields(fields: &mut Fields<'_>) -> Result<Self> {
        Ok((fields.required("id")?, fields.optional("public")?))
    }
}

impl<T: WireAnswer> WireAnswer for Arc<T> {
    const SHAPE: FieldKind = T::SHAPE;

    fn to_map(&self) -> Map<'_> {
        T::to_map(self)
    }

    fn from_fields(fields: &mut Fields<'_>) -> Result<Self> {
        T::from_fields(fields).map(Arc::new)
    }
}

/// A list of what has fields.
impl<T: WireAnswer> WireAnswer for Vec<T> {
    const SHAPE: FieldKind = FieldKind::Map(&Shape {
        name: "",
        fields: &[Field { name: "items", kind: FieldKind::Array(&T::SHAPE), required: true }],
        rest: None,
    });

    fn to_map(&self) -> Map<'_> {
        Map::new().with("items", self.iter().map(|item| Value::Map(item.to_map())).collect::<Vec<_>>())
    }

    fn from_fields(fields: &mut Fields<'_>) -> Result<Self> {
        let items: Vec<Value<'_>> = fields.required("items")?;
        let one = |item| match item {
            Value::Map(map) => T::from_fields(&mut Fields::new("an item", map)),
            _ => Err(Error::invalid("`items` must hold maps")),
        };
        items.into_iter().map(one).collect()
    }
}

answer! {
    /// A key's metadata. Times are microseconds since 1970-01-01 UTC.
    KeyInfo {
        /// The name.
        name: String, required, |v| v.as_str();
        /// The key's id.
        id: String, required, |v| v.as_str();
        /// The tenant's id.
        tenant: String, required, |v| v.as_str();
        /// The type.
        kind: KeyType, key_type, |v| v.name();
        /// The state.
        state: KeyState, state, |v| v.name();
        /// What it may be used for.
        usage: Usage, usage, |v| u16::from(v.bits());
        /// The version that encrypts and signs.
        current_version: u32, required, |v| *v;
        /// The oldest version whose material is kept; those before it are retired.
        oldest_version: u32, required, |v| *v;
        /// The oldest version that may decrypt.
        min_decryption_version: u32, required, |v| *v;
        /// The oldest version that may encrypt; 0 means only the current one.
        min_encryption_version: u32, required, |v| *v;
        /// Whether it may be destroyed.
        deletion_allowed: bool, required, |v| *v;
        /// Whether it may leave, wrapped.
        exportable: bool, required, |v| *v;
        /// Whether it may leave in plain too.
        allow_plaintext_backup: bool, required, |v| *v;
        /// The versions, oldest first.
        versions: Vec<VersionInfo>, versions, |v| Value::Array(v.iter().map(|i| Value::Map(i.to_map())).collect());
        /// Counts the changes of its configuration, state and versions, from 1.
        revision: u64, required, |v| *v;
        /// When it was made.
        created_at: i64, required, |v| *v;
        /// When it was last changed.
        updated_at: i64, required, |v| *v;
        /// When it was destroyed.
        deleted_at: Option<i64>, optional, |v| v.map_or(Value::Null, Value::from);
        /// When it will be destroyed, if that is planned.
        destroy_at: Option<i64>, optional, |v| v.map_or(Value::Null, Value::from);
        /// How often it rotates by itself.
        interval: Interval, interval, |v| v.to_string();
        /// How many versions a rotation keeps; 0 means all of them.
        retain_versions: u32, required, |v| *v;
        /// How many others have to approve its export and destruction; missing if nobody has to.
        approvals: Option<u32>, optional, |v| v.map_or(Value::Null, Value::from);
        /// How often all its versions were used; not told in lists. Advisory: uses through PKCS#11 are not counted.
        uses: Option<u64>, optional, |v| v.map_or(Value::Null, Value::from);
        /// When it was used the last time, if it was and is told.
        last_used_at: Option<i64>, optional, |v| v.map_or(Value::Null, Value::from);
        /// When it rotates by itself the next time, if it does.
        next_rotation_at: Option<i64>, optional, |v| v.map_or(Value::Null, Value::from);
    }
}

answer! {
    /// A version's metadata.
    VersionInfo {
        /// The number, from 1.
        version: u32, required, |v| *v;
        /// When it was made, in microseconds since 1970-01-01 UTC.
        created_at: i64, required, |v| *v;
        /// `rotated` for one that a later one has followed, else the key's state.
        state: String, required, |v| v.as_str();
        /// How often it was used; advisory.
        uses: u64, required, |v| *v;
        /// The last time, if it was.
        last_used_at: Option<i64>, optional, |v| v.map_or(Value::Null, Value::from);
    }
}

answer! {
    /// The result of `key.rotate`.
    Rotated {
        /// The key.
        name: String, required, |v| v.as_str();
        /// The new current version; in a preview the one that it would be.
        version: u32, required, |v| *v;
        /// The versions whose material is destroyed by it.
        retires: Vec<u32>, numbers, |v| Value::Array(v.iter().map(|n| Value::from(*n)).collect());
        /// Whether nothing was done.
        preview: bool, required, |v| *v;
    }
}

answer! {
    /// A page of keys, without their versions.
    KeyList {
        /// The keys in the order of their names.
        keys: Vec<KeyInfo>, keys, |v| Value::Array(v.iter().map(|i| Value::Map(i.to_map())).collect());
        /// Whether there are more after the last one.
        more: bool, required, |v| *v;
    }
}

answer! {
    /// A version's public key.
    PublicKeyInfo {
        /// The key.
        name: String, required, |v| v.as_str();
        /// The version.
        version: u32, required, |v| *v;
        /// The type.
        kind: KeyType, key_type, |v| v.name();
        /// SubjectPublicKeyInfo, DER (RFC 5280, section 4.1).
        spki: Vec<u8>, required, |v| v.as_slice();
    }
}

answer! {
    /// The tenant's wrapping key.
    WrappingKeyInfo {
        /// SubjectPublicKeyInfo DER of a key of the type asked for.
        spki: Vec<u8>, required, |v| v.as_slice();
    }
}

answer! {
    /// A key that leaves. Wiped when dropped.
    ExportedKey {
        /// The key.
        name: String, required, |v| v.as_str();
        /// The version.
        version: u32, required, |v| *v;
        /// The type.
        kind: KeyType, key_type, |v| v.name();
        /// The form of the material, inside its wrapping if it has one.
        format: KeyFormat, key_format, |v| v.name();
        /// Whether it is wrapped.
        wrapped: bool, required, |v| *v;
        /// The material.
        material: Vec<u8>, required, |v| v.as_slice();
    }
}

impl Drop for ExportedKey {
    fn drop(&mut self) {
        self.material.zeroize();
    }
}

answer! {
    /// The result of `encrypt`.
    Encrypted {
        /// The ciphertext's text form.
        ciphertext: String, required, |v| v.as_str();
    }
}

answer! {
    /// The result of `decrypt`.
    Decrypted {
        /// The plaintext.
        plaintext: Vec<u8>, required, |v| v.as_slice();
    }
}

answer! {
    /// The result of `aes-gcm.encrypt`.
    AesGcmSealed {
        /// The version that encrypted.
        version: u32, required, |v| *v;
        /// The IV, 12 bytes.
        iv: Vec<u8>, required, |v| v.as_slice();
        /// The ciphertext, as long as the plaintext.
        ciphertext: Vec<u8>, required, |v| v.as_slice();
        /// The tag, 16 bytes.
        tag: Vec<u8>, required, |v| v.as_slice();
    }
}

answer! {
    /// The result of a stream that gave bytes.
    Streamed {
        /// How many.
        bytes: u64, required, |v| *v;
    }
}

answer! {
    /// The result of `sign`.
    Signed {
        /// The signature's text form.
        signature: String, required, |v| v.as_str();
    }
}

answer! {
    /// The result of `verify`.
    Verified {
        /// Whether the signature is right.
        valid: bool, required, |v| *v;
    }
}

answer! {
    /// The result of `rewrap`: for each ciphertext a new one, or why there is none.
    Rewrapped {
        /// In the order of the request.
        items: Vec<Result<String>>, rewrapped, |v| Value::Array(v.iter().map(rewrapped).collect());
    }
}

fn rewrapped(item: &Result<String>) -> Value<'_> {
    Value::Map(match item {
        Ok(ciphertext) => Map::new().with("ciphertext", ciphertext.as_str()),
        Err(error) => Map::new().with("error", error_map(error)),
    })
}

answer! {
    /// The result of `datakey`.
    DataKey {
        /// The data key's ciphertext; `decrypt` opens it.
        ciphertext: String, required, |v| v.as_str();
        /// The data key itself, if it was asked for.
        plaintext: Option<Vec<u8>>, optional, |v| v.as_deref().map_or(Value::Null, Value::from);
    }
}

answer! {
    /// The result of `mac`.
    MacMade {
        /// The MAC's text form.
        mac: String, required, |v| v.as_str();
    }
}

answer! {
    /// The result of `derive`.
    Derived {
        /// The version that it was derived from.
        version: u32, required, |v| *v;
        /// The bytes.
        key: Vec<u8>, required, |v| v.as_slice();
    }
}

answer! {
    /// The result of `random`.
    RandomBytes {
        /// The bytes.
        bytes: Vec<u8>, required, |v| v.as_slice();
    }
}

answer! {
    /// The result of `hash`.
    Digest {
        /// The digest.
        digest: Vec<u8>, required, |v| v.as_slice();
    }
}
