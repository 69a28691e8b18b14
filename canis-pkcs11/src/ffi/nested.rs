//! Templates inside templates: arrays of CK_ATTRIBUTE as values of attributes (section 4.1, CKF_ARRAY_ATTRIBUTE).

use super::args::{attributes_with, room};
use crate::nested;
use crate::rv::{Result, fail};
use pkcs11_sys::*;

/// Reads a template that is an attribute's value, into the flat form.
///
/// # Errors
/// CKR_ATTRIBUTE_VALUE_INVALID for a length of no whole number of attributes, and for templates inside.
///
/// # Safety
/// The host's pointer leads to as many attributes as it says, and theirs to as many bytes.
pub(super) unsafe fn read(attribute: &CK_ATTRIBUTE) -> Result<Vec<u8>> {
    let count = count(attribute.ulValueLen)?;
    let at: *const CK_ATTRIBUTE = attribute.pValue.cast();
    let mut flat = Vec::new();
    // SAFETY: the host's promise for the array; a template inside is refused before its own array is read.
    for inner in unsafe { attributes_with(at, count, |_| fail(CKR_ATTRIBUTE_VALUE_INVALID)) }? {
        nested::push(&mut flat, inner.kind, &inner.value);
    }
    Ok(flat)
}

/// Writes a template in the flat form into the host's array, each value into its own place (section 5.7.5).
///
/// # Errors
/// CKR_BUFFER_TOO_SMALL for the array or one of the values.
///
/// # Safety
/// The host's pointer leads to as many attributes as it says, and theirs to as many bytes.
pub(super) unsafe fn fill(flat: &[u8], attribute: &mut CK_ATTRIBUTE) -> Result {
    let values: Vec<_> = nested::attributes(flat).collect();
    let needed = (values.len() * size_of::<CK_ATTRIBUTE>()) as CK_ULONG;
    if attribute.pValue.is_null() {
        attribute.ulValueLen = needed;
        return Ok(());
    }
    if attribute.ulValueLen < needed {
        return fail(CKR_BUFFER_TOO_SMALL);
    }
    attribute.ulValueLen = needed;
    let at: *mut CK_ATTRIBUTE = attribute.pValue.cast();
    let mut outcome = Ok(());
    for (index, (kind, value)) in values.into_iter().enumerate() {
        // SAFETY: the array has room for all values; it need not be aligned.
        let mut inner = unsafe { at.add(index).read_unaligned() };
        inner.type_ = kind;
        // SAFETY: the host's promise for the value's place.
        if let Err(short) = unsafe { fill_value(value, &mut inner) } {
            inner.ulValueLen = CK_UNAVAILABLE_INFORMATION;
            outcome = Err(short);
        }
        // SAFETY: as above.
        unsafe { at.add(index).write_unaligned(inner) };
    }
    outcome
}

/// Writes one value by the convention of C_GetAttributeValue: NULL asks for the length.
///
/// # Errors
/// CKR_BUFFER_TOO_SMALL.
///
/// # Safety
/// The host's pointer leads to as many bytes as it says.
pub(super) unsafe fn fill_value(value: &[u8], attribute: &mut CK_ATTRIBUTE) -> Result {
    let len = value.len() as CK_ULONG;
    if !attribute.pValue.is_null() {
        if attribute.ulValueLen < len {
            return fail(CKR_BUFFER_TOO_SMALL);
        }
        // SAFETY: the host's pointer; there is room for the value.
        unsafe { room(attribute.pValue.cast::<CK_BYTE>(), len) }?.copy_from_slice(value);
    }
    attribute.ulValueLen = len;
    Ok(())
}

fn count(len: CK_ULONG) -> Result<CK_ULONG> {
    let size = size_of::<CK_ATTRIBUTE>() as CK_ULONG;
    if len.is_multiple_of(size) { Ok(len / size) } else { fail(CKR_ATTRIBUTE_VALUE_INVALID) }
}
