//! From a request's bytes to the core and back: the one place where CANISP's operations meet the core's.

use crate::batch;
use crate::session::Session;
use crate::token_dispatch;
use canis_core::{Core, Once, Run, current_request, for_request};
use canis_proto::approval::{ApproveRequest, CancelRequest, DenyRequest, ListApprovals, ShowApproval};
use canis_proto::audit::{SearchAudit, VerifyAudit};
use canis_proto::backup::{CreateBackup, ReadBackup};
use canis_proto::credential::{
    CreateCredential, ListCredentials, RenewCredential, RevokeCredential, ShowCredential,
};
use canis_proto::fields::Fields;
use canis_proto::frame::MAX_PAYLOAD;
use canis_proto::message::{
    ActivateKey, Asked, CancelDestroyKey, CreateKey, Decapsulate, Decrypt, DecryptAesGcm, DeleteEntry,
    Derive, DestroyKey, DisableKey, EnableKey, Encapsulate, Encrypt, EncryptAesGcm, ExportKey, GetEntry,
    HashData, ImportKey, ListEntries, ListKeys, Mac, MakeDataKey, PublicKey, PutEntry, Random, Rewrap,
    RotateKey, ShowKey, Sign, Status, UpdateKey, Verify, VerifyMac, WireAnswer, WireRequest, WrappingKey,
    decode_request,
};
use canis_proto::policy::{DeletePolicy, ExplainPolicy, GetPolicy, ListPolicies, PutPolicy};
use canis_proto::rekey::RekeyTenant;
use canis_proto::role::{DeleteRole, GetRole, ListRoles, PutRole};
use canis_proto::root::{AddRoot, ListRoots, RemoveRoot, RotateRoot, RotateRootKey, TestRoot};
use canis_proto::sealing::{OperatorToken, SealStore, Unseal};
use canis_proto::slot::{
    DeleteSlot, ExportFromSlot, ImportToSlot, InitSlot, ListSlots, SetSlotPin, UnlockSlot,
};
use canis_proto::tenant::{
    CreateTenant, DeleteTenant, DisableTenant, EnableTenant, LimitTenant, ListTenants, ShowTenant,
};
use canis_proto::value::Map;
use canis_proto::{Error, ErrorCode, Operation, OperationId, Result};
use zeroize::Zeroizing;

pub(crate) type Handler = for<'a> fn(&Core, &Session, Map<'a>) -> Result<Zeroizing<Vec<u8>>>;

/// What `payload` asks for.
pub(crate) fn asked(payload: &[u8]) -> Result<Asked<'_>> {
    decode_request(payload)
}

/// Runs a request and gives its answer's payload.
pub(crate) fn answer(core: &Core, session: &Session, asked: Asked<'_>) -> Result<Zeroizing<Vec<u8>>> {
    let Asked { operation: id, args, idempotency_key, .. } = asked;
    let Some(handler) = handler(id) else {
        return Err(Error::new(
            ErrorCode::UnknownOperation,
            format!("operation `{}` is not carried by CANISP", id.row().name),
        ));
    };
    session.count()?;
    let answer = match idempotency_key {
        None => handler(core, session, args)?,
        Some(key) => {
            let arguments = Zeroizing::new(args.encode());
            let once = Once { key: &key, operation: id, arguments: &arguments };
            let work = |draft: &Core| handler(draft, session, args.clone());
            session.run(core, id, |caller| core.once(caller, &once, work))?
        }
    };
    if answer.len() > MAX_PAYLOAD as usize {
        return Err(too_large("the answer would be", answer.len()));
    }
    Ok(answer)
}

/// What runs an operation; `None` for those that CANISP does not carry.
pub(crate) fn handler(id: OperationId) -> Option<Handler> {
    let handler: Handler = match id {
        OperationId::Status => |core, session, args| run::<Status>(core, session, args),
        OperationId::CreateKey => |core, session, args| run::<CreateKey<'_>>(core, session, args),
        OperationId::ListKeys => |core, session, args| run::<ListKeys<'_>>(core, session, args),
        OperationId::ShowKey => |core, session, args| run::<ShowKey<'_>>(core, session, args),
        OperationId::PublicKey => |core, session, args| run::<PublicKey<'_>>(core, session, args),
        OperationId::Rewrap => |core, session, args| run::<Rewrap<'_>>(core, session, args),
        OperationId::MakeDataKey => |core, session, args| run::<MakeDataKey<'_>>(core, session, args),
        OperationId::Mac => |core, session, args| run::<Mac<'_>>(core, session, args),
        OperationId::VerifyMac => |core, session, args| run::<VerifyMac<'_>>(core, session, args),
        OperationId::Derive => |core, session, args| run::<Derive<'_>>(core, session, args),
        OperationId::Encapsulate => |core, session, args| run::<Encapsulate<'_>>(core, session, args),
        OperationId::Decapsulate => |core, session, args| run::<Decapsulate<'_>>(core, session, args),
        OperationId::Random => |core, session, args| run::<Random>(core, session, args),
        OperationId::HashData => |core, session, args| run::<HashData<'_>>(core, session, args),
        OperationId::UpdateKey => |core, session, args| run::<UpdateKey<'_>>(core, session, args),
        OperationId::ActivateKey => |core, session, args| run::<ActivateKey<'_>>(core, session, args),
        OperationId::DisableKey => |core, session, args| run::<DisableKey<'_>>(core, session, args),
        OperationId::EnableKey => |core, session, args| run::<EnableKey<'_>>(core, session, args),
        OperationId::DestroyKey => |core, session, args| run::<DestroyKey<'_>>(core, session, args),
        OperationId::CancelDestroyKey => {
            |core, session, args| run::<CancelDestroyKey<'_>>(core, session, args)
        }
        OperationId::RotateKey => |core, session, args| run::<RotateKey<'_>>(core, session, args),
        OperationId::WrappingKey => |core, session, args| run::<WrappingKey>(core, session, args),
        OperationId::ImportKey => |core, session, args| run::<ImportKey<'_>>(core, session, args),
        OperationId::ExportKey => |core, session, args| run::<ExportKey<'_>>(core, session, args),
        OperationId::CreateCredential => {
            |core, session, args| run::<CreateCredential<'_>>(core, session, args)
        }
        OperationId::ListCredentials => |core, session, args| run::<ListCredentials<'_>>(core, session, args),
        OperationId::RevokeCredential => {
            |core, session, args| run::<RevokeCredential<'_>>(core, session, args)
        }
        OperationId::ShowCredential => |core, session, args| run::<ShowCredential<'_>>(core, session, args),
        OperationId::RenewCredential => |core, session, args| run::<RenewCredential<'_>>(core, session, args),
        OperationId::PutPolicy => |core, session, args| run::<PutPolicy<'_>>(core, session, args),
        OperationId::GetPolicy => |core, session, args| run::<GetPolicy<'_>>(core, session, args),
        OperationId::ListPolicies => |core, session, args| run::<ListPolicies<'_>>(core, session, args),
        OperationId::DeletePolicy => |core, session, args| run::<DeletePolicy<'_>>(core, session, args),
        OperationId::ExplainPolicy => |core, session, args| run::<ExplainPolicy<'_>>(core, session, args),
        OperationId::PutRole => |core, session, args| run::<PutRole<'_>>(core, session, args),
        OperationId::GetRole => |core, session, args| run::<GetRole<'_>>(core, session, args),
        OperationId::ListRoles => |core, session, args| run::<ListRoles<'_>>(core, session, args),
        OperationId::DeleteRole => |core, session, args| run::<DeleteRole<'_>>(core, session, args),
        OperationId::ListApprovals => |core, session, args| run::<ListApprovals<'_>>(core, session, args),
        OperationId::ShowApproval => |core, session, args| run::<ShowApproval<'_>>(core, session, args),
        OperationId::ApproveRequest => |core, session, args| run::<ApproveRequest<'_>>(core, session, args),
        OperationId::DenyRequest => |core, session, args| run::<DenyRequest<'_>>(core, session, args),
        OperationId::CancelRequest => |core, session, args| run::<CancelRequest<'_>>(core, session, args),
        OperationId::Batch => batch::run,
        OperationId::PutEntry => |core, session, args| run::<PutEntry<'_>>(core, session, args),
        OperationId::GetEntry => |core, session, args| run::<GetEntry<'_>>(core, session, args),
        OperationId::ListEntries => |core, session, args| run::<ListEntries<'_>>(core, session, args),
        OperationId::DeleteEntry => |core, session, args| run::<DeleteEntry<'_>>(core, session, args),
        OperationId::ListSlots => |core, session, args| run::<ListSlots>(core, session, args),
        OperationId::InitSlot => |core, session, args| run::<InitSlot<'_>>(core, session, args),
        OperationId::SetSlotPin => |core, session, args| run::<SetSlotPin<'_>>(core, session, args),
        OperationId::UnlockSlot => |core, session, args| run::<UnlockSlot<'_>>(core, session, args),
        OperationId::ImportToSlot => |core, session, args| run::<ImportToSlot<'_>>(core, session, args),
        OperationId::ExportFromSlot => |core, session, args| run::<ExportFromSlot<'_>>(core, session, args),
        OperationId::DeleteSlot => |core, session, args| run::<DeleteSlot<'_>>(core, session, args),
        OperationId::ListRoots => |core, session, args| run::<ListRoots>(core, session, args),
        OperationId::AddRoot => |core, session, args| aside(|| run::<AddRoot<'_>>(core, session, args)),
        OperationId::RemoveRoot => |core, session, args| run::<RemoveRoot<'_>>(core, session, args),
        OperationId::TestRoot => |core, session, args| aside(|| run::<TestRoot<'_>>(core, session, args)),
        OperationId::RotateRoot => |core, session, args| aside(|| run::<RotateRoot<'_>>(core, session, args)),
        OperationId::RotateRootKey => {
            |core, session, args| aside(|| run::<RotateRootKey<'_>>(core, session, args))
        }
        OperationId::RekeyTenant => |core, session, args| run::<RekeyTenant<'_>>(core, session, args),
        OperationId::Unseal => |core, session, args| aside(|| run::<Unseal<'_>>(core, session, args)),
        OperationId::SealStore => |core, session, args| run::<SealStore>(core, session, args),
        OperationId::OperatorToken => {
            |core, session, args| aside(|| run::<OperatorToken<'_>>(core, session, args))
        }
        OperationId::CreateBackup => |core, session, args| run::<CreateBackup<'_>>(core, session, args),
        OperationId::ReadBackup => |core, session, args| run::<ReadBackup<'_>>(core, session, args),
        OperationId::CreateTenant => |core, session, args| run::<CreateTenant<'_>>(core, session, args),
        OperationId::ListTenants => |core, session, args| run::<ListTenants>(core, session, args),
        OperationId::ShowTenant => |core, session, args| run::<ShowTenant<'_>>(core, session, args),
        OperationId::LimitTenant => |core, session, args| run::<LimitTenant<'_>>(core, session, args),
        OperationId::DisableTenant => |core, session, args| run::<DisableTenant<'_>>(core, session, args),
        OperationId::EnableTenant => |core, session, args| run::<EnableTenant<'_>>(core, session, args),
        OperationId::DeleteTenant => |core, session, args| run::<DeleteTenant<'_>>(core, session, args),
        OperationId::VerifyAudit => |core, session, args| run::<VerifyAudit>(core, session, args),
        OperationId::SearchAudit => |core, session, args| run::<SearchAudit<'_>>(core, session, args),
        OperationId::Encrypt => encrypt,
        OperationId::Decrypt => |core, session, args| run::<Decrypt<'_>>(core, session, args),
        OperationId::EncryptAesGcm => encrypt_aes_gcm,
        OperationId::DecryptAesGcm => |core, session, args| run::<DecryptAesGcm<'_>>(core, session, args),
        OperationId::Sign => |core, session, args| run::<Sign<'_>>(core, session, args),
        OperationId::Verify => |core, session, args| run::<Verify<'_>>(core, session, args),
        other => return token_dispatch::handler(other),
    };
    Some(handler)
}

fn run<'a, R>(core: &Core, session: &Session, args: Map<'a>) -> Result<Zeroizing<Vec<u8>>>
where
    R: WireRequest<'a> + Run,
    R::Answer: WireAnswer,
{
    call(core, session, parse::<R>(args)?)
}

/// Runs `work` on a thread that has wholly ended when this returns: it may call an HSM's library, which must not leave
/// its state in a thread of the pool (see [`crate::unseal`]).
fn aside<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let failed = || Error::internal("the call of the root failed unexpectedly; the server's log says more");
    let request = current_request();
    std::thread::scope(|scope| scope.spawn(|| for_request(request, work)).join())
        .unwrap_or_else(|_| Err(failed()))
}

fn encrypt(core: &Core, session: &Session, args: Map<'_>) -> Result<Zeroizing<Vec<u8>>> {
    let request: Encrypt<'_> = parse(args)?;
    // Base64 takes four bytes for three.
    let to_decrypt = request.plaintext.len().div_ceil(3) * 4 + request.context.len();
    fits_to_decrypt("with its ciphertext in base64, a request to decrypt this would be", to_decrypt)?;
    call(core, session, request)
}

fn encrypt_aes_gcm(core: &Core, session: &Session, args: Map<'_>) -> Result<Zeroizing<Vec<u8>>> {
    let request: EncryptAesGcm<'_> = parse(args)?;
    let to_decrypt = request.plaintext.len() + request.aad.len();
    fits_to_decrypt("a request to decrypt this would be", to_decrypt)?;
    call(core, session, request)
}

/// What would not fit into a request to decrypt it must not be made.
fn fits_to_decrypt(what: &str, size: usize) -> Result<()> {
    // Name, field names and the format's own bytes; generous.
    const AROUND: usize = 1024;
    if size + AROUND > MAX_PAYLOAD as usize {
        return Err(too_large(what, size + AROUND));
    }
    Ok(())
}

/// Reads an operation's arguments.
pub(crate) fn parse<'a, R: WireRequest<'a>>(args: Map<'a>) -> Result<R> {
    let mut fields = Fields::new(R::ID.row().name, args);
    let request = R::from_fields(&mut fields)?;
    fields.finish()?;
    Ok(request)
}

fn call<R>(core: &Core, session: &Session, request: R) -> Result<Zeroizing<Vec<u8>>>
where
    R: Run,
    R::Answer: WireAnswer,
{
    let answer = session.run(core, <R as Operation>::ID, |caller| core.call(caller, request))?;
    Ok(Zeroizing::new(answer.to_map().encode()))
}

fn too_large(what: &str, size: usize) -> Error {
    Error::new(
        ErrorCode::TooLarge,
        format!("{what} {size} bytes, more than the limit of {MAX_PAYLOAD} bytes; ask for less at a time"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use canis_proto::operation::TABLE;

    /// The table of operations and this door agree: nothing that CANISP carries is unknown here, and nothing else is known.
    #[test]
    fn every_wire_operation_is_dispatched() {
        for row in TABLE {
            assert_eq!(handler(row.id).is_some(), row.wire, "{}", row.name);
        }
    }
}
