//! The command line of `canis bench`.

use super::canisp::{Asked, Shape};
use super::operation::Op;
use super::plan::{Effort, Time};
use clap::{Args, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Subcommand)]
pub(crate) enum BenchCommand {
    /// Measure a PKCS#11 module, or two against each other.
    ///
    /// With --vs both modules are measured in turns, in short slices within one process, so that what else the machine
    /// does meets both alike; the ratio is the median over the rounds, with the smallest and the largest. What a module
    /// lacks is shown as `–`, with the reason below the table.
    Pkcs11(Pkcs11),
    /// Measure a server of ours between a bare TLS server with the same frames, the ceiling, and OpenBao.
    ///
    /// All of them are started for it on the loopback, and stopped again. OpenBao is asked one request after the other on
    /// as many connections.
    Canisp(Canisp),
    /// Measure a server over HTTP, beside the fastest that its HTTP and TLS allow, and OpenBao.
    Http(Http),
    /// Measure the crypto libraries against each other, against openssl and below the module.
    Crypto(Crypto),
    /// Measure how long it takes to decide by policies with many rules, and to read them.
    Policy(Policy),
    /// Count the instructions of the module's most used calls (needs valgrind), and compare with a file.
    Instructions(Instructions),
    /// The measuring child; reads what to do from stdin.
    #[command(hide = true)]
    Worker,
}

#[derive(Args)]
pub(crate) struct Policy {
    /// How many rules the policies have together.
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "10,1000,10000")]
    pub(crate) rules: Vec<usize>,
}

#[derive(Args)]
pub(crate) struct Pkcs11 {
    /// The module, A.
    #[arg(long, value_name = "PATH")]
    pub(crate) module: PathBuf,
    /// Another module, B, to compare with.
    #[arg(long, value_name = "PATH")]
    pub(crate) vs: Option<PathBuf>,
    /// Make tokens for CANIS, SoftHSM2 and kryoptic in a temporary directory, with PINs made at random.
    #[arg(long, conflicts_with_all = ["label", "slot", "pin_file", "vs_label", "vs_slot", "vs_pin_file"])]
    pub(crate) setup: bool,
    /// The label of A's token. Only objects of the session are made on it.
    #[arg(long, value_name = "LABEL", required_unless_present_any = ["setup", "slot"])]
    pub(crate) label: Option<String>,
    /// The slot of A's token.
    #[arg(long, value_name = "N", conflicts_with = "label")]
    pub(crate) slot: Option<u64>,
    /// The file with the user PIN of A's token.
    #[arg(long, value_name = "F", required_unless_present = "setup")]
    pub(crate) pin_file: Option<PathBuf>,
    /// The label of B's token; A's if missing.
    #[arg(long, value_name = "LABEL")]
    pub(crate) vs_label: Option<String>,
    /// The slot of B's token.
    #[arg(long, value_name = "N", conflicts_with = "vs_label")]
    pub(crate) vs_slot: Option<u64>,
    /// The file with the user PIN of B's token; A's if missing.
    #[arg(long, value_name = "F")]
    pub(crate) vs_pin_file: Option<PathBuf>,
    /// How many objects are on the tokens of --setup.
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "10,10000", requires = "setup")]
    pub(crate) objects: Vec<usize>,
    /// How many cold starts of each module are measured, with --setup.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) starts: usize,
    #[command(flatten)]
    pub(crate) pace: Pace,
}

#[derive(Args)]
pub(crate) struct Http {
    /// The server; `canis-server` beside this program if missing.
    #[arg(long, value_name = "PATH")]
    pub(crate) server: Option<PathBuf>,
    /// The ceiling: the example `hello_http` of the server; in `examples` beside this program if missing.
    #[arg(long, value_name = "PATH")]
    pub(crate) hello: Option<PathBuf>,
    /// OpenBao's program `bao`; it is left out if missing.
    #[arg(long, value_name = "PATH")]
    pub(crate) openbao: Option<PathBuf>,
    /// Also measure a server without an audit log.
    #[arg(long)]
    pub(crate) unaudited: bool,
    /// Only these operations.
    #[arg(
        long,
        value_name = "NAME,…",
        value_delimiter = ',',
        default_value = "encrypt,decrypt,sign-p256,sign-rsa2048,verify-p256,batch"
    )]
    pub(crate) only: Vec<Asked>,
    /// Connections; each asks one thing after the other.
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "1,8,64")]
    pub(crate) connections: Vec<usize>,
    /// Rounds of slices.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) rounds: usize,
    /// The length of a slice in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 300)]
    pub(crate) slice: u64,
}

#[derive(Args)]
pub(crate) struct Canisp {
    /// The server; `canis-server` beside this program if missing.
    #[arg(long, value_name = "PATH")]
    pub(crate) server: Option<PathBuf>,
    /// OpenBao's program `bao`; it is left out if missing.
    #[arg(long, value_name = "PATH")]
    pub(crate) openbao: Option<PathBuf>,
    /// Also measure a server without an audit log.
    #[arg(long)]
    pub(crate) unaudited: bool,
    /// Only these operations.
    #[arg(
        long,
        value_name = "NAME,…",
        value_delimiter = ',',
        default_value = "encrypt,sign-p256,sign-rsa2048,show-key"
    )]
    pub(crate) only: Vec<Asked>,
    /// Connections, and how many requests are in flight on each.
    #[arg(
        long,
        value_name = "CONNECTIONSxDEPTH,…",
        value_delimiter = ',',
        default_value = "1x1,1x16,8x1,8x16,64x1,64x16"
    )]
    pub(crate) shapes: Vec<Shape>,
    /// Rounds of slices.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) rounds: usize,
    /// The length of a slice in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 300)]
    pub(crate) slice: u64,
}

#[derive(Args)]
pub(crate) struct Crypto {
    /// The module, to be measured against the provider called directly.
    #[arg(long, value_name = "PATH")]
    pub(crate) module: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) pace: Pace,
}

#[derive(Args)]
pub(crate) struct Instructions {
    /// The module.
    #[arg(long, value_name = "PATH")]
    pub(crate) module: PathBuf,
    /// The file with the counts to compare with.
    #[arg(long, value_name = "F")]
    pub(crate) kept: PathBuf,
    /// Write the file anew.
    #[arg(long)]
    pub(crate) write: bool,
}

/// How long and how often.
#[derive(Args)]
pub(crate) struct Pace {
    /// Only these operations.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    only: Vec<Op>,
    /// Numbers of threads, each with a session of its own.
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "1,2",
        value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=256))]
    threads: Vec<usize>,
    /// Rounds of slices.
    #[arg(long, value_name = "N", default_value_t = 7)]
    rounds: usize,
    /// The length of a slice in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 60)]
    slice: u64,
    /// Divide by the time that the processor worked, not by the clock's: for a machine that is busy with other things.
    /// One thread only, because waiting for locks would not show; what waits for the disk is measured by the clock.
    #[arg(long)]
    processor_time: bool,
}

impl Pace {
    /// The effort for all of `ops` that were not left out.
    pub(super) fn effort(&self, ops: &[Op]) -> Effort {
        let asked = |op: &Op| self.only.is_empty() || self.only.contains(op);
        Effort {
            ops: ops.iter().copied().filter(asked).collect(),
            threads: if self.processor_time { vec![1] } else { self.threads.clone() },
            rounds: self.rounds.max(1),
            slice: Duration::from_millis(self.slice),
            time: if self.processor_time { Time::Processor } else { Time::Clock },
        }
    }
}
