//! One token: RFC 7515 in its compact form, RFC 7519, checked as RFC 8725 wants it.
//!
//! Nothing in a token says by what it is to be checked: its `alg` must be one that the key of this issuer does, and keys that
//! it brings along (`jwk`, `jku`, `x5c`) are passed over.

use super::issuer::{Algorithm, Issuers};
use super::json::Json;
use crate::crypto::Provider;
use base64ct::{Base64UrlUnpadded, Encoding};
use std::collections::BTreeMap;

/// The longest token in bytes: HELLO has room for no longer one, and every door takes the same.
const LONGEST: usize = 3584;
/// How far clocks may be apart, in seconds.
const LEEWAY: f64 = 30.0;
/// The longest name of an issuer or a subject, in bytes.
const LONGEST_NAME: usize = 1024;

/// What a good token says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Claims {
    /// `iss`.
    pub(crate) issuer: String,
    /// `sub`.
    pub(crate) subject: String,
    /// `aud`.
    pub(crate) audience: Vec<String>,
    all: BTreeMap<String, Json>,
}

impl Claims {
    /// A claim by its name.
    pub(crate) fn other(&self, name: &str) -> Option<&Json> {
        self.all.get(name)
    }

    /// When the token is over, `exp` and what clocks may differ by, in microseconds since 1970-01-01 UTC.
    pub(crate) fn ends(&self) -> i64 {
        let end = self.all.get("exp").and_then(seconds).unwrap_or_default();
        // Saturates.
        ((end + LEEWAY) * 1e6) as i64
    }
}

/// The texts of a claim: itself, or what stands in its list. Numbers and truths are told as JSON writes them.
pub(crate) fn value_texts(claim: Option<&Json>) -> Vec<String> {
    match claim {
        Some(Json::Text(text)) => vec![text.clone()],
        Some(Json::Bool(value)) => vec![value.to_string()],
        Some(Json::Number(number)) => vec![number.to_string()],
        Some(Json::List(list)) => {
            let scalar = |one: &&Json| !matches!(one, Json::List(_) | Json::Map(_));
            list.iter().filter(scalar).flat_map(|one| value_texts(Some(one))).collect()
        }
        Some(Json::Null | Json::Map(_)) | None => Vec::new(),
    }
}

/// Whether somebody shows a JWT, and no token of this store.
pub(crate) fn looks_like_jwt(token: &str) -> bool {
    token.bytes().filter(|byte| *byte == b'.').count() == 2
}

impl Issuers {
    /// What a token says, if it is good now: signed by its issuer, not over, for somebody.
    pub(crate) fn claims(&self, provider: &Provider, token: &str, now_micros: i64) -> Option<Claims> {
        if token.len() > LONGEST {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let (header, all) = (object(header)?, object(payload)?);
        let algorithm = Algorithm::named(header.get("alg")?.text()?)?;
        let id = match header.get("kid") {
            None => None,
            Some(id) => Some(id.text()?),
        };
        // RFC 7515, section 4.1.11: what must be understood and is not.
        if header.contains_key("crit") || !is_jwt(header.get("typ")) {
            return None;
        }
        let named =
            |name: &str| all.get(name).and_then(Json::text).filter(|text| fits(text)).map(str::to_owned);
        let (issuer, subject) = (named("iss")?, named("sub")?);
        let signature = decoded(signature)?;
        if !self.have_signed(provider, (&issuer, id), algorithm, (signed.as_bytes(), &signature)) {
            return None;
        }
        let audience = audience(all.get("aud")?)?;
        is_now(&all, now_micros).then_some(Claims { issuer, subject, audience, all })
    }
}

fn fits(name: &str) -> bool {
    (1..=LONGEST_NAME).contains(&name.len())
}

/// RFC 7519, section 5.1, and RFC 9068, section 2.1: a token of another type means something else.
fn is_jwt(kind: Option<&Json>) -> bool {
    let Some(kind) = kind else { return true };
    let Some(kind) = kind.text() else { return false };
    let kind = kind.to_ascii_lowercase();
    matches!(kind.strip_prefix("application/").unwrap_or(&kind), "jwt" | "at+jwt")
}

fn audience(claim: &Json) -> Option<Vec<String>> {
    match claim {
        Json::Text(one) => Some(vec![one.clone()]),
        Json::List(list) => list.iter().map(|one| one.text().map(str::to_owned)).collect(),
        _ => None,
    }
}

fn seconds(claim: &Json) -> Option<f64> {
    match claim {
        Json::Number(number) => number.as_f64().filter(|seconds| seconds.is_finite()),
        _ => None,
    }
}

/// Whether `exp`, which must be there, is to come, and `nbf` and `iat` have been.
fn is_now(all: &BTreeMap<String, Json>, now_micros: i64) -> bool {
    let now = now_micros as f64 / 1e6;
    let begun = |name: &str| match all.get(name) {
        None => true,
        Some(claim) => seconds(claim).is_some_and(|from| from <= now + LEEWAY),
    };
    let over = all.get("exp").and_then(seconds).is_none_or(|end| end <= now - LEEWAY);
    !over && begun("nbf") && begun("iat")
}

fn object(part: &str) -> Option<BTreeMap<String, Json>> {
    Json::object(&decoded(part)?)
}

/// base64url without padding, RFC 7515, section 2; nothing else is left of another spelling.
fn decoded(part: &str) -> Option<Vec<u8>> {
    Base64UrlUnpadded::decode_vec(part).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::default_provider;
    use proptest::prelude::*;

    proptest! {
        /// What somebody shows is a token or none, and without an issuer it is none.
        #[test]
        fn any_text_is_read_or_refused(
            text in "\\PC{0,300}",
            header in "[{}\":,a-z0-9\\[\\]]{0,60}",
            claims in "[{}\":,a-z0-9.e+\\[\\]-]{0,120}",
        ) {
            let part = |text: &str| Base64UrlUnpadded::encode_string(text.as_bytes());
            let issuers = Issuers::default();
            for token in [
                text.clone(),
                format!("{}.{}.{}", part(&header), part(&claims), part(&text)),
                format!("{}.{}.", part("{\"alg\":\"ES256\"}"), part(&format!("{{\"iss\":\"a\",\"sub\":\"b\",\"exp\":{claims}}}"))),
            ] {
                prop_assert_eq!(issuers.claims(default_provider(), &token, 0), None);
            }
        }
    }

    /// Times are numbers, of seconds and parts of them, and no number is too large to be compared.
    #[test]
    fn times() {
        let now = 1_000_000 * 1_000_000;
        let good = |text: &str| is_now(&Json::object(text.as_bytes()).unwrap(), now);
        for (text, is) in [
            (r#"{"exp":1000001}"#, true),
            (r#"{"exp":999971}"#, true),
            (r#"{"exp":999970}"#, false),
            (r#"{"exp":999970.5}"#, true),
            (r#"{"exp":1e300}"#, true),
            (r#"{"exp":-1}"#, false),
            (r#"{"exp":"1000001"}"#, false),
            (r#"{"exp":null}"#, false),
            (r#"{"exp":18446744073709551615,"nbf":1000030}"#, true),
            (r#"{"exp":1000001,"nbf":1000031}"#, false),
            (r#"{"exp":1000001,"iat":1000031}"#, false),
            (r#"{"exp":1000001,"nbf":true}"#, false),
            (r#"{"exp":1000001,"nbf":-9223372036854775808}"#, true),
            ("{}", false),
        ] {
            assert_eq!(good(text), is, "{text}");
        }
    }
}
