//! The functions of the standard in safe Rust, one file per chapter of section 5.

pub(crate) mod attributes;
pub(crate) mod cipher;
pub(crate) mod derive;
pub(crate) mod digest;
pub(crate) mod dual;
pub(crate) mod encapsulate;
pub(crate) mod find;
pub(crate) mod general;
pub(crate) mod keys;
pub(crate) mod message_cipher;
mod message_iv;
pub(crate) mod message_sign;
pub(crate) mod named;
pub(crate) mod object;
pub(crate) mod operation_state;
pub(crate) mod output;
pub(crate) mod random;
pub(crate) mod recover;
pub(crate) mod session;
pub(crate) mod sign;
pub(crate) mod slot_event;
pub(crate) mod slot_token;
pub(crate) mod verify;
pub(crate) mod verify_signature;
pub(crate) mod wrap;
pub(crate) mod wrap_authenticated;
