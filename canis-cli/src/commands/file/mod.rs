//! `canis file`: encrypted files in the format age v1, whose contents stay on this machine.

mod ends;
mod info;
mod keygen;
mod one;
mod recipient;
mod rewrap;
mod tree;
mod who;

use crate::args::Connection;
use crate::file_args::FileCommand;
use canis_proto::Result;
use std::process::ExitCode;

pub(crate) fn run(connection: &Connection, command: &FileCommand, json: bool) -> Result<ExitCode> {
    match command {
        FileCommand::Encrypt(args) if args.way.recursive => return tree::encrypt(connection, args, json),
        FileCommand::Decrypt(args) if args.way.recursive => return tree::decrypt(connection, args, json),
        FileCommand::Encrypt(args) => one::encrypt(connection, args)?,
        FileCommand::Decrypt(args) => one::decrypt(connection, args)?,
        FileCommand::Rewrap(args) => rewrap::run(connection, args, json)?,
        FileCommand::Info(args) => info::run(connection, args, json)?,
        FileCommand::Recipient(args) => recipient::run(connection, args)?,
        FileCommand::Keygen(args) => keygen::run(&args.file)?,
    }
    Ok(ExitCode::SUCCESS)
}
