//! Post-quantum keys: what the types have in tables, and the forms of their private keys, read and written alike for both
//! providers.
//!
//! The private key of an ML-DSA or ML-KEM pair is a seed of 32 or 64 bytes, from which the expanded key is computed; some
//! programs keep the expanded key alone. RFC 9881 and RFC 9935, section 6 of each, have both forms, and one with the two side
//! by side. CANIS keeps the seed where it is known: it is short, and nothing in it can contradict itself. SLH-DSA has the one form
//! of RFC 9909, section 6, called expanded here because its root is computed.

use super::private_parts::Part;
use super::public_parts::{self, PublicParts};
use super::refusal::{bad_private_key, bad_public_key};
use crate::secret::SecretBytes;
use canis_proto::{Error, Family, KeyType, Result};
use der::asn1::OctetStringRef;
use der::{Decode, Encode, Reader, SliceReader, Tag, TagNumber};
use pkcs8::PrivateKeyInfoRef;
use spki::{AlgorithmIdentifier, ObjectIdentifier};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// What is fixed for a type.
pub(crate) struct Sizes {
    /// The algorithm's name in certificates and keys.
    pub(crate) oid: ObjectIdentifier,
    /// Its name in JSON Web Keys, if it has one there.
    pub(crate) jose: Option<&'static str>,
    /// The public key in bytes.
    pub(crate) public: usize,
    /// The expanded private key in bytes; 0 for keys that are their seed and have no other form.
    pub(crate) expanded: usize,
    /// A signature in bytes; 0 for keys that do not sign.
    pub(crate) signature: usize,
    /// The ciphertext of a shared secret in bytes; 0 for keys that share none.
    pub(crate) ciphertext: usize,
}

/// FIPS 204, table 2; the names of RFC 9881, section 2, and of the registry of JOSE.
const ML_DSA_44: Sizes = Sizes {
    oid: ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.17"),
    jose: Some("ML-DSA-44"),
    public: 1312,
    expanded: 2560,
    signature: 2420,
    ciphertext: 0,
};
const ML_DSA_65: Sizes = Sizes {
    oid: ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.18"),
    jose: Some("ML-DSA-65"),
    public: 1952,
    expanded: 4032,
    signature: 3309,
    ciphertext: 0,
};
const ML_DSA_87: Sizes = Sizes {
    oid: ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.19"),
    jose: Some("ML-DSA-87"),
    public: 2592,
    expanded: 4896,
    signature: 4627,
    ciphertext: 0,
};

/// FIPS 203, table 3; the names of RFC 9935, section 3.
const ML_KEM_512: Sizes = Sizes {
    oid: ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.4.1"),
    jose: None,
    public: 800,
    expanded: 1632,
    signature: 0,
    ciphertext: 768,
};
const ML_KEM_768: Sizes = Sizes {
    oid: ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.4.2"),
    jose: None,
    public: 1184,
    expanded: 2400,
    signature: 0,
    ciphertext: 1088,
};
const ML_KEM_1024: Sizes = Sizes {
    oid: ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.4.3"),
    jose: None,
    public: 1568,
    expanded: 3168,
    signature: 0,
    ciphertext: 1568,
};

/// FIPS 205, table 2: for each set the last arc of its name (RFC 9909, section 3), n, and the bytes of a signature.
const fn slh_dsa(arc: &'static str, n: usize, signature: usize) -> Sizes {
    let oid = ObjectIdentifier::new_unwrap(arc);
    Sizes { oid, jose: None, public: 2 * n, expanded: 4 * n, signature, ciphertext: 0 }
}
const SLH_DSA_SHA2_128S: Sizes = slh_dsa("2.16.840.1.101.3.4.3.20", 16, 7856);
const SLH_DSA_SHA2_128F: Sizes = slh_dsa("2.16.840.1.101.3.4.3.21", 16, 17088);
const SLH_DSA_SHA2_192S: Sizes = slh_dsa("2.16.840.1.101.3.4.3.22", 24, 16224);
const SLH_DSA_SHA2_192F: Sizes = slh_dsa("2.16.840.1.101.3.4.3.23", 24, 35664);
const SLH_DSA_SHA2_256S: Sizes = slh_dsa("2.16.840.1.101.3.4.3.24", 32, 29792);
const SLH_DSA_SHA2_256F: Sizes = slh_dsa("2.16.840.1.101.3.4.3.25", 32, 49856);
/// MLKEM768-X25519 of draft-irtf-cfrg-concrete-hybrid-kems, the algorithm of draft-connolly-cfrg-xwing-kem, from where its
/// name is. Its private key is a seed that is never expanded where others see it.
const ML_KEM_768_X25519: Sizes = Sizes {
    oid: ObjectIdentifier::new_unwrap("1.3.6.1.4.1.62253.25722"),
    jose: None,
    public: 1216,
    expanded: 0,
    signature: 0,
    ciphertext: 1120,
};

/// The row of a type; `None` for types that are no post-quantum ones.
pub(crate) const fn sizes(kind: KeyType) -> Option<&'static Sizes> {
    match kind {
        KeyType::MlDsa44 => Some(&ML_DSA_44),
        KeyType::MlDsa65 => Some(&ML_DSA_65),
        KeyType::MlDsa87 => Some(&ML_DSA_87),
        KeyType::MlKem512 => Some(&ML_KEM_512),
        KeyType::MlKem768 => Some(&ML_KEM_768),
        KeyType::MlKem1024 => Some(&ML_KEM_1024),
        KeyType::SlhDsaSha2128s => Some(&SLH_DSA_SHA2_128S),
        KeyType::SlhDsaSha2128f => Some(&SLH_DSA_SHA2_128F),
        KeyType::SlhDsaSha2192s => Some(&SLH_DSA_SHA2_192S),
        KeyType::SlhDsaSha2192f => Some(&SLH_DSA_SHA2_192F),
        KeyType::SlhDsaSha2256s => Some(&SLH_DSA_SHA2_256S),
        KeyType::SlhDsaSha2256f => Some(&SLH_DSA_SHA2_256F),
        KeyType::MlKem768X25519 => Some(&ML_KEM_768_X25519),
        _ => None,
    }
}

/// CKA_PARAMETER_SET: the number of a type among those of its algorithm (PKCS#11 v3.2, CKP_ML_DSA_…, CKP_ML_KEM_…,
/// CKP_SLH_DSA_…).
pub(crate) const fn parameter_set(kind: KeyType) -> Option<u64> {
    match kind {
        KeyType::MlDsa44 => Some(1),
        KeyType::MlDsa65 => Some(2),
        KeyType::MlDsa87 => Some(3),
        KeyType::SlhDsaSha2128s => Some(1),
        KeyType::SlhDsaSha2128f => Some(3),
        KeyType::SlhDsaSha2192s => Some(5),
        KeyType::SlhDsaSha2192f => Some(7),
        KeyType::SlhDsaSha2256s => Some(9),
        KeyType::SlhDsaSha2256f => Some(11),
        KeyType::MlKem512 => Some(1),
        KeyType::MlKem768 => Some(2),
        KeyType::MlKem1024 => Some(3),
        _ => None,
    }
}

/// The same for a type that must be one.
///
/// # Errors
/// `internal` for any other.
pub(crate) fn sizes_of(kind: KeyType) -> Result<&'static Sizes> {
    sizes(kind).ok_or_else(|| Error::internal(format!("{kind} is no post-quantum type")))
}

/// The type of an algorithm.
pub(crate) fn kind_of(oid: ObjectIdentifier) -> Option<KeyType> {
    KeyType::ALL.iter().copied().find(|kind| sizes(*kind).is_some_and(|sizes| sizes.oid == oid))
}

/// The type of that name in JSON Web Keys.
pub(crate) fn kind_of_jose(name: &str) -> Option<KeyType> {
    KeyType::ALL.iter().copied().find(|kind| sizes(*kind).is_some_and(|sizes| sizes.jose == Some(name)))
}

/// A private key as it came; one of the two is there.
pub(crate) struct Seeded {
    pub(crate) seed: Option<Part>,
    pub(crate) expanded: Option<Part>,
}

/// Reads what stands inside the OCTET STRING of PKCS#8: `seed [0]`, `expandedKey`, or a sequence of both; the bare seed where
/// there is no other form; the key itself with SLH-DSA.
///
/// # Errors
/// `invalid_argument` for anything else, and for keys of other lengths.
pub(crate) fn decode(kind: KeyType, inner: &[u8]) -> Result<Seeded> {
    if sizes_of(kind)?.expanded == 0 {
        let bare = Seeded { seed: Some(part(inner)), expanded: None };
        return bare.check_lengths(kind).map(|()| bare);
    }
    let malformed = |_: der::Error| bad_private_key("it holds neither a seed nor an expanded key");
    if kind.family() == Family::SlhDsa {
        let given = Seeded { seed: None, expanded: Some(part(inner)) };
        given.check_lengths(kind)?;
        return Ok(given);
    }
    let mut reader = SliceReader::new(inner).map_err(malformed)?;
    let seed_tag = Tag::ContextSpecific { constructed: false, number: TagNumber(0) };
    let given = match Tag::peek(&reader).map_err(malformed)? {
        tag if tag == seed_tag => {
            let seed = der::AnyRef::decode(&mut reader).map_err(malformed)?;
            Seeded { seed: Some(part(seed.value())), expanded: None }
        }
        Tag::OctetString => {
            let expanded = <&OctetStringRef>::decode(&mut reader).map_err(malformed)?;
            Seeded { seed: None, expanded: Some(part(expanded.as_bytes())) }
        }
        _ => {
            let [seed, expanded] = <[&OctetStringRef; 2]>::from(
                reader
                    .sequence(|inside| Ok::<_, der::Error>((inside.decode()?, inside.decode()?)))
                    .map_err(malformed)?,
            );
            Seeded { seed: Some(part(seed.as_bytes())), expanded: Some(part(expanded.as_bytes())) }
        }
    };
    reader.finish().map_err(malformed)?;
    given.check_lengths(kind)?;
    Ok(given)
}

/// The bytes of a public key of `kind`. Of ML-DSA and SLH-DSA all that have that length are keys (FIPS 204, section 7.2,
/// algorithm 23).
pub(super) fn public_bytes(kind: KeyType, spki: &[u8]) -> Result<Vec<u8>> {
    match public_parts::of_kind(kind, spki)? {
        PublicParts::PostQuantum { key, .. } => Ok(key),
        _ => Err(bad_public_key("it is no post-quantum key")),
    }
}

/// Refuses an expanded key that stands beside a seed and is not the seed's.
pub(super) fn check_both(given: &[u8], made: &[u8]) -> Result<()> {
    if bool::from(given.ct_eq(made)) {
        Ok(())
    } else {
        Err(bad_private_key("its expanded key is not its seed's"))
    }
}

/// PKCS#8, version 1, around a seed that `fill` writes.
pub(crate) fn seed_pkcs8(kind: KeyType, fill: impl FnOnce(&mut [u8]) -> Result<()>) -> Result<SecretBytes> {
    let mut seed = Zeroizing::new(vec![0; kind.bytes()]);
    fill(&mut seed)?;
    Seeded { seed: Some(seed), expanded: None }.to_pkcs8(kind)
}

impl Seeded {
    /// Whether both parts are as long as the type's.
    fn check_lengths(&self, kind: KeyType) -> Result<()> {
        let sizes = sizes_of(kind)?;
        let wrong = |part: &Option<Part>, len: usize| part.as_ref().is_some_and(|part| part.len() != len);
        if self.seed.is_some() && kind.family() == Family::SlhDsa {
            return Err(bad_private_key(
                "a key of SLH-DSA has no seed that it is computed from; bring the whole key",
            ));
        }
        if wrong(&self.seed, kind.bytes()) {
            return Err(bad_private_key(&format!(
                "the seed of a key of type {kind} has {} bytes",
                kind.bytes()
            )));
        }
        if wrong(&self.expanded, sizes.expanded) {
            let expected = sizes.expanded;
            return Err(bad_private_key(&format!("an expanded key of type {kind} has {expected} bytes")));
        }
        Ok(())
    }

    /// PKCS#8, version 1, in the form that has the parts that are there.
    pub(crate) fn to_pkcs8(&self, kind: KeyType) -> Result<SecretBytes> {
        self.check_lengths(kind)?;
        let key = match (&self.seed, &self.expanded) {
            (Some(seed), None) if sizes_of(kind)?.expanded == 0 => part(seed),
            (Some(seed), None) => element(0x80, &[seed]),
            // RFC 9909, section 6: no structure around it.
            (None, Some(key)) if kind.family() == Family::SlhDsa => key.clone(),
            (None, Some(expanded)) => element(0x04, &[expanded]),
            (Some(seed), Some(expanded)) => {
                element(0x30, &[&element(0x04, &[seed]), &element(0x04, &[expanded])])
            }
            (None, None) => return Err(bad_private_key("it holds neither a seed nor an expanded key")),
        };
        let encoded = |_: der::Error| bad_private_key("it cannot be encoded");
        let algorithm = AlgorithmIdentifier { oid: sizes_of(kind)?.oid, parameters: None };
        let info = PrivateKeyInfoRef::new(algorithm, OctetStringRef::new(&key).map_err(encoded)?);
        info.to_der().map(SecretBytes::taken_from).map_err(encoded)
    }

    /// The seed alone, where there is one: what is kept of a key whose two parts were found to belong together.
    pub(crate) fn shortest(self) -> Self {
        match self.seed {
            Some(seed) => Seeded { seed: Some(seed), expanded: None },
            None => self,
        }
    }
}

/// A DER element of fewer than 65536 bytes, wiped when dropped.
fn element(tag: u8, contents: &[&[u8]]) -> Part {
    let len: usize = contents.iter().map(|part| part.len()).sum();
    let mut out = Zeroizing::new(Vec::with_capacity(len + 4));
    out.push(tag);
    match len {
        0..=0x7f => out.push(len as u8),
        0x80..=0xff => out.extend([0x81, len as u8]),
        _ => out.extend([0x82, (len >> 8) as u8, len as u8]),
    }
    for part in contents {
        out.extend_from_slice(part);
    }
    out
}

fn part(bytes: &[u8]) -> Part {
    Zeroizing::new(bytes.to_vec())
}
