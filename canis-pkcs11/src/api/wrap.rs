//! Wrapping and unwrapping keys (section 5.18.3 and 5.18.4).

use super::named::{self, Codes, Role};
use super::object::{handle_of, place};
use super::output::Out;
use crate::attribute::Attribute;
use crate::key_template::{private_wanted, secret_wanted};
use crate::mechanism::{Mechanism, Row};
use crate::module::Module;
use crate::nested::imposed;
use crate::object::kept;
use crate::rv::{Instead, Result, fail};
use crate::template::{Template, generated};
use canis_core::crypto::{BLOCK, GCM_NONCE};
use canis_core::object::{Class, Inside, UnwrapKey, WrapKey, Wrapped, Wrapping};
use canis_proto::{ErrorCode, Usage};
use pkcs11_sys::*;

const WRAPS: Role = Role {
    usage: Usage::WRAP,
    half: Class::PublicKey,
    codes: Codes { handle: CKR_WRAPPING_KEY_HANDLE_INVALID, kind: CKR_WRAPPING_KEY_TYPE_INCONSISTENT },
};

const UNWRAPS: Role = Role {
    usage: Usage::UNWRAP,
    half: Class::PrivateKey,
    codes: Codes { handle: CKR_UNWRAPPING_KEY_HANDLE_INVALID, kind: CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT },
};

/// C_WrapKey; gives the IV that was drawn for AES-GCM or AES-CCM.
pub(crate) fn wrap(
    module: &Module,
    session: CK_SESSION_HANDLE,
    mechanism: &Mechanism<'_>,
    wrapping: CK_OBJECT_HANDLE,
    key: CK_OBJECT_HANDLE,
    mut out: Out<'_>,
) -> Result<Option<[u8; GCM_NONCE]>> {
    let how = mechanism.wraps(false)?;
    let wrapped = wrapped(module, session, (mechanism.row, how), (wrapping, key), out.room())?;
    let (Some(space), Some(bytes)) = (out.space(wrapped.len)?, wrapped.bytes) else { return Ok(None) };
    space.copy_from_slice(&bytes);
    Ok(wrapped.iv)
}

/// `key` as `wrapping` wraps it, if it takes no more than `room` bytes.
pub(super) fn wrapped(
    module: &Module,
    session: CK_SESSION_HANDLE,
    (row, how): (&Row, Wrapping<'_>),
    (wrapping, key): (CK_OBJECT_HANDLE, CK_OBJECT_HANDLE),
    room: usize,
) -> Result<Wrapped> {
    let token = module.sessions.token(session)?;
    let takes = |family| row.family == Some(family);
    let wrapper = named::key(module, &token, wrapping, WRAPS, row, takes)?;
    let key = named::any(module, &token, key, CKR_KEY_HANDLE_INVALID)?;
    if key.content.key.is_none() {
        return fail(CKR_KEY_HANDLE_INVALID);
    }
    if !key.content.class.is_secret() {
        return fail(CKR_KEY_NOT_WRAPPABLE);
    }
    let request = WrapKey { wrapper: wrapper.id, key: key.id, how, room, weak_rsa: module.legacy };
    module
        .keeper()?
        .call(&token, request)
        .instead(ErrorCode::InvalidArgument, CKR_KEY_SIZE_RANGE)
        // Not as CKA_WRAP_TEMPLATE wants it (section 4.10.2).
        .instead(ErrorCode::InvalidKeyType, CKR_KEY_HANDLE_INVALID)
}

/// C_UnwrapKey.
pub(crate) fn unwrap(
    module: &Module,
    session: CK_SESSION_HANDLE,
    mechanism: &Mechanism<'_>,
    unwrapping: CK_OBJECT_HANDLE,
    wrapped: &[u8],
    attributes: &[Attribute<'_>],
) -> Result<CK_OBJECT_HANDLE> {
    let how = (mechanism.row, mechanism.wraps(true)?);
    unwrapped(module, session, how, unwrapping, wrapped, attributes)
}

/// The object of what `unwrapping` unwraps.
pub(super) fn unwrapped(
    module: &Module,
    session: CK_SESSION_HANDLE,
    (row, how): (&Row, Wrapping<'_>),
    unwrapping: CK_OBJECT_HANDLE,
    wrapped: &[u8],
    attributes: &[Attribute<'_>],
) -> Result<CK_OBJECT_HANDLE> {
    let token = module.sessions.token(session)?;
    let takes = |family| row.family == Some(family);
    let unwrapper = named::key(module, &token, unwrapping, UNWRAPS, row, takes)?;
    let block = unwrapper.content.key.as_ref().map_or(0, |facts| facts.kind.bytes());
    if !length_fits(&how, wrapped.len(), block) {
        return fail(CKR_WRAPPED_KEY_LEN_RANGE);
    }
    let attributes = imposed(attributes, kept(&unwrapper.content, CKA_UNWRAP_TEMPLATE));
    let template = Template::new(&attributes)?;
    let place = place(module, session, template.boolean(CKA_TOKEN)?.unwrap_or(false))?;
    let (class, kind, inside) = match template.number(CKA_CLASS)?.unwrap_or(CKO_SECRET_KEY) {
        CKO_SECRET_KEY => {
            let (kind, len) = secret_wanted(&template)?;
            if !module.allows(kind) {
                return fail(CKR_TEMPLATE_INCONSISTENT);
            }
            (Class::SecretKey, kind, Inside::Secret { family: kind.family(), len })
        }
        CKO_PRIVATE_KEY => {
            let kind = private_wanted(&template)?;
            (Class::PrivateKey, kind, Inside::Private(kind.family()))
        }
        _ => return fail(CKR_TEMPLATE_INCONSISTENT),
    };
    if class == Class::PrivateKey && matches!(how, Wrapping::RsaOaep(_) | Wrapping::RsaPkcs1) {
        return fail(CKR_TEMPLATE_INCONSISTENT);
    }
    let content = generated(class, kind, row.kind, &template, place.so)?;
    let private = content.private;
    let request =
        UnwrapKey { unwrapper: unwrapper.id, how, wrapped, inside, session: place.session, content };
    let key = module
        .keeper()?
        .call(&token, request)
        .instead(ErrorCode::DecryptionFailed, CKR_WRAPPED_KEY_INVALID)
        .instead(ErrorCode::InvalidArgument, CKR_TEMPLATE_INCOMPLETE)?;
    handle_of(module, session, &place, key, private)
}

/// Whether anything of this length can have been wrapped so; everybody can see that.
fn length_fits(how: &Wrapping<'_>, len: usize, block: usize) -> bool {
    match how {
        Wrapping::AesKw => len >= 24 && len.is_multiple_of(8),
        Wrapping::AesKwp => len >= 16 && len.is_multiple_of(8),
        Wrapping::AesGcm { tag, .. } | Wrapping::AesCcm { tag, .. } => len > *tag,
        Wrapping::AesCbcPad { .. } => len > 0 && len.is_multiple_of(BLOCK),
        Wrapping::RsaOaep(_) | Wrapping::RsaPkcs1 => len == block,
        Wrapping::RsaAes { .. } => len >= block + 16 && (len - block).is_multiple_of(8),
    }
}
