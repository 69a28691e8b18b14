//! `canis mac` and `canis verify-mac`.

use super::signing::INVALID;
use crate::args::Connection;
use crate::input::{Input, SHORT};
use crate::use_args::{self, Mac};
use crate::{connect, files, show};
use canis_proto::Result;
use canis_proto::message::{self, VerifyMac};
use canis_proto::stream::{MacStream, VerifyMacStream};
use serde_json::json;
use std::io;
use std::process::ExitCode;

pub(crate) fn make(connection: &Connection, args: &Mac, json: bool) -> Result<()> {
    let (input, name, hash) =
        (Input::open(args.input.as_deref(), SHORT)?, args.name.as_str().into(), args.hash);
    let mut client = connect::open(connection)?;
    let answer = match input {
        Input::Whole(message) => {
            client.call(&message::Mac { name, message: message.as_slice().into(), hash })?
        }
        Input::Long(mut message) => {
            client.stream(&MacStream { name, hash }, &mut *message, &mut io::sink())?
        }
    };
    let made = answer.mac;
    if json {
        return show::json(&json!({"key": args.name, "mac": made}));
    }
    files::print(format!("{made}\n").as_bytes())
}

pub(crate) fn verify(connection: &Connection, args: &use_args::VerifyMac, json: bool) -> Result<ExitCode> {
    let Mac { name, input, hash } = &args.made;
    let (input, hash) = (Input::open(input.as_deref(), SHORT)?, *hash);
    let (key, mac) = (name.as_str().into(), args.mac.trim_end().into());
    let mut client = connect::open(connection)?;
    let answer = match input {
        Input::Whole(message) => {
            client.call(&VerifyMac { name: key, message: message.as_slice().into(), mac, hash })?
        }
        Input::Long(mut message) => {
            client.stream(&VerifyMacStream { name: key, mac, hash }, &mut *message, &mut io::sink())?
        }
    };
    let valid = answer.valid;
    if json {
        show::json(&json!({"key": name, "valid": valid}))?;
    } else {
        files::print(if valid { b"valid\n" } else { b"invalid\n" })?;
    }
    Ok(if valid { ExitCode::SUCCESS } else { ExitCode::from(INVALID) })
}
