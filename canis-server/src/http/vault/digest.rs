//! `hash` and `random`, which need no key.

use super::answer::Given;
use super::ask::Ask;
use super::kinds;
use super::params::Params;
use base64ct::{Base64, Encoding};
use canis_proto::message::{HashData, Random};
use canis_proto::{Error, Result};
use serde_json::json;

/// `hash/<algorithm>`.
pub(super) async fn hash(ask: &Ask<'_>, algorithm: &str, params: &mut Params) -> Result<Given> {
    let named = params.text("algorithm")?;
    let named = if algorithm.is_empty() { named } else { Some(algorithm.to_owned()) };
    let hash = kinds::hash(named.as_deref())?;
    let in_hex = in_hex(params, true)?;
    let data = params.present_bytes("input")?;
    let made = ask.call(&HashData { data: data.into(), hash }).await?;
    Ok(Given::Data(json!({"sum": written(&made.digest, in_hex)})))
}

/// `random/<source>/<bytes>`, either of which may be missing. There is one source.
pub(super) async fn random(ask: &Ask<'_>, path: &str, params: &mut Params) -> Result<Given> {
    let mut length = params.number("bytes")?.unwrap_or(32);
    let mut words: Vec<&str> = path.split('/').filter(|word| !word.is_empty()).collect();
    if let Some(number) = words.last().and_then(|word| word.parse().ok()) {
        length = number;
        words.pop();
    }
    let source = params.text("source")?;
    let sources = words.into_iter().chain(source.as_deref());
    if sources.into_iter().any(|source| !matches!(source, "platform" | "all" | "seal")) {
        return Err(Error::invalid(
            "ask for random, random/<bytes> or random/<platform, seal or all>/<bytes>",
        ));
    }
    let in_hex = in_hex(params, false)?;
    let drawn = ask.call(&Random { length }).await?;
    Ok(Given::Data(json!({"random_bytes": written(&drawn.bytes, in_hex)})))
}

fn in_hex(params: &mut Params, unless_said: bool) -> Result<bool> {
    match params.text("format")?.as_deref() {
        None => Ok(unless_said),
        Some("hex") => Ok(true),
        Some("base64") => Ok(false),
        Some(_) => Err(Error::invalid("`format` must be hex or base64")),
    }
}

fn written(bytes: &[u8], in_hex: bool) -> String {
    match in_hex {
        true => base16ct::lower::encode_string(bytes),
        false => Base64::encode_string(bytes),
    }
}
