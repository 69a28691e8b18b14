//! What whoever made a key has limited it to, in attributes: which mechanisms use it (CKA_ALLOWED_MECHANISMS), what keys
//! it wraps, and what comes of it by unwrapping, deriving, encapsulating and decapsulating (CKA_WRAP_TEMPLATE and its kin; PKCS#11 3.1,
//! sections 4.8 to 4.10). None of them ever changes.

use super::{Content, KeyFacts};
use crate::crypto::post_quantum;
use canis_proto::{Error, ErrorCode, Family, KeyType, Result, Usage};
use spki::SubjectPublicKeyInfoRef;
use spki::der::{Decode, Encode};
use std::borrow::Cow;

const ALLOWED_MECHANISMS: u64 = 0x4000_0600;
/// CKA_WRAP_TEMPLATE.
pub(crate) const WRAP_TEMPLATE: u64 = 0x4000_0211;
/// CKA_UNWRAP_TEMPLATE.
pub(crate) const UNWRAP_TEMPLATE: u64 = 0x4000_0212;
/// CKA_DERIVE_TEMPLATE.
pub(crate) const DERIVE_TEMPLATE: u64 = 0x4000_0213;
/// CKA_ENCAPSULATE_TEMPLATE (PKCS#11 3.2).
pub(crate) const ENCAPSULATE_TEMPLATE: u64 = 0x062a;
/// CKA_DECAPSULATE_TEMPLATE.
pub(crate) const DECAPSULATE_TEMPLATE: u64 = 0x062b;
const LIMITS: [u64; 6] = [
    ALLOWED_MECHANISMS,
    WRAP_TEMPLATE,
    UNWRAP_TEMPLATE,
    DERIVE_TEMPLATE,
    ENCAPSULATE_TEMPLATE,
    DECAPSULATE_TEMPLATE,
];

/// The attributes of a template as records keep it: for each its type and its length, eight bytes each, lowest first,
/// and its value, numbers as eight bytes, lowest first. Nothing is left of bytes that are no template.
pub fn template_attributes(flat: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let mut rest = flat;
    std::iter::from_fn(move || {
        let (kind, after) = rest.split_first_chunk::<8>()?;
        let (len, after) = after.split_first_chunk::<8>()?;
        let (value, after) = after.split_at_checked(usize::try_from(u64::from_le_bytes(*len)).ok()?)?;
        rest = after;
        Some((u64::from_le_bytes(*kind), value))
    })
}

impl Content {
    /// Whether it limits its key in any such way.
    pub(crate) fn is_limited(&self) -> bool {
        self.limits().iter().any(Option::is_some)
    }

    /// What it limits its key to.
    pub(crate) fn limits(&self) -> [Option<&[u8]>; LIMITS.len()] {
        LIMITS.map(|kind| self.kept(kind))
    }

    /// Refuses to use the key by other mechanisms than those it is limited to; one name of the mechanism is enough.
    ///
    /// # Errors
    /// `mechanism_not_allowed`.
    pub(crate) fn allow_mechanism(&self, names: &[u64]) -> Result<()> {
        let Some(allowed) = self.kept(ALLOWED_MECHANISMS) else { return Ok(()) };
        let (allowed, _) = allowed.as_chunks::<8>();
        if allowed.iter().any(|one| names.contains(&u64::from_le_bytes(*one))) {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::MechanismNotAllowed,
            "CKA_ALLOWED_MECHANISMS of the key leaves this mechanism out; only whoever makes a key chooses that",
        ))
    }

    /// Whether it has all that a template says. Key material is not compared: it fits nothing.
    pub(crate) fn fits(&self, on_token: bool, template: &[u8]) -> bool {
        template_attributes(template).all(|(kind, wanted)| match self.value(on_token, kind) {
            Some(value) => *value == *wanted,
            None => may_be_absent(kind) && wanted.iter().all(|byte| *byte == 0),
        })
    }

    /// The value that a record keeps for an attribute.
    #[must_use]
    pub fn kept(&self, kind: u64) -> Option<&[u8]> {
        let at = self.attributes.binary_search_by_key(&kind, |(kind, _)| *kind).ok()?;
        self.attributes.get(at).map(|(_, value)| value.as_slice())
    }

    /// An attribute's value as a record would keep it.
    fn value(&self, on_token: bool, kind: u64) -> Option<Cow<'_, [u8]>> {
        let flag = |on: bool| Some(Cow::Owned(vec![u8::from(on)]));
        match kind {
            0x0000 => Some(number(self.class as u64)),
            0x0001 => flag(on_token),
            0x0002 => flag(self.private),
            0x0003 => Some(Cow::Borrowed(&self.label)),
            0x0102 => Some(Cow::Borrowed(&self.id)),
            0x0170 => flag(self.modifiable),
            0x0171 => flag(self.copyable),
            0x0172 => flag(self.destroyable),
            // What is known of the key counts, not what somebody put beside it.
            _ => {
                let known = self.key.as_ref().and_then(|facts| facts.value(kind));
                known.or_else(|| self.kept(kind).map(Cow::Borrowed))
            }
        }
    }
}

/// Whether not having an attribute is the same as having zeros or nothing in it. Not so are material, CKA_CHECK_VALUE,
/// the numbers of public halves and what names an object or its mechanisms.
const fn may_be_absent(kind: u64) -> bool {
    !matches!(
        kind,
        0x0004 | 0x0011 | 0x0090 | 0x0120..=0x0129 | 0x0180 | 0x0181 | 0x0637 | ALLOWED_MECHANISMS
    )
}

/// The usage that an attribute of a key stands for: keys that share secrets have other ones for what encryption keys call
/// CKA_ENCRYPT and CKA_DECRYPT. `Usage::NONE` is what keys of the family cannot be used for.
const fn usage(kind: u64, family: Family) -> Option<Usage> {
    let encapsulates = matches!(family, Family::MlKem);
    Some(match kind {
        0x0104 | 0x0105 if encapsulates => Usage::NONE,
        0x0633 | 0x0634 if !encapsulates => Usage::NONE,
        0x0104 | 0x0633 => Usage::ENCRYPT,
        0x0105 | 0x0634 => Usage::DECRYPT,
        0x0106 => Usage::WRAP,
        0x0107 => Usage::UNWRAP,
        0x0108 => Usage::SIGN,
        0x0109 | 0x010b => Usage::RECOVER,
        0x010a => Usage::VERIFY,
        0x010c => Usage::DERIVE,
        _ => return None,
    })
}

impl KeyFacts {
    fn value(&self, kind: u64) -> Option<Cow<'static, [u8]>> {
        let flag = |on: bool| Some(Cow::Owned(vec![u8::from(on)]));
        match kind {
            0x0086 => flag(self.trusted),
            0x0100 => Some(number(key_type(self.kind))),
            0x0103 => flag(self.sensitive),
            0x0121 if self.kind.family() == Family::Rsa => Some(number(self.kind.bits() as u64)),
            0x0161 if self.kind != KeyType::Generic => Some(number(self.kind.bytes() as u64)),
            0x0162 => flag(self.extractable),
            0x0163 => flag(self.local),
            0x0164 => flag(self.never_extractable),
            0x0165 => flag(self.always_sensitive),
            0x0166 => Some(number(self.mechanism)),
            0x0180 => curve(&self.spki).map(Cow::Owned),
            0x0202 => flag(self.always_authenticate),
            0x061d => post_quantum::parameter_set(self.kind).map(number),
            0x0210 => flag(self.wrap_with_trusted),
            _ => usage(kind, self.kind.family())
                .and_then(|usage| flag(usage != Usage::NONE && self.usage.allows(usage))),
        }
    }
}

fn number(value: u64) -> Cow<'static, [u8]> {
    Cow::Owned(value.to_le_bytes().to_vec())
}

/// CKK_… of a type.
const fn key_type(kind: KeyType) -> u64 {
    match (kind.family(), kind) {
        (Family::Rsa, _) => 0x00,
        (Family::Ec, _) => 0x03,
        (Family::Generic, _) => 0x10,
        (Family::Des, _) => 0x13,
        (Family::TripleDes, KeyType::Des2) => 0x14,
        (Family::TripleDes, _) => 0x15,
        (Family::Aes, _) => 0x1f,
        (Family::Edwards, _) => 0x40,
        (Family::Montgomery, _) => 0x41,
        (Family::MlDsa, _) => 0x4a,
        (Family::MlKem, _) => 0x49,
        (Family::SlhDsa, _) => 0x4b,
        // The standard has no type for it; no object of it is shown to a host.
        (Family::Hybrid, _) => 0x8000_0000,
    }
}

/// CKA_EC_PARAMS: the OBJECT IDENTIFIER of the curve, which with Ed25519 and X25519 is that of the algorithm.
fn curve(spki: &[u8]) -> Option<Vec<u8>> {
    let algorithm = SubjectPublicKeyInfoRef::from_der(spki).ok()?.algorithm;
    match algorithm.parameters {
        Some(parameters) => parameters.to_der().ok(),
        None => algorithm.oid.to_der().ok(),
    }
}
