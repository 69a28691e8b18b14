//! The key-value store: an identifier of the caller's choosing leads to a name and the two halves of a key pair.

use crate::answer::answer;
use crate::message::request;
use crate::value::Value;
use crate::{Error, ErrorCode, KeyType, Result};
use std::borrow::Cow;
use std::fmt;
use zeroize::Zeroize;

/// What stands before an identifier where an operation takes the name of a key. No name of a key holds a colon.
pub const ENTRY_PREFIX: &str = "kv:";

/// The longest identifier, in bytes.
pub const MAX_IDENTIFIER: usize = 1024;
/// The longest name of an entry, in bytes.
pub const MAX_ENTRY_NAME: usize = 255;
/// The longest half, in bytes.
pub const MAX_HALF: usize = 64 << 10;

/// An identifier: any UTF-8 from 1 to 1024 bytes, compared byte by byte, never normalised.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryId(String);

impl EntryId {
    /// Checks `text` and keeps it as it is.
    ///
    /// # Errors
    /// `invalid_name` if it is empty or too long.
    pub fn parse(text: &str) -> Result<Self> {
        if (1..=MAX_IDENTIFIER).contains(&text.len()) {
            return Ok(EntryId(text.to_owned()));
        }
        Err(Error::new(
            ErrorCode::InvalidName,
            format!("an identifier has 1 to {MAX_IDENTIFIER} bytes, not {}", text.len()),
        ))
    }

    /// The identifier as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What operations call the entry: `kv:` and the identifier.
    #[must_use]
    pub fn key_name(&self) -> String {
        format!("{ENTRY_PREFIX}{}", self.0)
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

request! {
    /// Writes an entry, whole: what the one before it held is gone.
    PutEntry => EntryInfo {
        /// The identifier.
        id: Cow<'a, str>, required, |v| v.as_ref();
        /// A name for people.
        name: Cow<'a, str>, default, |v| v.as_ref();
        /// The public half, in any form.
        public_key: Cow<'a, [u8]>, default, |v| v.as_ref();
        /// The private half, in any form.
        private_key: Cow<'a, [u8]>, default, |v| v.as_ref();
        /// The type of a pair that the server is to draw, in place of both halves.
        generate: Option<KeyType>, optional_name, |v| v.map_or(Value::Null, |kind| Value::from(kind.name()));
        /// The revision that is to be replaced, 0 if there must be no entry yet; any if missing.
        revision: Option<u64>, optional, |v| v.map_or(Value::Null, Value::from);
    }
}

request! {
    /// Reads an entry. The private half also needs the capability `export`.
    GetEntry => Entry {
        /// The identifier.
        id: Cow<'a, str>, required, |v| v.as_ref();
        /// Whether the private half is wanted too.
        private: bool, default, |v| *v;
    }
}

request! {
    /// Lists entries in the order of their identifiers' bytes.
    ListEntries => EntryList {
        /// Only identifiers that start with this.
        prefix: Cow<'a, str>, default, |v| v.as_ref();
        /// Only identifiers after this one: where the last page ended.
        after: Cow<'a, str>, default, |v| v.as_ref();
        /// How many at most; 0 and more than 100 mean 100.
        limit: u32, default, |v| *v;
    }
}

request! {
    /// Deletes an entry; what it held is overwritten.
    DeleteEntry => EntryDeleted {
        /// The identifier.
        id: Cow<'a, str>, required, |v| v.as_ref();
        /// The revision that is to be deleted; any if missing.
        revision: Option<u64>, optional, |v| v.map_or(Value::Null, Value::from);
    }
}

answer! {
    /// What is known of an entry without its halves. Times are microseconds since 1970-01-01 UTC.
    EntryInfo {
        /// The identifier.
        id: String, required, |v| v.as_str();
        /// The name.
        name: String, required, |v| v.as_str();
        /// The type of the key pair, or of the public half alone, that operations can use; none if the halves are
        /// just bytes.
        kind: Option<KeyType>, optional_name, |v| v.map_or(Value::Null, |kind| Value::from(kind.name()));
        /// Whether it holds a private half.
        has_private: bool, required, |v| *v;
        /// Grows with each change and never comes back, not even when the entry is deleted and made anew.
        revision: u64, required, |v| *v;
        /// When it was made.
        created_at: i64, required, |v| *v;
        /// When it was last written.
        updated_at: i64, required, |v| *v;
    }
}

answer! {
    /// An entry. Its private half is wiped when dropped.
    Entry {
        /// The identifier.
        id: String, required, |v| v.as_str();
        /// The name.
        name: String, required, |v| v.as_str();
        /// As in [`EntryInfo`].
        kind: Option<KeyType>, optional_name, |v| v.map_or(Value::Null, |kind| Value::from(kind.name()));
        /// The public half, byte by byte as it was put.
        public_key: Vec<u8>, required, |v| v.as_slice();
        /// Whether it holds a private half.
        has_private: bool, required, |v| *v;
        /// The private half, byte by byte as it was put, if it was asked for and there is one.
        private_key: Option<Vec<u8>>, optional, |v| v.as_deref().map_or(Value::Null, Value::from);
        /// As in [`EntryInfo`].
        revision: u64, required, |v| *v;
        /// When it was made.
        created_at: i64, required, |v| *v;
        /// When it was last written.
        updated_at: i64, required, |v| *v;
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.private_key.zeroize();
    }
}

answer! {
    /// A page of entries without their halves.
    EntryList {
        /// The entries in the order of their identifiers' bytes.
        entries: Vec<EntryInfo>, entries, |v| Value::Array(v.iter().map(|i| Value::Map(i.to_map())).collect());
        /// Whether there are more after the last one.
        more: bool, required, |v| *v;
    }
}

answer! {
    /// The result of `kv.delete`.
    EntryDeleted {
        /// The identifier.
        id: String, required, |v| v.as_str();
        /// The revision that was deleted.
        revision: u64, required, |v| *v;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R73: any text is an identifier, as long as it is not too long.
    #[test]
    fn identifiers() {
        for good in ["a", " ", "\0", "a:b/../ä€", "名前 と 空白", &"x".repeat(MAX_IDENTIFIER)] {
            assert_eq!(EntryId::parse(good).map(|id| id.key_name()), Ok(format!("kv:{good}")));
        }
        for bad in ["", &"x".repeat(MAX_IDENTIFIER + 1), &"ä".repeat(513)] {
            assert_eq!(EntryId::parse(bad).map_err(|e| e.code), Err(ErrorCode::InvalidName));
        }
    }
}
