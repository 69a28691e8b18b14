//! Key management (section 5.18).

use super::derive::of_password;
use super::object::{handle_of, place};
use crate::attribute::Attribute;
use crate::key_template::{pair_to_generate, secret_to_generate};
use crate::mechanism::Mechanism;
use crate::module::Module;
use crate::rv::{Instead, Result, fail};
use crate::template::{Template, generated};
use canis_core::object::{Class, GenerateObjects};
use canis_proto::ErrorCode;
use pkcs11_sys::*;

/// C_GenerateKey.
pub(crate) fn generate(
    module: &Module,
    session: CK_SESSION_HANDLE,
    mechanism: &Mechanism<'_>,
    attributes: &[Attribute<'_>],
) -> Result<CK_OBJECT_HANDLE> {
    module.sessions.check(session)?;
    if let Some(password) = mechanism.password()? {
        return of_password(module, session, mechanism, &password, attributes);
    }
    let family = mechanism.generates()?;
    if family.is_pair() {
        return fail(CKR_MECHANISM_INVALID);
    }
    let template = Template::new(attributes)?;
    let (kind, len) = secret_to_generate(family, mechanism.row.sizes, &template)?;
    let place = place(module, session, template.boolean(CKA_TOKEN)?.unwrap_or(false))?;
    let secret = generated(Class::SecretKey, kind, mechanism.row.kind, &template, place.so)?;
    let private = secret.private;
    let request = GenerateObjects { kind, len, session: place.session, secret, public: None };
    let (key, _) = module
        .keeper()?
        .call(&place.token, request)
        .instead(ErrorCode::InvalidArgument, CKR_ATTRIBUTE_VALUE_INVALID)?;
    handle_of(module, session, &place, key, private)
}

/// C_GenerateKeyPair; gives the handles of the public and the private key.
pub(crate) fn generate_pair(
    module: &Module,
    session: CK_SESSION_HANDLE,
    mechanism: &Mechanism<'_>,
    public: &[Attribute<'_>],
    private: &[Attribute<'_>],
) -> Result<(CK_OBJECT_HANDLE, CK_OBJECT_HANDLE)> {
    module.sessions.check(session)?;
    let family = mechanism.generates()?;
    if !family.is_pair() {
        return fail(CKR_MECHANISM_INVALID);
    }
    let (public, private) = (Template::new(public)?, Template::new(private)?);
    let kind = pair_to_generate(family, &public)?;
    let on_token = private.boolean(CKA_TOKEN)?.unwrap_or(false);
    // The two halves are one key of the core and live in one place.
    if public.boolean(CKA_TOKEN)?.unwrap_or(false) != on_token {
        return fail(CKR_TEMPLATE_INCONSISTENT);
    }
    let place = place(module, session, on_token)?;
    let secret = generated(Class::PrivateKey, kind, mechanism.row.kind, &private, place.so)?;
    let open = generated(Class::PublicKey, kind, mechanism.row.kind, &public, place.so)?;
    let (secret_is_private, open_is_private) = (secret.private, open.private);
    let request = GenerateObjects { kind, len: 0, session: place.session, secret, public: Some(open) };
    let (secret, open) = module
        .keeper()?
        .call(&place.token, request)
        .instead(ErrorCode::InvalidArgument, CKR_ATTRIBUTE_VALUE_INVALID)?;
    let Some(open) = open else { return fail(CKR_GENERAL_ERROR) };
    let open = handle_of(module, session, &place, open, open_is_private)?;
    let secret = handle_of(module, session, &place, secret, secret_is_private)?;
    Ok((open, secret))
}
