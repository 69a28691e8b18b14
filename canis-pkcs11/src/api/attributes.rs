//! Reading attributes (section 5.7.5): those of the object, and its key's material where that may be seen.

use super::object::find;
use crate::attribute::Value;
use crate::curve::{PointEncoding, point, point_len};
use crate::module::Module;
use crate::object::read;
use crate::rv::{Instead, Result, fail};
use crate::token::{Moment, Token};
use crate::version_3_2::CKA_SEED;
use canis_core::crypto::private_parts::PrivateParts;
use canis_core::object::{ExportObject, Object};
use canis_proto::{ErrorCode, KeyType};
use pkcs11_sys::*;
use std::cell::OnceCell;
use std::sync::Arc;

/// An object whose attributes are being read. Material is asked for when an attribute needs it, once, and wiped when
/// this is dropped.
pub(crate) struct Reading<'a> {
    module: &'a Module,
    seen: Seen,
    parts: OnceCell<PrivateParts>,
    lengths: OnceCell<PrivateParts>,
}

/// An object as it was at some moment, kept by the session until other attributes are read.
pub(crate) struct Seen {
    handle: CK_OBJECT_HANDLE,
    since: Moment,
    token: Arc<Token>,
    object: Arc<Object>,
}

impl<'a> Reading<'a> {
    /// Reads attributes of an object. The last object of the session is used on as long as nothing has changed: then no
    /// map is looked at and no counter is shared with other threads.
    ///
    /// # Errors
    /// CKR_OBJECT_HANDLE_INVALID, or what `read` fails with.
    pub(crate) fn with(
        module: &'a Module,
        session: CK_SESSION_HANDLE,
        handle: CK_OBJECT_HANDLE,
        read: impl FnOnce(&Self) -> Result,
    ) -> Result {
        let keeper = module.keeper()?;
        let last = module.sessions.with(session, |session| Ok(session.last_object.take()))?;
        let current = |seen: &Seen| seen.handle == handle && keeper.is_still(&seen.token, &seen.since);
        let seen = match last.filter(current) {
            Some(seen) => seen,
            None => {
                let token = module.sessions.token(session)?;
                // Asked first, so that a change in between is noticed the next time.
                let since = keeper.moment(&token)?;
                let (token, object) = find(module, session, handle)?;
                Seen { handle, since, token, object }
            }
        };
        let reading = Reading { module, seen, parts: OnceCell::new(), lengths: OnceCell::new() };
        let outcome = read(&reading);
        // The session may have been closed meanwhile; then there is nothing to keep it for.
        let _ = module.sessions.with(session, |session| {
            session.last_object = Some(reading.seen);
            Ok(())
        });
        outcome
    }

    /// One attribute.
    ///
    /// # Errors
    /// CKR_ATTRIBUTE_TYPE_INVALID, CKR_ATTRIBUTE_SENSITIVE.
    pub(crate) fn value(&self, kind: CK_ATTRIBUTE_TYPE) -> Result<Value<'_>> {
        match read(&self.seen.object, kind) {
            Err(f) if f.rv == CKR_ATTRIBUTE_SENSITIVE => self.material(kind),
            Ok(point) if kind == CKA_EC_POINT => self.point(&point),
            shown => shown,
        }
    }

    /// How long one attribute is. Material is only measured for that: nothing leaves, and no approval is used up.
    ///
    /// # Errors
    /// As above.
    pub(crate) fn length(&self, kind: CK_ATTRIBUTE_TYPE) -> Result<usize> {
        match read(&self.seen.object, kind) {
            Err(f) if f.rv == CKR_ATTRIBUTE_SENSITIVE => {
                let measured = self.exported(&self.lengths, true)?;
                length(measured, kind).ok_or_else(|| CKR_ATTRIBUTE_TYPE_INVALID.into())
            }
            _ => self.value(kind).map(|value| value.as_slice().len()),
        }
    }

    /// The point as the configuration wants it.
    fn point(&self, wrapped: &Value<'_>) -> Result<Value<'static>> {
        let kind = self.seen.object.content.key.as_ref().map(|key| key.kind);
        let bare = match (kind, self.module.points) {
            (Some(kind @ (KeyType::Ed25519 | KeyType::X25519)), PointEncoding::Raw) => {
                point(wrapped.as_slice(), point_len(kind))?
            }
            _ => wrapped.as_slice(),
        };
        Ok(Value::from(bare.to_vec()))
    }

    fn material(&self, kind: CK_ATTRIBUTE_TYPE) -> Result<Value<'_>> {
        let parts = self.exported(&self.parts, false)?;
        part(parts, kind).map(Value::from).ok_or_else(|| CKR_ATTRIBUTE_TYPE_INVALID.into())
    }

    fn exported<'s>(&'s self, place: &'s OnceCell<PrivateParts>, measure: bool) -> Result<&'s PrivateParts> {
        let open = self.seen.object.content.key.as_ref().is_some_and(|key| key.extractable && !key.sensitive);
        if !open {
            return fail(CKR_ATTRIBUTE_SENSITIVE);
        }
        if let Some(parts) = place.get() {
            return Ok(parts);
        }
        // The core has the last word: it looks at the key's own row, too.
        let parts = self
            .module
            .keeper()?
            .call(&self.seen.token, ExportObject { object: self.seen.object.id, measure })
            .instead(ErrorCode::OperationNotAllowed, CKR_ATTRIBUTE_SENSITIVE)
            .instead(ErrorCode::LoginRequired, CKR_ATTRIBUTE_SENSITIVE)?;
        Ok(place.get_or_init(|| parts))
    }
}

/// How long the part of a key is that an attribute stands for.
fn length(measured: &PrivateParts, kind: CK_ATTRIBUTE_TYPE) -> Option<usize> {
    let PrivateParts::Measured(lengths) = measured else { return None };
    match kind {
        CKA_VALUE => lengths.value,
        CKA_SEED => lengths.seed,
        CKA_PRIVATE_EXPONENT => lengths.private_exponent,
        CKA_PRIME_1 => lengths.prime_1,
        CKA_PRIME_2 => lengths.prime_2,
        CKA_EXPONENT_1 => lengths.exponent_1,
        CKA_EXPONENT_2 => lengths.exponent_2,
        CKA_COEFFICIENT => lengths.coefficient,
        _ => None,
    }
}

/// The part of a key that an attribute stands for.
fn part(parts: &PrivateParts, kind: CK_ATTRIBUTE_TYPE) -> Option<&[u8]> {
    match (parts, kind) {
        (PrivateParts::Rsa(rsa), CKA_PRIVATE_EXPONENT) => Some(&rsa.private_exponent),
        (PrivateParts::Rsa(rsa), CKA_PRIME_1) => rsa.prime_1.as_ref().map(|n| n.as_slice()),
        (PrivateParts::Rsa(rsa), CKA_PRIME_2) => rsa.prime_2.as_ref().map(|n| n.as_slice()),
        (PrivateParts::Rsa(rsa), CKA_EXPONENT_1) => rsa.exponent_1.as_ref().map(|n| n.as_slice()),
        (PrivateParts::Rsa(rsa), CKA_EXPONENT_2) => rsa.exponent_2.as_ref().map(|n| n.as_slice()),
        (PrivateParts::Rsa(rsa), CKA_COEFFICIENT) => rsa.coefficient.as_ref().map(|n| n.as_slice()),
        (PrivateParts::Ec { scalar, .. }, CKA_VALUE) => Some(scalar),
        (PrivateParts::Seed { seed, .. }, CKA_VALUE) => Some(seed),
        (PrivateParts::PostQuantum { seed, .. }, CKA_SEED) => seed.as_ref().map(|seed| seed.as_slice()),
        (PrivateParts::PostQuantum { expanded, .. }, CKA_VALUE) => {
            expanded.as_ref().map(|key| key.as_slice())
        }
        (PrivateParts::Secret { value, .. }, CKA_VALUE) => Some(value.expose()),
        _ => None,
    }
}
