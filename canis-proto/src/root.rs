//! Requests about the roots of a store, and their answers. Credentials stand in them as bytes: whoever makes or reads one
//! keeps the bytes where they are wiped.

use crate::answer::answer;
use crate::message::{WireRequest, request};
use crate::value::{Map, Value};
use std::borrow::Cow;

/// Asks for the root slots.
#[derive(Clone, PartialEq, Eq)]
pub struct ListRoots;

impl crate::Operation for ListRoots {
    const ID: crate::OperationId = crate::OperationId::ListRoots;
    type Answer = RootList;
}

impl<'a> WireRequest<'a> for ListRoots {
    const FIELDS: &'static [crate::schema::Field] = &[];

    fn to_map(&self) -> Map<'_> {
        Map::new()
    }

    fn from_fields(_: &mut crate::fields::Fields<'a>) -> crate::Result<Self> {
        Ok(ListRoots)
    }
}

/// A new root, as the requests that make one carry it. Which fields belong to which kind is said in docs/canisp.md.
#[derive(Clone, Copy)]
pub struct RootFields<'a> {
    /// `passphrase`, `keyfile`, `shares`, `recipient` or `hsm`.
    pub kind: &'a str,
    /// What opens it later.
    pub secret: &'a [u8],
    /// Of a recipient.
    pub public_key: &'a [u8],
    /// Of shares: the id that they name.
    pub split: &'a [u8],
    /// Of shares: how many are needed.
    pub threshold: u32,
    /// Of shares: their hashes, one after the other.
    pub hashes: &'a [u8],
    /// Of an HSM: its PKCS#11 module, on the server's host.
    pub module: &'a str,
    /// Of an HSM: its token.
    pub token: &'a str,
    /// Of an HSM: the label of its key.
    pub key_label: &'a str,
    /// Of an HSM: how its key is to wrap.
    pub mechanism: &'a str,
}

/// A request with the fields of a new root behind those of its own.
macro_rules! with_root {
    ($(#[doc = $doc:literal])+ $name:ident { $($own:tt)* }) => {
        request! {
            $(#[doc = $doc])+
            $name => RootSlotInfo {
                $($own)*
                /// `passphrase`, `keyfile`, `shares`, `recipient` or `hsm`.
                kind: Cow<'a, str>, required, |v| v.as_ref();
                /// The passphrase, the 32 bytes of the key file or behind the shares, or the token's PIN.
                secret: Cow<'a, [u8]>, default, |v| v.as_ref();
                /// recipient: SubjectPublicKeyInfo DER of an X25519 key or a hybrid one.
                public_key: Cow<'a, [u8]>, default, |v| v.as_ref();
                /// shares: the id of the split, 16 bytes.
                split: Cow<'a, [u8]>, default, |v| v.as_ref();
                /// shares: how many are needed.
                threshold: u32, default, |v| *v;
                /// shares: their hashes in the order of their numbers, 32 bytes each.
                hashes: Cow<'a, [u8]>, default, |v| v.as_ref();
                /// hsm: the PKCS#11 module on the server's host.
                module: Cow<'a, str>, default, |v| v.as_ref();
                /// hsm: the label of the token, or a PKCS#11 URI (RFC 7512) of token and key.
                token: Cow<'a, str>, default, |v| v.as_ref();
                /// hsm: the label of the wrapping key; `canis-root` if neither this nor the URI names one.
                key_label: Cow<'a, str>, default, |v| v.as_ref();
                /// hsm: how the key is to wrap; the best that the token can do if missing.
                mechanism: Cow<'a, str>, default, |v| v.as_ref();
            }
        }

        impl $name<'_> {
            /// The new root that it carries.
            #[must_use]
            pub fn root(&self) -> RootFields<'_> {
                RootFields {
                    kind: &self.kind,
                    secret: &self.secret,
                    public_key: &self.public_key,
                    split: &self.split,
                    threshold: self.threshold,
                    hashes: &self.hashes,
                    module: &self.module,
                    token: &self.token,
                    key_label: &self.key_label,
                    mechanism: &self.mechanism,
                }
            }
        }
    };
}

with_root! {
    /// Adds a root slot; the store opens by it as by the others.
    AddRoot {}
}

with_root! {
    /// Wraps the root key of a slot anew, by a root of the same kind. What opened it before does not any more.
    RotateRoot {
        /// The slot: its id, the first characters of it, or its kind if it is the only one of that.
        slot: Cow<'a, str>, required, |v| v.as_ref();
    }
}

request! {
    /// Removes a root slot, unless it is the last that opens the store.
    RemoveRoot => RootRemoved {
        /// The slot: its id, the first characters of it, or its kind if it is the only one of that.
        slot: Cow<'a, str>, required, |v| v.as_ref();
    }
}

request! {
    /// Tries a credential on the root slots; nothing is changed.
    TestRoot => RootSlotInfo {
        /// The slot to try; all of the credential's kind if missing.
        slot: Option<Cow<'a, str>>, optional, |v| v.as_deref().map_or(Value::Null, Value::from);
        /// The credential's kind, as those of slots.
        kind: Cow<'a, str>, required, |v| v.as_ref();
        /// The passphrase, the 32 bytes of the key file, the token's PIN, the private key in PKCS#8 DER, or the text of
        /// each share in a line of its own.
        secret: Cow<'a, [u8]>, required, |v| v.as_ref();
        /// hsm: the PKCS#11 module on the server's host.
        module: Cow<'a, str>, default, |v| v.as_ref();
    }
}

request! {
    /// Gives the store a new root key. Every slot is kept or dropped; a recipient's is kept unless it is named to be dropped.
    RotateRootKey => RootKeyRotated {
        /// The slots that go on opening the store, each a map with the fields of `root.rotate`: the credential that opens it
        /// now, or shares that were dealt anew.
        keep: Vec<Map<'a>>, maps, |v| Value::Array(v.iter().map(|one| Value::Map(one.clone())).collect());
        /// The slots that go.
        drop: Vec<Cow<'a, str>>, texts, |v| Value::Array(v.iter().map(|one| Value::from(one.as_ref())).collect());
    }
}

answer! {
    /// The root slots of a store.
    RootList {
        /// Oldest first.
        slots: Vec<RootSlotInfo>, root_slots, |v| Value::Array(v.iter().map(|slot| Value::Map(slot.to_map())).collect());
        /// The store that they open; shares name it.
        store: String, required, |v| v.as_str();
        /// Which root key they hold, counted from 1; 0 while the store is sealed.
        root_key: u32, required, |v| *v;
        /// When that was drawn, in microseconds since 1970-01-01 UTC; 0 while the store is sealed.
        root_key_at: i64, required, |v| *v;
    }
}

answer! {
    /// A root slot.
    RootSlotInfo {
        /// Its id.
        slot: String, required, |v| v.as_str();
        /// Its kind.
        kind: String, required, |v| v.as_str();
        /// When it was made or renewed, in microseconds since 1970-01-01 UTC; 0 if that was not written down.
        created_at: i64, required, |v| *v;
        /// What it is of its kind, for people.
        detail: String, required, |v| v.as_str();
        /// Whether it counts as one that opens the store; a recipient's does not.
        opens: bool, required, |v| *v;
        /// shares: how many are needed, else 0.
        threshold: u32, required, |v| *v;
        /// shares: how many there are, else 0.
        shares: u32, required, |v| *v;
    }
}

answer! {
    /// The result of `root.rotate-key`.
    RootKeyRotated {
        /// Which root key the store has now.
        root_key: u32, required, |v| *v;
        /// The slots that hold it.
        slots: Vec<RootSlotInfo>, root_slots, |v| Value::Array(v.iter().map(|slot| Value::Map(slot.to_map())).collect());
    }
}

answer! {
    /// The result of `root.remove`.
    RootRemoved {
        /// The slot that is gone.
        slot: String, required, |v| v.as_str();
        /// Its kind.
        kind: String, required, |v| v.as_str();
        /// What it was of its kind, for people.
        detail: String, required, |v| v.as_str();
        /// How many slots are left.
        left: u32, required, |v| *v;
    }
}
