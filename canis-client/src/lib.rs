//! CANISP clients over TLS 1.3.
//!
//! [`Client`] is one blocking connection, one request or stream at a time. It starts no thread and no runtime, so a library inside
//! somebody else's program can use it. `AsyncClient` (feature `async`) is one connection that many tasks share, with
//! many requests in flight.
// What a caller or a file can bring about is an error, never a panic.
#![cfg_attr(not(test), warn(clippy::expect_used, clippy::panic, clippy::unreachable, clippy::unimplemented))]
#![forbid(unsafe_code)]

#[cfg(feature = "async")]
mod async_client;
mod client;
mod config;
mod failure;
mod frames;
mod hello;
mod link;
mod once;
mod stream;
mod tls;

#[cfg(feature = "async")]
pub use async_client::AsyncClient;
pub use client::Client;
pub use config::{Config, DEFAULT_PORT};
