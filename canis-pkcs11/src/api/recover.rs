//! Signatures that give back what they sign (sections 5.14 and 5.15): CKM_RSA_PKCS and CKM_RSA_X_509, in one piece.

use super::output::Transfer;
use crate::mechanism::Mechanism;
use crate::module::Module;
use crate::pending::{self, Done, Operation, Pending, Stage, work};
use crate::rv::{Instead, Result, fail};
use crate::session::Session;
use crate::token::{ReadyKey, Wanted};
use canis_core::crypto::SignScheme;
use canis_core::object::SignWith;
use canis_proto::{ErrorCode, Usage};
use pkcs11_sys::*;

/// A signature with recovery about to be made.
pub(crate) struct SignRecovery {
    key: ReadyKey,
    scheme: SignScheme,
}

/// A signature with recovery about to be verified.
pub(crate) struct VerifyRecovery {
    key: ReadyKey,
    scheme: SignScheme,
}

macro_rules! operation {
    ($name:ident, $place:ident) => {
        impl Operation for $name {
            fn place(session: &mut Session) -> &mut Pending<Self> {
                &mut session.$place
            }

            fn key(&self) -> Option<&ReadyKey> {
                Some(&self.key)
            }

            fn into_key(self) -> Option<ReadyKey> {
                Some(self.key)
            }
        }
    };
}

operation!(SignRecovery, sign_recover);
operation!(VerifyRecovery, verify_recover);

/// C_SignRecoverInit.
pub(crate) fn sign_init(
    module: &Module,
    session: CK_SESSION_HANDLE,
    mechanism: Result<Option<Mechanism<'_>>>,
    key: CK_OBJECT_HANDLE,
) -> Result {
    let wanted = Wanted { handle: key, usage: Usage::RECOVER };
    let make = |key, scheme| SignRecovery { key, scheme };
    pending::init(module, session, mechanism, wanted, |mechanism| mechanism.recovers(), make)
}

/// C_VerifyRecoverInit.
pub(crate) fn verify_init(
    module: &Module,
    session: CK_SESSION_HANDLE,
    mechanism: Result<Option<Mechanism<'_>>>,
    key: CK_OBJECT_HANDLE,
) -> Result {
    let wanted = Wanted { handle: key, usage: Usage::RECOVER };
    let make = |key, scheme| VerifyRecovery { key, scheme };
    pending::init(module, session, mechanism, wanted, |mechanism| mechanism.recovers(), make)
}

/// C_SignRecover.
pub(crate) fn sign(module: &Module, session: CK_SESSION_HANDLE, io: Result<Transfer<'_>>) -> Result {
    work(module, session, Stage::Last, |recovery: &mut SignRecovery| {
        let Transfer { input, mut out } = io?;
        let SignRecovery { key, scheme } = recovery;
        let Some(space) = out.space(key.signature_len())? else { return Ok(Done::Measured) };
        let len = key
            .sign(module.keeper()?, SignWith::Pair(*scheme), &input, space)
            .instead(ErrorCode::InvalidArgument, CKR_DATA_LEN_RANGE)?;
        out.wrote(len);
        Ok(Done::Worked)
    })
}

/// C_VerifyRecover. How long the data is shows only when it is there: a query gets the longest it could be.
pub(crate) fn verify(module: &Module, session: CK_SESSION_HANDLE, io: Result<Transfer<'_>>) -> Result {
    work(module, session, Stage::Last, |recovery: &mut VerifyRecovery| {
        let Transfer { input, mut out } = io?;
        let VerifyRecovery { key, scheme } = recovery;
        let block = key.block_len();
        if input.len() != block {
            return fail(CKR_SIGNATURE_LEN_RANGE);
        }
        if out.is_query() {
            out.wrote(block);
            return Ok(Done::Measured);
        }
        let Some(data) = key.recover(module.keeper()?, *scheme, &input)? else {
            return fail(CKR_SIGNATURE_INVALID);
        };
        if let Some(space) = out.space(data.len())? {
            space.copy_from_slice(&data);
        }
        Ok(Done::Worked)
    })
}
