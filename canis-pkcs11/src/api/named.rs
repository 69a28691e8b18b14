//! Keys that a function names beside an operation: to wrap, to unwrap, to derive from. Each function has codes of its
//! own for what is wrong with them.

use crate::mechanism::Row;
use crate::module::Module;
use crate::rv::{Fail, Instead, Result, fail};
use crate::token::Token;
use canis_core::object::{Class, Object};
use canis_proto::{ErrorCode, Family, Usage};
use pkcs11_sys::*;
use std::sync::Arc;

/// The codes of a function.
#[derive(Clone, Copy)]
pub(crate) struct Codes {
    /// No such key.
    pub(crate) handle: CK_RV,
    /// A key of a type or class that the mechanism does not work with.
    pub(crate) kind: CK_RV,
}

/// What a key is named for.
#[derive(Clone, Copy)]
pub(crate) struct Role {
    /// The usage it needs.
    pub(crate) usage: Usage,
    /// The class that has that usage among key pairs.
    pub(crate) half: Class,
    /// What the function says of others.
    pub(crate) codes: Codes,
}

/// A key that works by a mechanism.
///
/// # Errors
/// The role's codes; CKR_KEY_FUNCTION_NOT_PERMITTED.
pub(crate) fn key(
    module: &Module,
    token: &Token,
    handle: CK_OBJECT_HANDLE,
    role: Role,
    mechanism: &Row,
    takes: impl FnOnce(Family) -> bool,
) -> Result<Arc<Object>> {
    let object = any(module, token, handle, role.codes.handle)?;
    let Some(facts) = &object.content.key else { return fail(role.codes.handle) };
    let class = if facts.kind.is_asymmetric() { role.half } else { Class::SecretKey };
    if object.content.class != class || !takes(facts.kind.family()) {
        let why = format!("{} is not for this {}", mechanism.name, facts.kind);
        return Err(Fail::explained(role.codes.kind, why));
    }
    if !facts.usage.allows(role.usage) {
        return fail(CKR_KEY_FUNCTION_NOT_PERMITTED);
    }
    Ok(object)
}

/// Any object, by its handle; `missing` if there is none.
pub(crate) fn any(
    module: &Module,
    token: &Token,
    handle: CK_OBJECT_HANDLE,
    missing: CK_RV,
) -> Result<Arc<Object>> {
    let object = module.handles.object(token.id, handle).map_err(|_| missing)?;
    module.keeper()?.read(token, object).instead(ErrorCode::ObjectNotFound, missing)
}
