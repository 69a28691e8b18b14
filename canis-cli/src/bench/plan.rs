//! What the program tells its measuring child on stdin, and what that answers on stdout. PINs are in files, so that
//! neither holds any.

use super::canisp::plan::{Echo, Load};
use super::operation::Op;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// A module and the token to work with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Target {
    /// The module.
    pub(super) module: PathBuf,
    /// Which token.
    pub(super) token: Which,
    /// The file with the user PIN.
    pub(super) pin: PathBuf,
}

/// How a token is found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Which {
    /// By its label.
    Label(String),
    /// By the number of its slot.
    Slot(u64),
}

/// Where keys live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Keep {
    /// In the session.
    Session,
    /// On the token.
    Token,
}

/// How long and how often.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Effort {
    /// The operations.
    pub(super) ops: Vec<Op>,
    /// The numbers of threads.
    pub(super) threads: Vec<usize>,
    /// Rounds of slices.
    pub(super) rounds: usize,
    /// The length of a slice.
    pub(super) slice: Duration,
    /// What time operations are divided by.
    pub(super) time: Time,
}

/// What is meant by a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Time {
    /// One of the clock.
    Clock,
    /// One of work for the measuring thread: what other processes take does not count, and neither does waiting.
    Processor,
}

/// A child's work.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Plan {
    /// Initialise a free slot's token and put objects on it. Answer: [`Made`].
    Prepare {
        /// The token to be.
        target: Target,
        /// The security officer's PIN to be.
        so_pin: PathBuf,
        /// How many objects.
        objects: usize,
    },
    /// Measure one module, or two in turns. Answer: [`Measured`].
    Measure {
        /// A, and perhaps B.
        targets: Vec<Target>,
        /// Where keys live; one set of rows each.
        keep: Vec<Keep>,
        /// How many objects are on tokens that the tool made; `None` for tokens of others, which are only read.
        objects: Option<usize>,
        /// How long and how often.
        effort: Effort,
    },
    /// Measure a module and the provider that it is built on, in turns. Answer: [`Measured`].
    Direct {
        /// The module.
        target: Target,
        /// How long and how often.
        effort: Effort,
    },
    /// Start once, as a program that wants one signature does. Answer: [`Started`].
    Start {
        /// The token.
        target: Target,
    },
    /// Do an operation some times, for a tool that counts from outside. Answer: `null`.
    Count {
        /// The token.
        target: Target,
        /// The operation.
        op: Op,
        /// How many times after the first.
        times: usize,
    },
    /// Ask a server over and over. Answer: [`super::canisp::plan::Sample`].
    Load(Load),
    /// Serve the ceiling until killed.
    Echo(Echo),
}

/// What preparing took.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Made {
    /// Seconds for the objects.
    pub(super) seconds: f64,
}

/// Rows, and who was measured.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Measured {
    /// What A and B call themselves.
    pub(super) names: Vec<String>,
    /// The rows.
    pub(super) rows: Vec<Row>,
}

/// One operation on one number of threads.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Row {
    /// The operation.
    pub(super) operation: Op,
    /// Where its key lives; `None` if it needs none.
    pub(super) keys: Option<Keep>,
    /// How many objects are on the token, if the tool made it.
    pub(super) objects: Option<usize>,
    /// How many threads, each with a session of its own.
    pub(super) threads: usize,
    /// Operations a second of A; `None` if it lacks the operation.
    pub(super) a: Option<f64>,
    /// Operations a second of B.
    pub(super) b: Option<f64>,
    /// A divided by B.
    pub(super) ratio: Option<Spread>,
    /// A on these threads divided by A on one.
    pub(super) a_gain: Option<f64>,
    /// B on these threads divided by B on one.
    pub(super) b_gain: Option<f64>,
    /// Why a number is missing.
    pub(super) note: Option<String>,
}

/// A ratio over the rounds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Spread {
    /// The middle one.
    pub(super) median: f64,
    /// The smallest.
    pub(super) min: f64,
    /// The largest.
    pub(super) max: f64,
}

/// Milliseconds of a start.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Started {
    /// C_Initialize.
    pub(super) initialize: f64,
    /// Listing the slots and opening a session.
    pub(super) session: f64,
    /// C_Login: mostly what the module does to slow down guessing.
    pub(super) login: f64,
    /// Finding the key.
    pub(super) find: f64,
    /// The first signature.
    pub(super) sign: f64,
}

impl Started {
    /// Everything.
    pub(super) fn total(&self) -> f64 {
        self.without_login() + self.login
    }

    /// Everything but C_Login.
    pub(super) fn without_login(&self) -> f64 {
        self.initialize + self.session + self.find + self.sign
    }
}
