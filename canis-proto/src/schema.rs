//! The arguments of every operation as a table, for doors that speak another notation, and for the documents.

use crate::credential::{CreateCredential, ListCredentials, RevokeCredential};
use crate::message::{
    ActivateKey, Batch, CancelDestroyKey, CreateKey, Decrypt, DecryptAesGcm, DeleteEntry, Derive, DestroyKey,
    DisableKey, EnableKey, Encrypt, EncryptAesGcm, ExportKey, GetEntry, HashData, ImportKey, ListEntries,
    ListKeys, Mac, MakeDataKey, PublicKey, PutEntry, Random, Rewrap, RotateKey, ShowKey, Sign, UpdateKey,
    Verify, VerifyMac, WireRequest,
};
use crate::slot::{DeleteSlot, ExportFromSlot, ImportToSlot, InitSlot, SetSlotPin, UnlockSlot};
use crate::value::Map;
use crate::{
    AgreementKdf, Capabilities, HashName, Interval, KeyFormat, KeyType, OperationId, PublicObject,
    SignatureForm, SignatureScheme, Usage,
};
use std::borrow::Cow;

/// One argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What stands there.
    pub kind: FieldKind,
    /// Whether it must be there.
    pub required: bool,
}

/// The type of a field's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// True or false.
    Bool,
    /// An integer from 0.
    Integer,
    /// Text.
    Text,
    /// Bytes.
    Bytes,
    /// An array of texts.
    Texts,
    /// An array of maps.
    Maps,
}

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
    Usage => Integer,
    Cow<'_, str> => Text,
    KeyType => Text,
    KeyFormat => Text,
    SignatureScheme => Text,
    SignatureForm => Text,
    HashName => Text,
    AgreementKdf => Text,
    Interval => Text,
    PublicObject => Text,
    Cow<'_, [u8]> => Bytes,
    Vec<Cow<'_, str>> => Texts,
    Capabilities => Texts,
    Vec<Map<'_>> => Maps,
}

impl<T: Kind> Kind for Option<T> {
    const KIND: FieldKind = T::KIND;
}

/// Whether a reader, as `request!` names them, insists on its field.
pub(crate) const fn insists(reader: &str) -> bool {
    matches!(
        reader.as_bytes(),
        b"required" | b"key_type" | b"key_format" | b"texts" | b"maps" | b"capabilities"
    )
}

/// The arguments of an operation that CANISP carries; none for others.
#[must_use]
pub fn arguments(id: OperationId) -> &'static [Field] {
    macro_rules! table {
        ($($name:ident $(<$life:lifetime>)?,)+) => {
            match id {
                $(OperationId::$name => <$name $(<$life>)? as WireRequest<'_>>::FIELDS,)+
                _ => &[],
            }
        };
    }
    table! {
        ActivateKey<'_>, Batch<'_>, CancelDestroyKey<'_>, CreateCredential<'_>, CreateKey<'_>, Decrypt<'_>, DecryptAesGcm<'_>,
        DeleteEntry<'_>, DeleteSlot<'_>, Derive<'_>, DestroyKey<'_>, DisableKey<'_>, EnableKey<'_>, Encrypt<'_>,
        EncryptAesGcm<'_>, ExportFromSlot<'_>, ExportKey<'_>, GetEntry<'_>, HashData<'_>, ImportKey<'_>, ImportToSlot<'_>, InitSlot<'_>, ListCredentials<'_>, ListEntries<'_>,
        ListKeys<'_>, Mac<'_>, MakeDataKey<'_>, PublicKey<'_>, PutEntry<'_>, Random, RevokeCredential<'_>, Rewrap<'_>, RotateKey<'_>,
        SetSlotPin<'_>, ShowKey<'_>, Sign<'_>, UnlockSlot<'_>, UpdateKey<'_>, Verify<'_>, VerifyMac<'_>,
    }
}
