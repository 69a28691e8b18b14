//! `canis aes-gcm encrypt` and `decrypt`: data that others made with a key, or are to read.

use crate::aes_gcm_args::{AesGcmCommand, Data, Decrypt};
use crate::args::Connection;
use crate::files::{self, Readers};
use crate::{connect, show};
use base16ct::lower::encode_string as hex;
use base64ct::{Base64, Encoding};
use canis_proto::message::{DecryptAesGcm, EncryptAesGcm};
use canis_proto::{Error, Result};
use serde_json::json;
use zeroize::Zeroizing;

/// The length of the tag that follows a ciphertext, in bytes.
const TAG: usize = 16;

pub(crate) fn run(connection: &Connection, command: &AesGcmCommand, json: bool) -> Result<()> {
    match command {
        AesGcmCommand::Encrypt(args) => encrypt(connection, &args.data, json),
        AesGcmCommand::Decrypt(args) => decrypt(connection, args, json),
    }
}

fn aad(data: &Data) -> Result<Vec<u8>> {
    match (&data.aad, &data.aad_file) {
        (Some(aad), _) => Ok(aad.0.clone()),
        (None, Some(path)) => Ok(files::read(Some(path))?.to_vec()),
        (None, None) => Ok(Vec::new()),
    }
}

fn encrypt(connection: &Connection, data: &Data, json: bool) -> Result<()> {
    let plaintext = files::read(data.input.as_deref())?;
    let request = EncryptAesGcm {
        name: data.name.as_str().into(),
        plaintext: plaintext.as_slice().into(),
        aad: aad(data)?.into(),
        version: data.key_version,
    };
    let made = connect::open(connection)?.call(&request)?;
    let (version, iv) = (made.version, hex(&made.iv));
    let sealed = [made.ciphertext, made.tag].concat();
    let mut shown = vec![("version", version.to_string()), ("iv", iv.clone())];
    let mut told = json!({"key": data.name, "version": version, "iv": iv});
    match &data.out {
        Some(out) => {
            files::write(out, &sealed, Readers::Umask)?;
            told["out"] = json!(out);
        }
        None => {
            let text = Base64::encode_string(&sealed);
            told["ciphertext_base64"] = json!(text);
            shown.push(("ciphertext", text));
        }
    }
    if json { show::json(&told) } else { show::pairs(&shown) }
}

fn decrypt(connection: &Connection, args: &Decrypt, json: bool) -> Result<()> {
    let data = &args.data;
    let input = files::read(data.input.as_deref())?;
    let (ciphertext, tag) = match &args.tag {
        Some(tag) => (input.as_slice(), tag.0.as_slice()),
        None => input.split_last_chunk::<TAG>().map(|(rest, tag)| (rest, &tag[..])).ok_or_else(|| {
            Error::invalid("this is shorter than a tag of 16 bytes; give --tag if the tag stands apart")
        })?,
    };
    let request = DecryptAesGcm {
        name: data.name.as_str().into(),
        iv: args.iv.0.as_slice().into(),
        ciphertext: ciphertext.into(),
        tag: tag.into(),
        aad: aad(data)?.into(),
        version: data.key_version,
    };
    let plaintext = Zeroizing::new(connect::open(connection)?.call(&request)?.plaintext);
    if let Some(out) = &data.out {
        files::write(out, &plaintext, Readers::Owner)?;
        return if json { show::json(&json!({"key": data.name, "out": out})) } else { Ok(()) };
    }
    if json {
        return show::json(&json!({"key": data.name, "plaintext_base64": Base64::encode_string(&plaintext)}));
    }
    files::print(&plaintext)
}
