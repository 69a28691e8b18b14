//! `canis bench`: how fast PKCS#11 modules are, what is below ours, and how fast a server is.
//!
//! The program prepares tokens and lets children of itself measure: the environment that modules read cannot be changed
//! safely within a process, and a start can be measured only once in each.

use canis_proto::Result;

pub(crate) mod args;
pub(crate) mod canisp;
mod crypto;
mod direct;
mod instructions;
mod keys;
mod measure;
mod module;
mod openssl;
mod operation;
mod pkcs11;
mod plan;
mod policy;
mod steps;
mod table;
mod worker;
mod workplace;

use args::BenchCommand;

/// Runs a command of the group.
pub(crate) fn run(command: &BenchCommand, json: bool) -> Result<()> {
    match command {
        BenchCommand::Pkcs11(args) => pkcs11::run(args, json),
        BenchCommand::Canisp(args) => canisp::run(args, json),
        BenchCommand::Http(args) => canisp::run_http(args, json),
        BenchCommand::Crypto(args) => crypto::run(args, json),
        BenchCommand::Policy(args) => policy::run(args, json),
        BenchCommand::Instructions(args) => instructions::run(args, json),
        BenchCommand::Worker => worker::run(),
    }
}
