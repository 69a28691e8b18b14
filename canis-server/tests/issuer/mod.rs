//! Issuers of JWTs: keys, their JWK Sets, and tokens as they sign them or as an attacker writes them.
#![allow(dead_code)] // Each test file uses its own part of it.

use base64ct::{Base64UrlUnpadded, Encoding};
use canis_core::crypto::{Hash, MAX_DIGEST, PrivateKey, SignScheme, digest_info};
use canis_core::{default_provider, format};
use canis_proto::KeyType;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// What tokens of these tests say in `iss`.
pub(crate) const ISSUER: &str = "https://issuer.example";
/// And in `aud`.
pub(crate) const AUDIENCE: &str = "canis";

/// A key of an issuer.
pub(crate) struct SigningKey {
    pub(crate) id: String,
    pub(crate) algorithm: &'static str,
    key: Box<dyn PrivateKey>,
}

impl SigningKey {
    pub(crate) fn new(id: &str, algorithm: &'static str) -> Self {
        let kind = match algorithm {
            "RS256" | "PS256" => KeyType::Rsa2048,
            "ES256" => KeyType::EcdsaP256,
            "ES384" => KeyType::EcdsaP384,
            _ => KeyType::Ed25519,
        };
        let keys = default_provider().keys;
        let private = keys.generate(kind).unwrap();
        SigningKey { id: id.to_owned(), algorithm, key: keys.private(kind, private.expose()).unwrap() }
    }

    /// Its public half, JWK.
    pub(crate) fn jwk(&self) -> Value {
        serde_json::from_str(&format::public::to_jwk(self.key.public_spki(), &self.id).unwrap()).unwrap()
    }

    pub(crate) fn spki(&self) -> &[u8] {
        self.key.public_spki()
    }

    /// A token of these claims, signed by this key as its algorithm does.
    pub(crate) fn token(&self, claims: &Value) -> String {
        self.token_under(&json!({"alg": self.algorithm, "kid": self.id, "typ": "JWT"}), claims)
    }

    /// The same under this header, whatever it says.
    pub(crate) fn token_under(&self, header: &Value, claims: &Value) -> String {
        self.signed(&format!("{}.{}", part(&header.to_string()), part(&claims.to_string())))
    }

    /// What stands before the second dot, signed.
    pub(crate) fn signed(&self, message: &str) -> String {
        let hash = if self.algorithm == "ES384" { Hash::Sha384 } else { Hash::Sha256 };
        let mut out = [0; MAX_DIGEST];
        let len = default_provider().digest.hash(hash, message.as_bytes(), &mut out);
        let digest = &out[..len];
        let info = digest_info::encode(hash, digest).unwrap();
        let (scheme, input) = match self.algorithm {
            "RS256" => (SignScheme::RsaPkcs1, info.as_slice()),
            "PS256" => (SignScheme::RsaPss { hash, mgf: hash, salt: len }, digest),
            "ES256" | "ES384" => (SignScheme::Ecdsa, digest),
            _ => (SignScheme::Ed25519, message.as_bytes()),
        };
        let mut signature = vec![0; self.key.signature_len()];
        let len = self.key.sign(scheme, input, &mut signature).unwrap();
        format!("{message}.{}", Base64UrlUnpadded::encode_string(&signature[..len]))
    }
}

/// A JWK Set of these keys.
pub(crate) fn set(keys: &[&SigningKey]) -> String {
    json!({"keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>()}).to_string()
}

/// base64url of a text.
pub(crate) fn part(text: &str) -> String {
    Base64UrlUnpadded::encode_string(text.as_bytes())
}

pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

/// The claims of a good token of `subject`.
pub(crate) fn claims(subject: &str) -> Value {
    json!({"iss": ISSUER, "aud": AUDIENCE, "sub": subject, "exp": now() + 600, "iat": now()})
}

/// The claims with another one, or with one changed; null takes one away.
pub(crate) fn with(mut claims: Value, name: &str, value: Value) -> Value {
    match value {
        Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
        value => claims[name] = value,
    }
    claims
}
