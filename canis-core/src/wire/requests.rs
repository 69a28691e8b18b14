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
use canis_proto::schema::{self, Described, Field, FieldKind};
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
    /// `token` stands beside them.
    const FIELDS: &'static [Field] = R::FIELDS;

    fn to_map(&self) -> Map<'_> {
        put(self.request.to_map(), "token", &self.token)
    }

    fn from_fields(fields: &mut Fields<'a>) -> Result<Self> {
        let token = take(fields, Place { field: "token", strict: true })?;
        Ok(AtToken { token, request: R::from_fields(fields)? })
    }
}

const fn fields(kind: &FieldKind) -> &'static [Field] {
    match kind {
        FieldKind::Map(shape) => shape.fields,
        _ => &[],
    }
}

macro_rules! requests {
    ($($name:ident $(<$life:lifetime>)? { $($field:ident),* })+) => {
        record! { $($name $(<$life>)? { $($field),* })+ }

        $(impl<'a> WireRequest<'a> for $name $(<$life>)? {
            const FIELDS: &'static [Field] = fields(&<Self as Mapped<'a>>::KIND);

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
    ExportObject { object, measure }
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
            const FIELDS: &'static [Field] = &[];

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

/// What an operation of PKCS#11 takes and gives, and whether its arguments also name a `token`; none for others.
#[must_use]
pub fn described(id: OperationId) -> Option<(Described, bool)> {
    let at = |described| Some((described, true));
    let alone = |described| Some((described, false));
    match id {
        OperationId::ListTokens => alone(schema::of::<ListTokens>()),
        OperationId::InitToken => alone(schema::of::<InitToken<'_>>()),
        OperationId::EndSession => alone(schema::of::<EndSession>()),
        OperationId::EndApplication => alone(schema::of::<EndApplication>()),
        OperationId::InitUserPin => at(schema::of::<InitUserPin<'_>>()),
        OperationId::ChangePin => at(schema::of::<ChangePin<'_>>()),
        OperationId::Login => at(schema::of::<Login<'_>>()),
        OperationId::Logout => at(schema::of::<Logout>()),
        OperationId::ShowLogin => at(schema::of::<ShowLogin>()),
        OperationId::CreateObject => at(schema::of::<CreateObject>()),
        OperationId::GenerateObjects => at(schema::of::<GenerateObjects>()),
        OperationId::FindObjects => at(schema::of::<FindPage<'_>>()),
        OperationId::ReadObject => at(schema::of::<ReadObject>()),
        OperationId::UpdateObject => at(schema::of::<UpdateObject>()),
        OperationId::DestroyObject => at(schema::of::<DestroyObject>()),
        OperationId::CopyObject => at(schema::of::<CopyObject>()),
        OperationId::ImportObject => at(schema::of::<ImportObject>()),
        OperationId::ExportObject => at(schema::of::<ExportObject>()),
        OperationId::WrapKey => at(schema::of::<WrapKey<'_>>()),
        OperationId::UnwrapKey => at(schema::of::<UnwrapKey<'_>>()),
        OperationId::DeriveKey => at(schema::of::<DeriveKey<'_>>()),
        OperationId::DerivePassword => at(schema::of::<DerivePassword<'_>>()),
        OperationId::OpenKey => at(schema::of::<OpenNamed>()),
        OperationId::ConfirmUse => at(schema::of::<ConfirmNamed<'_>>()),
        OperationId::UseToSign => at(schema::of::<SignNamed<'_>>()),
        OperationId::UseToVerify => at(schema::of::<VerifyNamed<'_>>()),
        OperationId::UseToRecover => at(schema::of::<RecoverNamed<'_>>()),
        OperationId::UseToEncrypt => at(schema::of::<EncryptNamed<'_>>()),
        OperationId::UseToDecrypt => at(schema::of::<DecryptNamed<'_>>()),
        _ => None,
    }
}
