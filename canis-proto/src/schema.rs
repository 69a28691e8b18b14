//! What every operation takes and gives, as tables: for doors that speak another notation, and for the documents.

use crate::approval::{ApproveRequest, CancelRequest, DenyRequest, ListApprovals, ShowApproval};
use crate::audit::{SearchAudit, VerifyAudit};
use crate::backup::{CreateBackup, ReadBackup};
use crate::credential::{
    CreateCredential, ListCredentials, RenewCredential, RevokeCredential, ShowCredential,
};
use crate::message::{
    ActivateKey, Batch, CancelDestroyKey, CreateKey, Decapsulate, Decrypt, DecryptAesGcm, DeleteEntry,
    Derive, DestroyKey, DisableKey, EnableKey, Encapsulate, Encrypt, EncryptAesGcm, ExportKey, GetEntry,
    HashData, ImportKey, ListEntries, ListKeys, Mac, MakeDataKey, PublicKey, PutEntry, Random, Rewrap,
    RotateKey, ShowKey, Sign, Status, UpdateKey, Verify, VerifyMac, WireAnswer, WireRequest, WrappingKey,
};
use crate::policy::{DeletePolicy, ExplainPolicy, GetPolicy, ListPolicies, PutPolicy};
use crate::rekey::RekeyTenant;
use crate::role::{DeleteRole, GetRole, ListRoles, PutRole};
use crate::root::{AddRoot, ListRoots, RemoveRoot, RotateRoot, RotateRootKey, TestRoot};
use crate::sealing::{OperatorToken, SealStore, Unseal};
use crate::slot::{DeleteSlot, ExportFromSlot, ImportToSlot, InitSlot, ListSlots, SetSlotPin, UnlockSlot};
use crate::stream::{
    DecryptStream, EncryptStream, HashStream, MacStream, SignStream, VerifyMacStream, VerifyStream,
};
use crate::tenant::{
    CreateTenant, DeleteTenant, DisableTenant, EnableTenant, LimitTenant, ListTenants, ShowTenant,
};
use crate::value::Map;
use crate::{
    AgreementKdf, Capabilities, Capability, HashName, Interval, KeyFormat, KeyState, KeyType, OperationId,
    PublicObject, Result, SignatureForm, SignatureScheme, Usage,
};
use std::borrow::Cow;

/// One argument, or one field of an answer.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What stands there.
    pub kind: FieldKind,
    /// Whether it must be there; else it may be missing or null.
    pub required: bool,
}

/// The type of a field's value.
#[derive(Clone, Copy, Debug)]
pub enum FieldKind {
    /// True or false.
    Bool,
    /// An integer from 0.
    Integer,
    /// An integer.
    Signed,
    /// What keys may be used for, an integer of bits.
    Usage,
    /// Text.
    Text,
    /// Bytes.
    Bytes,
    /// One of some words.
    Word(&'static Words),
    /// A map of any fields.
    AnyMap,
    /// A map of these fields.
    Map(&'static Shape),
    /// A map of one of these kinds.
    Choice(&'static Choice),
    /// Bytes that are such a map, encoded.
    Encoded(&'static Shape),
    /// An array.
    Array(&'static FieldKind),
    /// An array of an integer and bytes.
    Numbered,
}

/// The words that may stand somewhere.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    /// What they are called together.
    pub name: &'static str,
    /// Every one of them.
    pub all: fn() -> Vec<&'static str>,
}

/// The fields of a map.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// What it is called.
    pub name: &'static str,
    /// Its fields.
    pub fields: &'static [Field],
    /// Fields that it shares with another one.
    pub rest: Option<&'static Shape>,
}

/// Maps that are told apart by the word in `is`.
#[derive(Clone, Copy, Debug)]
pub struct Choice {
    /// What they are called together.
    pub name: &'static str,
    /// The word, and the fields besides it.
    pub kinds: &'static [(&'static str, &'static [Field])],
}

/// What an operation takes and gives.
#[derive(Clone, Copy, Debug)]
pub struct Described {
    /// Its arguments.
    pub arguments: &'static [Field],
    /// Its answer.
    pub answer: FieldKind,
}

/// An error as a map: the payload of ERROR and GOAWAY.
pub const ERROR: Shape = Shape {
    name: "Error",
    fields: &[
        Field { name: "code", kind: FieldKind::Integer, required: true },
        Field { name: "name", kind: FieldKind::Text, required: true },
        Field { name: "message", kind: FieldKind::Text, required: true },
        Field { name: "retry_after", kind: FieldKind::Integer, required: false },
    ],
    rest: None,
};

/// A Rust type as the type of a field.
pub(crate) trait Kind {
    /// The type of its values.
    const KIND: FieldKind;
}

macro_rules! kinds {
    ($($type:ty => $kind:ident,)+) => { $(impl Kind for $type { const KIND: FieldKind = FieldKind::$kind; })+ };
}
kinds! {
    bool => Bool,
    u32 => Integer,
    u64 => Integer,
    i64 => Signed,
    Usage => Usage,
    Cow<'_, str> => Text,
    String => Text,
    Interval => Text,
    Cow<'_, [u8]> => Bytes,
    Vec<u8> => Bytes,
    Map<'_> => AnyMap,
}

macro_rules! words {
    ($($type:ident,)+) => { $(impl Kind for $type {
        const KIND: FieldKind = FieldKind::Word(&Words {
            name: stringify!($type),
            all: || $type::ALL.iter().map(|one| one.name()).collect(),
        });
    })+ };
}
words! { KeyType, KeyFormat, KeyState, SignatureScheme, SignatureForm, HashName, AgreementKdf, PublicObject, Capability, }

/// By their names.
impl Kind for Capabilities {
    const KIND: FieldKind = FieldKind::Array(&<Capability as Kind>::KIND);
}

impl<T: Kind> Kind for Option<T> {
    const KIND: FieldKind = T::KIND;
}

impl<T: Kind> Kind for Vec<T> {
    const KIND: FieldKind = FieldKind::Array(&T::KIND);
}

/// What became of one ciphertext of `rewrap`.
impl Kind for Result<String> {
    const KIND: FieldKind = FieldKind::Map(&Shape {
        name: "RewrappedItem",
        fields: &[
            Field { name: "ciphertext", kind: FieldKind::Text, required: false },
            Field { name: "error", kind: FieldKind::Map(&ERROR), required: false },
        ],
        rest: None,
    });
}

/// What became of one operation of a batch.
impl Kind for Result<Map<'_>> {
    const KIND: FieldKind = FieldKind::Map(&Shape {
        name: "BatchItem",
        fields: &[
            Field { name: "result", kind: FieldKind::AnyMap, required: false },
            Field { name: "error", kind: FieldKind::Map(&ERROR), required: false },
        ],
        rest: None,
    });
}

/// Whether a reader, as `request!` names them, insists on its field.
pub(crate) const fn insists(reader: &str) -> bool {
    matches!(
        reader.as_bytes(),
        b"required" | b"key_type" | b"key_format" | b"texts" | b"maps" | b"capabilities" | b"required_name"
    )
}

/// Whether a reader, as `answer!` names them, does without its field.
pub(crate) const fn spares(reader: &str) -> bool {
    matches!(reader.as_bytes(), b"optional" | b"optional_name" | b"some_strings")
}

/// The arguments of an operation of this crate; none for others.
#[must_use]
pub fn arguments(id: OperationId) -> &'static [Field] {
    described(id).map_or(&[], |described| described.arguments)
}

/// What an operation takes and gives, if its request stands in this crate.
#[must_use]
pub fn described(id: OperationId) -> Option<Described> {
    macro_rules! table {
        ($($name:ident $(<$life:lifetime>)?,)+) => {
            match id {
                $(OperationId::$name => Some(of::<$name $(<$life>)?>()),)+
                _ => None,
            }
        };
    }
    table! {
        ActivateKey<'_>, AddRoot<'_>, Batch<'_>, CancelDestroyKey<'_>, CreateCredential<'_>, CreateKey<'_>, Decapsulate<'_>, Decrypt<'_>,
        DecryptAesGcm<'_>, DeleteEntry<'_>, DeletePolicy<'_>, DeleteSlot<'_>, Derive<'_>, DestroyKey<'_>, DisableKey<'_>, EnableKey<'_>, Encapsulate<'_>, Encrypt<'_>,
        EncryptAesGcm<'_>, ExplainPolicy<'_>, ExportFromSlot<'_>, ExportKey<'_>, GetEntry<'_>, GetPolicy<'_>, HashData<'_>, ImportKey<'_>,
        ImportToSlot<'_>, InitSlot<'_>, ListCredentials<'_>, ListEntries<'_>, ListKeys<'_>, ListPolicies<'_>, ListRoots, ListSlots, Mac<'_>,
        MakeDataKey<'_>, PublicKey<'_>, PutEntry<'_>, PutPolicy<'_>, Random, RemoveRoot<'_>, RenewCredential<'_>, RevokeCredential<'_>, Rewrap<'_>, RotateKey<'_>, RotateRoot<'_>,
        RotateRootKey<'_>,
        RekeyTenant<'_>,
        Unseal<'_>,
        SealStore,
        OperatorToken<'_>,
        SearchAudit<'_>, SetSlotPin<'_>, ShowCredential<'_>, ShowKey<'_>, Sign<'_>, Status, TestRoot<'_>, UnlockSlot<'_>, UpdateKey<'_>, Verify<'_>, VerifyAudit, VerifyMac<'_>,
        ListApprovals<'_>, ShowApproval<'_>, ApproveRequest<'_>, DenyRequest<'_>, CancelRequest<'_>,
        PutRole<'_>, GetRole<'_>, ListRoles<'_>, DeleteRole<'_>,
        WrappingKey, CreateBackup<'_>, ReadBackup<'_>,
        CreateTenant<'_>, ListTenants, ShowTenant<'_>, LimitTenant<'_>, DisableTenant<'_>, EnableTenant<'_>, DeleteTenant<'_>,
    }
}

/// What the stream of an operation takes and gives, if it has one.
#[must_use]
pub fn stream(id: OperationId) -> Option<Described> {
    Some(match id {
        OperationId::Encrypt => of::<EncryptStream<'_>>(),
        OperationId::Decrypt => of::<DecryptStream<'_>>(),
        OperationId::Sign => of::<SignStream<'_>>(),
        OperationId::Verify => of::<VerifyStream<'_>>(),
        OperationId::Mac => of::<MacStream<'_>>(),
        OperationId::VerifyMac => of::<VerifyMacStream<'_>>(),
        OperationId::HashData => of::<HashStream>(),
        _ => return None,
    })
}

/// What a request takes and gives.
#[must_use]
pub fn of<'a, R>() -> Described
where
    R: WireRequest<'a>,
    R::Answer: WireAnswer,
{
    Described { arguments: R::FIELDS, answer: <R::Answer as WireAnswer>::SHAPE }
}
