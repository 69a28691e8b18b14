//! The host's pointers, read once and turned into slices and references.
//!
//! Every function here is unsafe for the same reason: the host promises that a pointer that is not NULL leads to as
//! many elements as it says (PKCS#11 v3.1, section 5.1), and nothing can check that.

use super::nested;
use crate::api::output::{Input, Out, Transfer};
use crate::attribute::Attribute;
use crate::nested::is_template;
use crate::rv::{Result, fail};
use pkcs11_sys::*;
use zeroize::Zeroizing;

/// No template is longer; a larger count is a mistake that would be read as memory.
const MOST_ATTRIBUTES: CK_ULONG = 1024;

/// Input bytes. (NULL, 0) is the empty message.
///
/// # Errors
/// CKR_ARGUMENTS_BAD for NULL with a length, and for lengths that no memory has.
pub(super) unsafe fn bytes<'a>(at: *const CK_BYTE, len: CK_ULONG) -> Result<&'a [u8]> {
    let len = size::<u8>(len)?;
    match (at.is_null(), len) {
        (_, 0) => Ok(&[]),
        (true, _) => fail(CKR_ARGUMENTS_BAD),
        // SAFETY: the host's promise.
        (false, _) => Ok(unsafe { std::slice::from_raw_parts(at, len) }),
    }
}

/// A place for `len` elements; NULL only with 0, and never one that no compiler would have aligned so.
pub(super) unsafe fn room<'a, T>(at: *mut T, len: CK_ULONG) -> Result<&'a mut [T]> {
    let len = size::<T>(len)?;
    match (at.is_null(), len) {
        (_, 0) => Ok(&mut []),
        (true, _) => fail(CKR_ARGUMENTS_BAD),
        _ if !at.is_aligned() => fail(CKR_ARGUMENTS_BAD),
        // SAFETY: the host's promise.
        (false, _) => Ok(unsafe { std::slice::from_raw_parts_mut(at, len) }),
    }
}

/// A place for one value.
pub(super) unsafe fn place<'a, T>(at: *mut T) -> Result<&'a mut T> {
    if !at.is_aligned() {
        return fail(CKR_ARGUMENTS_BAD);
    }
    // SAFETY: the host's promise.
    unsafe { at.as_mut() }.ok_or_else(|| CKR_ARGUMENTS_BAD.into())
}

/// A copy of one structure, which need not be aligned; `None` for NULL.
pub(super) unsafe fn structure<T: Copy>(at: *const T) -> Option<T> {
    // SAFETY: the host's promise; the standard's structures are plain numbers and pointers.
    (!at.is_null()).then(|| unsafe { at.read_unaligned() })
}

/// A buffer for an answer and the place of its length (section 5.2).
pub(super) unsafe fn out<'a>(at: *mut CK_BYTE, len: *mut CK_ULONG) -> Result<Out<'a>> {
    // SAFETY: the host's promise.
    let len = unsafe { place(len) }?;
    if at.is_null() {
        return Ok(Out::new(None, len));
    }
    // SAFETY: the host's promise.
    let buffer = unsafe { room(at, *len) }?;
    Ok(Out::new(Some(buffer), len))
}

/// Input and a buffer for the answer. Hosts like to give the same memory for both; then the input is copied first.
pub(super) unsafe fn transfer<'a>(
    input: *const CK_BYTE,
    input_len: CK_ULONG,
    output: *mut CK_BYTE,
    output_len: *mut CK_ULONG,
) -> Result<Transfer<'a>> {
    // SAFETY: the host's promise.
    let input = unsafe { apart(input, input_len, output, output_len) }?;
    // SAFETY: the host's promise; no shared slice leads into the buffer any more.
    Ok(Transfer { input, out: unsafe { out(output, output_len) }? })
}

/// Input that shares no memory with the buffer for the answer: copied if it did.
pub(super) unsafe fn apart<'a>(
    input: *const CK_BYTE,
    input_len: CK_ULONG,
    output: *mut CK_BYTE,
    output_len: *mut CK_ULONG,
) -> Result<Input<'a>> {
    // SAFETY: the host's promise; the length is only read.
    let room_len = if output.is_null() { 0 } else { unsafe { structure(output_len) }.unwrap_or(0) };
    let overlaps = (input as CK_ULONG) < (output as CK_ULONG).saturating_add(room_len)
        && (output as CK_ULONG) < (input as CK_ULONG).saturating_add(input_len);
    // SAFETY: the host's promise.
    let given = unsafe { bytes(input, input_len) }?;
    Ok(if overlaps { Input::Copied(Zeroizing::new(given.to_vec())) } else { Input::Given(given) })
}

/// A template. Where a value is itself a template `inside` reads that.
pub(super) unsafe fn attributes_with<'a>(
    at: *const CK_ATTRIBUTE,
    count: CK_ULONG,
    inside: impl Fn(&CK_ATTRIBUTE) -> Result<Vec<u8>>,
) -> Result<Vec<Attribute<'a>>> {
    if count > MOST_ATTRIBUTES || (at.is_null() && count > 0) {
        return fail(CKR_ARGUMENTS_BAD);
    }
    (0..count as usize)
        .map(|index| {
            // SAFETY: the host's promise for the array.
            let attribute = unsafe { at.add(index).read_unaligned() };
            let value = match is_template(attribute.type_) {
                true => inside(&attribute)?.into(),
                // SAFETY: the host's promise for the value of each element.
                false => unsafe { bytes(attribute.pValue.cast(), attribute.ulValueLen) }?.into(),
            };
            Ok(Attribute { kind: attribute.type_, value })
        })
        .collect()
}

/// A template of a call.
pub(super) unsafe fn attributes<'a>(at: *const CK_ATTRIBUTE, count: CK_ULONG) -> Result<Vec<Attribute<'a>>> {
    // SAFETY: the host's promise, for templates inside, too.
    unsafe { attributes_with(at, count, |attribute| nested::read(attribute)) }
}

/// A template that is to be filled in.
pub(super) unsafe fn attributes_to_fill<'a>(
    at: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
) -> Result<&'a mut [CK_ATTRIBUTE]> {
    if count > MOST_ATTRIBUTES {
        return fail(CKR_ARGUMENTS_BAD);
    }
    // SAFETY: the host's promise.
    unsafe { room(at, count) }
}

/// Writes a list by the convention of section 5.2: NULL asks for the count.
///
/// # Errors
/// CKR_BUFFER_TOO_SMALL, with the count told.
pub(super) unsafe fn list<T: Copy>(values: &[T], at: *mut T, count: *mut CK_ULONG) -> Result {
    // SAFETY: the host's promise.
    let count = unsafe { place(count) }?;
    let available = std::mem::replace(count, values.len() as CK_ULONG);
    if at.is_null() {
        return Ok(());
    }
    if available < values.len() as CK_ULONG {
        return fail(CKR_BUFFER_TOO_SMALL);
    }
    // SAFETY: the host's promise; there is room for all values.
    unsafe { room(at, values.len() as CK_ULONG) }?.copy_from_slice(values);
    Ok(())
}

/// The number of elements, if memory can have so many.
fn size<T>(len: CK_ULONG) -> Result<usize> {
    match usize::try_from(len) {
        Ok(len) if len <= isize::MAX as usize / size_of::<T>() => Ok(len),
        _ => fail(CKR_ARGUMENTS_BAD),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ptr::{null, null_mut};

    #[test]
    fn null_is_empty_only_with_length_zero() {
        // SAFETY: NULL and lengths that are refused before anything is read.
        unsafe {
            assert_eq!(bytes(null(), 0).unwrap(), b"");
            assert_eq!(bytes(null(), 1).unwrap_err().rv, CKR_ARGUMENTS_BAD);
            assert_eq!(bytes(b"x".as_ptr(), CK_ULONG::MAX).unwrap_err().rv, CKR_ARGUMENTS_BAD);
            assert!(attributes(null(), 0).unwrap().is_empty());
            assert_eq!(attributes(null(), 1).unwrap_err().rv, CKR_ARGUMENTS_BAD);
            let mut numbers = [0 as CK_ULONG; 3];
            let odd = numbers.as_mut_ptr().wrapping_byte_add(1);
            assert_eq!(place(odd).unwrap_err().rv, CKR_ARGUMENTS_BAD);
            assert_eq!(room(odd, 2).unwrap_err().rv, CKR_ARGUMENTS_BAD);
            assert_eq!(structure(odd), Some(0));
            assert!(attributes(null(), CK_ULONG::MAX).is_err() && out(null_mut(), null_mut()).is_err());
        }
    }

    #[test]
    fn shared_memory_is_copied() {
        let mut buffer = *b"plaintext-------";
        let mut len = buffer.len() as CK_ULONG;
        let at = buffer.as_mut_ptr();
        // SAFETY: pointers and lengths of a live buffer.
        unsafe {
            assert!(matches!(transfer(at, 9, at, &mut len).unwrap().input, Input::Copied(_)));
            assert!(matches!(transfer(at.add(15), 1, at, &mut len).unwrap().input, Input::Copied(_)));
            let (mut other, mut room) = ([0; 4], 4);
            let apart = transfer(at, 9, other.as_mut_ptr(), &mut room).unwrap();
            assert!(matches!(apart.input, Input::Given(b"plaintext")));
        }
    }

    #[test]
    fn lists_tell_their_length() {
        let (mut count, mut place) = (0, [0; 2]);
        // SAFETY: pointers and lengths of live buffers.
        unsafe {
            list(&[1, 2, 3], null_mut(), &mut count).unwrap();
            assert_eq!(count, 3);
            count = 2;
            assert_eq!(
                list(&[1, 2, 3], place.as_mut_ptr(), &mut count).unwrap_err().rv,
                CKR_BUFFER_TOO_SMALL
            );
            assert_eq!(count, 3);
            list(&[1, 2], place.as_mut_ptr(), &mut count).unwrap();
        }
        assert_eq!((count, place), (2, [1, 2]));
    }
}
