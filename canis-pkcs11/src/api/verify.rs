//! Verification of signatures (section 5.15).

use crate::mechanism::{Mechanism, Scheme};
use crate::message::Message;
use crate::module::Module;
use crate::pending::{self, Done, Operation, Pending, Stage, work};
use crate::rv::{Instead, Result, fail};
use crate::session::Session;
use crate::token::{ReadyKey, Wanted};
use canis_core::object::Verifying;
use canis_proto::{ErrorCode, Usage};
use pkcs11_sys::*;

/// A verification under way.
pub(crate) struct Verification {
    pub(super) key: ReadyKey,
    pub(super) message: Message<Verifying>,
}

impl Operation for Verification {
    fn place(session: &mut Session) -> &mut Pending<Self> {
        &mut session.verify
    }

    fn into_key(self) -> Option<ReadyKey> {
        Some(self.key)
    }
}

/// C_VerifyInit.
pub(crate) fn init(
    module: &Module,
    session: CK_SESSION_HANDLE,
    mechanism: Result<Option<Mechanism<'_>>>,
    key: CK_OBJECT_HANDLE,
) -> Result {
    let wanted = Wanted { handle: key, usage: Usage::VERIFY };
    let make = |key, signer| Verification { key, message: Message::new(module.provider(), signer) };
    pending::init(module, session, mechanism, wanted, |mechanism| mechanism.signs(), make)
}

/// C_Verify.
pub(crate) fn whole(
    module: &Module,
    session: CK_SESSION_HANDLE,
    input: Result<&[u8]>,
    signature: Result<&[u8]>,
) -> Result {
    work(module, session, Stage::Last, |verification: &mut Verification| {
        if verification.message.started() {
            return fail(CKR_OPERATION_NOT_INITIALIZED);
        }
        let (input, signature) = (input?, signature?);
        let Verification { key, message } = verification;
        at_once(module, key, message, input, signature)?;
        Ok(Done::Worked)
    })
}

/// C_VerifyUpdate.
pub(crate) fn update(module: &Module, session: CK_SESSION_HANDLE, part: Result<&[u8]>) -> Result {
    work(module, session, Stage::Update, |verification: &mut Verification| {
        if !verification.message.has_parts() {
            return fail(CKR_OPERATION_NOT_INITIALIZED);
        }
        verification.message.push(module.keeper()?, &verification.key, part?)?;
        Ok(Done::Worked)
    })
}

/// C_VerifyFinal.
pub(crate) fn last(module: &Module, session: CK_SESSION_HANDLE, signature: Result<&[u8]>) -> Result {
    work(module, session, Stage::Last, |verification: &mut Verification| {
        let signature = signature?;
        let Verification { key, message } = verification;
        finish(module, key, message, signature)?;
        Ok(Done::Worked)
    })
}

/// Verifies `input` in one piece.
pub(super) fn at_once(
    module: &Module,
    key: &ReadyKey,
    message: &Message<Verifying>,
    input: &[u8],
    signature: &[u8],
) -> Result {
    check_len(message.signature_len(key), signature)?;
    message.whole(input, |input| verify(module, key, message.scheme(), input, signature))
}

/// Verifies the parts that `message` took.
pub(super) fn finish(
    module: &Module,
    key: &ReadyKey,
    message: &mut Message<Verifying>,
    signature: &[u8],
) -> Result {
    check_len(message.signature_len(key), signature)?;
    let keeper = module.keeper()?;
    match message.mac(keeper, key)? {
        Some(run) => right(run.check(keeper, key, signature)?),
        None => {
            let scheme = message.scheme().clone();
            message.finish(|input| verify(module, key, &scheme, input, signature))
        }
    }
}

fn verify(module: &Module, key: &ReadyKey, scheme: &Scheme, input: &[u8], signature: &[u8]) -> Result {
    right(
        key.verify(module.keeper()?, scheme.told(), input, signature)
            .instead(ErrorCode::InvalidArgument, CKR_DATA_LEN_RANGE)?,
    )
}

fn check_len(len: usize, signature: &[u8]) -> Result {
    if signature.len() == len { Ok(()) } else { fail(CKR_SIGNATURE_LEN_RANGE) }
}

fn right(signature: bool) -> Result {
    if signature { Ok(()) } else { fail(CKR_SIGNATURE_INVALID) }
}
