//! What the measuring children are told on stdin, and what the client answers. No secret stands in an argument.

use super::Shape;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Work for the client.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::bench) struct Load {
    /// The server.
    pub(super) addr: SocketAddr,
    /// Its process.
    pub(super) pid: u32,
    /// What it is asked.
    pub(super) ask: Ask,
    /// By how many, and how far ahead.
    pub(super) shape: Shape,
    /// How long nothing is counted.
    pub(super) warm: Duration,
    /// And how long it is.
    pub(super) run: Duration,
}

/// A request, over and over.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Ask {
    /// By CANISP over TLS.
    Canisp {
        /// The certificate authority, PEM.
        ca: PathBuf,
        /// The bearer token.
        token: String,
        /// The payload of the REQUEST.
        payload: Vec<u8>,
    },
    /// By HTTP/1.1 on connections that stay.
    Http {
        /// The certificate authority, PEM; without one there is no TLS.
        ca: Option<PathBuf>,
        /// Head and body.
        request: Vec<u8>,
    },
}

/// What came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::bench) struct Sample {
    /// How many answers came.
    pub(super) answers: u64,
    /// In how many seconds.
    pub(super) seconds: f64,
    /// Microseconds from question to answer: the middle one, and the 99th of 100.
    pub(super) p50: f64,
    /// See above.
    pub(super) p99: f64,
    /// Seconds that the server's threads worked meanwhile.
    pub(super) server: f64,
    /// And the client.
    pub(super) client: f64,
    /// Bytes of an answer's body, by HTTP.
    pub(super) length: usize,
}

impl Sample {
    /// Answers a second.
    pub(super) fn rate(&self) -> f64 {
        self.answers as f64 / self.seconds
    }

    /// Microseconds of work for one answer.
    pub(super) fn each(&self, worked: f64) -> f64 {
        worked * 1e6 / self.answers.max(1) as f64
    }
}

/// Work for the server that is the ceiling.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::bench) struct Echo {
    /// Its certificate, PEM.
    pub(super) certificate: PathBuf,
    /// The private key.
    pub(super) key: PathBuf,
    /// How many bytes each answer's payload has.
    pub(super) answer: usize,
}
