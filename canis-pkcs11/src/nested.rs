//! Templates as values of attributes (CKA_WRAP_TEMPLATE and its kin): one flat run of bytes, as hosts' attributes are
//! compared and as records keep them.
//!
//! Each attribute is its type and its length, eight bytes each, lowest first, and its value. Between host and record only
//! the values change their form, as those of other attributes do.

use crate::attribute::{Attribute, Format};
use crate::rules::TABLE;
use crate::rv::{Result, fail};
use crate::version_3_2::{CKA_DECAPSULATE_TEMPLATE, CKA_ENCAPSULATE_TEMPLATE};
use canis_core::object::template_attributes;
use pkcs11_sys::*;
use std::borrow::Cow;

/// Whether an attribute's value is a template.
pub(crate) const fn is_template(kind: CK_ATTRIBUTE_TYPE) -> bool {
    matches!(
        kind,
        CKA_WRAP_TEMPLATE
            | CKA_UNWRAP_TEMPLATE
            | CKA_DERIVE_TEMPLATE
            | CKA_ENCAPSULATE_TEMPLATE
            | CKA_DECAPSULATE_TEMPLATE
    )
}

/// Appends an attribute.
pub(crate) fn push(flat: &mut Vec<u8>, kind: CK_ATTRIBUTE_TYPE, value: &[u8]) {
    #[allow(clippy::useless_conversion)] // CK_ULONG has 32 bits on some targets.
    flat.extend_from_slice(&u64::from(kind).to_le_bytes());
    flat.extend_from_slice(&(value.len() as u64).to_le_bytes());
    flat.extend_from_slice(value);
}

/// The attributes, in their order. Nothing is left of bytes that [`push`] did not make.
pub(crate) fn attributes(flat: &[u8]) -> impl Iterator<Item = (CK_ATTRIBUTE_TYPE, &[u8])> {
    template_attributes(flat)
        .map_while(|(kind, value)| Some((CK_ATTRIBUTE_TYPE::try_from(kind).ok()?, value)))
}

/// Checks a template from the host and gives its values the form of records.
///
/// # Errors
/// CKR_ATTRIBUTE_TYPE_INVALID for an attribute that no object has, CKR_ATTRIBUTE_VALUE_INVALID for a wrong value and a
/// template inside, CKR_TEMPLATE_INCONSISTENT for an attribute that stands there twice.
pub(crate) fn parse(flat: &[u8]) -> Result<Vec<u8>> {
    let (mut kept, mut seen) = (Vec::with_capacity(flat.len()), Vec::new());
    for (kind, value) in attributes(flat) {
        let format = format_of(kind).ok_or(CKR_ATTRIBUTE_TYPE_INVALID)?;
        if format == Format::Template {
            return fail(CKR_ATTRIBUTE_VALUE_INVALID);
        }
        if seen.contains(&kind) {
            return fail(CKR_TEMPLATE_INCONSISTENT);
        }
        seen.push(kind);
        push(&mut kept, kind, &format.parse(value)?);
    }
    Ok(kept)
}

/// The reverse: a template for the host.
pub(crate) fn show(kept: &[u8]) -> Vec<u8> {
    let mut shown = Vec::with_capacity(kept.len());
    for (kind, value) in attributes(kept) {
        let format = format_of(kind).unwrap_or(Format::Bytes);
        push(&mut shown, kind, format.show(value).as_slice());
    }
    shown
}

/// A host's template with what a kept template (CKA_UNWRAP_TEMPLATE, CKA_DERIVE_TEMPLATE) says and it does not. Whether the
/// two contradict each other the core sees from what they make.
pub(crate) fn imposed<'a>(given: &[Attribute<'a>], kept: Option<&[u8]>) -> Vec<Attribute<'a>> {
    let mut both = given.to_vec();
    for (kind, value) in attributes(&show(kept.unwrap_or_default())) {
        if given.iter().all(|one| one.kind != kind) {
            both.push(Attribute { kind, value: Cow::Owned(value.to_vec()) });
        }
    }
    both
}

/// What the bytes of an attribute mean; the same in every class that has it.
fn format_of(kind: CK_ATTRIBUTE_TYPE) -> Option<Format> {
    TABLE.iter().find(|rule| rule.kind == kind).map(|rule| rule.format)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(attributes: &[(CK_ATTRIBUTE_TYPE, &[u8])]) -> Vec<u8> {
        let mut flat = Vec::new();
        attributes.iter().for_each(|(kind, value)| push(&mut flat, *kind, value));
        flat
    }

    #[test]
    fn templates_are_checked_and_survive_being_kept() {
        let given = flat(&[
            (CKA_SENSITIVE, &[1]),
            (CKA_KEY_TYPE, &CKK_AES.to_ne_bytes()),
            (CKA_LABEL, b"inside"),
            (CKA_ALLOWED_MECHANISMS, &CKM_AES_GCM.to_ne_bytes()),
            (CKA_ID, b""),
        ]);
        assert_eq!(show(&parse(&given).unwrap()), given);
        assert_eq!(parse(b"").unwrap(), b"");
        for (wrong, rv) in [
            (flat(&[(CKA_SENSITIVE, &[2])]), CKR_ATTRIBUTE_VALUE_INVALID),
            (flat(&[(CKA_KEY_TYPE, &[2])]), CKR_ATTRIBUTE_VALUE_INVALID),
            (flat(&[(CKA_UNWRAP_TEMPLATE, &[])]), CKR_ATTRIBUTE_VALUE_INVALID),
            (flat(&[(CKA_VENDOR_DEFINED | 7, &[1])]), CKR_ATTRIBUTE_TYPE_INVALID),
            (flat(&[(CKA_LABEL, b"1"), (CKA_LABEL, b"1")]), CKR_TEMPLATE_INCONSISTENT),
        ] {
            assert_eq!(parse(&wrong).unwrap_err().rv, rv);
        }
    }

    #[test]
    fn the_format_of_an_attribute_is_the_same_everywhere() {
        for rule in TABLE {
            assert_eq!(format_of(rule.kind), Some(rule.format), "{}", rule.name);
        }
    }

    #[test]
    fn cut_bytes_end_the_list() {
        let whole = flat(&[(CKA_LABEL, b"one"), (CKA_ID, b"two")]);
        for cut in 0..whole.len() {
            assert!(attributes(&whole[..cut]).count() <= 1);
        }
        let endless = [&1u64.to_le_bytes()[..], &u64::MAX.to_le_bytes(), b"x"].concat();
        assert_eq!(attributes(&endless).count(), 0);
    }
}
