//! The C boundary: every pointer, every line of unsafe code and every C function of the module.
//!
//! A C function is made by `entry!`: it checks that the module is initialised in this very process, catches panics
//! and turns a `Result` into a return code. Its body reads the host's pointers through `args` and calls the safe
//! function of the same name in `api`.
// Pointers of the host can only be read by unsafe code; this is the room for it, and each use says why it is sound.
#![allow(unsafe_code)]

mod args;
mod combined;
mod crypto;
mod entry;
mod fork;
mod keys;
mod lifecycle;
mod messages;
mod nested;
mod newest;
mod objects;
mod parameter;
mod place;
mod sessions;
mod slots;
mod tables;

pub(crate) use place::own_path;
