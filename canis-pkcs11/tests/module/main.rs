//! The module from outside, through the client crate and through bare pointers.
//!
//! The tests of this process share one initialised module and make a token each; programs get a directory each.
// Loading the library and calling it with wrong pointers is the point of some of these tests.
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod always_authenticate;
mod ciphers;
mod client;
mod combined;
mod copies;
mod damage;
mod derive;
mod every_mechanism;
mod harness;
mod home;
mod interfaces;
mod keys;
mod legacy;
mod material;
mod mechanisms;
mod messages;
mod misuse;
mod ml_dsa;
mod ml_dsa_objects;
mod ml_kem;
mod ml_kem_limits;
mod ml_kem_objects;
mod objects;
mod old_ciphers;
mod parts;
mod pins;
mod prf;
mod processes;
mod raw;
mod separation;
mod sequences;
mod signatures;
mod slh_dsa;
mod slh_dsa_objects;
mod states;
mod templates;
mod tokens;
mod told_signatures;
mod wrap;
mod wrap_authenticated;
