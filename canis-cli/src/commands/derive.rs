//! `canis derive`.

use crate::args::Connection;
use crate::files::{self, Readers};
use crate::{connect, show, use_args};
use base64ct::{Base64, Encoding};
use canis_proto::message::Derive;
use canis_proto::{Error, Result};
use serde_json::json;
use std::path::Path;
use zeroize::Zeroizing;

pub(crate) fn run(connection: &Connection, args: &use_args::Derive, json: bool) -> Result<()> {
    let peer = args.peer.as_deref().map(public_key).transpose()?.unwrap_or_default();
    let request = Derive {
        name: args.name.as_str().into(),
        version: args.key_version,
        peer: peer.into(),
        kdf: args.kdf,
        hash: args.hash,
        salt: args.salt.as_bytes().into(),
        info: args.info.as_bytes().into(),
        length: args.length,
    };
    let derived = connect::open(connection)?.call(&request)?;
    let (version, key) = (derived.version, Zeroizing::new(derived.key));
    if let Some(out) = &args.out {
        files::write(out, &key, Readers::Owner)?;
        let told = json!({"key": args.name, "version": version, "out": out});
        return if json { show::json(&told) } else { Ok(()) };
    }
    let text = Zeroizing::new(Base64::encode_string(&key));
    if json {
        return show::json(&json!({"key": args.name, "version": version, "derived_base64": *text}));
    }
    files::print(format!("{}\n", *text).as_bytes())
}

/// SubjectPublicKeyInfo DER, or the same as PEM (RFC 7468).
fn public_key(path: &Path) -> Result<Vec<u8>> {
    let bytes = files::read(Some(path))?;
    let Some(text) = std::str::from_utf8(&bytes).ok().filter(|text| text.contains("-----BEGIN")) else {
        return Ok(bytes.to_vec());
    };
    let inside =
        text.split("-----BEGIN PUBLIC KEY-----").nth(1).and_then(|rest| rest.split("-----END").next());
    let base64: String = inside.unwrap_or_default().split_whitespace().collect();
    match Base64::decode_vec(&base64) {
        Ok(der) if !der.is_empty() => Ok(der),
        _ => Err(Error::invalid(format!("{} holds no `BEGIN PUBLIC KEY`", path.display()))),
    }
}
