//! Requests about slots and the tokens in them, and their answers. PINs stand in them as bytes: whoever makes or reads
//! one keeps the bytes where they are wiped.

use crate::answer::answer;
use crate::message::{WireRequest, request};
use crate::value::{Map, Value};
use crate::{KeyFormat, KeyType, PublicObject};
use std::borrow::Cow;

/// Asks for the slots that hold a token.
#[derive(Clone, PartialEq, Eq)]
pub struct ListSlots;

impl crate::Operation for ListSlots {
    const ID: crate::OperationId = crate::OperationId::ListSlots;
    type Answer = SlotList;
}

impl<'a> WireRequest<'a> for ListSlots {
    const FIELDS: &'static [crate::schema::Field] = &[];

    fn to_map(&self) -> Map<'_> {
        Map::new()
    }

    fn from_fields(_: &mut crate::fields::Fields<'a>) -> crate::Result<Self> {
        Ok(ListSlots)
    }
}

request! {
    /// Makes a token in the empty slot, the one after all that hold a token.
    InitSlot => SlotToken {
        /// The new token's label, 1 to 32 bytes; no other token may have it.
        token: Cow<'a, str>, required, |v| v.as_ref();
        /// The new security officer's PIN, 4 to 255 bytes of UTF-8.
        so_pin: Cow<'a, [u8]>, required, |v| v.as_ref();
        /// The new user PIN; without it the user has none yet.
        pin: Option<Cow<'a, [u8]>>, optional, |v| v.as_deref().map_or(Value::Null, Value::from);
    }
}

request! {
    /// Sets the user PIN of a token whose keys the store's root opens.
    SetSlotPin => SlotToken {
        /// The token's label.
        token: Cow<'a, str>, required, |v| v.as_ref();
        /// The new user PIN.
        pin: Cow<'a, [u8]>, required, |v| v.as_ref();
    }
}

request! {
    /// Sets a token's user PIN as its security officer; a locked one is usable again.
    UnlockSlot => SlotToken {
        /// The token's label.
        token: Cow<'a, str>, required, |v| v.as_ref();
        /// The security officer's PIN. A wrong one counts.
        so_pin: Cow<'a, [u8]>, required, |v| v.as_ref();
        /// The new user PIN.
        pin: Cow<'a, [u8]>, required, |v| v.as_ref();
    }
}

request! {
    /// Brings a key, a certificate or both into a token: all that is made of them, or nothing.
    ImportToSlot => SlotObjects {
        /// The token's label.
        token: Cow<'a, str>, required, |v| v.as_ref();
        /// The user PIN. A wrong one counts.
        pin: Cow<'a, [u8]>, required, |v| v.as_ref();
        /// CKA_LABEL of what is made.
        label: Cow<'a, str>, required, |v| v.as_ref();
        /// CKA_ID of what is made.
        id: Cow<'a, [u8]>, required, |v| v.as_ref();
        /// What kind of key, if there is one.
        kind: Option<KeyType>, optional_name, |v| v.map_or(Value::Null, |kind| Value::from(kind.name()));
        /// The form of its material.
        format: Option<KeyFormat>, optional_name, |v| v.map_or(Value::Null, |form| Value::from(form.name()));
        /// The material.
        material: Cow<'a, [u8]>, default, |v| v.as_ref();
        /// The X.509 certificate, DER, if it is not empty; beside a key it must be that key's.
        certificate: Cow<'a, [u8]>, default, |v| v.as_ref();
    }
}

request! {
    /// Asks for a public key or a certificate of a token.
    ExportFromSlot => SlotObject {
        /// The token's label.
        token: Cow<'a, str>, required, |v| v.as_ref();
        /// The user PIN; without it only what needs no login is seen. A wrong one counts.
        pin: Option<Cow<'a, [u8]>>, optional, |v| v.as_deref().map_or(Value::Null, Value::from);
        /// CKA_LABEL, if it is said.
        label: Option<Cow<'a, str>>, optional, |v| v.as_deref().map_or(Value::Null, Value::from);
        /// CKA_ID, if it is said.
        id: Option<Cow<'a, [u8]>>, optional, |v| v.as_deref().map_or(Value::Null, Value::from);
        /// Which of them; the public key if there is one, else the certificate.
        what: Option<PublicObject>, optional_name, |v| v.map_or(Value::Null, |what| Value::from(what.name()));
    }
}

request! {
    /// Removes a token with its keys, objects and PINs; its slot is free again.
    DeleteSlot => SlotDeleted {
        /// The token's label.
        token: Cow<'a, str>, required, |v| v.as_ref();
        /// The security officer's PIN. Without it who decides over the store asks. A wrong one counts.
        so_pin: Option<Cow<'a, [u8]>>, optional, |v| v.as_deref().map_or(Value::Null, Value::from);
        /// Whether only to say what would go.
        preview: bool, default, |v| *v;
    }
}

answer! {
    /// The slots that hold a token.
    SlotList {
        /// In the order of their numbers.
        slots: Vec<SlotInfo>, slots, |v| Value::Array(v.iter().map(|slot| Value::Map(slot.to_map())).collect());
    }
}

answer! {
    /// A slot and its token.
    SlotInfo {
        /// The slot's number; never changes.
        slot: u32, required, |v| *v;
        /// The token's label.
        token: String, required, |v| v.as_str();
        /// The token's id.
        id: String, required, |v| v.as_str();
        /// The user's PIN.
        pin: PinInfo, pin_info, |v| v.to_map();
        /// The security officer's.
        so_pin: PinInfo, pin_info, |v| v.to_map();
    }
}

answer! {
    /// A PIN as seen from outside.
    PinInfo {
        /// Whether one was set.
        set: bool, required, |v| *v;
        /// How many wrong tries are left; 0 is locked.
        tries_left: u32, required, |v| *v;
    }
}

answer! {
    /// The token that an operation was about.
    SlotToken {
        /// Its slot.
        slot: u32, required, |v| *v;
        /// Its label.
        token: String, required, |v| v.as_str();
    }
}

answer! {
    /// The result of `slot.import`.
    SlotObjects {
        /// The token's label.
        token: String, required, |v| v.as_str();
        /// The label of what was made.
        label: String, required, |v| v.as_str();
        /// What was made: `private key`, `public key`, `secret key`, `certificate`.
        made: Vec<String>, strings, |v| Value::Array(v.iter().map(|one| Value::from(one.as_str())).collect());
    }
}

answer! {
    /// The result of `slot.export`.
    SlotObject {
        /// What it is.
        what: PublicObject, required_name, |v| v.name();
        /// SubjectPublicKeyInfo or certificate, DER.
        der: Vec<u8>, required, |v| v.as_slice();
    }
}

answer! {
    /// The result of `slot.delete`.
    SlotDeleted {
        /// The slot.
        slot: u32, required, |v| *v;
        /// The token's label.
        token: String, required, |v| v.as_str();
        /// How many keys it holds or held; those that were destroyed before are not counted.
        keys: u64, required, |v| *v;
        /// How many objects: what shows these keys, certificates, data.
        objects: u64, required, |v| *v;
        /// Whether nothing was done.
        preview: bool, required, |v| *v;
    }
}
