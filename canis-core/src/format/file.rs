//! A key in a file of any form: which form it is, and what a passphrase opens. The program `canis` reads files with it,
//! so that passphrases stay on the machine of whoever knows them.

use super::{Given, age, bounded, decode, openssh, pbes2, pem, pkcs1, pkcs12};
use crate::crypto::Provider;
use crate::crypto::refusal::bad_private_key;
use canis_proto::{Error, KeyFormat, KeyType, Result};

/// Asked for the passphrase, once, if the file needs one.
pub type AskPassphrase<'a> = dyn FnMut() -> Result<crate::secret::SecretBytes> + 'a;

/// Reads a key in PEM, JSON, OpenSSH's and age's forms or DER, found out by looking; encrypted ones too. `kind` is the type that
/// is asked for, if any: it tells an AES key from a generic secret in JSON.
///
/// # Errors
/// As [`decode`], and those of `ask`.
pub fn read(
    provider: &Provider,
    kind: Option<KeyType>,
    bytes: &[u8],
    ask: &mut AskPassphrase<'_>,
) -> Result<Given> {
    bounded(bytes)?;
    let kind = kind.unwrap_or(KeyType::Aes256);
    if age::is_age(bytes) {
        return age::read(bytes);
    }
    if pkcs12::is_pkcs12(bytes) {
        return Err(bad_private_key("it is a PKCS#12 file, which `canis import pkcs12` reads"));
    }
    if pem::is_pem(bytes) {
        return block(provider, kind, bytes, ask);
    }
    if bytes.trim_ascii_start().first() == Some(&b'{') {
        return decode(KeyFormat::Jwk, kind, bytes);
    }
    if let Some(line) = std::str::from_utf8(bytes).ok().filter(|text| is_public_line(text)) {
        return openssh::decode_public(line).map(Given::Public);
    }
    if pbes2::is_encrypted(bytes) {
        let pkcs8 = pbes2::open(provider, bytes, ask()?.expose())?;
        return decode(KeyFormat::Pkcs8, kind, pkcs8.expose());
    }
    // DER says by its shape what it is.
    [KeyFormat::Pkcs8, KeyFormat::Sec1, KeyFormat::Pkcs1, KeyFormat::Spki]
        .into_iter()
        .find(|format| looks_like(*format, bytes))
        .map_or_else(|| Err(unknown()), |format| decode(format, kind, bytes))
}

fn is_public_line(text: &str) -> bool {
    ["ssh-", "ecdsa-sha2-"].iter().any(|start| text.starts_with(start))
        && text.trim_end().lines().count() == 1
}

/// The one block that holds a key; certificates and parameters beside it are passed over.
fn block(provider: &Provider, kind: KeyType, text: &[u8], ask: &mut AskPassphrase<'_>) -> Result<Given> {
    let mut blocks = pem::decode(text)?;
    blocks.retain(|block| block.label.ends_with("KEY"));
    let [block] = &blocks[..] else {
        return Err(bad_private_key(&format!("the file holds {} keys, not one", blocks.len())));
    };
    let der = block.der.expose();
    match block.label.as_str() {
        "PRIVATE KEY" => decode(KeyFormat::Pkcs8, kind, der),
        "ENCRYPTED PRIVATE KEY" => {
            let pkcs8 = pbes2::open(provider, der, ask()?.expose())?;
            decode(KeyFormat::Pkcs8, kind, pkcs8.expose())
        }
        "RSA PRIVATE KEY" => decode(KeyFormat::Pkcs1, kind, der),
        "EC PRIVATE KEY" => decode(KeyFormat::Sec1, kind, der),
        "PUBLIC KEY" => decode(KeyFormat::Spki, kind, der),
        "RSA PUBLIC KEY" => pkcs1::decode_public(der),
        "OPENSSH PRIVATE KEY" if openssh::is_encrypted(der) => {
            let passphrase = ask()?;
            openssh::decode(der, Some(openssh::Opener { provider, passphrase: passphrase.expose() }))
        }
        "OPENSSH PRIVATE KEY" => openssh::decode(der, None),
        _ => Err(unknown()),
    }
}

/// Tells the forms of DER apart by the tags behind the outer SEQUENCE: a version and an algorithm (PKCS#8), a version
/// and octets (SEC 1), a version and numbers (PKCS#1), an algorithm (SubjectPublicKeyInfo).
fn looks_like(format: KeyFormat, der: &[u8]) -> bool {
    let header = match der {
        [0x30, len, ..] if *len < 0x80 => 2,
        [0x30, 0x81, ..] => 3,
        [0x30, 0x82, ..] => 4,
        _ => return false,
    };
    let inside = der.get(header..).unwrap_or_default();
    match format {
        KeyFormat::Pkcs8 => matches!(inside, [2, 1, _, 0x30, ..]),
        KeyFormat::Sec1 => matches!(inside, [2, 1, _, 4, ..]),
        KeyFormat::Pkcs1 => matches!(inside, [2, 1, _, 2, ..]),
        KeyFormat::Spki => matches!(inside, [0x30, ..]),
        KeyFormat::Raw | KeyFormat::Jwk | KeyFormat::OpenSsh => false,
    }
}

fn unknown() -> Error {
    bad_private_key("it is in no form that CANIS knows; a bare AES key is read with `--format raw`")
}
