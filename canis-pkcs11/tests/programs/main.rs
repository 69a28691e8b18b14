//! Programs that were not written for CANIS, each started as a person would, with their keys in the module.
//!
//! Every test has a directory, a store and free ports of its own; what it starts ends with it.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod gnutls;
#[path = "../module/home.rs"]
mod home;
mod install;
mod java;
mod knot;
mod nginx;
mod nss;
mod opensc;
mod openssl;
mod openssl_cms;
mod openssl_tls;
mod p11kit;
mod python;
mod service;
mod ssh;
mod ssh_agent;
mod sshd;
mod strongswan;
