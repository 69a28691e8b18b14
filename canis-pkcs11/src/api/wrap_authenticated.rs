//! Wrapping and unwrapping keys with associated data, IV and tag apart (section 5.18.6 and 5.18.7): CKM_AES_GCM and CKM_AES_CCM, with
//! the parameters that messages have (section 6.13.3 and 6.13.5). All else is as in C_WrapKey and C_UnwrapKey.

use super::message_cipher::PerMessage;
use super::output::Out;
use super::wrap::{unwrapped, wrapped};
use crate::attribute::Attribute;
use crate::mechanism::wrapping::{ccm, gcm};
use crate::mechanism::{Form, Row};
use crate::module::Module;
use crate::rv::{Result, fail};
use canis_core::crypto::GCM_NONCE;
use canis_core::object::{GcmIv, Wrapping};
use pkcs11_sys::*;

/// C_WrapKeyAuthenticated; puts IV and tag into the parameter.
pub(crate) fn wrap(
    module: &Module,
    session: CK_SESSION_HANDLE,
    (row, parameter): (&Row, &mut PerMessage),
    keys: (CK_OBJECT_HANDLE, CK_OBJECT_HANDLE),
    aad: &[u8],
    mut out: Out<'_>,
) -> Result {
    let tag = parameter.tag.len();
    // A key is longer than nothing, so that there is never room in no buffer.
    let room = if out.is_query() { 0 } else { out.room().saturating_add(tag) };
    let iv = iv(module, parameter)?;
    let how = (row, wrapping(row, parameter, iv, aad)?);
    let wrapped = wrapped(module, session, how, keys, room)?;
    let len = wrapped.len.checked_sub(tag).ok_or(CKR_GENERAL_ERROR)?;
    let (Some(space), Some(bytes)) = (out.space(len)?, wrapped.bytes) else { return Ok(()) };
    let (key, made) = bytes.split_at_checked(len).ok_or(CKR_GENERAL_ERROR)?;
    space.copy_from_slice(key);
    parameter.tag.copy_from_slice(made);
    if let Some(drawn) = wrapped.iv {
        parameter.iv.copy_from_slice(&drawn);
    }
    Ok(())
}

/// C_UnwrapKeyAuthenticated.
pub(crate) fn unwrap(
    module: &Module,
    session: CK_SESSION_HANDLE,
    (row, parameter): (&Row, &PerMessage),
    (unwrapping, wrapped): (CK_OBJECT_HANDLE, &[u8]),
    aad: &[u8],
    attributes: &[Attribute<'_>],
) -> Result<CK_OBJECT_HANDLE> {
    let how = (row, wrapping(row, parameter, GcmIv::Given(&parameter.iv), aad)?);
    unwrapped(module, session, how, unwrapping, &[wrapped, &parameter.tag].concat(), attributes)
}

/// Where the IV comes from. One that is made is drawn whole, since nothing is remembered from one call to the next that a counter
/// could be counted by.
///
/// # Errors
/// CKR_MECHANISM_PARAM_INVALID for other ways to make one, other lengths, and bits that are to stay.
fn iv<'a>(module: &Module, parameter: &'a PerMessage) -> Result<GcmIv<'a>> {
    match parameter.generator {
        CKG_NO_GENERATE if !module.strict_gcm => Ok(GcmIv::Given(&parameter.iv)),
        CKG_GENERATE | CKG_GENERATE_RANDOM
            if parameter.fixed_bits == 0 && parameter.iv.len() == GCM_NONCE =>
        {
            Ok(GcmIv::Drawn)
        }
        _ => fail(CKR_MECHANISM_PARAM_INVALID),
    }
}

fn wrapping<'a>(row: &Row, parameter: &PerMessage, iv: GcmIv<'a>, aad: &'a [u8]) -> Result<Wrapping<'a>> {
    match (row.form, parameter.data_len) {
        (Form::Gcm, None) => gcm(iv, aad, parameter.tag_len),
        (Form::Ccm, Some(_)) => ccm(iv, aad, parameter.tag_len),
        _ => fail(CKR_MECHANISM_PARAM_INVALID),
    }
}
