//! What is asked, and how each server is asked for it.

use super::plan::Ask;
use base64ct::{Base64, Encoding};
use canis_client::{Client, Config};
use canis_proto::message::{CreateKey, Encrypt, ShowKey, Sign, WireAnswer, WireRequest, encode_request};
use canis_proto::{KeyType, Result};
use clap::ValueEnum;
use serde::Serialize;
use std::path::Path;

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Asked {
    /// 1 KiB.
    Encrypt,
    /// 32 bytes, hashed by the server.
    SignP256,
    /// The same, PSS with SHA-256.
    SignRsa2048,
    /// The metadata of an AES key.
    ShowKey,
}

/// Keys at both servers are called after their types there.
const AES: &str = "aes";
const P256: &str = "p256";
const RSA: &str = "rsa";

const RECORD: [u8; 1024] = [7; 1024];
const MESSAGE: [u8; 32] = [7; 32];

impl Asked {
    /// Its name in the report.
    pub(super) fn title(self) -> &'static str {
        match self {
            Asked::Encrypt => "AES-256-GCM encrypt 1 KiB",
            Asked::SignP256 => "ECDSA P-256 sign",
            Asked::SignRsa2048 => "RSA-2048 sign PSS",
            Asked::ShowKey => "show a key",
        }
    }

    /// The type of key that signs, where the provider's own rate says how much of the time is the signature's.
    pub(super) fn signs_with(self) -> Option<KeyType> {
        match self {
            Asked::SignP256 => Some(KeyType::EcdsaP256),
            Asked::SignRsa2048 => Some(KeyType::Rsa2048),
            Asked::Encrypt | Asked::ShowKey => None,
        }
    }

    /// By CANISP, and how many bytes the answer has.
    pub(super) fn by_canisp(self, config: &Config, ca: &Path, token: &str) -> Result<(Ask, usize)> {
        let mut client = Client::connect(config)?;
        let (payload, answer) = match self {
            Asked::Encrypt => tried(&mut client, &Encrypt::new(AES, &RECORD[..]))?,
            Asked::SignP256 => tried(&mut client, &Sign::new(P256, &MESSAGE[..]))?,
            Asked::SignRsa2048 => tried(&mut client, &Sign::new(RSA, &MESSAGE[..]))?,
            Asked::ShowKey => tried(&mut client, &ShowKey { name: AES.into(), before_version: 0 })?,
        };
        Ok((Ask::Canisp { ca: ca.to_owned(), token: token.to_owned(), payload }, answer))
    }

    /// By HTTP, of OpenBao's transit.
    pub(super) fn by_http(self, host: &str, token: &str) -> Ask {
        let input = Base64::encode_string(&MESSAGE);
        let sign = || format!("{{\"input\":\"{input}\"}}");
        let (method, path, body) = match self {
            Asked::Encrypt => {
                let plaintext = Base64::encode_string(&RECORD);
                ("POST", format!("encrypt/{AES}"), format!("{{\"plaintext\":\"{plaintext}\"}}"))
            }
            Asked::SignP256 => ("POST", format!("sign/{P256}"), sign()),
            Asked::SignRsa2048 => ("POST", format!("sign/{RSA}"), sign()),
            Asked::ShowKey => ("GET", format!("keys/{AES}"), String::new()),
        };
        Ask::Http { request: http_request(method, &format!("transit/{path}"), host, token, &body) }
    }
}

/// A request of OpenBao.
pub(super) fn http_request(method: &str, path: &str, host: &str, token: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "{method} /v1/{path} HTTP/1.1\r\nHost: {host}\r\nX-Vault-Token: {token}\r\n\
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

/// The keys of OpenBao: path and body.
pub(super) fn keys_by_http() -> impl Iterator<Item = (String, String)> {
    [(AES, "aes256-gcm96"), (P256, "ecdsa-p256"), (RSA, "rsa-2048")]
        .into_iter()
        .map(|(name, kind)| (format!("transit/keys/{name}"), format!("{{\"type\":\"{kind}\"}}")))
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
