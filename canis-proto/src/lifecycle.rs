//! Requests about the life of a key: configuration, states, rotation.

use crate::answer::{KeyInfo, Rotated};
use crate::message::request;
use crate::value::Value;
use crate::{Interval, KeyType, Usage};
use std::borrow::Cow;

request! {
    /// Makes a key with one version.
    CreateKey => KeyInfo {
        /// The new key's name.
        name: Cow<'a, str>, required, |v| v.as_ref();
        /// What kind of key.
        kind: KeyType, key_type, |v| v.name();
        /// What it is to be used for; the type's default if missing.
        usage: Option<Usage>, optional_usage, |v| v.map_or(Value::Null, |usage| Value::from(u16::from(usage.bits())));
        /// The length of a generic secret in bytes, 1 to 4096; 0 means 32. Other types have their own.
        length: u32, default, |v| *v;
        /// Whether it can be used at once; else it must be activated first.
        activate: bool, yes, |v| *v;
        /// Whether it may be destroyed.
        deletion_allowed: bool, yes, |v| *v;
        /// Whether the key may ever leave, wrapped. Fixed now or switched off later.
        exportable: bool, default, |v| *v;
        /// Whether it may leave in plain too.
        allow_plaintext_backup: bool, default, |v| *v;
        /// How often it rotates by itself.
        interval: Interval, interval, |v| v.to_string();
        /// How many versions a rotation keeps; 0 means all of them.
        retain_versions: u32, default, |v| *v;
    }
}

impl<'a> CreateKey<'a> {
    /// A key of this name and type with every default.
    #[must_use]
    pub fn new(name: impl Into<Cow<'a, str>>, kind: KeyType) -> Self {
        CreateKey {
            name: name.into(),
            kind,
            usage: None,
            length: 0,
            activate: true,
            deletion_allowed: true,
            exportable: false,
            allow_plaintext_backup: false,
            interval: Interval::NEVER,
            retain_versions: 0,
        }
    }
}

request! {
    /// Changes a key's configuration. What is missing stays as it is.
    UpdateKey => KeyInfo {
        /// The key.
        name: Cow<'a, str>, required, |v| v.as_ref();
        /// The oldest version that may decrypt and verify.
        min_decryption_version: Option<u32>, optional, |v| v.map_or(Value::Null, Value::from);
        /// The oldest version that may encrypt and sign; 0 means only the current one.
        min_encryption_version: Option<u32>, optional, |v| v.map_or(Value::Null, Value::from);
        /// Whether it may be destroyed.
        deletion_allowed: Option<bool>, optional, |v| v.map_or(Value::Null, Value::from);
        /// Whether it may leave; can only be switched off.
        exportable: Option<bool>, optional, |v| v.map_or(Value::Null, Value::from);
        /// Whether it may leave in plain; can only be switched off.
        allow_plaintext_backup: Option<bool>, optional, |v| v.map_or(Value::Null, Value::from);
        /// How often it rotates by itself.
        interval: Option<Interval>, optional_interval, |v| v.map_or(Value::Null, |i| Value::from(i.to_string()));
        /// How many versions the next rotation keeps; 0 means all of them.
        retain_versions: Option<u32>, optional, |v| v.map_or(Value::Null, Value::from);
        /// How many others have to approve its export and destruction; 0 means nobody. To ask for fewer takes as many as
        /// there were.
        approvals: Option<u32>, optional, |v| v.map_or(Value::Null, Value::from);
        /// The revision that is to be changed; any if missing.
        revision: Option<u64>, optional, |v| v.map_or(Value::Null, Value::from);
    }
}

impl<'a> UpdateKey<'a> {
    /// No change of the key of this name.
    #[must_use]
    pub fn new(name: impl Into<Cow<'a, str>>) -> Self {
        UpdateKey {
            name: name.into(),
            min_decryption_version: None,
            min_encryption_version: None,
            deletion_allowed: None,
            exportable: None,
            allow_plaintext_backup: None,
            interval: None,
            retain_versions: None,
            approvals: None,
            revision: None,
        }
    }
}

request! {
    /// Makes a created key usable.
    ActivateKey => KeyInfo {
        /// The key.
        name: Cow<'a, str>, required, |v| v.as_ref();
    }
}

request! {
    /// Lets a key decrypt and verify only.
    DisableKey => KeyInfo {
        /// The key.
        name: Cow<'a, str>, required, |v| v.as_ref();
    }
}

request! {
    /// Makes a disabled key usable again.
    EnableKey => KeyInfo {
        /// The key.
        name: Cow<'a, str>, required, |v| v.as_ref();
    }
}

request! {
    /// Destroys a disabled key's material, now or later.
    DestroyKey => KeyInfo {
        /// The key.
        name: Cow<'a, str>, required, |v| v.as_ref();
        /// How long from now; missing means at once.
        delay: Interval, interval, |v| v.to_string();
    }
}

request! {
    /// Takes a planned destruction back.
    CancelDestroyKey => KeyInfo {
        /// The key.
        name: Cow<'a, str>, required, |v| v.as_ref();
    }
}

request! {
    /// Gives a key a new version, which is the current one from then on.
    RotateKey => Rotated {
        /// The key.
        name: Cow<'a, str>, required, |v| v.as_ref();
        /// Only tells what would happen.
        preview: bool, default, |v| *v;
    }
}
