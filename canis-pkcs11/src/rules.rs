//! The table of attribute rules: which objects have an attribute, who may give it when, and how it may change.
//!
//! From the tables of PKCS#11 v3.1 and v3.2, sections 4.2 to 4.10 and 6; the footnotes of the standard's table 13 are the
//! columns here.

use crate::attribute::Format;
use crate::version_3_2::*;
use canis_core::object::Class;
use canis_proto::Family;
use pkcs11_sys::*;

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Rule {
    /// The attribute.
    pub(crate) kind: CK_ATTRIBUTE_TYPE,
    /// Its name in the standard.
    pub(crate) name: &'static str,
    /// What its bytes mean.
    pub(crate) format: Format,
    /// Who may give it when the object is made.
    pub(crate) given: Given,
    /// How it may change afterwards.
    pub(crate) change: Change,
    /// Whether it can be read.
    pub(crate) reveal: Reveal,
    classes: u8,
    families: u8,
}

/// When a template may hold the attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    /// Never: the token sets it.
    Never,
    /// In C_CreateObject.
    Create,
    /// In C_GenerateKey and C_GenerateKeyPair.
    Generate,
    /// In both.
    Both,
}

/// How C_SetAttributeValue may change the attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Not at all.
    Never,
    /// Freely.
    Free,
    /// To true, once.
    Raise,
    /// To false, once.
    Lower,
    /// By the security officer.
    BySo,
}

/// Whether C_GetAttributeValue gives the attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reveal {
    /// Yes.
    Open,
    /// Key material: only while CKA_SENSITIVE is false and CKA_EXTRACTABLE true.
    Sensitive,
}

const DATA: u8 = 1;
const CERT: u8 = 2;
const PUBLIC: u8 = 4;
const PRIVATE: u8 = 8;
const SECRET: u8 = 16;
const PROFILE: u8 = 32;
const PAIR: u8 = PUBLIC | PRIVATE;
const OWN: u8 = PRIVATE | SECRET;
const KEY: u8 = PUBLIC | PRIVATE | SECRET;
const ALL: u8 = DATA | CERT | KEY | PROFILE;

const RSA: u8 = 1;
const EC: u8 = 2;
const EDWARDS: u8 = 4;
const AES: u8 = 8;
const DES: u8 = 16;
/// ML-DSA and ML-KEM, whose keys come of seeds.
const SEEDED: u8 = 32;
const SLH_DSA: u8 = 64;
const POST_QUANTUM: u8 = SEEDED | SLH_DSA;
const CURVES: u8 = EC | EDWARDS;
const ANY: u8 = RSA | CURVES | AES | DES | POST_QUANTUM;

macro_rules! rules {
    ($($kind:ident: $classes:expr, $families:expr, $format:ident, $given:ident, $change:ident, $reveal:ident;)+) => {
        /// The table.
        pub(crate) const TABLE: &[Rule] = &[$(Rule {
            kind: $kind,
            name: stringify!($kind),
            format: Format::$format,
            given: Given::$given,
            change: Change::$change,
            reveal: Reveal::$reveal,
            classes: $classes,
            families: $families,
        },)+];
    };
}

rules! {
    CKA_CLASS: ALL, ANY, Number, Both, Never, Open;
    CKA_TOKEN: ALL, ANY, Bool, Both, Never, Open;
    CKA_PRIVATE: ALL, ANY, Bool, Both, Never, Open;
    CKA_LABEL: ALL, ANY, Bytes, Both, Free, Open;
    CKA_UNIQUE_ID: ALL, ANY, Bytes, Never, Never, Open;
    CKA_MODIFIABLE: ALL, ANY, Bool, Both, Never, Open;
    CKA_COPYABLE: ALL, ANY, Bool, Both, Lower, Open;
    CKA_DESTROYABLE: ALL, ANY, Bool, Both, Never, Open;

    CKA_APPLICATION: DATA, ANY, Bytes, Create, Free, Open;
    CKA_OBJECT_ID: DATA, ANY, Bytes, Create, Free, Open;
    CKA_VALUE: DATA, ANY, Bytes, Create, Free, Open;

    CKA_PROFILE_ID: PROFILE, ANY, Number, Never, Never, Open;

    CKA_CERTIFICATE_TYPE: CERT, ANY, Number, Create, Never, Open;
    CKA_CERTIFICATE_CATEGORY: CERT, ANY, Number, Create, Never, Open;
    CKA_CHECK_VALUE: CERT, ANY, Bytes, Create, Never, Open;
    CKA_SUBJECT: CERT, ANY, Bytes, Create, Never, Open;
    CKA_ISSUER: CERT, ANY, Bytes, Create, Free, Open;
    CKA_SERIAL_NUMBER: CERT, ANY, Bytes, Create, Free, Open;
    CKA_VALUE: CERT, ANY, Bytes, Create, Never, Open;
    CKA_PUBLIC_KEY_INFO: CERT, ANY, Bytes, Create, Never, Open;
    CKA_URL: CERT, ANY, Bytes, Create, Never, Open;
    CKA_HASH_OF_SUBJECT_PUBLIC_KEY: CERT, ANY, Bytes, Create, Never, Open;
    CKA_HASH_OF_ISSUER_PUBLIC_KEY: CERT, ANY, Bytes, Create, Never, Open;
    CKA_NAME_HASH_ALGORITHM: CERT, ANY, Number, Create, Never, Open;
    CKA_JAVA_MIDP_SECURITY_DOMAIN: CERT, ANY, Number, Create, Never, Open;

    CKA_ID: CERT | KEY, ANY, Bytes, Both, Free, Open;
    CKA_START_DATE: CERT | KEY, ANY, Date, Both, Free, Open;
    CKA_END_DATE: CERT | KEY, ANY, Date, Both, Free, Open;
    CKA_TRUSTED: CERT | PUBLIC | SECRET, ANY, Bool, Both, BySo, Open;

    CKA_KEY_TYPE: KEY, ANY, Number, Both, Never, Open;
    CKA_LOCAL: KEY, ANY, Bool, Never, Never, Open;
    CKA_KEY_GEN_MECHANISM: KEY, ANY, Number, Never, Never, Open;
    CKA_ALLOWED_MECHANISMS: KEY, ANY, Mechanisms, Both, Never, Open;
    CKA_WRAP_TEMPLATE: PUBLIC | SECRET, ANY, Template, Both, Never, Open;
    CKA_UNWRAP_TEMPLATE: OWN, ANY, Template, Both, Never, Open;
    CKA_DERIVE_TEMPLATE: OWN, ANY, Template, Both, Never, Open;
    CKA_ENCAPSULATE_TEMPLATE: PUBLIC, ANY, Template, Both, Never, Open;
    CKA_DECAPSULATE_TEMPLATE: PRIVATE, ANY, Template, Both, Never, Open;
    CKA_DERIVE: KEY, ANY, Bool, Both, Free, Open;
    CKA_ENCRYPT: PUBLIC | SECRET, ANY, Bool, Both, Free, Open;
    CKA_VERIFY: PUBLIC | SECRET, ANY, Bool, Both, Free, Open;
    CKA_WRAP: PUBLIC | SECRET, ANY, Bool, Both, Free, Open;
    CKA_DECRYPT: OWN, ANY, Bool, Both, Free, Open;
    CKA_SIGN: OWN, ANY, Bool, Both, Free, Open;
    CKA_UNWRAP: OWN, ANY, Bool, Both, Free, Open;
    CKA_ENCAPSULATE: PUBLIC, ANY, Bool, Both, Free, Open;
    CKA_DECAPSULATE: PRIVATE, ANY, Bool, Both, Free, Open;
    CKA_VERIFY_RECOVER: PUBLIC, ANY, Bool, Both, Free, Open;
    CKA_SIGN_RECOVER: PRIVATE, ANY, Bool, Both, Free, Open;

    CKA_SENSITIVE: OWN, ANY, Bool, Both, Raise, Open;
    CKA_ALWAYS_SENSITIVE: OWN, ANY, Bool, Never, Never, Open;
    CKA_EXTRACTABLE: OWN, ANY, Bool, Both, Lower, Open;
    CKA_NEVER_EXTRACTABLE: OWN, ANY, Bool, Never, Never, Open;
    CKA_WRAP_WITH_TRUSTED: OWN, ANY, Bool, Both, Raise, Open;
    CKA_ALWAYS_AUTHENTICATE: PRIVATE, ANY, Bool, Both, Never, Open;

    CKA_SUBJECT: PAIR, ANY, Bytes, Both, Free, Open;
    CKA_PUBLIC_KEY_INFO: PUBLIC, ANY, Bytes, Create, Never, Open;
    CKA_PUBLIC_KEY_INFO: PRIVATE, ANY, Bytes, Create, Never, Open;
    CKA_MODULUS: PUBLIC, RSA, Bytes, Create, Never, Open;
    CKA_MODULUS: PRIVATE, RSA, Bytes, Create, Never, Open;
    CKA_MODULUS_BITS: PUBLIC, RSA, Number, Generate, Never, Open;
    CKA_PUBLIC_EXPONENT: PUBLIC, RSA, Bytes, Both, Never, Open;
    CKA_PUBLIC_EXPONENT: PRIVATE, RSA, Bytes, Create, Never, Open;
    CKA_EC_PARAMS: PUBLIC, CURVES, Bytes, Both, Never, Open;
    CKA_EC_PARAMS: PRIVATE, CURVES, Bytes, Create, Never, Open;
    CKA_EC_POINT: PUBLIC, CURVES, Bytes, Create, Never, Open;
    CKA_EC_POINT: PRIVATE, CURVES, Bytes, Create, Never, Open;

    CKA_PRIVATE_EXPONENT: PRIVATE, RSA, Bytes, Create, Never, Sensitive;
    CKA_PRIME_1: PRIVATE, RSA, Bytes, Create, Never, Sensitive;
    CKA_PRIME_2: PRIVATE, RSA, Bytes, Create, Never, Sensitive;
    CKA_EXPONENT_1: PRIVATE, RSA, Bytes, Create, Never, Sensitive;
    CKA_EXPONENT_2: PRIVATE, RSA, Bytes, Create, Never, Sensitive;
    CKA_COEFFICIENT: PRIVATE, RSA, Bytes, Create, Never, Sensitive;
    CKA_PARAMETER_SET: PUBLIC, POST_QUANTUM, Number, Both, Never, Open;
    CKA_PARAMETER_SET: PRIVATE, POST_QUANTUM, Number, Create, Never, Open;
    CKA_VALUE: PUBLIC, POST_QUANTUM, Bytes, Create, Never, Open;
    CKA_VALUE: PRIVATE, CURVES | POST_QUANTUM, Bytes, Create, Never, Sensitive;
    CKA_SEED: PRIVATE, SEEDED, Bytes, Create, Never, Sensitive;
    CKA_VALUE: SECRET, ANY, Bytes, Create, Never, Sensitive;
    CKA_VALUE_LEN: SECRET, AES, Number, Generate, Never, Open;
    CKA_CHECK_VALUE: SECRET, ANY, Bytes, Both, Never, Open;
}

/// The rule of an attribute for objects of a class and, if they are keys, a family; `None` if they do not have it.
pub(crate) fn rule(kind: CK_ATTRIBUTE_TYPE, class: Class, family: Option<Family>) -> Option<&'static Rule> {
    let class = match class {
        Class::Data => DATA,
        Class::Certificate => CERT,
        Class::PublicKey => PUBLIC,
        Class::PrivateKey => PRIVATE,
        Class::SecretKey => SECRET,
        Class::Profile => PROFILE,
    };
    let family = match family {
        None => ANY,
        Some(Family::Rsa) => RSA,
        Some(Family::Ec) => EC,
        Some(Family::Edwards) => EDWARDS,
        Some(Family::Aes | Family::Generic) => AES,
        Some(Family::Montgomery) => EDWARDS,
        Some(Family::Des | Family::TripleDes) => DES,
        Some(Family::MlDsa | Family::MlKem | Family::Hybrid) => SEEDED,
        Some(Family::SlhDsa) => SLH_DSA,
    };
    TABLE.iter().find(|rule| rule.kind == kind && rule.classes & class != 0 && rule.families & family != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_rules_speak_of_one_attribute_of_one_object() {
        for (at, one) in TABLE.iter().enumerate() {
            for other in &TABLE[at + 1..] {
                let same = one.kind == other.kind
                    && one.classes & other.classes != 0
                    && one.families & other.families != 0;
                assert!(!same, "{} stands twice", one.name);
            }
        }
    }

    #[test]
    fn key_material_is_brought_once_and_never_changed() {
        for rule in TABLE.iter().filter(|rule| rule.reveal == Reveal::Sensitive) {
            assert_eq!((rule.given, rule.change), (Given::Create, Change::Never), "{}", rule.name);
        }
        let value = rule(CKA_VALUE, Class::SecretKey, Some(Family::Aes)).unwrap();
        assert_eq!(value.reveal, Reveal::Sensitive);
        assert!(rule(CKA_VALUE, Class::PublicKey, Some(Family::Ec)).is_none());
        assert!(rule(CKA_VALUE_LEN, Class::SecretKey, Some(Family::TripleDes)).is_none());
        assert!(rule(CKA_MODULUS, Class::PrivateKey, Some(Family::Ec)).is_none());
    }
}
