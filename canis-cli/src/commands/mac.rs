//! `canis mac` and `canis verify-mac`.

use super::signing::INVALID;
use crate::args::Connection;
use crate::use_args::{self, Mac};
use crate::{connect, files, show};
use canis_proto::Result;
use canis_proto::message::{self, VerifyMac};
use serde_json::json;
use std::process::ExitCode;

pub(crate) fn make(connection: &Connection, args: &Mac, json: bool) -> Result<()> {
    let message = files::read(args.input.as_deref())?;
    let request =
        message::Mac { name: args.name.as_str().into(), message: message.as_slice().into(), hash: args.hash };
    let made = connect::open(connection)?.call(&request)?.mac;
    if json {
        return show::json(&json!({"key": args.name, "mac": made}));
    }
    files::print(format!("{made}\n").as_bytes())
}

pub(crate) fn verify(connection: &Connection, args: &use_args::VerifyMac, json: bool) -> Result<ExitCode> {
    let Mac { name, input, hash } = &args.made;
    let message = files::read(input.as_deref())?;
    let request = VerifyMac {
        name: name.as_str().into(),
        message: message.as_slice().into(),
        mac: args.mac.trim_end().into(),
        hash: *hash,
    };
    let valid = connect::open(connection)?.call(&request)?.valid;
    if json {
        show::json(&json!({"key": name, "valid": valid}))?;
    } else {
        files::print(if valid { b"valid\n" } else { b"invalid\n" })?;
    }
    Ok(if valid { ExitCode::SUCCESS } else { ExitCode::from(INVALID) })
}
