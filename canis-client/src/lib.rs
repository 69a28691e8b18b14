//! CANISP clients over TLS 1.3.
//!
//! [`Client`] is one blocking connection, one request or stream at a time. [`Shared`] is one that many threads share, with
//! many requests in flight, and that is made anew when it is lost. Neither starts a thread or a runtime, so a library inside
//! somebody else's program can use them. [`Pool`] is several of them. With the feature `async`, `AsyncClient` is one connection
//! that many tasks share, and `AsyncPool` several that are made anew when they are lost. With the feature `file`, `file` encrypts
//! files in the format age v1.
// What a caller or a file can bring about is an error, never a panic.
#![cfg_attr(not(test), warn(clippy::expect_used, clippy::panic, clippy::unreachable, clippy::unimplemented))]
#![forbid(unsafe_code)]

#[cfg(feature = "async")]
mod async_client;
#[cfg(feature = "async")]
mod async_pool;
mod client;
mod config;
mod connector;
mod failure;
#[cfg(feature = "file")]
pub mod file;
mod frames;
mod hello;
mod inbox;
mod line;
mod link;
mod once;
mod pool;
mod shared;
mod stream;
mod tls;
mod wire;

#[cfg(feature = "async")]
pub use async_client::AsyncClient;
#[cfg(feature = "async")]
pub use async_pool::AsyncPool;
pub use client::Client;
pub use config::{Certificate, Config, DEFAULT_PORT};
pub use line::Line;
pub use pool::Pool;
pub use shared::{Shared, Standing};
