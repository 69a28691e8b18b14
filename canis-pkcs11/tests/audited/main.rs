//! Every operation of PKCS#11 leaves its line in the audit log, through the library: in its host's process with `audit = "all"`,
//! and at a server. A process of its own, since the setting is read when the module is initialised.
// Loading the library and calling it by its list is the point of this.
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

#[path = "../module/client.rs"]
#[allow(dead_code)]
mod client;
#[path = "../module/harness.rs"]
#[allow(dead_code, unused_imports)]
mod harness;
#[path = "../module/home.rs"]
#[allow(dead_code, unused_imports)]
mod home;
#[path = "../module/raw.rs"]
#[allow(dead_code, unused_macros, unused_imports)]
mod raw;

mod lines;
