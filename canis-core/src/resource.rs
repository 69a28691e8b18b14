//! What a request is about: a resource, called by the path that policies and the audit name it by, and the facts of the
//! request that conditions ask for.

use canis_proto::{ENTRY_PREFIX, Id, KeyType};
use std::fmt;

/// What an operation is about: a path as policies and audit name it.
#[derive(Clone, Copy)]
pub enum Resource<'a> {
    /// The store and server.
    System,
    /// A part of that, by its name.
    Part(&'a str),
    /// A policy.
    Policy(&'a str),
    /// A role.
    Role(&'a str),
    /// A tenant, by its name.
    Tenant(&'a str),
    /// Keys in general: those that the caller may list.
    Keys,
    /// One key.
    Key(&'a str),
    /// Entries of the key-value store in general: those that the caller may list.
    Entries,
    /// One entry.
    Entry(&'a str),
    /// Objects in general: those that the caller may read, or is to make.
    Objects,
    /// The tenant as a token.
    Token,
    /// An object.
    Object(Id),
    /// What a path names that was written down.
    Path(&'a str),
}

impl Resource<'_> {
    /// Whether it is no one thing but many, each of which is decided by itself.
    pub(crate) fn is_many(&self) -> bool {
        matches!(self, Resource::Keys | Resource::Entries | Resource::Objects)
    }

    /// Its path, byte by byte. What is left of a destroyed key is where the key was.
    pub(crate) fn path(&self) -> Vec<u8> {
        let (beginning, rest) = match self {
            Resource::System => ("sys", ""),
            Resource::Part(name) => ("sys/", *name),
            Resource::Policy(name) => ("sys/policies/", *name),
            Resource::Role(name) => ("sys/roles/", *name),
            Resource::Tenant(name) => ("sys/tenants/", *name),
            Resource::Keys => ("kms/keys", ""),
            Resource::Entries => ("kms/kv", ""),
            Resource::Objects => ("kms/objects", ""),
            Resource::Token => ("sys/token", ""),
            Resource::Path(path) => (*path, ""),
            Resource::Entry(id) => ("kms/kv/", *id),
            Resource::Key(name) => match name.strip_prefix(ENTRY_PREFIX) {
                Some(id) => ("kms/kv/", id),
                None => ("kms/keys/", living_name(name)),
            },
            Resource::Object(id) => return format!("kms/objects/{id}").into_bytes(),
        };
        [beginning.as_bytes(), rest.as_bytes()].concat()
    }
}

/// The name of a key, or the one that it had when it is called as its tombstone, `~<name>~<id>`.
fn living_name(name: &str) -> &str {
    let inside = name.strip_prefix('~').and_then(|rest| rest.rsplit_once('~'));
    inside.map_or(name, |(name, _)| name)
}

impl fmt::Display for Resource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Resource::System => f.write_str("sys"),
            Resource::Part(name) => write!(f, "sys/{name}"),
            Resource::Policy(name) => write!(f, "sys/policies/{}", canis_proto::quote(name)),
            Resource::Role(name) => write!(f, "sys/roles/{}", canis_proto::quote(name)),
            Resource::Tenant(name) => write!(f, "sys/tenants/{}", canis_proto::quote(name)),
            Resource::Keys => f.write_str("kms/keys"),
            Resource::Objects => f.write_str("kms/objects"),
            Resource::Entries => f.write_str("kms/kv"),
            Resource::Entry(id) => write!(f, "kms/kv/{}", canis_proto::quote(id)),
            Resource::Key(name) if name.starts_with(ENTRY_PREFIX) => {
                Resource::Entry(&name[ENTRY_PREFIX.len()..]).fmt(f)
            }
            Resource::Key(name) => write!(f, "kms/keys/{}", canis_proto::quote(name)),
            Resource::Token => f.write_str("sys/token"),
            Resource::Object(id) => write!(f, "kms/objects/{id}"),
            Resource::Path(path) => f.write_str(&canis_proto::quote(path)),
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
