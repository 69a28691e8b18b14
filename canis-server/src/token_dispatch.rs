//! The operations of PKCS#11: they are asked by an application, most of them about a token that they name.

use crate::dispatch::{Handler, parse};
use crate::session::Session;
use canis_core::object::{
    ConfirmNamed, CopyObject, CreateObject, DecapsulateKey, DecryptNamed, DeriveKey, DerivePassword,
    DestroyObject, EncapsulateKey, EncryptNamed, EndSession, ExportObject, FindPage, GenerateObjects,
    ImportObject, OpenNamed, ReadObject, RecoverNamed, SignNamed, UnwrapKey, UpdateObject, VerifyNamed,
    WrapKey,
};
use canis_core::token::{
    ChangePin, EndApplication, InitToken, InitUserPin, ListTokens, Login, Logout, ShowLogin,
};
use canis_core::wire::AtToken;
use canis_core::{Caller, Core, Run};
use canis_proto::message::{WireAnswer, WireRequest};
use canis_proto::value::Map;
use canis_proto::{Operation, OperationId, Result};
use zeroize::Zeroizing;

/// What runs an operation; `None` for those that are none of PKCS#11.
pub(crate) fn handler(id: OperationId) -> Option<Handler> {
    let handler: Handler = match id {
        OperationId::ListTokens => |core, session, args| at_slots::<ListTokens>(core, session, args),
        OperationId::InitToken => |core, session, args| at_slots::<InitToken<'_>>(core, session, args),
        OperationId::EndSession => |core, session, args| at_slots::<EndSession>(core, session, args),
        OperationId::EndApplication => end_application,
        OperationId::InitUserPin => |core, session, args| at_token::<InitUserPin<'_>>(core, session, args),
        OperationId::ChangePin => |core, session, args| at_token::<ChangePin<'_>>(core, session, args),
        OperationId::Login => |core, session, args| at_token::<Login<'_>>(core, session, args),
        OperationId::Logout => |core, session, args| at_token::<Logout>(core, session, args),
        OperationId::ShowLogin => |core, session, args| at_token::<ShowLogin>(core, session, args),
        OperationId::CreateObject => |core, session, args| at_token::<CreateObject>(core, session, args),
        OperationId::GenerateObjects => {
            |core, session, args| at_token::<GenerateObjects>(core, session, args)
        }
        OperationId::FindObjects => |core, session, args| at_token::<FindPage<'_>>(core, session, args),
        OperationId::ReadObject => |core, session, args| at_token::<ReadObject>(core, session, args),
        OperationId::UpdateObject => |core, session, args| at_token::<UpdateObject>(core, session, args),
        OperationId::DestroyObject => |core, session, args| at_token::<DestroyObject>(core, session, args),
        OperationId::CopyObject => |core, session, args| at_token::<CopyObject>(core, session, args),
        OperationId::ImportObject => |core, session, args| at_token::<ImportObject>(core, session, args),
        OperationId::ExportObject => |core, session, args| at_token::<ExportObject>(core, session, args),
        OperationId::WrapKey => |core, session, args| at_token::<WrapKey<'_>>(core, session, args),
        OperationId::UnwrapKey => |core, session, args| at_token::<UnwrapKey<'_>>(core, session, args),
        OperationId::DeriveKey => |core, session, args| at_token::<DeriveKey<'_>>(core, session, args),
        OperationId::EncapsulateKey => |core, session, args| at_token::<EncapsulateKey>(core, session, args),
        OperationId::DecapsulateKey => {
            |core, session, args| at_token::<DecapsulateKey<'_>>(core, session, args)
        }
        OperationId::DerivePassword => {
            |core, session, args| at_token::<DerivePassword<'_>>(core, session, args)
        }
        OperationId::OpenKey => |core, session, args| at_token::<OpenNamed>(core, session, args),
        OperationId::ConfirmUse => |core, session, args| at_token::<ConfirmNamed<'_>>(core, session, args),
        OperationId::UseToSign => |core, session, args| at_token::<SignNamed<'_>>(core, session, args),
        OperationId::UseToVerify => |core, session, args| at_token::<VerifyNamed<'_>>(core, session, args),
        OperationId::UseToRecover => |core, session, args| at_token::<RecoverNamed<'_>>(core, session, args),
        OperationId::UseToEncrypt => |core, session, args| at_token::<EncryptNamed<'_>>(core, session, args),
        OperationId::UseToDecrypt => |core, session, args| at_token::<DecryptNamed<'_>>(core, session, args),
        _ => return None,
    };
    Some(handler)
}

/// What is asked about the token that the arguments name.
fn at_token<'a, R>(core: &Core, session: &Session, args: Map<'a>) -> Result<Zeroizing<Vec<u8>>>
where
    R: WireRequest<'a> + Run,
    R::Answer: WireAnswer,
{
    let AtToken { token, request } = parse::<AtToken<R>>(args)?;
    let seat = || {
        let (caller, application) = session.application(core)?;
        core.at_token(&caller, application, token)
    };
    answer(core, &seated::<R>(core, session, seat())?, request)
}

/// What is asked about no token in particular.
fn at_slots<'a, R>(core: &Core, session: &Session, args: Map<'a>) -> Result<Zeroizing<Vec<u8>>>
where
    R: WireRequest<'a> + Run,
    R::Answer: WireAnswer,
{
    let request = parse::<R>(args)?;
    let seat = session.application(core).map(|(caller, application)| caller.at_slots(application));
    answer(core, &seated::<R>(core, session, seat)?, request)
}

/// Who asks; or it is noted that nobody was let ask.
fn seated<R: Operation>(core: &Core, session: &Session, seat: Result<Caller>) -> Result<Caller> {
    seat.map_err(|error| session.refused(core, R::ID, error))
}

fn end_application(core: &Core, session: &Session, args: Map<'_>) -> Result<Zeroizing<Vec<u8>>> {
    let answer = at_slots::<EndApplication>(core, session, args)?;
    session.end_application();
    Ok(answer)
}

fn answer<R>(core: &Core, caller: &Caller, request: R) -> Result<Zeroizing<Vec<u8>>>
where
    R: Run,
    R::Answer: WireAnswer,
{
    let answer = core.call(caller, request)?;
    Ok(Zeroizing::new(answer.to_map().encode()))
}
