//! Whom a tenant lets in without a credential of its own: roles, and what they are compared with. Text in HCL → role;
//! certificate, Unix peer or JWT → facts; a role fits or does not. Nothing here looks at the store.
//!
//! docs/identities.md describes it for people; ADR 0033 says why it is so.

mod glob;
mod peer;
mod read;
mod role;

pub(crate) use peer::CertificateNames;
pub use peer::UnixPeer;
pub(crate) use role::{Binding, Role, Seen};
