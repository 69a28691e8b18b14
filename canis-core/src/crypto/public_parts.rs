//! Public keys taken apart: SubjectPublicKeyInfo (RFC 5280, section 4.1) to the numbers that PKCS#11 shows, and back
//! in the one canonical form.

use super::post_quantum;
use super::refusal::bad_public_key;
use canis_proto::{Error, ErrorCode, KeyType, Result};
use der::asn1::{BitStringRef, UintRef};
use der::{Decode, Encode};
use rsa::pkcs1;
use spki::{AlgorithmIdentifier, AlgorithmIdentifierRef, ObjectIdentifier, SubjectPublicKeyInfoRef};

pub(crate) const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
pub(crate) const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
const SECP256K1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.10");
pub(crate) const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
pub(crate) const X25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.110");

/// The largest public exponent taken; above it a signature check becomes a way to burn somebody's CPU.
const MAX_EXPONENT: u64 = (1 << 33) - 1;

/// The numbers of a public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicParts {
    /// RSA (RFC 8017, appendix A.1.1); both numbers big-endian without leading zeros.
    Rsa {
        /// n
        modulus: Vec<u8>,
        /// e
        exponent: Vec<u8>,
    },
    /// A point on a NIST curve or secp256k1 (RFC 5480).
    Ec {
        /// A type of the family [`canis_proto::Family::Ec`].
        curve: KeyType,
        /// SEC 1 uncompressed: 4 ‖ x ‖ y.
        point: Vec<u8>,
    },
    /// A compressed point on edwards25519 (RFC 8032, section 5.1.2).
    Edwards {
        /// The 32 bytes.
        point: [u8; 32],
    },
    /// A post-quantum public key (FIPS 203, FIPS 204, FIPS 205).
    PostQuantum {
        /// Its type.
        kind: KeyType,
        /// Its bytes.
        key: Vec<u8>,
    },
    /// A u coordinate on curve25519 (RFC 7748, section 5).
    Montgomery {
        /// The 32 bytes.
        point: [u8; 32],
    },
}

impl PublicParts {
    /// Reads SubjectPublicKeyInfo DER and says of which type the key is. Numbers are taken as they are: whether a
    /// point is on its curve is for [`super::Keys::public`] to say.
    ///
    /// # Errors
    /// `invalid_key_type` for an algorithm, curve or modulus size that CANIS has no type for; `invalid_argument` for
    /// bytes that are not strict DER of that algorithm.
    pub fn from_spki(spki: &[u8]) -> Result<(KeyType, PublicParts)> {
        let info = SubjectPublicKeyInfoRef::from_der(spki)
            .map_err(|_| bad_public_key("it is not SubjectPublicKeyInfo DER"))?;
        let bytes = info
            .subject_public_key
            .as_bytes()
            .ok_or_else(|| bad_public_key("its bits are not whole bytes"))?;
        match info.algorithm.oid {
            RSA => rsa_parts(&info.algorithm, bytes),
            EC => ec_parts(&info.algorithm, bytes),
            ED25519 => {
                let point = curve25519_point(&info.algorithm, bytes)?;
                Ok((KeyType::Ed25519, PublicParts::Edwards { point }))
            }
            X25519 => {
                let point = curve25519_point(&info.algorithm, bytes)?;
                Ok((KeyType::X25519, PublicParts::Montgomery { point }))
            }
            other => post_quantum_parts(other, &info.algorithm, bytes),
        }
    }

    /// The canonical SubjectPublicKeyInfo DER: rsaEncryption with NULL parameters (RFC 3279), a named curve with an
    /// uncompressed point (RFC 5480), or the algorithm's own identifier without parameters (RFC 8410, 9881, 9909, 9935).
    ///
    /// # Errors
    /// `invalid_argument` if the parts could not have come from a public key.
    pub fn to_spki(&self) -> Result<Vec<u8>> {
        match self {
            PublicParts::Rsa { modulus, exponent } => {
                let key = pkcs1::RsaPublicKeyRef {
                    modulus: UintRef::new(modulus).map_err(not_encodable)?,
                    public_exponent: UintRef::new(exponent).map_err(not_encodable)?,
                };
                let parameters = Some(der::AnyRef::NULL);
                encode(AlgorithmIdentifier { oid: RSA, parameters }, &key.to_der().map_err(not_encodable)?)
            }
            PublicParts::Ec { curve, point } => {
                let oid = curve_oid(*curve).ok_or_else(|| bad_public_key("its curve has no name"))?;
                encode(AlgorithmIdentifier { oid: EC, parameters: Some((&oid).into()) }, point)
            }
            PublicParts::Edwards { point } => {
                encode(AlgorithmIdentifier { oid: ED25519, parameters: None }, point)
            }
            PublicParts::Montgomery { point } => {
                encode(AlgorithmIdentifier { oid: X25519, parameters: None }, point)
            }
            PublicParts::PostQuantum { kind, key } => {
                let oid = post_quantum::sizes_of(*kind)?.oid;
                encode(AlgorithmIdentifier { oid, parameters: None }, key)
            }
        }
    }

    /// Reads RSAPublicKey DER (RFC 8017, appendix A.1.1).
    pub(crate) fn of_rsa_public(der: &[u8]) -> Result<PublicParts> {
        let key = pkcs1::RsaPublicKeyRef::from_der(der)
            .map_err(|_| bad_public_key("it is not RSAPublicKey DER"))?;
        let (modulus, exponent) = (key.modulus.as_bytes().to_vec(), key.public_exponent.as_bytes().to_vec());
        Ok(PublicParts::Rsa { modulus, exponent })
    }

    /// The type of the key.
    ///
    /// # Errors
    /// `invalid_key_type` for an RSA modulus of a size that no type has.
    pub fn kind(&self) -> Result<KeyType> {
        match self {
            PublicParts::Rsa { modulus, .. } => rsa_type(modulus),
            PublicParts::Ec { curve, .. } => Ok(*curve),
            PublicParts::Edwards { .. } => Ok(KeyType::Ed25519),
            PublicParts::Montgomery { .. } => Ok(KeyType::X25519),
            PublicParts::PostQuantum { kind, .. } => Ok(*kind),
        }
    }

    /// Whether `point` is this key, in its own form or, on a curve of SEC 1, compressed (section 2.3.3).
    pub(crate) fn is_point(&self, point: &[u8]) -> bool {
        match self {
            PublicParts::Rsa { .. } => false,
            PublicParts::Edwards { point: own } | PublicParts::Montgomery { point: own } => own == point,
            PublicParts::PostQuantum { key, .. } => key == point,
            PublicParts::Ec { curve, point: own } => {
                let (x, parity) = (own.get(1..=curve.bytes()), own.last().map(|low| 2 | low & 1));
                own == point
                    || (point.split_first().map(|(first, rest)| (Some(*first), Some(rest))))
                        == Some((parity, x))
            }
        }
    }

    /// Whether the RSA numbers are fit for use: odd modulus, odd exponent from 65537 (FIPS 186-5, section 5.4) to
    /// 2³³ − 1. Nothing to say about the other families.
    pub(super) fn check_numbers(&self) -> Result<()> {
        let PublicParts::Rsa { modulus, exponent } = self else { return Ok(()) };
        if modulus.last().is_none_or(|low| low % 2 == 0) {
            return Err(bad_public_key("its modulus is even"));
        }
        let value = exponent.iter().try_fold(0u64, |sum, &b| sum.checked_mul(256)?.checked_add(u64::from(b)));
        match value {
            Some(65537..=MAX_EXPONENT) if exponent.last().is_some_and(|low| low % 2 == 1) => Ok(()),
            _ => Err(bad_public_key("its exponent is not an odd number from 65537 to 2^33 - 1")),
        }
    }
}

/// [`PublicParts::from_spki`] for a key that must be of `kind` and fit for use; the first step of both providers.
pub(super) fn of_kind(kind: KeyType, spki: &[u8]) -> Result<PublicParts> {
    if !kind.is_asymmetric() {
        return Err(super::refusal::unsupported("a secret key has no public half"));
    }
    let (found, parts) = PublicParts::from_spki(spki)?;
    if found != kind {
        return Err(bad_public_key(&format!("it is of type {found}, not {kind}")));
    }
    parts.check_numbers()?;
    Ok(parts)
}

/// The public half of an RSAPrivateKey (RFC 8017, appendix A.1.2) of `kind`, as SubjectPublicKeyInfo; the numbers
/// are checked as those of any public key.
pub(super) fn of_rsa_private(kind: KeyType, key: &[u8]) -> Result<Vec<u8>> {
    let key = pkcs1::RsaPrivateKey::<UintRef<'_>>::from_der(key)
        .map_err(|_| super::refusal::bad_private_key("it is no RSAPrivateKey DER"))?;
    let modulus = key.modulus.as_bytes().to_vec();
    let exponent = key.public_exponent.as_bytes().to_vec();
    let spki = PublicParts::Rsa { modulus, exponent }.to_spki()?;
    of_kind(kind, &spki)?;
    Ok(spki)
}

/// The RSA type whose modulus has exactly this size.
pub(super) fn rsa_type(modulus: &[u8]) -> Result<KeyType> {
    let bits = modulus.first().map_or(0, |high| modulus.len() * 8 - high.leading_zeros() as usize);
    match bits {
        2048 => Ok(KeyType::Rsa2048),
        3072 => Ok(KeyType::Rsa3072),
        4096 => Ok(KeyType::Rsa4096),
        6144 => Ok(KeyType::Rsa6144),
        8192 => Ok(KeyType::Rsa8192),
        _ => {
            Err(unknown_type(&format!("an RSA modulus of {bits} bits is not 2048, 3072, 4096, 6144 or 8192")))
        }
    }
}

fn rsa_parts(algorithm: &AlgorithmIdentifierRef<'_>, bytes: &[u8]) -> Result<(KeyType, PublicParts)> {
    if !algorithm.parameters.is_some_and(|p| p.is_null()) {
        return Err(bad_public_key("rsaEncryption stands without its NULL parameters"));
    }
    let parts = PublicParts::of_rsa_public(bytes)?;
    Ok((parts.kind()?, parts))
}

fn ec_parts(algorithm: &AlgorithmIdentifierRef<'_>, bytes: &[u8]) -> Result<(KeyType, PublicParts)> {
    let oid = algorithm.parameters_oid().map_err(|_| bad_public_key("its curve is not named"))?;
    let curve = curve_of(oid)?;
    let uncompressed = bytes.len() == 1 + 2 * curve.bytes() && bytes.first() == Some(&4);
    if !uncompressed {
        return Err(bad_public_key("its point is not in the uncompressed form of its curve"));
    }
    Ok((curve, PublicParts::Ec { curve, point: bytes.to_vec() }))
}

fn post_quantum_parts(
    oid: ObjectIdentifier,
    algorithm: &AlgorithmIdentifierRef<'_>,
    bytes: &[u8],
) -> Result<(KeyType, PublicParts)> {
    let Some(kind) = post_quantum::kind_of(oid) else {
        return Err(unknown_type(&format!("there is no key type for the algorithm {oid}")));
    };
    let expected = post_quantum::sizes_of(kind)?.public;
    if algorithm.parameters.is_some() {
        return Err(bad_public_key(&format!("{kind} has no parameters")));
    }
    if bytes.len() != expected {
        return Err(bad_public_key(&format!(
            "a {kind} public key has {expected} bytes, not {}",
            bytes.len()
        )));
    }
    Ok((kind, PublicParts::PostQuantum { kind, key: bytes.to_vec() }))
}

fn curve25519_point(algorithm: &AlgorithmIdentifierRef<'_>, bytes: &[u8]) -> Result<[u8; 32]> {
    if algorithm.parameters.is_some() {
        return Err(bad_public_key("Ed25519 and X25519 have no parameters"));
    }
    bytes.try_into().map_err(|_| bad_public_key("an Ed25519 or X25519 public key has 32 bytes"))
}

/// The curve of a name.
pub(crate) fn curve_of(oid: ObjectIdentifier) -> Result<KeyType> {
    let named = |kind: &KeyType| curve_oid(*kind) == Some(oid);
    let found = KeyType::ALL.iter().copied().find(named);
    found.ok_or_else(|| unknown_type(&format!("there is no key type for the curve {oid}")))
}

/// The name of a curve.
pub(super) fn curve_oid(curve: KeyType) -> Option<ObjectIdentifier> {
    match curve {
        KeyType::EcdsaP256 => Some(P256),
        KeyType::EcdsaP384 => Some(P384),
        KeyType::EcdsaP521 => Some(P521),
        KeyType::EcdsaSecp256k1 => Some(SECP256K1),
        _ => None,
    }
}

fn encode(algorithm: AlgorithmIdentifierRef<'_>, key: &[u8]) -> Result<Vec<u8>> {
    let subject_public_key = BitStringRef::from_bytes(key).map_err(not_encodable)?;
    SubjectPublicKeyInfoRef { algorithm, subject_public_key }.to_der().map_err(not_encodable)
}

fn not_encodable(_: der::Error) -> Error {
    bad_public_key("its numbers cannot be encoded")
}

/// A key that no type fits.
pub(crate) fn unknown_type(why: &str) -> Error {
    Error::new(ErrorCode::InvalidKeyType, why)
}
