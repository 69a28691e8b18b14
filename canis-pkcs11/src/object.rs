//! Objects of the core as PKCS#11 shows them: attribute by attribute.

use crate::attribute::{Format, Value};
use crate::rules::{Reveal, Rule, rule};
use crate::rv::{Result, fail};
use canis_core::crypto::public_parts::PublicParts;
use canis_core::object::{Class, Content, KeyFacts, Object};
use canis_proto::{Family, KeyType, Usage};
use pkcs11_sys::*;

/// The DER tag of CKA_EC_POINT.
const OCTET_STRING: u8 = 0x04;
/// The DER length of a point of 128 to 255 bytes, P-521's, takes this byte and one more.
const LONG_LENGTH: u8 = 0x81;
const P256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];
const P521: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23];
const SECP256K1: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a];
const X25519: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x6e];
const ED25519: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];
/// The other way to name the curve (section 6.3.3): PrintableString "edwards25519".
const ED25519_NAMED: &[u8] = b"\x13\x0cedwards25519";
const X25519_NAMED: &[u8] = b"\x13\x0acurve25519";

/// CKO_… of a class.
pub(crate) const fn class_number(class: Class) -> CK_OBJECT_CLASS {
    match class {
        Class::Data => CKO_DATA,
        Class::Certificate => CKO_CERTIFICATE,
        Class::PublicKey => CKO_PUBLIC_KEY,
        Class::PrivateKey => CKO_PRIVATE_KEY,
        Class::SecretKey => CKO_SECRET_KEY,
        Class::Profile => CKO_PROFILE,
    }
}

/// The class of a CKO_… number, if CANIS has such objects.
pub(crate) const fn class_of(number: CK_OBJECT_CLASS) -> Option<Class> {
    match number {
        CKO_DATA => Some(Class::Data),
        CKO_CERTIFICATE => Some(Class::Certificate),
        CKO_PUBLIC_KEY => Some(Class::PublicKey),
        CKO_PRIVATE_KEY => Some(Class::PrivateKey),
        CKO_SECRET_KEY => Some(Class::SecretKey),
        CKO_PROFILE => Some(Class::Profile),
        _ => None,
    }
}

/// CKK_… of a family.
pub(crate) const fn family_number(family: Family) -> CK_KEY_TYPE {
    match family {
        Family::Aes => CKK_AES,
        Family::Rsa => CKK_RSA,
        Family::Ec => CKK_EC,
        Family::Edwards => CKK_EC_EDWARDS,
        Family::Montgomery => CKK_EC_MONTGOMERY,
        Family::Generic => CKK_GENERIC_SECRET,
    }
}

/// The curve that CKA_EC_PARAMS names.
///
/// # Errors
/// CKR_CURVE_NOT_SUPPORTED for another curve, CKR_DOMAIN_PARAMS_INVALID for bytes that name none.
pub(crate) fn curve(params: &[u8]) -> Result<KeyType> {
    match params {
        P256 => Ok(KeyType::EcdsaP256),
        P384 => Ok(KeyType::EcdsaP384),
        P521 => Ok(KeyType::EcdsaP521),
        SECP256K1 => Ok(KeyType::EcdsaSecp256k1),
        X25519 | X25519_NAMED => Ok(KeyType::X25519),
        ED25519 | ED25519_NAMED => Ok(KeyType::Ed25519),
        [0x06 | 0x13, len, name @ ..] if usize::from(*len) == name.len() => fail(CKR_CURVE_NOT_SUPPORTED),
        _ => fail(CKR_DOMAIN_PARAMS_INVALID),
    }
}

/// The point in CKA_EC_POINT, which comes as a DER OCTET STRING or bare; `len` tells the two apart.
pub(crate) fn point(value: &[u8], len: usize) -> Result<&[u8]> {
    match value {
        _ if value.len() == len => Ok(value),
        [OCTET_STRING, header @ ..] if header.len() > len => match header.split_at(header.len() - len) {
            ([short], point) if usize::from(*short) == len && len < 128 => Ok(point),
            ([LONG_LENGTH, long], point) if usize::from(*long) == len && len >= 128 => Ok(point),
            _ => fail(CKR_ATTRIBUTE_VALUE_INVALID),
        },
        _ => fail(CKR_ATTRIBUTE_VALUE_INVALID),
    }
}

/// The usage bit that an attribute stands for.
pub(crate) const fn usage(kind: CK_ATTRIBUTE_TYPE) -> Option<Usage> {
    match kind {
        CKA_ENCRYPT => Some(Usage::ENCRYPT),
        CKA_DECRYPT => Some(Usage::DECRYPT),
        CKA_SIGN => Some(Usage::SIGN),
        CKA_VERIFY => Some(Usage::VERIFY),
        CKA_WRAP => Some(Usage::WRAP),
        CKA_UNWRAP => Some(Usage::UNWRAP),
        CKA_DERIVE => Some(Usage::DERIVE),
        _ => None,
    }
}

/// Reads one attribute.
///
/// # Errors
/// CKR_ATTRIBUTE_TYPE_INVALID if the object has none such, CKR_ATTRIBUTE_SENSITIVE for key material.
pub(crate) fn read(object: &Object, kind: CK_ATTRIBUTE_TYPE) -> Result<Value<'_>> {
    let content = &object.content;
    let family = content.key.as_ref().map(|key| key.kind.family());
    let rule = rule(kind, content.class, family).ok_or(CKR_ATTRIBUTE_TYPE_INVALID)?;
    if rule.reveal == Reveal::Sensitive {
        return fail(CKR_ATTRIBUTE_SENSITIVE);
    }
    match kind {
        CKA_UNIQUE_ID => return Ok(Value::from(object.id.to_string().into_bytes())),
        CKA_TOKEN => return Ok(Value::from(object.session.is_none())),
        _ => {}
    }
    if let Some(value) = read_common(content, kind) {
        return Ok(value);
    }
    match &content.key {
        Some(key) => match read_key(key, kind)? {
            Some(value) => Ok(value),
            None => read_kept(content, rule),
        },
        None => read_kept(content, rule),
    }
}

fn read_common(content: &Content, kind: CK_ATTRIBUTE_TYPE) -> Option<Value<'_>> {
    Some(match kind {
        CKA_CLASS => Value::from(class_number(content.class)),
        CKA_PRIVATE => Value::from(content.private),
        CKA_MODIFIABLE => Value::from(content.modifiable),
        CKA_COPYABLE => Value::from(content.copyable),
        CKA_DESTROYABLE => Value::from(content.destroyable),
        CKA_LABEL => Value::from(content.label.as_slice()),
        CKA_ID => Value::from(content.id.as_slice()),
        CKA_KEY_TYPE => return kept(content, kind).map(|value| Format::Number.show(value)),
        _ => return None,
    })
}

fn read_key(key: &KeyFacts, kind: CK_ATTRIBUTE_TYPE) -> Result<Option<Value<'_>>> {
    if let Some(bit) = usage(kind) {
        return Ok(Some(Value::from(key.usage.allows(bit))));
    }
    Ok(Some(match kind {
        CKA_KEY_TYPE => Value::from(family_number(key.kind.family())),
        CKA_LOCAL => Value::from(key.local),
        CKA_KEY_GEN_MECHANISM => {
            Value::from(CK_ULONG::try_from(key.mechanism).unwrap_or(CK_UNAVAILABLE_INFORMATION))
        }
        CKA_TRUSTED => Value::from(key.trusted),
        CKA_SENSITIVE => Value::from(key.sensitive),
        CKA_ALWAYS_SENSITIVE => Value::from(key.always_sensitive),
        CKA_EXTRACTABLE => Value::from(key.extractable),
        CKA_NEVER_EXTRACTABLE => Value::from(key.never_extractable),
        CKA_WRAP_WITH_TRUSTED => Value::from(key.wrap_with_trusted),
        CKA_ALWAYS_AUTHENTICATE => Value::from(key.always_authenticate),
        CKA_SIGN_RECOVER | CKA_VERIFY_RECOVER => Value::from(false),
        CKA_PUBLIC_KEY_INFO => Value::from(key.spki.as_slice()),
        CKA_VALUE_LEN if key.kind != KeyType::Generic => Value::from(key.kind.bytes() as CK_ULONG),
        CKA_MODULUS_BITS => Value::from(key.kind.bits() as CK_ULONG),
        CKA_EC_PARAMS => Value::from(match key.kind {
            KeyType::EcdsaP256 => P256,
            KeyType::EcdsaP384 => P384,
            KeyType::EcdsaP521 => P521,
            KeyType::EcdsaSecp256k1 => SECP256K1,
            KeyType::X25519 => X25519,
            _ => ED25519,
        }),
        CKA_MODULUS | CKA_PUBLIC_EXPONENT | CKA_EC_POINT => read_public(key, kind)?,
        _ => return Ok(None),
    }))
}

/// The numbers of the public half; private keys show them too, because libp11 and OpenSSH look for them there.
fn read_public(key: &KeyFacts, kind: CK_ATTRIBUTE_TYPE) -> Result<Value<'static>> {
    match (PublicParts::from_spki(&key.spki)?.1, kind) {
        (PublicParts::Rsa { modulus, .. }, CKA_MODULUS) => Ok(Value::from(modulus)),
        (PublicParts::Rsa { exponent, .. }, CKA_PUBLIC_EXPONENT) => Ok(Value::from(exponent)),
        (PublicParts::Ec { point, .. }, CKA_EC_POINT) => Ok(Value::from(octet_string(&point))),
        (PublicParts::Edwards { point } | PublicParts::Montgomery { point }, CKA_EC_POINT) => {
            Ok(Value::from(octet_string(&point)))
        }
        _ => fail(CKR_ATTRIBUTE_TYPE_INVALID),
    }
}

/// The point as DER (section 6.3.3 for Weierstrass curves; libp11 and OpenSC want Edwards points so, too).
fn octet_string(point: &[u8]) -> Vec<u8> {
    let mut value = vec![OCTET_STRING];
    if point.len() >= 128 {
        value.push(LONG_LENGTH);
    }
    value.push(point.len() as u8);
    value.extend_from_slice(point);
    value
}

/// An attribute that the record keeps as it was given, or the default the standard names for it.
fn read_kept<'a>(content: &'a Content, rule: &Rule) -> Result<Value<'a>> {
    match kept(content, rule.kind) {
        Some(value) => Ok(rule.format.show(value)),
        None => match (rule.kind, rule.format) {
            (CKA_ALLOWED_MECHANISMS | CKA_CHECK_VALUE | CKA_PUBLIC_KEY_INFO, _) => {
                fail(CKR_ATTRIBUTE_TYPE_INVALID)
            }
            (CKA_NAME_HASH_ALGORITHM, _) => Ok(Value::from(CKM_SHA_1)),
            (_, Format::Bool) => Ok(Value::from(false)),
            (_, Format::Number) => Ok(Value::from(0 as CK_ULONG)),
            _ => Ok(Value::from(&[][..])),
        },
    }
}

/// The value that a record keeps for an attribute.
pub(crate) fn kept(content: &Content, kind: CK_ATTRIBUTE_TYPE) -> Option<&[u8]> {
    #[allow(clippy::useless_conversion)] // CK_ULONG has 32 bits on some targets.
    let kind = u64::from(kind);
    let at = content.attributes.binary_search_by_key(&kind, |(kind, _)| *kind).ok()?;
    content.attributes.get(at).map(|(_, value)| value.as_slice())
}

/// Keeps `value` for an attribute.
pub(crate) fn keep(content: &mut Content, kind: CK_ATTRIBUTE_TYPE, value: Vec<u8>) {
    #[allow(clippy::useless_conversion)] // CK_ULONG has 32 bits on some targets.
    let kind = u64::from(kind);
    match content.attributes.binary_search_by_key(&kind, |(kind, _)| *kind) {
        Ok(at) => content.attributes[at].1 = value,
        Err(at) => content.attributes.insert(at, (kind, value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_have_their_names_and_others_are_told_from_nonsense() {
        assert_eq!(curve(P256).unwrap(), KeyType::EcdsaP256);
        assert_eq!(curve(P384).unwrap(), KeyType::EcdsaP384);
        assert_eq!(curve(ED25519).unwrap(), KeyType::Ed25519);
        assert_eq!(curve(ED25519_NAMED).unwrap(), KeyType::Ed25519);
        assert_eq!(curve(X25519_NAMED).unwrap(), KeyType::X25519);
        let secp224r1 = [0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x21];
        assert_eq!(curve(&secp224r1).unwrap_err().rv, CKR_CURVE_NOT_SUPPORTED);
        assert_eq!(curve(&secp224r1[..6]).unwrap_err().rv, CKR_DOMAIN_PARAMS_INVALID);
        assert_eq!(curve(b"").unwrap_err().rv, CKR_DOMAIN_PARAMS_INVALID);
    }

    #[test]
    fn points_come_bare_or_wrapped() {
        let bare = [7; 32];
        assert_eq!(point(&bare, 32).unwrap(), bare);
        assert_eq!(point(&octet_string(&bare), 32).unwrap(), bare);
        let long = [7; 133];
        assert_eq!(octet_string(&long)[..3], [0x04, 0x81, 133]);
        assert_eq!(point(&octet_string(&long), 133).unwrap(), long);
        assert!(point(&bare[1..], 32).is_err() && point(&octet_string(&bare[1..]), 32).is_err());
    }
}
