//! The requests of PKCS#11 as CANISP carries them, and the token that they are about.

use super::form::{Mapped, Place, put, record, take};
use crate::object::{
    ConfirmNamed, CopyObject, CreateObject, DecryptNamed, DeriveKey, DerivePassword, DestroyObject,
    EncryptNamed, EndSession, ExportObject, FindPage, GenerateObjects, ImportObject, OpenNamed, ReadObject,
    RecoverNamed, SignNamed, UnwrapKey, UpdateObject, VerifyNamed, WrapKey,
};
use crate::token::{ChangePin, EndApplication, InitToken, InitUserPin, ListTokens, Login, Logout, ShowLogin};
use canis_proto::fields::Fields;
use canis_proto::message::WireRequest;
use canis_proto::value::Map;
use canis_proto::{Id, Operation, OperationId, Result};

/// A request about one token: `token` stands among its arguments.
pub struct AtToken<R> {
    /// The token.
    pub token: Id,
    /// What is asked.
    pub request: R,
}

impl<R: Operation> Operation for AtToken<R> {
    const ID: OperationId = R::ID;
    type Answer = R::Answer;
}

impl<'a, R: WireRequest<'a>> WireRequest<'a> for AtToken<R> {
    fn to_map(&self) -> Map<'_> {
        put(self.request.to_map(), "token", &self.token)
    }

    fn from_fields(fields: &mut Fields<'a>) -> Result<Self> {
        let token = take(fields, Place { field: "token", strict: true })?;
        Ok(AtToken { token, request: R::from_fields(fields)? })
    }
}

macro_rules! requests {
    ($($name:ident $(<$life:lifetime>)? { $($field:ident),* })+) => {
        record! { $($name $(<$life>)? { $($field),* })+ }

        $(impl<'a> WireRequest<'a> for $name $(<$life>)? {
            fn to_map(&self) -> Map<'_> {
                Mapped::to_map(self)
            }

            fn from_fields(fields: &mut Fields<'a>) -> Result<Self> {
                Mapped::from_fields(fields, true)
            }
        })+
    };
}
requests! {
    InitToken<'a> { slot, label, so_pin }
    InitUserPin<'a> { pin }
    ChangePin<'a> { role, old, new }
    Login<'a> { role, pin }
    CreateObject { session, content }
    GenerateObjects { kind, len, session, secret, public }
    FindPage<'a> { wanted, after }
    ReadObject { object }
    UpdateObject { object, revision, content }
    DestroyObject { object }
    CopyObject { object, session, content }
    ImportObject { parts, session, content }
    ExportObject { object }
    WrapKey<'a> { wrapper, key, how, room, weak_rsa }
    UnwrapKey<'a> { unwrapper, how, wrapped, inside, session, content }
    DeriveKey<'a> { base, how, derived, session, content }
    DerivePassword<'a> { password, salt, hash, iterations, family, len, session, content }
    OpenNamed { key }
    ConfirmNamed<'a> { key, pin }
    SignNamed<'a> { key, scheme, input }
    VerifyNamed<'a> { key, scheme, input, signature }
    RecoverNamed<'a> { key, scheme, signature }
    EncryptNamed<'a> { key, cipher, input }
    DecryptNamed<'a> { key, cipher, input }
    EndSession { session }
}

/// Those that say nothing but their names.
macro_rules! bare {
    ($($name:ident,)+) => {$(
        impl<'a> WireRequest<'a> for $name {
            fn to_map(&self) -> Map<'_> {
                Map::new()
            }

            fn from_fields(_: &mut Fields<'a>) -> Result<Self> {
                Ok($name)
            }
        }
    )+};
}
bare! { ListTokens, Logout, ShowLogin, EndApplication, }
