//! Deriving keys (section 5.18.5), and keys of passwords.

use super::named::{self, Codes, Role};
use super::object::{Place, handle_of, place};
use crate::attribute::Attribute;
use crate::curve::{point, point_len};
use crate::key_template::secret_wanted;
use crate::mechanism::{Derives, Deriving, Mechanism, Password, Salt};
use crate::module::Module;
use crate::nested::imposed;
use crate::object::kept;
use crate::rv::{Instead, Result, fail};
use crate::template::{Template, data_derived, generated};
use crate::token::Token;
use canis_core::object::Salt as CoreSalt;
use canis_core::object::{Class, Derivation, DeriveKey, DerivePassword, Derived, Object};
use canis_proto::{ErrorCode, Family, Id, KeyType, Usage};
use pkcs11_sys::*;
use std::sync::Arc;

const BASE: Role = Role {
    usage: Usage::DERIVE,
    half: Class::PrivateKey,
    codes: Codes { handle: CKR_KEY_HANDLE_INVALID, kind: CKR_KEY_TYPE_INCONSISTENT },
};

/// C_DeriveKey.
pub(crate) fn derive(
    module: &Module,
    session: CK_SESSION_HANDLE,
    mechanism: &Mechanism<'_>,
    base: CK_OBJECT_HANDLE,
    attributes: &[Attribute<'_>],
) -> Result<CK_OBJECT_HANDLE> {
    let token = module.sessions.token(session)?;
    let deriving = mechanism.derives()?;
    let takes = |family| mechanism.row.derives().is_some_and(|derives: Derives| derives.takes(family));
    let base = named::key(module, &token, base, BASE, mechanism.row, takes)?;
    let other = second_key(module, &token, mechanism, &deriving)?;
    let how = derivation(&deriving, &base, other.as_ref().map(|other| other.id))?;
    let mut attributes = imposed(attributes, kept(&base.content, CKA_DERIVE_TEMPLATE));
    if let Some(other) = &other {
        attributes = imposed(&attributes, kept(&other.content, CKA_DERIVE_TEMPLATE));
    }
    let template = Template::new(&attributes)?;
    let place = place(module, session, template.boolean(CKA_TOKEN)?.unwrap_or(false))?;
    let (content, derived) = if let Deriving::Hkdf { data: true, .. } = deriving {
        let (content, len) = data_derived(&template, place.so)?;
        (content, Derived::Data { len })
    } else {
        let (kind, len) = derived_wanted(&template)?;
        let content = generated(Class::SecretKey, kind, mechanism.row.kind, &template, place.so)?;
        (content, Derived::Secret { family: kind.family(), len })
    };
    let private = content.private;
    let request = DeriveKey { base: base.id, how, derived, session: place.session, content };
    let key = module
        .keeper()?
        .call(&token, request)
        .instead(ErrorCode::InvalidKeyType, CKR_KEY_SIZE_RANGE)
        .instead(ErrorCode::InvalidArgument, CKR_MECHANISM_PARAM_INVALID)?;
    handle_of(module, session, &place, key, private)
}

/// What kind of secret key is to be derived: none for old clients only (ADR 0016).
pub(super) fn derived_wanted(template: &Template<'_>) -> Result<(KeyType, Option<usize>)> {
    let wanted = secret_wanted(template)?;
    if wanted.0.is_legacy() { fail(CKR_TEMPLATE_INCONSISTENT) } else { Ok(wanted) }
}

/// The key besides the base: the other one of a concatenation, the salt of HKDF.
fn second_key(
    module: &Module,
    token: &Token,
    mechanism: &Mechanism<'_>,
    deriving: &Deriving<'_>,
) -> Result<Option<Arc<Object>>> {
    let (Deriving::JoinKey(handle) | Deriving::Hkdf { extract: Some(Salt::Key(handle)), .. }) = deriving
    else {
        return Ok(None);
    };
    let takes = |family| matches!(family, Family::Aes | Family::Generic);
    named::key(module, token, *handle, BASE, mechanism.row, takes).map(Some)
}

/// The derivation as the core takes it: the other key by its id, points bare.
fn derivation<'a>(deriving: &'a Deriving<'a>, base: &Object, other: Option<Id>) -> Result<Derivation<'a>> {
    let other = || other.ok_or(CKR_KEY_HANDLE_INVALID);
    Ok(match deriving {
        Deriving::Ecdh { peer, kdf, shared } => {
            Derivation::Agree { peer: bare_point(peer, base)?, kdf: *kdf, shared }
        }
        Deriving::Hkdf { hash, extract, expand, .. } => {
            let extract = match extract {
                None => None,
                Some(Salt::Bytes(bytes)) => Some(CoreSalt::Bytes(bytes)),
                Some(Salt::Key(_)) => Some(CoreSalt::Key(other()?)),
            };
            Derivation::Hkdf { hash: *hash, extract, expand: *expand }
        }
        Deriving::Counter { prf, fields } => Derivation::Counter { prf: *prf, fields: (*fields).into() },
        Deriving::JoinKey(_) => Derivation::JoinKey(other()?),
        Deriving::JoinData(data) => Derivation::JoinData(data),
        Deriving::JoinAfter(data) => Derivation::JoinAfter(data),
        Deriving::Xor(data) => Derivation::Xor(data),
        Deriving::Extract(bit) => Derivation::Extract(*bit),
    })
}

/// The other side's point, which comes bare or as a DER OCTET STRING (section 6.3.17).
fn bare_point<'a>(peer: &'a [u8], base: &Object) -> Result<&'a [u8]> {
    let Some(facts) = &base.content.key else { return fail(CKR_KEY_HANDLE_INVALID) };
    point(peer, point_len(facts.kind)).map_err(|_| CKR_MECHANISM_PARAM_INVALID.into())
}

/// C_GenerateKey by CKM_PKCS5_PBKD2.
pub(crate) fn of_password(
    module: &Module,
    session: CK_SESSION_HANDLE,
    mechanism: &Mechanism<'_>,
    password: &Password<'_>,
    attributes: &[Attribute<'_>],
) -> Result<CK_OBJECT_HANDLE> {
    let template = Template::new(attributes)?;
    let (kind, len) = derived_wanted(&template)?;
    let Some(len) = len else { return fail(CKR_TEMPLATE_INCOMPLETE) };
    let place: Place = place(module, session, template.boolean(CKA_TOKEN)?.unwrap_or(false))?;
    let mut content = generated(Class::SecretKey, kind, mechanism.row.kind, &template, place.so)?;
    // Who has the password has the key, so it is only secret if the template says so; NSS reads it to unwrap by a
    // mechanism that the token does not have.
    if let Some(key) = &mut content.key {
        key.sensitive &= template.bytes(CKA_SENSITIVE).is_some();
        key.extractable |= template.bytes(CKA_EXTRACTABLE).is_none();
    }
    let private = content.private;
    let Password { hash, password, salt, iterations } = *password;
    let family = kind.family();
    let request =
        DerivePassword { password, salt, hash, iterations, family, len, session: place.session, content };
    let key = module
        .keeper()?
        .call(&place.token, request)
        .instead(ErrorCode::InvalidKeyType, CKR_KEY_SIZE_RANGE)
        .instead(ErrorCode::InvalidArgument, CKR_MECHANISM_PARAM_INVALID)?;
    handle_of(module, session, &place, key, private)
}
