//! `canis`: what people and scripts ask of CANIS. `canis --help` says it all.
// What a caller or a file can bring about is an error, never a panic.
#![cfg_attr(not(test), warn(clippy::expect_used, clippy::panic, clippy::unreachable, clippy::unimplemented))]
#![forbid(unsafe_code)]

mod aes_gcm_args;
mod approval_args;
mod args;
mod audit_args;
mod backup_args;
mod bench;
mod certificates;
mod command_line;
mod commands;
mod configured_root;
mod connect;
mod crypt_args;
mod door;
mod file_args;
mod files;
mod hsm_args;
mod input;
mod key_args;
mod key_file;
mod kv_args;
mod local;
mod new_root;
mod pin;
mod policy_args;
mod progress;
mod prompt;
mod rekey_args;
mod role_args;
mod rollback;
mod root_args;
mod root_credential;
mod seal_args;
mod secret_file;
mod show;
mod slot_args;
mod store_args;
mod tenant_args;
mod tls_args;
mod token_args;
mod transfer_args;
mod use_args;

use args::{Cli, Command, ImportCommand};
use canis_core::root::{HsmHelper, serve_hsm};
use canis_proto::Result;
use clap::FromArgMatches;
use std::alloc::System;
use std::process::ExitCode;
use store_args::StoreCommand;
use tls_args::TlsCommand;
use zeroizing_alloc::ZeroAlloc;

/// Freed memory is wiped: plaintexts and keys go through buffers of TLS, of files and of stdin.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

/// What the program ends with when server, store or files say no.
const FAILED: u8 = 3;

fn main() -> ExitCode {
    if std::env::args_os().skip(1).eq([HsmHelper::ARGUMENT]) {
        return serve_hsm();
    }
    // Where the kernel says no, commands do what they do all the same.
    let _ = canis_core::secret::keep_process_private();
    let cli = Cli::from_arg_matches(&command_line::command_line().get_matches())
        .unwrap_or_else(|error| error.exit());
    let json = cli.json;
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            show::failure(&error, json);
            ExitCode::from(FAILED)
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode> {
    let Cli { connection, json, command } = cli;
    match command {
        Command::Init(args) => commands::init::run(args, json)?,
        Command::Slot { command } => commands::slot::run(&connection, &command, json)?,
        Command::Root { command } => commands::root::run(&connection, &command, json)?,
        Command::Store { command: StoreCommand::Verify { place, accept_rollback, accept_moved } } => {
            return commands::store::verify(&place, accept_rollback, accept_moved, json);
        }
        Command::Store { command: StoreCommand::Migrate(args) } => commands::store_move::run(&args, json)?,
        Command::Unseal(args) => commands::sealing::unseal(&connection, &args, json)?,
        Command::Seal => commands::sealing::seal(&connection, json)?,
        Command::Operator { command } => commands::sealing::operator(&connection, &command, json)?,
        Command::Backup { command } => commands::backup::run(&connection, &command, json)?,
        Command::Audit { command } => return commands::audit::run(&connection, &command, json),
        Command::Status => commands::status::run(&connection, json)?,
        Command::Tls { command: TlsCommand::Renew(args) } => commands::tls::renew(&args, json)?,
        Command::Tenant { command } => commands::tenant::run(&connection, &command, json)?,
        Command::Token { command } => commands::token::run(&connection, &command, json)?,
        Command::Key { command } => commands::key::run(&connection, &command, json)?,
        Command::Import { command } => match command {
            ImportCommand::Pkcs12(args) => commands::pkcs12::run(&connection, &args, json)?,
            ImportCommand::Ssh(args) | ImportCommand::Age(args) => {
                commands::transfer::import_file(&connection, &args, json)?
            }
            ImportCommand::Softhsm(args) => return commands::softhsm::run(&args, json),
        },
        Command::Kv { command } => commands::kv::run(&connection, &command, json)?,
        Command::Policy { command } => return commands::policy::run(&connection, &command, json),
        Command::Approval { command } => commands::approval::run(&connection, &command, json)?,
        Command::Role { command } => commands::role::run(&connection, &command, json)?,
        Command::Batch(args) => return commands::batch::run(&connection, &args),
        Command::Encrypt(args) => commands::encryption::encrypt(&connection, &args, json)?,
        Command::Decrypt(args) => commands::encryption::decrypt(&connection, &args, json)?,
        Command::Sign(args) => commands::signing::sign(&connection, &args, json)?,
        Command::Verify(args) => return commands::signing::verify(&connection, &args, json),
        Command::Rewrap(args) => commands::rewrap::run(&connection, &args, json)?,
        Command::Datakey(args) => commands::datakey::run(&connection, &args, json)?,
        Command::File { command } => return commands::file::run(&connection, &command, json),
        Command::Mac(args) => commands::mac::make(&connection, &args, json)?,
        Command::VerifyMac(args) => return commands::mac::verify(&connection, &args, json),
        Command::Derive(args) => commands::derive::run(&connection, &args, json)?,
        Command::Encapsulate(args) => commands::encapsulation::encapsulate(&connection, &args, json)?,
        Command::Decapsulate(args) => commands::encapsulation::decapsulate(&connection, &args, json)?,
        Command::Random(args) => commands::digest::random(&connection, &args, json)?,
        Command::Hash(args) => commands::digest::hash(&connection, &args, json)?,
        Command::AesGcm { command } => commands::aes_gcm::run(&connection, &command, json)?,
        Command::Generate { directory } => commands::generate::run(&directory)?,
        Command::Bench { command } => bench::run(&command, json)?,
    }
    Ok(ExitCode::SUCCESS)
}
