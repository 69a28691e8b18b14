//! `canis encrypt` and `canis decrypt`. What is long goes through the server as a stream, in constant memory.

use crate::args::Connection;
use crate::crypt_args::{self, Crypt};
use crate::files::{self, Readers, Sink};
use crate::input::{Ciphertext, Input, TEXT};
use crate::{connect, show};
use base64ct::{Base64, Encoding};
use canis_client::Client;
use canis_proto::answer::Streamed;
use canis_proto::message::{Decrypt, Encrypt};
use canis_proto::stream::{DecryptStream, EncryptStream, StreamRequest};
use canis_proto::{Error, Result};
use serde_json::json;
use std::io::Read;
use zeroize::Zeroizing;

pub(crate) fn encrypt(connection: &Connection, args: &crypt_args::Encrypt, json: bool) -> Result<()> {
    let crypt_args::Encrypt { crypt, key_version: version, stream } = args;
    let most = if *stream { 0 } else { TEXT };
    match Input::open(crypt.input.as_deref(), most)? {
        Input::Whole(plaintext) if !stream => encrypt_whole(connection, args, &plaintext, json),
        long => {
            let request = EncryptStream {
                name: crypt.name.as_str().into(),
                context: crypt.context.as_bytes().into(),
                version: *version,
            };
            let mut input: Box<dyn Read> = match long {
                Input::Whole(_) => Box::new(std::io::empty()),
                Input::Long(reader) => reader,
            };
            through(connection, crypt, &request, &mut *input, Readers::Umask, json)
        }
    }
}

fn encrypt_whole(
    connection: &Connection,
    args: &crypt_args::Encrypt,
    plaintext: &[u8],
    json: bool,
) -> Result<()> {
    let (args, version) = (&args.crypt, args.key_version);
    let request = Encrypt {
        name: args.name.as_str().into(),
        plaintext: plaintext.into(),
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
    match Ciphertext::open(args.input.as_deref())? {
        Ciphertext::Text(text) => decrypt_text(connection, args, &text, json),
        Ciphertext::Stream(header, mut body) => {
            let request = DecryptStream {
                name: args.name.as_str().into(),
                header: header.into(),
                context: args.context.as_bytes().into(),
            };
            through(connection, args, &request, &mut *body, Readers::Owner, json)
        }
    }
}

fn decrypt_text(connection: &Connection, args: &Crypt, text: &[u8], json: bool) -> Result<()> {
    let ciphertext = std::str::from_utf8(text)
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

/// Sends `input` through a stream. A file appears when all of it has come; stdout gets what has been verified so far,
/// and the exit code says whether that was all.
fn through<'a, R>(
    connection: &Connection,
    args: &Crypt,
    request: &R,
    input: &mut dyn Read,
    readers: Readers,
    json: bool,
) -> Result<()>
where
    R: StreamRequest<'a, Answer = Streamed>,
{
    if json && args.out.is_none() {
        return Err(Error::invalid("what is this long is no JSON; name a file with --out"));
    }
    let mut client: Client = connect::open(connection)?;
    let mut sink = Sink::open(args.out.as_deref(), readers)?;
    let Streamed { bytes } = client.stream(request, input, &mut sink)?;
    sink.publish()?;
    match (json, &args.out) {
        (true, Some(out)) => show::json(&json!({"key": args.name, "bytes": bytes, "out": out})),
        _ => Ok(()),
    }
}
