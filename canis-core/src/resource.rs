//! What a request is about: a resource, called by the path that policies and the audit name it by, and the facts of the
//! request that conditions ask for.

use canis_proto::{ENTRY_PREFIX, Id, KeyType};
use std::fmt;

/// What an operation is about: a path as policies and audit name it.
#[derive(Clone, Copy)]
pub enum Resource<'a> {
    /// The store and server.
    System,
    /// Keys in general.
    Keys,
    /// One key.
    Key(&'a str),
    /// Entries of the key-value store in general.
    Entries,
    /// One entry.
    Entry(&'a str),
    /// The tenant as a token.
    Token,
    /// An object.
    Object(Id),
}

impl fmt::Display for Resource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Resource::System => f.write_str("sys"),
            Resource::Keys => f.write_str("kms/keys"),
            Resource::Entries => f.write_str("kms/kv"),
            Resource::Entry(id) => write!(f, "kms/kv/{}", canis_proto::quote(id)),
            Resource::Key(name) if name.starts_with(ENTRY_PREFIX) => {
                Resource::Entry(&name[ENTRY_PREFIX.len()..]).fmt(f)
            }
            Resource::Key(name) => write!(f, "kms/keys/{}", canis_proto::quote(name)),
            Resource::Token => f.write_str("sys/token"),
            Resource::Object(id) => write!(f, "kms/objects/{id}"),
        }
    }
}

/// What a request says about itself, besides its resource: for conditions of policies, and for the audit. What it has
/// not, it does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts<'a> {
    /// The length in bytes of the data that it brings to be worked on; of several pieces, the longest.
    pub payload: Option<u64>,
    /// What the data are bound to: the caller's context, or associated data.
    pub context: Option<&'a [u8]>,
    /// The type of the key that is to be made.
    pub key_type: Option<KeyType>,
}

impl<'a> Facts<'a> {
    /// So many bytes to be worked on.
    pub(crate) fn payload(len: usize) -> Self {
        Facts { payload: u64::try_from(len).ok(), ..Facts::default() }
    }

    /// The same, bound to this.
    pub(crate) fn within(self, context: &'a [u8]) -> Self {
        Facts { context: Some(context), ..self }
    }

    /// A key of this type is to be made.
    pub(crate) fn of_type(kind: KeyType) -> Self {
        Facts { key_type: Some(kind), ..Facts::default() }
    }
}
