//! Requests that bring key material in and take it out.

use crate::answer::{ExportedKey, KeyInfo, WrappingKeyInfo};
use crate::message::request;
use crate::value::Value;
use crate::{KeyFormat, KeyType, Usage};
use std::borrow::Cow;

request! {
    /// Brings a key in: a new one, or the next version of one that came in before.
    ImportKey => KeyInfo {
        /// The key's name.
        name: Cow<'a, str>, required, |v| v.as_ref();
        /// What kind of key; material of another kind is refused.
        kind: KeyType, key_type, |v| v.name();
        /// The form of the material, inside its wrapping if it has one.
        format: KeyFormat, key_format, |v| v.name();
        /// The material.
        material: Cow<'a, [u8]>, required, |v| v.as_ref();
        /// Whether the material is wrapped by the tenant's wrapping key: RSAES-OAEP with SHA-256 of an AES key, then AES
        /// Key Wrap with Padding of the key under that (CKM_RSA_AES_KEY_WRAP).
        wrapped: bool, default, |v| *v;
        /// The key of CANIS that the material is wrapped by instead, if one is named.
        wrapping_key: Cow<'a, str>, default, |v| v.as_ref();
        /// Whether the key is there and gets a version; else it must not be there.
        next_version: bool, default, |v| *v;
        /// A new key: what it is to be used for; the type's default if missing.
        usage: Option<Usage>, optional_usage, |v| v.map_or(Value::Null, |usage| Value::from(u16::from(usage.bits())));
        /// A new key: whether it may leave again, wrapped.
        exportable: bool, default, |v| *v;
        /// A new key: whether it may leave in plain too.
        allow_plaintext_backup: bool, default, |v| *v;
    }
}

request! {
    /// Takes a version of a key out, wrapped or in plain.
    ExportKey => ExportedKey {
        /// The key.
        name: Cow<'a, str>, required, |v| v.as_ref();
        /// The version; 0 means the current one.
        version: u32, default, |v| *v;
        /// The form of the material, inside its wrapping if it has one: `raw`, `pkcs8` or `jwk`.
        format: KeyFormat, key_format, |v| v.name();
        /// The key of CANIS to wrap it by, if one is named: AES Key Wrap with Padding, or as `wrapping_public_key`.
        wrapping_key: Cow<'a, str>, default, |v| v.as_ref();
        /// The RSA public key to wrap it by, SubjectPublicKeyInfo DER, if it is not empty: RSAES-OAEP with SHA-256 of an
        /// AES-256 key, then AES Key Wrap with Padding of the key under that (CKM_RSA_AES_KEY_WRAP).
        wrapping_public_key: Cow<'a, [u8]>, default, |v| v.as_ref();
    }
}

impl ExportKey<'_> {
    /// Whether it is to be wrapped by a key.
    #[must_use]
    pub fn is_wrapped(&self) -> bool {
        !self.wrapping_key.is_empty() || !self.wrapping_public_key.is_empty()
    }
}

/// Asks for the public key under which the tenant's customers wrap keys; made when it is first asked for.
#[derive(Clone, PartialEq, Eq)]
pub struct WrappingKey;

impl crate::Operation for WrappingKey {
    const ID: crate::OperationId = crate::OperationId::WrappingKey;
    type Answer = WrappingKeyInfo;
}

impl<'a> crate::message::WireRequest<'a> for WrappingKey {
    const FIELDS: &'static [crate::schema::Field] = &[];

    fn to_map(&self) -> crate::value::Map<'_> {
        crate::value::Map::new()
    }

    fn from_fields(_: &mut crate::fields::Fields<'a>) -> crate::Result<Self> {
        Ok(WrappingKey)
    }
}
