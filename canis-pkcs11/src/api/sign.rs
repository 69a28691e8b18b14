//! Signatures (section 5.13).

use super::output::{Out, Transfer, is_query};
use crate::mechanism::{Mechanism, Scheme};
use crate::message::Message;
use crate::module::Module;
use crate::pending::{self, Done, Operation, Pending, Stage, work};
use crate::rv::{Instead, Result, fail};
use crate::session::Session;
use crate::token::{ReadyKey, Wanted};
use canis_proto::{ErrorCode, Usage};
use pkcs11_sys::*;

/// A signature under way.
pub(crate) struct Signing {
    key: ReadyKey,
    pub(super) message: Message<canis_core::object::Signing>,
}

impl Operation for Signing {
    fn place(session: &mut Session) -> &mut Pending<Self> {
        &mut session.sign
    }

    fn key(&self) -> Option<&ReadyKey> {
        Some(&self.key)
    }

    fn into_key(self) -> Option<ReadyKey> {
        Some(self.key)
    }
}

/// C_SignInit.
pub(crate) fn init(
    module: &Module,
    session: CK_SESSION_HANDLE,
    mechanism: Result<Option<Mechanism<'_>>>,
    key: CK_OBJECT_HANDLE,
) -> Result {
    let wanted = Wanted { handle: key, usage: Usage::SIGN };
    let make = |key, signer| Signing { key, message: Message::new(module.provider(), signer) };
    pending::init(module, session, mechanism, wanted, |mechanism| mechanism.signs(), make)
}

/// C_Sign.
pub(crate) fn whole(module: &Module, session: CK_SESSION_HANDLE, io: Result<Transfer<'_>>) -> Result {
    pending::whole(module, session, is_query(&io), |signing: &mut Signing| {
        if signing.message.started() {
            return fail(CKR_OPERATION_NOT_INITIALIZED);
        }
        let Transfer { input, mut out } = io?;
        let Signing { key, message } = signing;
        let Some(space) = out.space(message.signature_len(key))? else { return Ok(Done::Measured) };
        let len = at_once(module, key, message, &input, space)?;
        out.wrote(len);
        Ok(Done::Worked)
    })
}

/// C_SignUpdate.
pub(crate) fn update(module: &Module, session: CK_SESSION_HANDLE, part: Result<&[u8]>) -> Result {
    work(module, session, Stage::Update, |signing: &mut Signing| {
        if !signing.message.has_parts() {
            return fail(CKR_OPERATION_NOT_INITIALIZED);
        }
        signing.message.push(module.keeper()?, &signing.key, part?)?;
        Ok(Done::Worked)
    })
}

/// C_SignFinal.
pub(crate) fn last(module: &Module, session: CK_SESSION_HANDLE, out: Result<Out<'_>>) -> Result {
    work(module, session, Stage::Last, |signing: &mut Signing| {
        let mut out = out?;
        let Signing { key, message } = signing;
        let Some(space) = out.space(message.signature_len(key))? else { return Ok(Done::Measured) };
        let len = finish(module, key, message, space)?;
        out.wrote(len);
        Ok(Done::Worked)
    })
}

/// Signs `input` in one piece.
pub(super) fn at_once(
    module: &Module,
    key: &ReadyKey,
    message: &Message<canis_core::object::Signing>,
    input: &[u8],
    out: &mut [u8],
) -> Result<usize> {
    message.whole(input, |input| sign(module, key, message.scheme(), input, out))
}

/// Signs the parts that `message` took.
pub(super) fn finish(
    module: &Module,
    key: &ReadyKey,
    message: &mut Message<canis_core::object::Signing>,
    out: &mut [u8],
) -> Result<usize> {
    let keeper = module.keeper()?;
    match message.mac(keeper, key)? {
        Some(run) => Ok(run.finish(keeper, key, out)?),
        None => {
            let scheme = message.scheme().clone();
            message.finish(|input| sign(module, key, &scheme, input, out))
        }
    }
}

fn sign(module: &Module, key: &ReadyKey, scheme: &Scheme, input: &[u8], out: &mut [u8]) -> Result<usize> {
    key.sign(module.keeper()?, scheme.told(), input, out)
        .instead(ErrorCode::InvalidArgument, CKR_DATA_LEN_RANGE)
}
