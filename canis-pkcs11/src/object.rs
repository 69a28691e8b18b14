//! Objects of the core as PKCS#11 shows them: attribute by attribute.

use crate::attribute::{Format, Value};
use crate::curve::{self, octet_string};
use crate::rules::{Reveal, Rule, rule};
use crate::rv::{Result, fail};
use crate::version_3_2::*;
use canis_core::crypto::public_parts::PublicParts;
use canis_core::object::{Class, Content, KeyFacts, Object};
use canis_proto::{Family, KeyType, Usage};
use pkcs11_sys::*;

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

/// CKK_… of a type.
pub(crate) const fn kind_number(kind: KeyType) -> CK_KEY_TYPE {
    match kind.family() {
        Family::Aes => CKK_AES,
        Family::Rsa => CKK_RSA,
        Family::Ec => CKK_EC,
        Family::Edwards => CKK_EC_EDWARDS,
        Family::Montgomery => CKK_EC_MONTGOMERY,
        Family::Generic => CKK_GENERIC_SECRET,
        Family::Des => CKK_DES,
        Family::TripleDes if kind.bits() == KeyType::Des2.bits() => CKK_DES2,
        Family::TripleDes => CKK_DES3,
        Family::MlDsa => CKK_ML_DSA,
        Family::MlKem => CKK_ML_KEM,
        Family::SlhDsa => CKK_SLH_DSA,
        // The standard has no type for it; no object of it is shown.
        Family::Hybrid => CKK_VENDOR_DEFINED,
    }
}

/// CKA_PARAMETER_SET of a type; `None` for types that have none.
pub(crate) const fn parameter_set(kind: KeyType) -> Option<CK_ULONG> {
    match kind {
        KeyType::MlDsa44 => Some(CKP_ML_DSA_44),
        KeyType::MlDsa65 => Some(CKP_ML_DSA_65),
        KeyType::MlDsa87 => Some(CKP_ML_DSA_87),
        KeyType::SlhDsaSha2128s => Some(CKP_SLH_DSA_SHA2_128S),
        KeyType::SlhDsaSha2128f => Some(CKP_SLH_DSA_SHA2_128F),
        KeyType::SlhDsaSha2192s => Some(CKP_SLH_DSA_SHA2_192S),
        KeyType::SlhDsaSha2192f => Some(CKP_SLH_DSA_SHA2_192F),
        KeyType::SlhDsaSha2256s => Some(CKP_SLH_DSA_SHA2_256S),
        KeyType::SlhDsaSha2256f => Some(CKP_SLH_DSA_SHA2_256F),
        KeyType::MlKem512 => Some(CKP_ML_KEM_512),
        KeyType::MlKem768 => Some(CKP_ML_KEM_768),
        KeyType::MlKem1024 => Some(CKP_ML_KEM_1024),
        _ => None,
    }
}

/// The usage bit that an attribute stands for in keys of a family: with those that share secrets it is CKA_ENCAPSULATE and
/// CKA_DECAPSULATE that say what CKA_ENCRYPT and CKA_DECRYPT say of others. `Usage::NONE` is what such keys never do.
pub(crate) const fn usage(kind: CK_ATTRIBUTE_TYPE, family: Family) -> Option<Usage> {
    let encapsulates = matches!(family, Family::MlKem);
    match kind {
        CKA_ENCRYPT | CKA_DECRYPT if encapsulates => Some(Usage::NONE),
        CKA_ENCAPSULATE | CKA_DECAPSULATE if !encapsulates => Some(Usage::NONE),
        CKA_ENCRYPT | CKA_ENCAPSULATE => Some(Usage::ENCRYPT),
        CKA_DECRYPT | CKA_DECAPSULATE => Some(Usage::DECRYPT),
        CKA_SIGN => Some(Usage::SIGN),
        CKA_VERIFY => Some(Usage::VERIFY),
        CKA_WRAP => Some(Usage::WRAP),
        CKA_UNWRAP => Some(Usage::UNWRAP),
        CKA_DERIVE => Some(Usage::DERIVE),
        CKA_SIGN_RECOVER | CKA_VERIFY_RECOVER => Some(Usage::RECOVER),
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
    if let Some(bit) = usage(kind, key.kind.family()) {
        return Ok(Some(Value::from(bit != Usage::NONE && key.usage.allows(bit))));
    }
    Ok(Some(match kind {
        CKA_KEY_TYPE => Value::from(kind_number(key.kind)),
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
        CKA_PUBLIC_KEY_INFO => Value::from(key.spki.as_slice()),
        CKA_VALUE_LEN if key.kind != KeyType::Generic => Value::from(key.kind.bytes() as CK_ULONG),
        CKA_MODULUS_BITS => Value::from(key.kind.bits() as CK_ULONG),
        CKA_EC_PARAMS => curve::params(key.kind).map(Value::from).ok_or(CKR_ATTRIBUTE_TYPE_INVALID)?,
        CKA_PARAMETER_SET => parameter_set(key.kind).map(Value::from).ok_or(CKR_ATTRIBUTE_TYPE_INVALID)?,
        CKA_MODULUS | CKA_PUBLIC_EXPONENT | CKA_EC_POINT | CKA_VALUE => read_public(key, kind)?,
        _ => return Ok(None),
    }))
}

/// The numbers of the public half, points in DER; private keys show them too, because libp11 and OpenSSH look for them there.
fn read_public(key: &KeyFacts, kind: CK_ATTRIBUTE_TYPE) -> Result<Value<'static>> {
    match (PublicParts::from_spki(&key.spki)?.1, kind) {
        (PublicParts::Rsa { modulus, .. }, CKA_MODULUS) => Ok(Value::from(modulus)),
        (PublicParts::Rsa { exponent, .. }, CKA_PUBLIC_EXPONENT) => Ok(Value::from(exponent)),
        (PublicParts::Ec { point, .. }, CKA_EC_POINT) => Ok(Value::from(octet_string(&point))),
        (PublicParts::Edwards { point } | PublicParts::Montgomery { point }, CKA_EC_POINT) => {
            Ok(Value::from(octet_string(&point)))
        }
        (PublicParts::PostQuantum { key, .. }, CKA_VALUE) => Ok(Value::from(key)),
        _ => fail(CKR_ATTRIBUTE_TYPE_INVALID),
    }
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
    content.kept(kind)
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
