//! The PKCS#11 module: `libcanis_pkcs11.so`. The keys are in a store, by a core inside the host's process, or at a server.
//!
//! `ffi` holds every pointer and every line of unsafe code; it hands slices and typed arguments to `api`, which has
//! one file per chapter of the standard (PKCS#11 v3.1, and v3.2 where that is said). What may be asked of which object stands in tables: `rules`
//! for attributes, `mechanism` for mechanisms, `rv` for return codes.
// What a caller or a file can bring about is an error, never a panic.
#![cfg_attr(not(test), warn(clippy::expect_used, clippy::panic, clippy::unreachable, clippy::unimplemented))]

mod api;
mod attribute;
mod config;
mod curve;
mod ffi;
mod handles;
mod key_template;
mod log;
mod mechanism;
mod message;
mod module;
mod nested;
mod object;
mod pending;
mod rules;
mod rv;
mod servers;
mod session;
mod template;
mod token;
mod version_3_2;
