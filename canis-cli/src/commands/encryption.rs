//! `canis encrypt` and `canis decrypt`.

use crate::args::{self, Connection, Crypt};
use crate::files::{self, Readers};
use crate::{connect, show};
use base64ct::{Base64, Encoding};
use canis_proto::message::{Decrypt, Encrypt};
use canis_proto::{Error, Result};
use serde_json::json;
use zeroize::Zeroizing;

pub(crate) fn encrypt(connection: &Connection, args: &args::Encrypt, json: bool) -> Result<()> {
    let (args, version) = (&args.crypt, args.key_version);
    let plaintext = files::read(args.input.as_deref())?;
    let request = Encrypt {
        name: args.name.as_str().into(),
        plaintext: plaintext.as_slice().into(),
        context: args.context.as_bytes().into(),
        version,
    };
    let mut text = connect::open(connection)?.call(&request)?.ciphertext;
    if let Some(out) = &args.out {
        text.push('\n');
        files::write(out, text.as_bytes(), Readers::Umask)?;
        return if json { show::json(&json!({"key": args.name, "out": out})) } else { Ok(()) };
    }
    if json {
        return show::json(&json!({"key": args.name, "ciphertext": text}));
    }
    text.push('\n');
    files::print(text.as_bytes())
}

pub(crate) fn decrypt(connection: &Connection, args: &Crypt, json: bool) -> Result<()> {
    let input = files::read(args.input.as_deref())?;
    let ciphertext = std::str::from_utf8(&input)
        .map_err(|_| Error::invalid("this is no ciphertext of CANIS: it is not even text"))?;
    let request = Decrypt {
        name: args.name.as_str().into(),
        ciphertext: ciphertext.trim_end().into(),
        context: args.context.as_bytes().into(),
    };
    let plaintext = Zeroizing::new(connect::open(connection)?.call(&request)?.plaintext);
    if let Some(out) = &args.out {
        files::write(out, &plaintext, Readers::Owner)?;
        return if json { show::json(&json!({"key": args.name, "out": out})) } else { Ok(()) };
    }
    if json {
        return show::json(&json!({"key": args.name, "plaintext_base64": Base64::encode_string(&plaintext)}));
    }
    files::print(&plaintext)
}
