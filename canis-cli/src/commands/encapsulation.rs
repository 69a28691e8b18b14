//! `canis encapsulate` and `canis decapsulate`.

use crate::args::Connection;
use crate::files::{self, Readers};
use crate::use_args::{self, SecretOut};
use crate::{connect, show};
use base64ct::{Base64, Encoding};
use canis_proto::Result;
use canis_proto::message::{Decapsulate, Encapsulate};
use canis_proto::text::{Sealed, sealed_text};
use serde_json::json;
use std::path::Path;
use zeroize::Zeroizing;

/// What is said of a file that holds something else.
const NOT_OURS: &str =
    "holds no ciphertext of CANIS; of one made by another program say so by --raw and --key-version";

pub(crate) fn encapsulate(
    connection: &Connection,
    args: &use_args::Encapsulate,
    as_json: bool,
) -> Result<()> {
    let request = Encapsulate { name: args.name.as_str().into(), version: args.key_version };
    let made = connect::open(connection)?.call(&request)?;
    let sealed = Sealed::parse(&made.ciphertext)?;
    if let Some(path) = &args.ciphertext {
        let line = format!("{}\n", made.ciphertext);
        let content = if args.raw { sealed.bytes.as_slice() } else { line.as_bytes() };
        files::write(path, content, Readers::Umask)?;
    }
    let secret = told(&args.secret, &made.secret)?;
    let shown = args.ciphertext.is_none().then_some(&made.ciphertext);
    if as_json {
        return show::json(&json!({
            "key": args.name,
            "version": sealed.version,
            "ciphertext": shown,
            "secret_base64": secret.as_deref(),
            "out": args.secret.out,
        }));
    }
    let ciphertext = shown.map(|text| ("ciphertext", text.clone()));
    match secret {
        Some(secret) => {
            let pairs: Vec<_> = ciphertext.into_iter().chain([("secret", secret.to_string())]).collect();
            show::pairs(&pairs)
        }
        // Alone it goes into a file or a variable.
        None => ciphertext.map_or(Ok(()), |(_, text)| files::print(format!("{text}\n").as_bytes())),
    }
}

pub(crate) fn decapsulate(
    connection: &Connection,
    args: &use_args::Decapsulate,
    as_json: bool,
) -> Result<()> {
    let ciphertext = match args.key_version {
        Some(version) if args.raw => {
            let bytes = files::read(Some(Path::new(&args.ciphertext)))?;
            sealed_text(&args.name, version, &bytes)
        }
        _ => files::text_form(&args.ciphertext, NOT_OURS)?,
    };
    let request = Decapsulate { name: args.name.as_str().into(), ciphertext: ciphertext.into() };
    let given = connect::open(connection)?.call(&request)?;
    let secret = told(&args.secret, &given.secret)?;
    if as_json {
        let (secret, out) = (secret.as_deref(), &args.secret.out);
        return show::json(&json!({"key": args.name, "secret_base64": secret, "out": out}));
    }
    secret.map_or(Ok(()), |secret| files::print(format!("{}\n", *secret).as_bytes()))
}

/// The secret as base64, unless it was written into a file.
fn told(to: &SecretOut, secret: &[u8]) -> Result<Option<Zeroizing<String>>> {
    match &to.out {
        Some(out) => files::write(out, secret, Readers::Owner).map(|()| None),
        None => Ok(Some(Zeroizing::new(Base64::encode_string(secret)))),
    }
}
