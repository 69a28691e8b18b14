//! `encrypt`, `decrypt`, `rewrap` and `datakey`.
//!
//! What a program calls `associated_data` is the context of CANIS. Its `context`, by which Vault derives a key, is bound
//! to the ciphertext too: whoever gives another one to decrypt is refused, as at Vault.

use super::answer::Given;
use super::ask::Ask;
use super::params::Params;
use super::text::{from_vault, to_vault};
use base64ct::{Base64, Encoding};
use canis_proto::answer::Rewrapped;
use canis_proto::message::{Decrypt, Encrypt, MakeDataKey, Rewrap};
use canis_proto::{Error, Result};
use serde_json::{Value as Json, json};
use std::borrow::Cow;

/// Why no nonce can be given.
const OWN_NONCES: &str = "nonces are drawn by CANIS only";

pub(super) async fn encrypt(ask: &Ask<'_>, name: &str, params: &mut Params) -> Result<Given> {
    params.lacks(&["convergent_encryption"], "equal plaintexts have different ciphertexts")?;
    let mut items = Ask::items(params)?;
    let version = params.number("key_version")?.unwrap_or_default();
    let requests: Vec<_> = items.each.iter_mut().map(|item| to_encrypt(name, item, version)).collect();
    let results = ask.each(&requests).await?.into_iter().map(|made| encrypted(&made?.ciphertext)).collect();
    ask.told(items, results).map(Given::Data)
}

fn to_encrypt<'a>(name: &'a str, item: &mut Params, version: u32) -> Result<Encrypt<'a>> {
    item.lacks(&["nonce"], OWN_NONCES)?;
    // Empty text is data, too, but no field at all is a slip.
    let plaintext = item.present_bytes("plaintext")?;
    let version = item.number("key_version")?.unwrap_or(version);
    Ok(Encrypt { context: context(item)?, version, ..Encrypt::new(name, plaintext) })
}

fn encrypted(text: &str) -> Result<Json> {
    let (ciphertext, version) = to_vault(text)?;
    Ok(json!({"ciphertext": ciphertext, "key_version": version}))
}

pub(super) async fn decrypt(ask: &Ask<'_>, name: &str, params: &mut Params) -> Result<Given> {
    let mut items = Ask::items(params)?;
    let requests: Vec<_> = items.each.iter_mut().map(|item| to_decrypt(name, item)).collect();
    let told = |plaintext: &[u8]| json!({"plaintext": Base64::encode_string(plaintext)});
    let results = ask.each(&requests).await?.into_iter().map(|opened| Ok(told(&opened?.plaintext))).collect();
    ask.told(items, results).map(Given::Data)
}

fn to_decrypt<'a>(name: &'a str, item: &mut Params) -> Result<Decrypt<'a>> {
    item.lacks(&["nonce"], OWN_NONCES)?;
    let ciphertext = from_vault("ciphertext", name, &item.required("ciphertext")?)?;
    Ok(Decrypt { context: context(item)?, ..Decrypt::new(name, ciphertext) })
}

pub(super) async fn rewrap(ask: &Ask<'_>, name: &str, params: &mut Params) -> Result<Given> {
    params.lacks(&["key_version"], "what is rewrapped is under the current version then")?;
    let mut items = Ask::items(params)?;
    let requests: Vec<_> = items.each.iter_mut().map(|item| to_rewrap(name, item)).collect();
    let results = ask.each(&requests).await?.into_iter().map(rewrapped).collect();
    ask.told(items, results).map(Given::Data)
}

fn to_rewrap<'a>(name: &'a str, item: &mut Params) -> Result<Rewrap<'a>> {
    item.lacks(&["nonce"], OWN_NONCES)?;
    let ciphertext = from_vault("ciphertext", name, &item.required("ciphertext")?)?;
    Ok(Rewrap { name: name.into(), ciphertexts: vec![ciphertext.into()], context: context(item)? })
}

fn rewrapped(answer: Result<Rewrapped>) -> Result<Json> {
    let item = answer?.items.into_iter().next();
    encrypted(&item.ok_or_else(|| Error::internal("a ciphertext without its new one"))??)
}

pub(super) async fn data_key(
    ask: &Ask<'_>,
    name: &str,
    params: &mut Params,
    plaintext: bool,
) -> Result<Given> {
    params.lacks(&["nonce"], OWN_NONCES)?;
    let length = match params.number("bits")?.unwrap_or(256) {
        bits @ (128 | 256 | 512) => bits / 8,
        _ => return Err(Error::invalid("`bits` must be 128, 256 or 512")),
    };
    let request = MakeDataKey { name: name.into(), length, context: context(params)?, plaintext };
    let made = ask.call(&request).await?;
    let mut told = encrypted(&made.ciphertext)?;
    if let Some(key) = &made.plaintext {
        told["plaintext"] = json!(Base64::encode_string(key));
    }
    Ok(Given::Data(told))
}

/// What a ciphertext is bound to: `associated_data` as it is, so that CANIS' own surface names it as `context`; with
/// Vault's `context` both, each with its length, so that neither can stand for a part of the other.
fn context(item: &mut Params) -> Result<Cow<'static, [u8]>> {
    let data = item.bytes("associated_data")?.unwrap_or_default();
    let Some(context) = item.bytes("context")? else { return Ok(data.into()) };
    let length = (context.len() as u64).to_be_bytes();
    Ok([b"vault-context\0".as_slice(), &length, &context, &data].concat().into())
}
