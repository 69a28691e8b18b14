//! `canis sign` and `canis verify`.

use crate::args::Connection;
use crate::crypt_args;
use crate::files::{self, Readers};
use crate::input::{Input, REQUEST};
use crate::{connect, show};
use base64ct::{Base64, Encoding};
use canis_proto::message::{Sign, Verify};
use canis_proto::stream::{SignStream, VerifyStream};
use canis_proto::text::Sealed;
use canis_proto::{Error, Result, SignatureScheme};
use serde_json::json;
use std::io;
use std::process::ExitCode;

/// What is said of a file that holds something else.
const NOT_OURS: &str =
    "holds no signature of CANIS; a raw one is verified by other programs with `canis key public`";

/// What `canis verify` ends with when the signature is wrong.
pub(super) const INVALID: u8 = 1;

pub(crate) fn sign(connection: &Connection, args: &crypt_args::Sign, json: bool) -> Result<()> {
    let input = Input::open(args.input.as_deref(), REQUEST)?;
    let (scheme, form) = (scheme(args.scheme.as_deref())?, args.options.form);
    let (name, version, prehashed) = (args.name.as_str(), args.key_version, args.options.prehashed);
    let context = args.options.context.as_bytes().into();
    let mut client = connect::open(connection)?;
    let answer = match input {
        Input::Whole(message) => {
            let request = Sign::new(name, message.as_slice());
            client.call(&Sign { scheme, prehashed, form, version, context, ..request })?
        }
        Input::Long(_) if prehashed => return Err(no_digest()),
        Input::Long(mut message) => {
            let request = SignStream { name: name.into(), scheme, form, version, context };
            client.stream(&request, &mut *message, &mut io::sink())?
        }
    };
    let text = answer.signature;
    let signature = Sealed::parse(&text)?;
    let content = if args.raw { signature.bytes.clone() } else { format!("{text}\n").into_bytes() };
    if let Some(out) = &args.out {
        files::write(out, &content, Readers::Umask)?;
    }
    if json {
        let key = args.name.as_str();
        let version = signature.version;
        return show::json(&match (&args.out, args.raw) {
            (Some(out), _) => json!({"key": key, "version": version, "out": out}),
            (None, false) => json!({"key": key, "version": version, "signature": text}),
            (None, true) => {
                let base64 = Base64::encode_string(&signature.bytes);
                json!({"key": key, "version": version, "signature_base64": base64})
            }
        });
    }
    if args.out.is_none() { files::print(&content) } else { Ok(()) }
}

pub(crate) fn verify(connection: &Connection, args: &crypt_args::Verify, json: bool) -> Result<ExitCode> {
    let signature = files::text_form(&args.signature, NOT_OURS)?;
    let input = Input::open(args.input.as_deref(), REQUEST)?;
    let (scheme, form) = (scheme(args.scheme.as_deref())?, args.options.form);
    let (name, prehashed) = (args.name.as_str(), args.options.prehashed);
    let context = args.options.context.as_bytes().into();
    let mut client = connect::open(connection)?;
    let answer = match input {
        Input::Whole(message) => {
            let request = Verify::new(name, message.as_slice(), signature.as_str());
            client.call(&Verify { scheme, prehashed, form, context, ..request })?
        }
        Input::Long(_) if prehashed => return Err(no_digest()),
        Input::Long(mut message) => {
            let request =
                VerifyStream { name: name.into(), signature: signature.into(), scheme, form, context };
            client.stream(&request, &mut *message, &mut io::sink())?
        }
    };
    let valid = answer.valid;
    if json {
        show::json(&json!({"key": args.name, "valid": valid}))?;
    } else {
        files::print(if valid { b"valid\n" } else { b"invalid\n" })?;
    }
    Ok(if valid { ExitCode::SUCCESS } else { ExitCode::from(INVALID) })
}

fn no_digest() -> Error {
    Error::invalid("what is this long is no digest; leave --prehashed out to have it hashed")
}

fn scheme(name: Option<&str>) -> Result<Option<SignatureScheme>> {
    name.map(str::parse).transpose()
}
