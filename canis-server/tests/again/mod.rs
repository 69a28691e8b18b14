//! Payloads of the documents, read by the types of the code and written again.

use canis_core::crypto::private_parts::PrivateParts;
use canis_core::object::{
    ConfirmNamed, CopyObject, CreateObject, DecapsulateKey, DecryptNamed, DeriveKey, DerivePassword,
    DestroyObject, EncapsulateKey, EncapsulatedKey, EncryptNamed, EndSession, ExportObject, FindPage,
    FoundPage, GenerateObjects, ImportObject, Object, OpenNamed, OpenedKey, ReadObject, RecoverNamed,
    Recovered, SignNamed, UnwrapKey, UpdateObject, Used, VerifyNamed, WrapKey, Wrapped,
};
use canis_core::token::{
    ChangePin, EndApplication, InitToken, InitUserPin, ListTokens, Login, LoginState, Logout, ShowLogin,
    TokenInfo,
};
use canis_core::wire::AtToken;
use canis_proto::answer::{
    AesGcmSealed, BatchAnswer, DataKey, Decapsulated, Decrypted, Derived, Digest, Encapsulated, Encrypted,
    Entry, EntryDeleted, EntryInfo, EntryList, ExportedKey, KeyInfo, KeyList, MacMade, PublicKeyInfo,
    RandomBytes, Rewrapped, Rotated, Signed, StatusInfo, Verified, WrappingKeyInfo,
};
use canis_proto::approval::{
    ApprovalInfo, ApprovalList, ApproveRequest, CancelRequest, DenyRequest, ListApprovals, ShowApproval,
};
use canis_proto::audit::{AuditLines, AuditVerified, SearchAudit, VerifyAudit};
use canis_proto::backup::{BackupMade, BackupPiece, CreateBackup, ReadBackup};
use canis_proto::credential::{
    CreateCredential, CredentialInfo, CredentialList, CredentialMade, CredentialRevoked, ListCredentials,
    RenewCredential, RevokeCredential, ShowCredential,
};
use canis_proto::fields::Fields;
use canis_proto::frame::{HEADER, Header, MAX_PAYLOAD};
use canis_proto::message::{
    ActivateKey, Asked, Batch, CancelDestroyKey, CreateKey, Decapsulate, Decrypt, DecryptAesGcm, DeleteEntry,
    Derive, DestroyKey, DisableKey, EnableKey, Encapsulate, Encrypt, EncryptAesGcm, ExportKey, GetEntry,
    HashData, ImportKey, ListEntries, ListKeys, Mac, MakeDataKey, PublicKey, PutEntry, Random, Rewrap,
    RotateKey, ShowKey, Sign, Status, Terms, UpdateKey, Verify, VerifyMac, WireAnswer, WireRequest,
    WrappingKey, decode_request, encode_request, encode_request_on, encode_request_once,
};
use canis_proto::policy::{
    DeletePolicy, ExplainPolicy, Explained, GetPolicy, ListPolicies, PolicyDeleted, PolicyInfo, PolicyList,
    PolicyText, PutPolicy,
};
use canis_proto::rekey::{RekeyTenant, TenantRekeyed};
use canis_proto::role::{DeleteRole, GetRole, ListRoles, PutRole, RoleDeleted, RoleInfo, RoleList, RoleText};
use canis_proto::root::{
    AddRoot, ListRoots, RemoveRoot, RootKeyRotated, RootList, RootRemoved, RootSlotInfo, RotateRoot,
    RotateRootKey, TestRoot,
};
use canis_proto::sealing::{OperatorToken, SealStore, StoreSealed, Unseal, UnsealState};
use canis_proto::slot::{
    DeleteSlot, ExportFromSlot, ImportToSlot, InitSlot, ListSlots, SetSlotPin, SlotDeleted, SlotList,
    SlotObject, SlotObjects, SlotToken, UnlockSlot,
};
use canis_proto::stream::{
    DecryptStream, EncryptStream, HashStream, MacStream, Open, SignStream, StreamRequest, VerifyMacStream,
    VerifyStream, decode_open, encode_open,
};
use canis_proto::tenant::{
    CreateTenant, DeleteTenant, DisableTenant, EnableTenant, LimitTenant, ListTenants, ShowTenant,
    TenantDeleted, TenantInfo, TenantList, TenantMade,
};
use canis_proto::value::Map;
use canis_proto::{Id, OperationId};

pub(crate) fn split(bytes: &[u8]) -> (Header, &[u8]) {
    let (header, payload) = bytes.split_first_chunk::<HEADER>().unwrap();
    let header = Header::decode(header, MAX_PAYLOAD).unwrap();
    assert_eq!(header.length as usize, payload.len());
    (header, payload)
}

/// Reads a request as the server does and writes it again as the client does.
pub(crate) fn request<'a, R: WireRequest<'a>>(args: Map<'a>) -> Vec<u8> {
    let mut fields = Fields::new("the example", args);
    let request = R::from_fields(&mut fields).unwrap();
    fields.finish().unwrap();
    encode_request(&request)
}

/// Reads an answer as the client does and writes it again as the server does.
pub(crate) fn answer<A: WireAnswer>(payload: &[u8]) -> Vec<u8> {
    let mut fields = Fields::new("the example", Map::decode(payload).unwrap());
    let answer = A::from_fields(&mut fields).unwrap();
    fields.finish().unwrap();
    answer.to_map().encode()
}

pub(crate) fn request_again(payload: &[u8]) -> (OperationId, Vec<u8>) {
    let Asked { operation: id, args, idempotency_key, deadline } = decode_request(payload).unwrap();
    let again = match id {
        OperationId::RotateKey if idempotency_key.is_some() => {
            let mut fields = Fields::new("the example", args);
            let request = RotateKey::from_fields(&mut fields).unwrap();
            encode_request_once(&request, &idempotency_key.unwrap())
        }
        OperationId::Mac if deadline.is_some() => {
            let mut fields = Fields::new("the example", args);
            let request = Mac::from_fields(&mut fields).unwrap();
            encode_request_on(&request, Terms { deadline, ..Terms::default() })
        }
        OperationId::Status => request::<Status>(args),
        OperationId::CreateKey => request::<CreateKey<'_>>(args),
        OperationId::ListKeys => request::<ListKeys<'_>>(args),
        OperationId::ShowKey => request::<ShowKey<'_>>(args),
        OperationId::PublicKey => request::<PublicKey<'_>>(args),
        OperationId::Encrypt => request::<Encrypt<'_>>(args),
        OperationId::Decrypt => request::<Decrypt<'_>>(args),
        OperationId::EncryptAesGcm => request::<EncryptAesGcm<'_>>(args),
        OperationId::DecryptAesGcm => request::<DecryptAesGcm<'_>>(args),
        OperationId::Sign => request::<Sign<'_>>(args),
        OperationId::Verify => request::<Verify<'_>>(args),
        OperationId::UpdateKey => request::<UpdateKey<'_>>(args),
        OperationId::ActivateKey => request::<ActivateKey<'_>>(args),
        OperationId::DisableKey => request::<DisableKey<'_>>(args),
        OperationId::EnableKey => request::<EnableKey<'_>>(args),
        OperationId::DestroyKey => request::<DestroyKey<'_>>(args),
        OperationId::CancelDestroyKey => request::<CancelDestroyKey<'_>>(args),
        OperationId::RotateKey => request::<RotateKey<'_>>(args),
        OperationId::WrappingKey => request::<WrappingKey>(args),
        OperationId::ImportKey => request::<ImportKey<'_>>(args),
        OperationId::ExportKey => request::<ExportKey<'_>>(args),
        OperationId::Rewrap => request::<Rewrap<'_>>(args),
        OperationId::MakeDataKey => request::<MakeDataKey<'_>>(args),
        OperationId::Mac => request::<Mac<'_>>(args),
        OperationId::VerifyMac => request::<VerifyMac<'_>>(args),
        OperationId::Derive => request::<Derive<'_>>(args),
        OperationId::Encapsulate => request::<Encapsulate<'_>>(args),
        OperationId::Decapsulate => request::<Decapsulate<'_>>(args),
        OperationId::Random => request::<Random>(args),
        OperationId::HashData => request::<HashData<'_>>(args),
        OperationId::CreateCredential => request::<CreateCredential<'_>>(args),
        OperationId::ListCredentials => request::<ListCredentials<'_>>(args),
        OperationId::RevokeCredential => request::<RevokeCredential<'_>>(args),
        OperationId::RenewCredential => request::<RenewCredential<'_>>(args),
        OperationId::ShowCredential => request::<ShowCredential<'_>>(args),
        OperationId::PutPolicy => request::<PutPolicy<'_>>(args),
        OperationId::GetPolicy => request::<GetPolicy<'_>>(args),
        OperationId::ListPolicies => request::<ListPolicies<'_>>(args),
        OperationId::DeletePolicy => request::<DeletePolicy<'_>>(args),
        OperationId::ExplainPolicy => request::<ExplainPolicy<'_>>(args),
        OperationId::ListApprovals => request::<ListApprovals<'_>>(args),
        OperationId::ShowApproval => request::<ShowApproval<'_>>(args),
        OperationId::ApproveRequest => request::<ApproveRequest<'_>>(args),
        OperationId::DenyRequest => request::<DenyRequest<'_>>(args),
        OperationId::CancelRequest => request::<CancelRequest<'_>>(args),
        OperationId::PutRole => request::<PutRole<'_>>(args),
        OperationId::GetRole => request::<GetRole<'_>>(args),
        OperationId::ListRoles => request::<ListRoles<'_>>(args),
        OperationId::DeleteRole => request::<DeleteRole<'_>>(args),
        OperationId::Batch => request::<Batch<'_>>(args),
        OperationId::PutEntry => request::<PutEntry<'_>>(args),
        OperationId::GetEntry => request::<GetEntry<'_>>(args),
        OperationId::ListEntries => request::<ListEntries<'_>>(args),
        OperationId::DeleteEntry => request::<DeleteEntry<'_>>(args),
        OperationId::ListSlots => request::<ListSlots>(args),
        OperationId::InitSlot => request::<InitSlot<'_>>(args),
        OperationId::SetSlotPin => request::<SetSlotPin<'_>>(args),
        OperationId::UnlockSlot => request::<UnlockSlot<'_>>(args),
        OperationId::ImportToSlot => request::<ImportToSlot<'_>>(args),
        OperationId::ExportFromSlot => request::<ExportFromSlot<'_>>(args),
        OperationId::DeleteSlot => request::<DeleteSlot<'_>>(args),
        OperationId::CreateTenant => request::<CreateTenant<'_>>(args),
        OperationId::ListTenants => request::<ListTenants>(args),
        OperationId::ShowTenant => request::<ShowTenant<'_>>(args),
        OperationId::LimitTenant => request::<LimitTenant<'_>>(args),
        OperationId::DisableTenant => request::<DisableTenant<'_>>(args),
        OperationId::EnableTenant => request::<EnableTenant<'_>>(args),
        OperationId::DeleteTenant => request::<DeleteTenant<'_>>(args),
        OperationId::VerifyAudit => request::<VerifyAudit>(args),
        OperationId::SearchAudit => request::<SearchAudit<'_>>(args),
        OperationId::ListRoots => request::<ListRoots>(args),
        OperationId::AddRoot => request::<AddRoot<'_>>(args),
        OperationId::RemoveRoot => request::<RemoveRoot<'_>>(args),
        OperationId::TestRoot => request::<TestRoot<'_>>(args),
        OperationId::RotateRoot => request::<RotateRoot<'_>>(args),
        OperationId::RotateRootKey => request::<RotateRootKey<'_>>(args),
        OperationId::CreateBackup => request::<CreateBackup<'_>>(args),
        OperationId::ReadBackup => request::<ReadBackup<'_>>(args),
        OperationId::RekeyTenant => request::<RekeyTenant<'_>>(args),
        OperationId::Unseal => request::<Unseal<'_>>(args),
        OperationId::SealStore => request::<SealStore>(args),
        OperationId::OperatorToken => request::<OperatorToken<'_>>(args),
        other => token_request_again(other, args),
    };
    (id, again)
}

pub(crate) fn answer_again(id: OperationId, payload: &[u8]) -> Vec<u8> {
    match id {
        OperationId::Status => answer::<StatusInfo>(payload),
        OperationId::CreateKey
        | OperationId::ShowKey
        | OperationId::UpdateKey
        | OperationId::ActivateKey
        | OperationId::DisableKey
        | OperationId::EnableKey
        | OperationId::DestroyKey
        | OperationId::CancelDestroyKey
        | OperationId::ImportKey => answer::<KeyInfo>(payload),
        OperationId::WrappingKey => answer::<WrappingKeyInfo>(payload),
        OperationId::ExportKey => answer::<ExportedKey>(payload),
        OperationId::RotateKey => answer::<Rotated>(payload),
        OperationId::Rewrap => answer::<Rewrapped>(payload),
        OperationId::MakeDataKey => answer::<DataKey>(payload),
        OperationId::Mac => answer::<MacMade>(payload),
        OperationId::VerifyMac => answer::<Verified>(payload),
        OperationId::Derive => answer::<Derived>(payload),
        OperationId::Encapsulate => answer::<Encapsulated>(payload),
        OperationId::Decapsulate => answer::<Decapsulated>(payload),
        OperationId::Random => answer::<RandomBytes>(payload),
        OperationId::HashData => answer::<Digest>(payload),
        OperationId::ListSlots => answer::<SlotList>(payload),
        OperationId::InitSlot | OperationId::SetSlotPin | OperationId::UnlockSlot => {
            answer::<SlotToken>(payload)
        }
        OperationId::ImportToSlot => answer::<SlotObjects>(payload),
        OperationId::ExportFromSlot => answer::<SlotObject>(payload),
        OperationId::DeleteSlot => answer::<SlotDeleted>(payload),
        OperationId::CreateTenant => answer::<TenantMade>(payload),
        OperationId::ListTenants => answer::<TenantList>(payload),
        OperationId::ShowTenant
        | OperationId::LimitTenant
        | OperationId::DisableTenant
        | OperationId::EnableTenant => answer::<TenantInfo>(payload),
        OperationId::DeleteTenant => answer::<TenantDeleted>(payload),
        OperationId::VerifyAudit => answer::<AuditVerified>(payload),
        OperationId::SearchAudit => answer::<AuditLines>(payload),
        OperationId::ListRoots => answer::<RootList>(payload),
        OperationId::AddRoot | OperationId::TestRoot | OperationId::RotateRoot => {
            answer::<RootSlotInfo>(payload)
        }
        OperationId::RemoveRoot => answer::<RootRemoved>(payload),
        OperationId::RotateRootKey => answer::<RootKeyRotated>(payload),
        OperationId::CreateBackup => answer::<BackupMade>(payload),
        OperationId::ReadBackup => answer::<BackupPiece>(payload),
        OperationId::RekeyTenant => answer::<TenantRekeyed>(payload),
        OperationId::Unseal => answer::<UnsealState>(payload),
        OperationId::SealStore => answer::<StoreSealed>(payload),
        OperationId::ListKeys => answer::<KeyList>(payload),
        OperationId::PublicKey => answer::<PublicKeyInfo>(payload),
        OperationId::Encrypt => answer::<Encrypted>(payload),
        OperationId::EncryptAesGcm => answer::<AesGcmSealed>(payload),
        OperationId::Decrypt | OperationId::DecryptAesGcm => answer::<Decrypted>(payload),
        OperationId::Sign => answer::<Signed>(payload),
        OperationId::Verify => answer::<Verified>(payload),
        OperationId::CreateCredential | OperationId::OperatorToken => answer::<CredentialMade>(payload),
        OperationId::ListCredentials => answer::<CredentialList>(payload),
        OperationId::RevokeCredential => answer::<CredentialRevoked>(payload),
        OperationId::RenewCredential | OperationId::ShowCredential => answer::<CredentialInfo>(payload),
        OperationId::PutPolicy => answer::<PolicyInfo>(payload),
        OperationId::GetPolicy => answer::<PolicyText>(payload),
        OperationId::ListPolicies => answer::<PolicyList>(payload),
        OperationId::DeletePolicy => answer::<PolicyDeleted>(payload),
        OperationId::ExplainPolicy => answer::<Explained>(payload),
        OperationId::ListApprovals => answer::<ApprovalList>(payload),
        OperationId::ShowApproval
        | OperationId::ApproveRequest
        | OperationId::DenyRequest
        | OperationId::CancelRequest => answer::<ApprovalInfo>(payload),
        OperationId::PutRole => answer::<RoleInfo>(payload),
        OperationId::GetRole => answer::<RoleText>(payload),
        OperationId::ListRoles => answer::<RoleList>(payload),
        OperationId::DeleteRole => answer::<RoleDeleted>(payload),
        OperationId::Batch => answer::<BatchAnswer>(payload),
        OperationId::PutEntry => answer::<EntryInfo>(payload),
        OperationId::GetEntry => answer::<Entry>(payload),
        OperationId::ListEntries => answer::<EntryList>(payload),
        OperationId::DeleteEntry => answer::<EntryDeleted>(payload),
        other => token_answer_again(other, payload),
    }
}

pub(crate) fn token_request_again(id: OperationId, args: Map<'_>) -> Vec<u8> {
    match id {
        OperationId::ListTokens => request::<ListTokens>(args),
        OperationId::InitToken => request::<InitToken<'_>>(args),
        OperationId::EndSession => request::<EndSession>(args),
        OperationId::EndApplication => request::<EndApplication>(args),
        OperationId::InitUserPin => request::<AtToken<InitUserPin<'_>>>(args),
        OperationId::ChangePin => request::<AtToken<ChangePin<'_>>>(args),
        OperationId::Login => request::<AtToken<Login<'_>>>(args),
        OperationId::Logout => request::<AtToken<Logout>>(args),
        OperationId::ShowLogin => request::<AtToken<ShowLogin>>(args),
        OperationId::CreateObject => request::<AtToken<CreateObject>>(args),
        OperationId::GenerateObjects => request::<AtToken<GenerateObjects>>(args),
        OperationId::FindObjects => request::<AtToken<FindPage<'_>>>(args),
        OperationId::ReadObject => request::<AtToken<ReadObject>>(args),
        OperationId::UpdateObject => request::<AtToken<UpdateObject>>(args),
        OperationId::DestroyObject => request::<AtToken<DestroyObject>>(args),
        OperationId::CopyObject => request::<AtToken<CopyObject>>(args),
        OperationId::ImportObject => request::<AtToken<ImportObject>>(args),
        OperationId::ExportObject => request::<AtToken<ExportObject>>(args),
        OperationId::WrapKey => request::<AtToken<WrapKey<'_>>>(args),
        OperationId::UnwrapKey => request::<AtToken<UnwrapKey<'_>>>(args),
        OperationId::DeriveKey => request::<AtToken<DeriveKey<'_>>>(args),
        OperationId::EncapsulateKey => request::<AtToken<EncapsulateKey>>(args),
        OperationId::DecapsulateKey => request::<AtToken<DecapsulateKey<'_>>>(args),
        OperationId::DerivePassword => request::<AtToken<DerivePassword<'_>>>(args),
        OperationId::OpenKey => request::<AtToken<OpenNamed>>(args),
        OperationId::ConfirmUse => request::<AtToken<ConfirmNamed<'_>>>(args),
        OperationId::UseToSign => request::<AtToken<SignNamed<'_>>>(args),
        OperationId::UseToVerify => request::<AtToken<VerifyNamed<'_>>>(args),
        OperationId::UseToRecover => request::<AtToken<RecoverNamed<'_>>>(args),
        OperationId::UseToEncrypt => request::<AtToken<EncryptNamed<'_>>>(args),
        OperationId::UseToDecrypt => request::<AtToken<DecryptNamed<'_>>>(args),
        other => panic!("CANISP does not carry {}", other.row().name),
    }
}

pub(crate) fn token_answer_again(id: OperationId, payload: &[u8]) -> Vec<u8> {
    match id {
        OperationId::ListTokens => answer::<Vec<TokenInfo>>(payload),
        OperationId::ShowLogin => answer::<LoginState>(payload),
        OperationId::InitUserPin
        | OperationId::ChangePin
        | OperationId::Login
        | OperationId::Logout
        | OperationId::EndSession
        | OperationId::EndApplication
        | OperationId::UpdateObject
        | OperationId::DestroyObject
        | OperationId::ConfirmUse => answer::<()>(payload),
        OperationId::InitToken
        | OperationId::CreateObject
        | OperationId::CopyObject
        | OperationId::ImportObject
        | OperationId::UnwrapKey
        | OperationId::DeriveKey
        | OperationId::DecapsulateKey
        | OperationId::DerivePassword => answer::<Id>(payload),
        OperationId::GenerateObjects => answer::<(Id, Option<Id>)>(payload),
        OperationId::FindObjects => answer::<FoundPage>(payload),
        OperationId::ReadObject => answer::<Object>(payload),
        OperationId::ExportObject => answer::<PrivateParts>(payload),
        OperationId::WrapKey => answer::<Wrapped>(payload),
        OperationId::EncapsulateKey => answer::<EncapsulatedKey>(payload),
        OperationId::OpenKey => answer::<OpenedKey>(payload),
        OperationId::UseToVerify => answer::<Verified>(payload),
        OperationId::UseToRecover => answer::<Recovered>(payload),
        OperationId::UseToSign | OperationId::UseToEncrypt | OperationId::UseToDecrypt => {
            answer::<Used>(payload)
        }
        other => panic!("CANISP does not carry {}", other.row().name),
    }
}

/// Reads an OPEN as the server does and writes it again as the client does.
pub(crate) fn open_again(operation: &str, payload: &[u8]) -> Vec<u8> {
    fn stream<'a, R: StreamRequest<'a>>(open: Open<'a>) -> Vec<u8> {
        let mut fields = Fields::new("the example", open.args);
        let request = R::from_fields(&mut fields).unwrap();
        fields.finish().unwrap();
        encode_open(&request, open.credit)
    }
    let open = decode_open(payload).unwrap();
    assert_eq!(open.operation.row().name, operation);
    match open.operation {
        OperationId::Encrypt => stream::<EncryptStream<'_>>(open),
        OperationId::Decrypt => stream::<DecryptStream<'_>>(open),
        OperationId::Sign => stream::<SignStream<'_>>(open),
        OperationId::Verify => stream::<VerifyStream<'_>>(open),
        OperationId::Mac => stream::<MacStream<'_>>(open),
        OperationId::VerifyMac => stream::<VerifyMacStream<'_>>(open),
        OperationId::HashData => stream::<HashStream>(open),
        other => panic!("{} has no stream", other.row().name),
    }
}
