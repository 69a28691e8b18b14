//! The keeper of keys.

pub mod crypto;
pub mod secret;
