//! The CANIS daemon: CANISP and HTTP over TLS 1.3. The core decides; this crate carries bytes, bounds them, and decides where a
//! call runs.
// What a caller or a file can bring about is an error, never a panic.
#![cfg_attr(not(test), warn(clippy::expect_used, clippy::panic, clippy::unreachable, clippy::unimplemented))]
#![forbid(unsafe_code)]

mod anchor;
mod applications;
pub mod args;
mod asked_as;
mod audit;
mod audit_copy;
mod audit_signing;
mod batch;
mod budget;
pub mod check;
mod connection;
pub mod daemon;
mod dispatch;
mod frames;
#[cfg(any(fuzzing, test))]
pub mod fuzzing;
pub mod generate;
mod handshake;
mod http;
mod in_flight;
mod inbox;
pub mod limits;
mod link;
mod listener;
mod local;
pub mod metrics;
mod outbox;
mod pool;
mod rates;
mod request;
mod sealing;
mod service;
mod session;
mod share;
mod stream;
mod stream_dispatch;
mod timer;
mod tls;
mod token_dispatch;
mod unseal;
mod wiped;
