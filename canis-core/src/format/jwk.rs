//! JSON Web Keys (RFC 7517) with the members of RFC 7518 (RSA, EC, oct), RFC 8037 (OKP), RFC 8812 (secp256k1)
//! and draft-ietf-cose-dilithium (AKP).
//!
//! A member that means something and stands twice is refused, as is an `alg` that this key cannot do. What says nothing
//! of the key (`kid`, `key_ops`, `x5c`, …) is passed over, as RFC 7517, section 4, demands.

use super::Given;
use super::public::{jwk_curve, jwk_members};
use crate::crypto::post_quantum;
use crate::crypto::private_parts::{Part, PrivateParts, RsaParts};
use crate::crypto::public_parts::PublicParts;
use crate::crypto::refusal::bad_private_key;
use crate::secret::SecretBytes;
use base64ct::{Base64UrlUnpadded, Encoding};
use canis_proto::{Error, ErrorCode, Family, KeyType, Result};
use serde::de::{Deserialize, Deserializer, Visitor};
use std::fmt;
use zeroize::Zeroizing;

/// The members that say something about the key.
#[derive(serde::Deserialize)]
struct Jwk<'a> {
    #[serde(borrow)]
    kty: &'a str,
    crv: Option<&'a str>,
    alg: Option<&'a str>,
    n: Option<Bytes>,
    e: Option<Bytes>,
    d: Option<Bytes>,
    p: Option<Bytes>,
    q: Option<Bytes>,
    dp: Option<Bytes>,
    dq: Option<Bytes>,
    qi: Option<Bytes>,
    oth: Option<serde::de::IgnoredAny>,
    x: Option<Bytes>,
    y: Option<Bytes>,
    k: Option<Bytes>,
    #[serde(rename = "pub")]
    public: Option<Bytes>,
    #[serde(rename = "priv")]
    private: Option<Bytes>,
}

/// Bytes in base64url without padding (RFC 7515, section 2), wiped when dropped.
struct Bytes(Part);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Base64;
        impl<'de> Visitor<'de> for Base64 {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("base64url")
            }

            // Text with escapes would come by another way, by a copy that nobody wipes; base64url has none.
            fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<Bytes, E> {
                let mut bytes = Zeroizing::new(vec![0; text.len()]);
                let len =
                    Base64UrlUnpadded::decode(text, &mut bytes).map_err(|_| E::custom("no base64url"))?.len();
                bytes.truncate(len);
                Ok(Bytes(bytes))
            }
        }
        from.deserialize_str(Base64)
    }
}

/// Reads one key. The type that is asked for tells an AES key from a generic secret, which JSON does not.
///
/// # Errors
/// `invalid_argument` naming what is wrong; `invalid_key_type` for an RSA modulus of a size that no type has.
pub(crate) fn decode(kind: KeyType, text: &[u8]) -> Result<Given> {
    // What serde says may quote the text; only the place is told.
    let jwk: Jwk<'_> = serde_json::from_slice(text).map_err(|error| {
        bad_private_key(&format!(
            "it is no JSON Web Key: near line {}, column {} a member is missing, stands twice or is not of its type",
            error.line(),
            error.column()
        ))
    })?;
    let alg = jwk.alg;
    let (found, given) = match jwk.kty {
        "oct" => jwk.secret(kind)?,
        "RSA" => jwk.rsa()?,
        "EC" => jwk.ec()?,
        "OKP" => jwk.okp()?,
        "AKP" => jwk.akp()?,
        _ => return Err(bad_private_key("its `kty` is not RSA, EC, OKP, AKP or oct")),
    };
    match alg {
        // Of AKP the algorithm is the type.
        Some(_) if post_quantum::sizes(found).is_some() => Ok(given),
        Some(alg) if !can_do(found, alg) => {
            Err(bad_private_key(&format!("its `alg` is none that a key of type {found} is for")))
        }
        _ => Ok(given),
    }
}

impl Jwk<'_> {
    fn secret(self, kind: KeyType) -> Result<(KeyType, Given)> {
        let value = self.k.ok_or_else(|| missing("k"))?.0;
        let kind = match (kind.family(), value.len()) {
            (Family::Generic, _) => KeyType::Generic,
            (_, 16) => KeyType::Aes128,
            (_, 24) => KeyType::Aes192,
            (_, 32) => KeyType::Aes256,
            (_, len) => return Err(bad_private_key(&format!("no AES key has {len} bytes"))),
        };
        let value = SecretBytes::copied_from(&value);
        Ok((kind, Given::alone(PrivateParts::Secret { kind, value })))
    }

    fn rsa(self) -> Result<(KeyType, Given)> {
        if self.oth.is_some() {
            return Err(bad_private_key("it has more than two primes"));
        }
        let modulus = self.n.ok_or_else(|| missing("n"))?.0.to_vec();
        let exponent = self.e.ok_or_else(|| missing("e"))?.0.to_vec();
        // RFC 7518, section 2: a number has no leading zeros.
        if [&modulus, &exponent].iter().any(|number| number.first() == Some(&0)) {
            return Err(bad_private_key("its `n` or `e` begins with a zero"));
        }
        let public = PublicParts::Rsa { modulus: modulus.clone(), exponent: exponent.clone() };
        let kind = public.kind()?;
        let Some(d) = self.d else { return Ok((kind, Given::Public(public))) };
        let inside = |bytes: Option<Bytes>| bytes.map(|bytes| bytes.0);
        let parts = RsaParts {
            modulus,
            public_exponent: exponent,
            private_exponent: d.0,
            prime_1: inside(self.p),
            prime_2: inside(self.q),
            exponent_1: inside(self.dp),
            exponent_2: inside(self.dq),
            coefficient: inside(self.qi),
        };
        Ok((kind, Given::alone(PrivateParts::Rsa(parts))))
    }

    fn ec(self) -> Result<(KeyType, Given)> {
        let curve = named_curve(self.crv, Family::Ec)?;
        let coordinate = |bytes: Option<Bytes>, name| match bytes {
            // RFC 7518, section 6.2.1.2: as long as the field, leading zeros and all.
            Some(bytes) if bytes.0.len() == curve.bytes() => Ok(bytes.0),
            Some(_) => {
                Err(bad_private_key(&format!("its `{name}` is not as long as the field of its curve")))
            }
            None => Err(missing(name)),
        };
        let point = [&[4][..], &coordinate(self.x, "x")?, &coordinate(self.y, "y")?].concat();
        let Some(d) = self.d else {
            return Ok((curve, Given::Public(PublicParts::Ec { curve, point })));
        };
        let scalar = coordinate(Some(d), "d")?;
        Ok((curve, Given::Private { parts: PrivateParts::Ec { curve, scalar }, point: Some(point) }))
    }

    fn okp(self) -> Result<(KeyType, Given)> {
        let kind = match self.crv {
            Some("X25519") => KeyType::X25519,
            crv => named_curve(crv, Family::Edwards)?,
        };
        let x: [u8; 32] = self.x.ok_or_else(|| missing("x"))?.0[..].try_into().map_err(|_| not_32("x"))?;
        let Some(d) = self.d else {
            let public = match kind {
                KeyType::X25519 => PublicParts::Montgomery { point: x },
                _ => PublicParts::Edwards { point: x },
            };
            return Ok((kind, Given::Public(public)));
        };
        if d.0.len() != 32 {
            return Err(not_32("d"));
        }
        Ok((kind, Given::Private { parts: PrivateParts::Seed { kind, seed: d.0 }, point: Some(x.to_vec()) }))
    }
}

impl Jwk<'_> {
    /// A key of an algorithm that is its type; the private half is the seed.
    fn akp(self) -> Result<(KeyType, Given)> {
        let named = self.alg.and_then(post_quantum::kind_of_jose);
        let kind =
            named.ok_or_else(|| bad_private_key("its `alg` is no algorithm that CANIS has a type for"))?;
        let key = self.public.ok_or_else(|| missing("pub"))?.0.to_vec();
        let Some(seed) = self.private else {
            let expected = post_quantum::sizes_of(kind)?.public;
            if key.len() != expected {
                return Err(bad_private_key(&format!("its `pub` has not {expected} bytes")));
            }
            return Ok((kind, Given::Public(PublicParts::PostQuantum { kind, key })));
        };
        let parts = PrivateParts::PostQuantum { kind, seed: Some(seed.0), expanded: None };
        Ok((kind, Given::Private { parts, point: Some(key) }))
    }
}

fn named_curve(crv: Option<&str>, family: Family) -> Result<KeyType> {
    let named = |kind: &KeyType| kind.family() == family && jwk_curve(*kind) == crv;
    let found = crv.and_then(|_| KeyType::ALL.iter().copied().find(named));
    found.ok_or_else(|| bad_private_key("its `crv` is no curve that CANIS has a type for"))
}

fn missing(member: &str) -> Error {
    bad_private_key(&format!("its member `{member}` is missing"))
}

fn not_32(member: &str) -> Error {
    bad_private_key(&format!("its `{member}` has not 32 bytes"))
}

/// Whether a key of `kind` can do `alg` (the registry of RFC 7518, section 7.1.2, as far as it names our keys).
fn can_do(kind: KeyType, alg: &str) -> bool {
    let agrees = alg == "ECDH-ES" || alg.starts_with("ECDH-ES+A");
    match kind {
        KeyType::EcdsaP256 => alg == "ES256" || agrees,
        KeyType::EcdsaP384 => alg == "ES384" || agrees,
        KeyType::EcdsaP521 => alg == "ES512" || agrees,
        KeyType::EcdsaSecp256k1 => alg == "ES256K",
        KeyType::Ed25519 => matches!(alg, "EdDSA" | "Ed25519"),
        KeyType::X25519 => agrees,
        _ => match kind.family() {
            Family::Rsa => ["RS", "PS", "RSA-OAEP"].iter().any(|start| alg.starts_with(start)),
            Family::Aes => {
                let bits = kind.bits();
                alg == "dir"
                    || ["GCM", "KW", "GCMKW", "CBC", "CTR"].iter().any(|m| alg == format!("A{bits}{m}"))
            }
            _ => matches!(alg, "HS256" | "HS384" | "HS512" | "dir") || alg.contains("CBC-HS"),
        },
    }
}

/// Writes a secret or private key with `kid` as its id, which must need no escapes. `public` is the public half of a
/// key pair.
///
/// # Errors
/// `internal` for a key pair without its public half.
pub fn encode(parts: &PrivateParts, public: Option<&PublicParts>, kid: &str) -> Result<Zeroizing<String>> {
    let mut members = match public {
        Some(public) => jwk_members(public.kind()?, public)?,
        None => vec![("kty", "oct".to_owned())],
    };
    members.push(("kid", kid.to_owned()));
    let mut text = Zeroizing::new(String::with_capacity(MAX_TEXT));
    text.push('{');
    for (name, value) in &members {
        push(&mut text, name, value);
    }
    for (name, value) in secrets(parts)? {
        push(&mut text, name, &Zeroizing::new(Base64UrlUnpadded::encode_string(value)));
    }
    text.push('}');
    Ok(text)
}

/// Room at once, so that growing leaves no unwiped copies behind: eight numbers of an RSA-8192 key, or a generic secret.
const MAX_TEXT: usize = 16 * 1024;

fn push(text: &mut String, name: &str, value: &str) {
    if text.len() > 1 {
        text.push(',');
    }
    for part in ["\"", name, "\":\"", value, "\""] {
        text.push_str(part);
    }
}

fn secrets(parts: &PrivateParts) -> Result<Vec<(&'static str, &[u8])>> {
    let incomplete = || Error::internal("a kept RSA key lacks a number");
    Ok(match parts {
        PrivateParts::Secret { value, .. } => vec![("k", value.expose())],
        PrivateParts::Measured(_) => return Err(Error::internal("lengths are no key")),
        PrivateParts::Seed { seed, .. } => vec![("d", seed)],
        PrivateParts::PostQuantum { seed: Some(seed), .. } => vec![("priv", seed)],
        PrivateParts::PostQuantum { .. } => {
            let why = "a JSON Web Key holds the seed, which this key came without; take PKCS#8";
            return Err(Error::new(ErrorCode::OperationNotSupported, why));
        }
        PrivateParts::Ec { scalar, .. } => vec![("d", scalar)],
        PrivateParts::Rsa(rsa) => vec![
            ("d", &rsa.private_exponent),
            ("p", rsa.prime_1.as_ref().ok_or_else(incomplete)?),
            ("q", rsa.prime_2.as_ref().ok_or_else(incomplete)?),
            ("dp", rsa.exponent_1.as_ref().ok_or_else(incomplete)?),
            ("dq", rsa.exponent_2.as_ref().ok_or_else(incomplete)?),
            ("qi", rsa.coefficient.as_ref().ok_or_else(incomplete)?),
        ],
    })
}
