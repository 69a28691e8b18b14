//! Private keys of any algorithm, PKCS#8 (RFC 5958), not encrypted; [`super::pbes2`] opens the encrypted ones.

use super::{Given, pkcs1, sec1};
use crate::crypto::post_quantum::{self, Seeded};
use crate::crypto::private_parts::PrivateParts;
use crate::crypto::public_parts::{EC, ED25519, RSA, X25519, curve_of, unknown_type};
use crate::crypto::refusal::bad_private_key;
use canis_proto::{KeyType, Result};
use der::Decode;
use pkcs8::PrivateKeyInfoRef;

/// Reads PrivateKeyInfo DER, of version 1 or 2; attributes are passed over.
pub(super) fn decode(der: &[u8]) -> Result<Given> {
    let info = PrivateKeyInfoRef::from_der(der).map_err(|_| bad_private_key("it is not PKCS#8 DER"))?;
    let (key, algorithm) = (info.private_key.as_bytes(), &info.algorithm);
    let outside = match info.public_key {
        None => None,
        Some(bits) => {
            Some(bits.as_bytes().ok_or_else(|| bad_private_key("its public half is no octets"))?.to_vec())
        }
    };
    match algorithm.oid {
        RSA => {
            if outside.is_some() || !algorithm.parameters.is_some_and(|p| p.is_null()) {
                return Err(bad_private_key("rsaEncryption stands with other parameters than NULL"));
            }
            pkcs1::decode(key)
        }
        EC => {
            let oid = algorithm.parameters_oid().map_err(|_| bad_private_key("its curve is not named"))?;
            with_point(sec1_of(curve_of(oid)?, key)?, outside)
        }
        ED25519 => seed(KeyType::Ed25519, algorithm.parameters.is_none(), key, outside),
        X25519 => seed(KeyType::X25519, algorithm.parameters.is_none(), key, outside),
        other => {
            let kind = post_quantum::kind_of(other)
                .ok_or_else(|| unknown_type(&format!("there is no key type for the algorithm {other}")))?;
            if algorithm.parameters.is_some() {
                return Err(bad_private_key(&format!("{kind} has no parameters")));
            }
            let Seeded { seed, expanded } = post_quantum::decode(kind, key)?;
            Ok(Given::Private { parts: PrivateParts::PostQuantum { kind, seed, expanded }, point: outside })
        }
    }
}

fn sec1_of(curve: KeyType, key: &[u8]) -> Result<Given> {
    let given = sec1::decode(Some(curve), key)?;
    match &given {
        Given::Private { parts: PrivateParts::Ec { curve: named, .. }, .. } if *named == curve => Ok(given),
        _ => Err(bad_private_key("it names two curves")),
    }
}

/// CurvePrivateKey (RFC 8410, section 7): an OCTET STRING of 32 bytes inside the OCTET STRING of PKCS#8.
fn seed(kind: KeyType, bare: bool, key: &[u8], point: Option<Vec<u8>>) -> Result<Given> {
    match key {
        [0x04, 0x20, seed @ ..] if seed.len() == 32 && bare => {
            Ok(Given::Private { parts: PrivateParts::Seed { kind, seed: seed.to_vec().into() }, point })
        }
        _ => Err(bad_private_key("it is not a seed of 32 bytes without parameters")),
    }
}

/// Two public halves beside one private half must be the same.
fn with_point(given: Given, outside: Option<Vec<u8>>) -> Result<Given> {
    match given {
        Given::Private { parts, point } => match (point, outside) {
            (Some(inner), Some(outer)) if inner != outer => Err(bad_private_key("it has two public halves")),
            (inner, outer) => Ok(Given::Private { parts, point: inner.or(outer) }),
        },
        public => Ok(public),
    }
}
