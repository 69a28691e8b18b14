//! What is asked, and how each server is asked for it.

use super::plan::Ask;
use base64ct::{Base64, Encoding};
use canis_client::{Client, Config};
use canis_proto::batch;
use canis_proto::message::{
    Batch, CreateKey, Decrypt, Encrypt, ShowKey, Sign, Verify, WireAnswer, WireRequest, encode_request,
};
use canis_proto::{Error, KeyType, Result};
use clap::ValueEnum;
use serde::Serialize;
use serde_json::json;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Asked {
    /// 1 KiB.
    Encrypt,
    /// What that gave.
    Decrypt,
    /// 32 bytes, hashed by the server.
    SignP256,
    /// The same, PSS with SHA-256.
    SignRsa2048,
    /// What ECDSA gave.
    VerifyP256,
    /// 100 encryptions of 1 KiB at once.
    Batch,
    /// The metadata of an AES key.
    ShowKey,
}

/// Keys at both servers are called after their types there.
const AES: &str = "aes";
const P256: &str = "p256";
const RSA: &str = "rsa";

const RECORD: [u8; 1024] = [7; 1024];
const MESSAGE: [u8; 32] = [7; 32];
/// Operations of a batch.
const MANY: usize = 100;

/// What a server has made before, to be decrypted and verified.
#[derive(Default)]
pub(super) struct Made {
    pub(super) ciphertext: String,
    pub(super) signature: String,
}

impl Asked {
    /// Its name in the report.
    pub(super) fn title(self) -> &'static str {
        match self {
            Asked::Encrypt => "AES-256-GCM encrypt 1 KiB",
            Asked::Decrypt => "AES-256-GCM decrypt 1 KiB",
            Asked::SignP256 => "ECDSA P-256 sign",
            Asked::SignRsa2048 => "RSA-2048 sign PSS",
            Asked::VerifyP256 => "ECDSA P-256 verify",
            Asked::Batch => "a batch of 100 encryptions of 1 KiB",
            Asked::ShowKey => "show a key",
        }
    }

    /// The type of key that signs, where the provider's own rate says how much of the time is the signature's.
    pub(super) fn signs_with(self) -> Option<KeyType> {
        match self {
            Asked::SignP256 => Some(KeyType::EcdsaP256),
            Asked::SignRsa2048 => Some(KeyType::Rsa2048),
            Asked::Encrypt | Asked::Decrypt | Asked::VerifyP256 | Asked::Batch | Asked::ShowKey => None,
        }
    }

    /// By CANISP, and how many bytes the answer has.
    pub(super) fn by_canisp(self, config: &Config, ca: &Path, token: &str) -> Result<(Ask, usize)> {
        let mut client = Client::connect(config)?;
        let encrypt = Encrypt::new(AES, &RECORD[..]);
        let (payload, answer) = match self {
            Asked::Encrypt => tried(&mut client, &encrypt)?,
            Asked::Decrypt => {
                let made = made(&mut client)?;
                tried(&mut client, &Decrypt::new(AES, made.ciphertext.as_str()))?
            }
            Asked::SignP256 => tried(&mut client, &Sign::new(P256, &MESSAGE[..]))?,
            Asked::SignRsa2048 => tried(&mut client, &Sign::new(RSA, &MESSAGE[..]))?,
            Asked::VerifyP256 => {
                let made = made(&mut client)?;
                tried(&mut client, &Verify::new(P256, &MESSAGE[..], made.signature.as_str()))?
            }
            Asked::Batch => {
                let operations = (0..MANY).map(|_| batch::item(&encrypt)).collect();
                tried(&mut client, &Batch { operations, atomic: false, preview: false })?
            }
            Asked::ShowKey => tried(&mut client, &ShowKey { name: AES.into(), before_version: 0 })?,
        };
        Ok((Ask::Canisp { ca: ca.to_owned(), token: token.to_owned(), payload }, answer))
    }

    /// By HTTP, of a server of ours.
    pub(super) fn by_https(self, config: &Config, ca: PathBuf, host: SocketAddr, token: &str) -> Result<Ask> {
        let made = made(&mut Client::connect(config)?)?;
        let (record, message) = (Base64::encode_string(&RECORD), Base64::encode_string(&MESSAGE));
        let (path, body) = match self {
            Asked::Encrypt => (format!("encrypt/{AES}"), json!({ "plaintext": record })),
            Asked::Decrypt => (format!("decrypt/{AES}"), json!({ "ciphertext": made.ciphertext })),
            Asked::SignP256 => (format!("sign/{P256}"), json!({ "message": message })),
            Asked::SignRsa2048 => (format!("sign/{RSA}"), json!({ "message": message })),
            Asked::VerifyP256 => {
                (format!("verify/{P256}"), json!({ "message": message, "signature": made.signature }))
            }
            Asked::Batch => {
                let one = json!({ "op": "encrypt", "key": AES, "plaintext": record });
                ("batch".to_owned(), json!({ "operations": vec![one; MANY] }))
            }
            Asked::ShowKey => (format!("keys/{AES}"), json!(null)),
        };
        let method = if self == Asked::ShowKey { "GET" } else { "POST" };
        let body = if self == Asked::ShowKey { String::new() } else { body.to_string() };
        let token = format!("Authorization: Bearer {token}");
        let request = http_request(method, &format!("kms/{path}"), &host.to_string(), &token, &body);
        Ok(Ask::Http { ca: Some(ca), request })
    }

    /// By HTTP, of OpenBao's transit.
    pub(super) fn by_http(self, host: &str, token: &str, made: &Made) -> Ask {
        let (record, input) = (Base64::encode_string(&RECORD), Base64::encode_string(&MESSAGE));
        let (path, body) = match self {
            Asked::Encrypt => (format!("encrypt/{AES}"), json!({ "plaintext": record })),
            Asked::Decrypt => (format!("decrypt/{AES}"), json!({ "ciphertext": made.ciphertext })),
            Asked::SignP256 => (format!("sign/{P256}"), json!({ "input": input })),
            Asked::SignRsa2048 => (format!("sign/{RSA}"), json!({ "input": input })),
            Asked::VerifyP256 => {
                (format!("verify/{P256}"), json!({ "input": input, "signature": made.signature }))
            }
            Asked::Batch => {
                let items = vec![json!({ "plaintext": record }); MANY];
                (format!("encrypt/{AES}"), json!({ "batch_input": items }))
            }
            Asked::ShowKey => (format!("keys/{AES}"), json!(null)),
        };
        let method = if self == Asked::ShowKey { "GET" } else { "POST" };
        let body = if self == Asked::ShowKey { String::new() } else { body.to_string() };
        let token = format!("X-Vault-Token: {token}");
        let request = http_request(method, &format!("transit/{path}"), host, &token, &body);
        Ask::Http { ca: None, request }
    }
}

/// A request, with one further field in its head: by what the client says who it is.
pub(super) fn http_request(method: &str, path: &str, host: &str, who: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "{method} /v1/{path} HTTP/1.1\r\nHost: {host}\r\n{who}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// The keys by CANISP.
pub(super) fn make_keys(config: &Config) -> Result<()> {
    let mut client = Client::connect(config)?;
    for (name, kind) in [(AES, KeyType::Aes256), (P256, KeyType::EcdsaP256), (RSA, KeyType::Rsa2048)] {
        client.call(&CreateKey::new(name, kind))?;
    }
    Ok(())
}

fn made(client: &mut Client) -> Result<Made> {
    let ciphertext = client.call(&Encrypt::new(AES, &RECORD[..]))?.ciphertext;
    let signature = client.call(&Sign::new(P256, &MESSAGE[..]))?.signature;
    Ok(Made { ciphertext, signature })
}

/// The keys of OpenBao: path and body.
pub(super) fn keys_by_http() -> impl Iterator<Item = (String, String)> {
    [(AES, "aes256-gcm96"), (P256, "ecdsa-p256"), (RSA, "rsa-2048")]
        .into_iter()
        .map(|(name, kind)| (format!("transit/keys/{name}"), format!("{{\"type\":\"{kind}\"}}")))
}

/// A ciphertext and a signature of OpenBao's, asked for by `call`.
pub(super) fn made_by_http(call: impl Fn(&str, &str) -> Result<String>) -> Result<[String; 2]> {
    let (record, input) = (Base64::encode_string(&RECORD), Base64::encode_string(&MESSAGE));
    // Both are written `vault:v1:` and base64, in which no quotes stand.
    let text = |answer: String| {
        let begin = answer.find("vault:v1:").unwrap_or(answer.len());
        let text = answer[begin..].split('"').next().unwrap_or_default().to_owned();
        if text.is_empty() { Err(Error::invalid("OpenBao made nothing")) } else { Ok(text) }
    };
    let ciphertext = call(&format!("transit/encrypt/{AES}"), &json!({ "plaintext": record }).to_string())?;
    let signature = call(&format!("transit/sign/{P256}"), &json!({ "input": input }).to_string())?;
    Ok([text(ciphertext)?, text(signature)?])
}

/// The payload of a request, and the length of that of its answer.
fn tried<'a, R>(client: &mut Client, request: &R) -> Result<(Vec<u8>, usize)>
where
    R: WireRequest<'a>,
    R::Answer: WireAnswer,
{
    let answer = client.call(request)?;
    Ok((encode_request(request), answer.to_map().encode().len()))
}
