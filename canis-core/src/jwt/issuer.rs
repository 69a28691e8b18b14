//! Issuers of JWTs, and the keys that they sign with: JWK Sets (RFC 7517, section 5).
//!
//! Why this is safe here: a key belongs to one issuer, so that no issuer speaks for another; it does only the algorithms
//! of its own type, and if the set names one, that alone, so that a public key is never somebody's HMAC secret
//! (RFC 8725, sections 2.1 and 3.1).

use super::json::Json;
use crate::crypto::{Hash, MAX_DIGEST, Provider, PublicKey, SignScheme, digest_info};
use crate::format::{Given, jwk};
use canis_proto::{Error, Family, KeyType, Result, quote};
use std::collections::BTreeMap;

/// The largest set, in bytes.
const LONGEST_SET: usize = 256 * 1024;
/// The most keys of one issuer.
const MOST_KEYS: usize = 64;
/// The shortest RSA modulus, RFC 7518, section 3.3.
const SHORTEST_RSA: usize = 2048;

/// An issuer and its set of public keys, as they were configured.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// What its tokens say in `iss`, exactly.
    pub name: String,
    /// Its JWK Set.
    pub keys: Vec<u8>,
}

/// The algorithms that are taken: RFC 7518, section 3.1, and RFC 8037. No MAC is, nor `none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Ps256,
    Es256,
    Es384,
    EdDsa,
}

/// A key of an issuer.
struct SigningKey {
    id: Option<String>,
    kind: KeyType,
    /// What alone it may do, if its set says so.
    algorithm: Option<Algorithm>,
    key: Box<dyn PublicKey>,
}

/// Everybody whose tokens are looked at.
#[derive(Default)]
pub(crate) struct Issuers(BTreeMap<String, Vec<SigningKey>>);

impl Algorithm {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Algorithm::Rs256,
            "PS256" => Algorithm::Ps256,
            "ES256" => Algorithm::Es256,
            "ES384" => Algorithm::Es384,
            "EdDSA" | "Ed25519" => Algorithm::EdDsa,
            _ => return None,
        })
    }

    fn fits(self, kind: KeyType) -> bool {
        match self {
            Algorithm::Rs256 | Algorithm::Ps256 => {
                kind.family() == Family::Rsa && kind.bits() >= SHORTEST_RSA
            }
            Algorithm::Es256 => kind == KeyType::EcdsaP256,
            Algorithm::Es384 => kind == KeyType::EcdsaP384,
            Algorithm::EdDsa => kind == KeyType::Ed25519,
        }
    }

    fn verify(
        self,
        provider: &Provider,
        key: &dyn PublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> Result<bool> {
        let hash = if self == Algorithm::Es384 { Hash::Sha384 } else { Hash::Sha256 };
        let mut out = [0; MAX_DIGEST];
        let len = provider.digest.hash(hash, message, &mut out);
        let digest = &out[..len];
        match self {
            Algorithm::Rs256 => {
                key.verify(SignScheme::RsaPkcs1, digest_info::encode(hash, digest)?.as_slice(), signature)
            }
            Algorithm::Ps256 => {
                key.verify(SignScheme::RsaPss { hash, mgf: hash, salt: len }, digest, signature)
            }
            Algorithm::Es256 | Algorithm::Es384 => key.verify(SignScheme::Ecdsa, digest, signature),
            Algorithm::EdDsa => key.verify(SignScheme::Ed25519, message, signature),
        }
    }
}

impl Issuers {
    /// Reads the sets.
    ///
    /// # Errors
    /// `invalid_argument` naming the issuer and what is wrong with its set.
    pub(crate) fn read(provider: &Provider, issuers: &[Issuer]) -> Result<Self> {
        let mut all = BTreeMap::new();
        for Issuer { name, keys } in issuers {
            let wrong = |why: &str| Error::invalid(format!("the keys of issuer `{}`: {why}", quote(name)));
            let keys = read_set(provider, keys).map_err(|why| wrong(&why))?;
            if all.insert(name.clone(), keys).is_some() {
                return Err(wrong("it is named twice; put its keys into one set"));
            }
        }
        Ok(Issuers(all))
    }

    /// Whether the issuer of this name has signed the message, by a key of this id.
    pub(super) fn have_signed(
        &self,
        provider: &Provider,
        (issuer, id): (&str, Option<&str>),
        algorithm: Algorithm,
        (message, signature): (&[u8], &[u8]),
    ) -> bool {
        let Some(keys) = self.0.get(issuer) else { return false };
        let named = |key: &&SigningKey| id.is_none_or(|id| key.id.as_deref() == Some(id));
        let can = |key: &&SigningKey| {
            algorithm.fits(key.kind) && key.algorithm.is_none_or(|only| only == algorithm)
        };
        let mut fitting = keys.iter().filter(named).filter(can);
        // One key is meant; a token does not choose by being tried.
        let (Some(one), None) = (fitting.next(), fitting.next()) else { return false };
        algorithm.verify(provider, &*one.key, message, signature).unwrap_or(false)
    }
}

fn read_set(provider: &Provider, bytes: &[u8]) -> std::result::Result<Vec<SigningKey>, String> {
    if bytes.len() > LONGEST_SET {
        return Err(format!("a set has at most {LONGEST_SET} bytes"));
    }
    let no_set = || "it is no JWK Set: {\"keys\": [ … ]}, in which no name stands twice".to_owned();
    let mut set = Json::object(bytes).ok_or_else(no_set)?;
    let Some(Json::List(list)) = set.remove("keys") else { return Err(no_set()) };
    if list.len() > MOST_KEYS {
        return Err(format!("a set has at most {MOST_KEYS} keys"));
    }
    let mut keys: Vec<SigningKey> = Vec::new();
    for (at, member) in list.into_iter().enumerate() {
        let Json::Map(members) = member else { return Err(no_set()) };
        let Some(key) = read_key(provider, members).map_err(|why| format!("key {}: {why}", at + 1))? else {
            continue;
        };
        if keys.iter().any(|before| before.id.is_some() && before.id == key.id) {
            return Err(format!("key {}: its `kid` stands twice", at + 1));
        }
        keys.push(key);
    }
    if keys.is_empty() {
        return Err("there is no key in it that verifies RS256, PS256, ES256, ES384 or EdDSA".to_owned());
    }
    Ok(keys)
}

/// A key that signs; `None` for one that is for something else (RFC 7517, section 5).
fn read_key(
    provider: &Provider,
    members: BTreeMap<String, Json>,
) -> std::result::Result<Option<SigningKey>, String> {
    let text = |name: &str| members.get(name).and_then(Json::text).map(str::to_owned);
    if ["d", "p", "q", "k"].iter().any(|name| members.contains_key(*name)) {
        return Err("it is a secret key; give the public half alone".to_owned());
    }
    let for_encryption = text("use").is_some_and(|purpose| purpose != "sig");
    let cannot_verify = match members.get("key_ops") {
        Some(Json::List(can)) => !can.iter().any(|one| one.text() == Some("verify")),
        _ => false,
    };
    let algorithm = text("alg").map(|name| Algorithm::named(&name));
    if for_encryption || cannot_verify || algorithm == Some(None) {
        return Ok(None);
    }
    let (id, known) = (text("kid"), ["RSA", "EC", "OKP"].contains(&text("kty").unwrap_or_default().as_str()));
    if !known {
        return Ok(None);
    }
    let written = serde_json::to_vec(&Json::Map(members)).map_err(|error| error.to_string())?;
    let Given::Public(parts) = jwk::decode(KeyType::Generic, &written).map_err(|error| error.message)? else {
        return Err("it is a secret key; give the public half alone".to_owned());
    };
    let usable = || -> Result<_> {
        let kind = parts.kind()?;
        Ok((kind, provider.keys.public(kind, &parts.to_spki()?)?))
    };
    let (kind, key) = usable().map_err(|error| error.message)?;
    Ok(Some(SigningKey { id, kind, algorithm: algorithm.flatten(), key }))
}
