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
        /// Whether the material is wrapped by one of the tenant's wrapping keys. By the RSA one: RSAES-OAEP with SHA-256 of an
        /// AES key, then AES Key Wrap with Padding of the key under that (CKM_RSA_AES_KEY_WRAP). By the hybrid one: HPKE.
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
        /// The RSA or hybrid public key to wrap it by, SubjectPublicKeyInfo DER, if it is not empty. By RSA: RSAES-OAEP with
        /// SHA-256 of an AES-256 key, then AES Key Wrap with Padding of the key under that (CKM_RSA_AES_KEY_WRAP). By a hybrid
        /// key: HPKE.
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
pub struct WrappingKey {
    /// Of which type: `rsa-4096` or `ml-kem-768-x25519`. A tenant may have one of each.
    pub kind: KeyType,
}

impl WrappingKey {
    /// The type of the one that is meant where none is named.
    pub const DEFAULT: KeyType = KeyType::Rsa4096;
}

impl Default for WrappingKey {
    fn default() -> Self {
        WrappingKey { kind: Self::DEFAULT }
    }
}

impl crate::Operation for WrappingKey {
    const ID: crate::OperationId = crate::OperationId::WrappingKey;
    type Answer = WrappingKeyInfo;
}

impl<'a> crate::message::WireRequest<'a> for WrappingKey {
    const FIELDS: &'static [crate::schema::Field] = &[crate::schema::Field {
        name: "kind",
        kind: <KeyType as crate::schema::Kind>::KIND,
        required: false,
    }];

    /// The default type is not named: servers that know no other one take the request as well.
    fn to_map(&self) -> crate::value::Map<'_> {
        let kind = (self.kind != Self::DEFAULT).then_some(self.kind.name());
        crate::value::Map::new().with_some("kind", kind)
    }

    fn from_fields(fields: &mut crate::fields::Fields<'a>) -> crate::Result<Self> {
        let kind = fields.has("kind").then(|| crate::parse::key_type(fields, "kind")).transpose()?;
        Ok(WrappingKey { kind: kind.unwrap_or(Self::DEFAULT) })
    }
}
