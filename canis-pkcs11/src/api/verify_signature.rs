//! Verification of a signature that is told first (v3.2, section 5.17): the message comes after it, in one piece or in parts.

use super::verify::Verification;
use crate::mechanism::Mechanism;
use crate::message::Message;
use crate::module::Module;
use crate::pending::{self, Done, Operation, Pending, Stage, work};
use crate::rv::{Result, fail};
use crate::session::Session;
use crate::token::{ReadyKey, Wanted};
use canis_proto::Usage;
use pkcs11_sys::*;

/// A verification under way, and the signature that it is about.
pub(crate) struct SignatureVerification {
    verification: Verification,
    signature: Vec<u8>,
}

impl Operation for SignatureVerification {
    fn place(session: &mut Session) -> &mut Pending<Self> {
        &mut session.verify_signature
    }

    fn into_key(self) -> Option<ReadyKey> {
        self.verification.into_key()
    }
}

/// C_VerifySignatureInit. A signature of the wrong length is no error before the message is there.
pub(crate) fn init(
    module: &Module,
    session: CK_SESSION_HANDLE,
    mechanism: Result<Option<Mechanism<'_>>>,
    key: CK_OBJECT_HANDLE,
    signature: Result<&[u8]>,
) -> Result {
    let wanted = Wanted { handle: key, usage: Usage::VERIFY };
    let plan = |mechanism: &Mechanism<'_>| Ok((mechanism.signs()?, signature?.to_vec()));
    let make = |key, (signer, signature)| SignatureVerification {
        verification: Verification { key, message: Message::new(module.provider(), signer) },
        signature,
    };
    pending::init(module, session, mechanism, wanted, plan, make)
}

/// C_VerifySignature.
pub(crate) fn whole(module: &Module, session: CK_SESSION_HANDLE, input: Result<&[u8]>) -> Result {
    work(module, session, Stage::Last, |told: &mut SignatureVerification| {
        let Verification { key, message } = &told.verification;
        if message.started() {
            return fail(CKR_OPERATION_NOT_INITIALIZED);
        }
        super::verify::at_once(module, key, message, input?, &told.signature)?;
        Ok(Done::Worked)
    })
}

/// C_VerifySignatureUpdate.
pub(crate) fn update(module: &Module, session: CK_SESSION_HANDLE, part: Result<&[u8]>) -> Result {
    work(module, session, Stage::Update, |told: &mut SignatureVerification| {
        let Verification { key, message } = &mut told.verification;
        if !message.has_parts() {
            return fail(CKR_OPERATION_NOT_INITIALIZED);
        }
        message.push(module.keeper()?, key, part?)?;
        Ok(Done::Worked)
    })
}

/// C_VerifySignatureFinal.
pub(crate) fn last(module: &Module, session: CK_SESSION_HANDLE) -> Result {
    work(module, session, Stage::Last, |told: &mut SignatureVerification| {
        let Verification { key, message } = &mut told.verification;
        super::verify::finish(module, key, message, &told.signature)?;
        Ok(Done::Worked)
    })
}
