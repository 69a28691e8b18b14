//! Signing and verifying messages by one key (v3.0, sections 5.14 and 5.16), by every mechanism that signs.

use super::output::{Input, Out, Transfer};
use super::{sign, verify};
use crate::mechanism::{Mechanism, Signer};
use crate::message::Message;
use crate::module::Module;
use crate::pending::{self, Done, Operation, Pending, Stage, end, work};
use crate::rv::{Result, fail};
use crate::session::Session;
use crate::token::{ReadyKey, Wanted};
use canis_core::object::{MacUse, Signing, Verifying};
use pkcs11_sys::*;

/// Messages being signed or verified by one key.
pub(crate) struct SignedMessages<U> {
    key: ReadyKey,
    signer: Signer,
    /// The one that is given in parts.
    open: Option<Message<U>>,
}

/// Whether messages are signed or verified.
pub(crate) trait MessageUse: MacUse + Sized {
    /// Where sessions keep it.
    fn place(session: &mut Session) -> &mut Pending<SignedMessages<Self>>;
}

impl MessageUse for Signing {
    fn place(session: &mut Session) -> &mut Pending<SignedMessages<Self>> {
        &mut session.message_sign
    }
}

impl MessageUse for Verifying {
    fn place(session: &mut Session) -> &mut Pending<SignedMessages<Self>> {
        &mut session.message_verify
    }
}

impl<U: MessageUse> Operation for SignedMessages<U> {
    fn place(session: &mut Session) -> &mut Pending<Self> {
        U::place(session)
    }

    fn key(&self) -> Option<&ReadyKey> {
        Some(&self.key)
    }
}

/// C_MessageSignInit and C_MessageVerifyInit.
pub(crate) fn init<U: MessageUse>(
    module: &Module,
    session: CK_SESSION_HANDLE,
    mechanism: Result<Option<Mechanism<'_>>>,
    key: CK_OBJECT_HANDLE,
) -> Result {
    let wanted = Wanted { handle: key, usage: U::USAGE };
    let make = |key, signer| SignedMessages::<U> { key, signer, open: None };
    pending::init(module, session, mechanism, wanted, |mechanism| mechanism.signs(), make)
}

/// C_SignMessage.
pub(crate) fn sign_whole(
    module: &Module,
    session: CK_SESSION_HANDLE,
    parameter: Result,
    io: Result<Transfer<'_>>,
) -> Result {
    work(module, session, Stage::Message, |messages: &mut SignedMessages<Signing>| {
        let message = messages.fresh(module)?;
        let (Transfer { input, mut out }, ()) = (io?, parameter?);
        let key = &messages.key;
        let Some(space) = out.space(message.signature_len(key))? else { return Ok(Done::Measured) };
        let len = sign::at_once(module, key, &message, &input, space)?;
        out.wrote(len);
        Ok(Done::Worked)
    })
}

/// C_VerifyMessage.
pub(crate) fn verify_whole(
    module: &Module,
    session: CK_SESSION_HANDLE,
    parameter: Result,
    input: Result<&[u8]>,
    signature: Result<&[u8]>,
) -> Result {
    work(module, session, Stage::Message, |messages: &mut SignedMessages<Verifying>| {
        let message = messages.fresh(module)?;
        parameter?;
        verify::at_once(module, &messages.key, &message, input?, signature?)?;
        Ok(Done::Worked)
    })
}

/// C_SignMessageBegin and C_VerifyMessageBegin.
pub(crate) fn begin<U: MessageUse>(module: &Module, session: CK_SESSION_HANDLE, parameter: Result) -> Result {
    work(module, session, Stage::Message, |messages: &mut SignedMessages<U>| {
        let message = messages.fresh(module)?;
        parameter?;
        if !message.has_parts() {
            return fail(CKR_OPERATION_NOT_INITIALIZED);
        }
        messages.open = Some(message);
        Ok(Done::Worked)
    })
}

/// C_SignMessageNext; the last part comes with a place for the signature.
pub(crate) fn sign_next(
    module: &Module,
    session: CK_SESSION_HANDLE,
    parameter: Result,
    part: Result<Input<'_>>,
    out: Option<Result<Out<'_>>>,
) -> Result {
    work(module, session, Stage::Message, |messages: &mut SignedMessages<Signing>| {
        let SignedMessages { key, open, .. } = messages;
        let Some(message) = open else { return fail(CKR_OPERATION_NOT_INITIALIZED) };
        let (part, ()) = (part?, parameter?);
        let keeper = module.keeper()?;
        let Some(out) = out else {
            message.push(keeper, key, &part)?;
            return Ok(Done::Worked);
        };
        let mut out = out?;
        let Some(space) = out.space(message.signature_len(key))? else { return Ok(Done::Measured) };
        let signed =
            message.push(keeper, key, &part).and_then(|()| sign::finish(module, key, message, space));
        messages.open = None;
        out.wrote(signed?);
        Ok(Done::Worked)
    })
}

/// C_VerifyMessageNext; the last part comes with the signature.
pub(crate) fn verify_next(
    module: &Module,
    session: CK_SESSION_HANDLE,
    parameter: Result,
    part: Result<&[u8]>,
    signature: Option<Result<&[u8]>>,
) -> Result {
    work(module, session, Stage::Message, |messages: &mut SignedMessages<Verifying>| {
        let SignedMessages { key, open, .. } = messages;
        let Some(message) = open else { return fail(CKR_OPERATION_NOT_INITIALIZED) };
        let (part, ()) = (part?, parameter?);
        let pushed = message.push(module.keeper()?, key, part);
        let Some(signature) = signature else { return pushed.map(|()| Done::Worked) };
        let verified =
            pushed.and(signature).and_then(|signature| verify::finish(module, key, message, signature));
        messages.open = None;
        verified.map(|()| Done::Worked)
    })
}

/// C_MessageSignFinal and C_MessageVerifyFinal.
pub(crate) fn last<U: MessageUse>(module: &Module, session: CK_SESSION_HANDLE) -> Result {
    end::<SignedMessages<U>>(module, session)
}

impl<U: MessageUse> SignedMessages<U> {
    /// A message of which nothing is known yet.
    ///
    /// # Errors
    /// CKR_OPERATION_ACTIVE while another one is given in parts.
    fn fresh(&self, module: &Module) -> Result<Message<U>> {
        match self.open {
            Some(_) => fail(CKR_OPERATION_ACTIVE),
            None => Ok(Message::new(module.provider(), self.signer.clone())),
        }
    }
}
