//! Objects (section 5.7).

use super::session::{role, session_tag};
use crate::attribute::Attribute;
use crate::module::Module;
use crate::rv::{Instead, Result, fail};
use crate::template::{Created, Template, changed, copied, created};
use crate::token::Token;
use canis_core::object::{CopyObject, CreateObject, DestroyObject, ImportObject, Object, UpdateObject};
use canis_core::token::Role;
use canis_proto::ErrorCode;
use pkcs11_sys::*;
use std::sync::Arc;

/// How often a change is tried again when another process changes the same object at the same time.
const RETRIES: usize = 8;

/// Where a new object is to live.
pub(crate) struct Place {
    /// The token.
    pub(crate) token: Arc<Token>,
    /// The session's number in the core for a session object; `None` for a token object.
    pub(crate) session: Option<u64>,
    /// Whether the security officer is logged in.
    pub(crate) so: bool,
}

/// Finds out where an object with CKA_TOKEN = `on_token` made in a session is to live.
///
/// # Errors
/// CKR_SESSION_READ_ONLY for a token object in a R/O session.
pub(crate) fn place(module: &Module, handle: CK_SESSION_HANDLE, on_token: bool) -> Result<Place> {
    let (token, writable) = module.sessions.with(handle, |s| Ok((s.token.clone(), s.writable)))?;
    if on_token && !writable {
        return fail(CKR_SESSION_READ_ONLY);
    }
    let so = role(module, token.id)? == Some(Role::So);
    Ok(Place { token, session: (!on_token).then(|| session_tag(handle)), so })
}

/// Gives a new object its handle; a session object's is forgotten with its session.
pub(crate) fn handle_of(
    module: &Module,
    session: CK_SESSION_HANDLE,
    place: &Place,
    object: canis_proto::Id,
    private: bool,
) -> Result<CK_OBJECT_HANDLE> {
    let handle = module.handles.issue(place.token.id, object, private);
    if let Some(tag) = place.session {
        let kept = module.sessions.with(session, |s| {
            s.objects.push(handle);
            Ok(())
        });
        if let Err(closed) = kept {
            // The session was closed while the object was made; it must not live on without it.
            module.keeper()?.end_session(tag);
            module.handles.forget(handle);
            return Err(closed);
        }
    }
    Ok(handle)
}

/// C_CreateObject.
pub(crate) fn create(
    module: &Module,
    session: CK_SESSION_HANDLE,
    attributes: &[Attribute<'_>],
) -> Result<CK_OBJECT_HANDLE> {
    module.sessions.check(session)?;
    let template = Template::new(attributes)?;
    let place = place(module, session, template.boolean(CKA_TOKEN)?.unwrap_or(false))?;
    let Created { content, parts } = created(&template, place.so)?;
    if content.key.as_ref().is_some_and(|key| !module.allows(key.kind)) {
        return fail(CKR_ATTRIBUTE_VALUE_INVALID);
    }
    let private = content.private;
    let (keeper, token) = (module.keeper()?, &place.token);
    let object = match parts {
        Some(parts) => keeper.call(token, ImportObject { parts, session: place.session, content }),
        None => keeper.call(token, CreateObject { session: place.session, content }),
    }
    .instead(ErrorCode::InvalidArgument, CKR_ATTRIBUTE_VALUE_INVALID)
    .instead(ErrorCode::InvalidKeyType, CKR_ATTRIBUTE_VALUE_INVALID)?;
    handle_of(module, session, &place, object, private)
}

/// C_CopyObject. The copy lives where the original does unless the template says otherwise.
pub(crate) fn copy(
    module: &Module,
    session: CK_SESSION_HANDLE,
    handle: CK_OBJECT_HANDLE,
    attributes: &[Attribute<'_>],
) -> Result<CK_OBJECT_HANDLE> {
    let (_, source) = find(module, session, handle)?;
    let template = Template::new(attributes)?;
    let on_token = template.boolean(CKA_TOKEN)?.unwrap_or(source.session.is_none());
    let place = place(module, session, on_token)?;
    if !source.content.copyable {
        return fail(CKR_ACTION_PROHIBITED);
    }
    let content = copied(&source, &template, place.so)?;
    let private = content.private;
    let request = CopyObject { object: source.id, session: place.session, content };
    let object = module
        .keeper()?
        .call(&place.token, request)
        .instead(ErrorCode::OperationNotAllowed, CKR_ACTION_PROHIBITED)?;
    handle_of(module, session, &place, object, private)
}

/// C_DestroyObject.
pub(crate) fn destroy(module: &Module, session: CK_SESSION_HANDLE, handle: CK_OBJECT_HANDLE) -> Result {
    let (token, object) = find(module, session, handle)?;
    check_writable(module, session, &object)?;
    if !object.content.destroyable {
        return fail(CKR_ACTION_PROHIBITED);
    }
    let request = DestroyObject { object: object.id };
    let destroyed = module.keeper()?.call(&token, request);
    destroyed.instead(ErrorCode::OperationNotAllowed, CKR_ACTION_PROHIBITED)?;
    module.handles.forget(handle);
    let Some(tag) = object.session else { return Ok(()) };
    // The session may have been closed meanwhile.
    let _ = module.sessions.with(tag as CK_SESSION_HANDLE, |session| {
        // The youngest go first, mostly.
        if let Some(at) = session.objects.iter().rposition(|kept| *kept == handle) {
            session.objects.swap_remove(at);
        }
        Ok(())
    });
    Ok(())
}

/// C_GetObjectSize: the bytes of its attributes; how many the store takes for them is its own affair.
pub(crate) fn size(
    module: &Module,
    session: CK_SESSION_HANDLE,
    handle: CK_OBJECT_HANDLE,
) -> Result<CK_ULONG> {
    let content = &find(module, session, handle)?.1.content;
    let key = content.key.as_ref().map_or(0, |key| key.spki.len());
    let others: usize = content.attributes.iter().map(|(_, value)| value.len()).sum();
    Ok((content.label.len() + content.id.len() + key + others) as CK_ULONG)
}

/// The object of a handle, if this application may see it now.
///
/// # Errors
/// CKR_OBJECT_HANDLE_INVALID.
pub(crate) fn find(
    module: &Module,
    session: CK_SESSION_HANDLE,
    handle: CK_OBJECT_HANDLE,
) -> Result<(Arc<Token>, Arc<Object>)> {
    let token = module.sessions.token(session)?;
    let object = module.handles.object(token.id, handle)?;
    let object = module
        .keeper()?
        .read(&token, object)
        // A private object after logout: its handle is invalid (section 5.6.9).
        .instead(ErrorCode::LoginRequired, CKR_OBJECT_HANDLE_INVALID)?;
    Ok((token, object))
}

/// # Errors
/// CKR_SESSION_READ_ONLY if a token object is to be changed in a R/O session.
fn check_writable(module: &Module, session: CK_SESSION_HANDLE, object: &Object) -> Result {
    let writable = module.sessions.with(session, |s| Ok(s.writable))?;
    if object.session.is_none() && !writable { fail(CKR_SESSION_READ_ONLY) } else { Ok(()) }
}

/// C_SetAttributeValue.
pub(crate) fn set(
    module: &Module,
    session: CK_SESSION_HANDLE,
    handle: CK_OBJECT_HANDLE,
    attributes: &[Attribute<'_>],
) -> Result {
    let mut tries = RETRIES;
    loop {
        let (token, object) = find(module, session, handle)?;
        let template = Template::new(attributes)?;
        check_writable(module, session, &object)?;
        if !object.content.modifiable {
            return fail(CKR_ACTION_PROHIBITED);
        }
        let keeper = module.keeper()?;
        let so = role(module, token.id)? == Some(Role::So);
        let content = changed(&object, &template, so)?;
        let update = UpdateObject { object: object.id, revision: object.revision, content };
        match keeper.call(&token, update) {
            Err(error) if error.code == ErrorCode::Conflict && tries > 0 => tries -= 1,
            outcome => return Ok(outcome?),
        }
    }
}
