//! Secrets shared by encapsulation (section 5.18.8 and 5.18.9).

use super::derive::derived_wanted;
use super::named::{self, Codes, Role};
use super::object::{Place, handle_of, place};
use super::output::Out;
use crate::attribute::Attribute;
use crate::mechanism::Mechanism;
use crate::module::Module;
use crate::nested::imposed;
use crate::object::kept;
use crate::rv::{Instead, Result, fail};
use crate::template::{Template, generated};
use crate::version_3_2::*;
use canis_core::object::{Class, Content, DecapsulateKey, EncapsulateKey, Object};
use canis_proto::{ErrorCode, Family, Usage};
use pkcs11_sys::*;
use std::sync::Arc;

const ENCAPSULATES: Role = Role {
    usage: Usage::ENCRYPT,
    half: Class::PublicKey,
    codes: Codes { handle: CKR_KEY_HANDLE_INVALID, kind: CKR_KEY_TYPE_INCONSISTENT },
};

const DECAPSULATES: Role = Role {
    usage: Usage::DECRYPT,
    half: Class::PrivateKey,
    codes: Codes { handle: CKR_UNWRAPPING_KEY_HANDLE_INVALID, kind: CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT },
};

/// C_EncapsulateKey; gives the secret's handle, or none where the host asks for the ciphertext's length only.
pub(crate) fn encapsulate(
    module: &Module,
    session: CK_SESSION_HANDLE,
    mechanism: &Mechanism<'_>,
    key: CK_OBJECT_HANDLE,
    attributes: &[Attribute<'_>],
    mut out: Out<'_>,
) -> Result<Option<CK_OBJECT_HANDLE>> {
    let (key, len) = half(module, session, mechanism, key, ENCAPSULATES)?;
    let Some(space) = out.space(len)? else { return Ok(None) };
    let attributes = imposed(attributes, kept(&key.content, CKA_ENCAPSULATE_TEMPLATE));
    let Secret { family, len, content, place } = secret(module, session, mechanism, &attributes)?;
    let private = content.private;
    let request = EncapsulateKey { key: key.id, family, len, session: place.session, content };
    let made = module
        .keeper()?
        .call(&place.token, request)
        .instead(ErrorCode::InvalidKeyType, CKR_KEY_SIZE_RANGE)?;
    if made.ciphertext.len() != space.len() {
        return fail(CKR_GENERAL_ERROR);
    }
    space.copy_from_slice(&made.ciphertext);
    handle_of(module, session, &place, made.id, private).map(Some)
}

/// C_DecapsulateKey.
pub(crate) fn decapsulate(
    module: &Module,
    session: CK_SESSION_HANDLE,
    mechanism: &Mechanism<'_>,
    key: CK_OBJECT_HANDLE,
    attributes: &[Attribute<'_>],
    ciphertext: &[u8],
) -> Result<CK_OBJECT_HANDLE> {
    let (key, len) = half(module, session, mechanism, key, DECAPSULATES)?;
    // Everybody can see that; whatever else may be wrong leads to another secret.
    if ciphertext.len() != len {
        return fail(CKR_WRAPPED_KEY_LEN_RANGE);
    }
    let attributes = imposed(attributes, kept(&key.content, CKA_DECAPSULATE_TEMPLATE));
    let Secret { family, len, content, place } = secret(module, session, mechanism, &attributes)?;
    let private = content.private;
    let request = DecapsulateKey { key: key.id, ciphertext, family, len, session: place.session, content };
    let made = module
        .keeper()?
        .call(&place.token, request)
        .instead(ErrorCode::InvalidKeyType, CKR_KEY_SIZE_RANGE)?;
    handle_of(module, session, &place, made, private)
}

/// The half of a pair that works by the mechanism, and the length of its ciphertexts.
fn half(
    module: &Module,
    session: CK_SESSION_HANDLE,
    mechanism: &Mechanism<'_>,
    key: CK_OBJECT_HANDLE,
    role: Role,
) -> Result<(Arc<Object>, usize)> {
    let token = module.sessions.token(session)?;
    mechanism.encapsulates()?;
    let takes = |family| mechanism.row.family == Some(family);
    let key = named::key(module, &token, key, role, mechanism.row, takes)?;
    let len = key.content.key.as_ref().and_then(|facts| facts.ciphertext_len());
    len.map(|len| (key, len)).ok_or_else(|| role.codes.kind.into())
}

/// The secret key that a template asks for.
struct Secret {
    family: Family,
    len: Option<usize>,
    content: Content,
    place: Place,
}

fn secret(
    module: &Module,
    session: CK_SESSION_HANDLE,
    mechanism: &Mechanism<'_>,
    attributes: &[Attribute<'_>],
) -> Result<Secret> {
    let template = Template::new(attributes)?;
    let place = place(module, session, template.boolean(CKA_TOKEN)?.unwrap_or(false))?;
    let (kind, len) = derived_wanted(&template)?;
    let content = generated(Class::SecretKey, kind, mechanism.row.kind, &template, place.so)?;
    Ok(Secret { family: kind.family(), len, content, place })
}
