//! CANISP client over TLS 1.3: one blocking connection, one request at a time. It starts no thread and no runtime,
//! so a library inside somebody else's program can use it.
#![forbid(unsafe_code)]

mod client;
mod config;
mod failure;
mod frames;
mod tls;

pub use client::Client;
pub use config::{Config, DEFAULT_PORT};
