//! `canis random` and `canis hash`.

use crate::args::Connection;
use crate::files::{self, Readers};
use crate::input::{Input, SHORT};
use crate::{connect, show, use_args};
use base16ct::lower::encode_string as hex;
use base64ct::{Base64, Encoding};
use canis_proto::Result;
use canis_proto::message::{HashData, Random};
use canis_proto::stream::HashStream;
use serde_json::json;
use std::io;
use zeroize::Zeroizing;

pub(crate) fn random(connection: &Connection, args: &use_args::Random, json: bool) -> Result<()> {
    let bytes = Zeroizing::new(connect::open(connection)?.call(&Random { length: args.length })?.bytes);
    if let Some(out) = &args.out {
        return files::write(out, &bytes, Readers::Owner);
    }
    let text = Zeroizing::new(Base64::encode_string(&bytes));
    if json {
        return show::json(&json!({"random_base64": *text}));
    }
    files::print(format!("{}\n", *text).as_bytes())
}

pub(crate) fn hash(connection: &Connection, args: &use_args::Hash, json: bool) -> Result<()> {
    let (input, hash) = (Input::open(args.input.as_deref(), SHORT)?, args.hash);
    let mut client = connect::open(connection)?;
    let answer = match input {
        Input::Whole(data) => client.call(&HashData { data: data.as_slice().into(), hash })?,
        Input::Long(mut data) => client.stream(&HashStream { hash }, &mut *data, &mut io::sink())?,
    };
    let hex = hex(&answer.digest);
    if json {
        return show::json(&json!({"hash": args.hash.name(), "digest": hex}));
    }
    files::print(format!("{hex}\n").as_bytes())
}
