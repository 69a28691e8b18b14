//! The forms in which keys come in and go out. A decoder here is total: bounded, exact to the last byte, no panic; it
//! says of which type a key is and gives the one form that CANIS keeps. Whether the key is good is for
//! [`crate::crypto`] to say.

pub mod pem;
pub mod public;
