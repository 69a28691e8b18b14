//! Private keys taken apart: the numbers that PKCS#11 brings and shows, to the PKCS#8 (RFC 5958) that keys are kept
//! in, and back.
//!
//! What is put together here is not yet known to be a key: [`super::Keys::private`] says that. Numbers are held for
//! the length of a call and wiped.

use super::post_quantum::{self, Seeded};
use super::private_info::{self, EcPrivateKey, seed_pkcs8};
use super::public_parts::{EC, ED25519, RSA, X25519, curve_oid, rsa_type};
use super::refusal::{bad_private_key, unsupported};
use crate::secret::SecretBytes;
use canis_proto::{Family, KeyType, Result};
use der::asn1::{OctetStringRef, UintRef};
use der::{Decode, Encode};
use pkcs8::PrivateKeyInfoRef;
use rsa::pkcs1;
use spki::AlgorithmIdentifier;
use zeroize::Zeroizing;

pub use super::rsa_parts::RsaParts;

/// A secret number or string, wiped when dropped; numbers are big-endian.
pub type Part = Zeroizing<Vec<u8>>;

/// The parts of a private key, or a secret key.
pub enum PrivateParts {
    /// RSA.
    Rsa(RsaParts),
    /// A scalar on a NIST curve or secp256k1 (SEC 1, section C.4).
    Ec {
        /// A type of the family [`Family::Ec`].
        curve: KeyType,
        /// As long as the field, or shorter or longer by leading zeros.
        scalar: Part,
    },
    /// The 32 bytes of an Ed25519 or X25519 private key (RFC 8032, section 5.1.5; RFC 7748, section 5).
    Seed {
        /// Which of the two.
        kind: KeyType,
        /// The bytes.
        seed: Part,
    },
    /// A post-quantum key (FIPS 203, FIPS 204, FIPS 205).
    PostQuantum {
        /// Its type.
        kind: KeyType,
        /// From which the key is computed; kept where it is known. SLH-DSA has none.
        seed: Option<Part>,
        /// The key computed; of SLH-DSA SK.seed, SK.prf, PK.seed and PK.root.
        expanded: Option<Part>,
    },
    /// A secret key.
    Secret {
        /// AES or generic.
        kind: KeyType,
        /// Its bytes.
        value: SecretBytes,
    },
    /// How long the parts are, where only that was asked: no key.
    Measured(PartLengths),
}

/// The lengths of what programs may ask of a key, in bytes; `None` for what it has not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PartLengths {
    /// The scalar, seed or secret that a key consists of; of a post-quantum key, the one computed from its seed.
    pub value: Option<usize>,
    /// What a post-quantum key is computed from.
    pub seed: Option<usize>,
    /// d
    pub private_exponent: Option<usize>,
    /// p
    pub prime_1: Option<usize>,
    /// q
    pub prime_2: Option<usize>,
    /// d mod (p − 1)
    pub exponent_1: Option<usize>,
    /// d mod (q − 1)
    pub exponent_2: Option<usize>,
    /// q⁻¹ mod p
    pub coefficient: Option<usize>,
}

impl PrivateParts {
    /// The type of the key, and its material in the form that keys are kept in.
    ///
    /// # Errors
    /// `invalid_argument` for parts that no key has, or that do not belong together; `invalid_key_type` for an RSA
    /// modulus of a size that no type has.
    pub fn into_material(self) -> Result<(KeyType, SecretBytes)> {
        match self {
            PrivateParts::Rsa(parts) => parts.to_pkcs8(),
            PrivateParts::Ec { curve, scalar } => Ok((curve, ec_pkcs8(curve, &scalar)?)),
            PrivateParts::Seed { kind, seed } => {
                if seed.len() != 32 {
                    return Err(bad_private_key("its seed is not 32 bytes"));
                }
                let pkcs8 = seed_pkcs8(kind, |out| {
                    out.copy_from_slice(&seed);
                    Ok(())
                })?;
                Ok((kind, pkcs8))
            }
            PrivateParts::PostQuantum { kind, seed, expanded } => {
                Ok((kind, Seeded { seed, expanded }.to_pkcs8(kind)?))
            }
            PrivateParts::Secret { kind, value } => Ok((kind, value)),
            PrivateParts::Measured(_) => Err(bad_private_key("it is only said how long its parts are")),
        }
    }

    /// How long its parts are.
    pub(crate) fn lengths(&self) -> PartLengths {
        let (none, len) =
            (PartLengths::default(), |part: &Option<Part>| part.as_ref().map(|part| part.len()));
        match self {
            PrivateParts::Rsa(rsa) => PartLengths {
                private_exponent: Some(rsa.private_exponent.len()),
                prime_1: len(&rsa.prime_1),
                prime_2: len(&rsa.prime_2),
                exponent_1: len(&rsa.exponent_1),
                exponent_2: len(&rsa.exponent_2),
                coefficient: len(&rsa.coefficient),
                ..none
            },
            PrivateParts::Ec { scalar: value, .. } | PrivateParts::Seed { seed: value, .. } => {
                PartLengths { value: Some(value.len()), ..none }
            }
            PrivateParts::PostQuantum { seed, expanded, .. } => {
                PartLengths { value: len(expanded), seed: len(seed), ..none }
            }
            PrivateParts::Secret { value, .. } => PartLengths { value: Some(value.len()), ..none },
            PrivateParts::Measured(lengths) => *lengths,
        }
    }

    /// How many bytes its secret parts have, and those that are brought with them.
    pub(crate) fn size(&self) -> usize {
        let len = |part: &Option<Part>| part.as_ref().map_or(0, |part| part.len());
        match self {
            PrivateParts::Rsa(rsa) => {
                let known = rsa.modulus.len() + rsa.public_exponent.len() + rsa.private_exponent.len();
                let primes = [&rsa.prime_1, &rsa.prime_2, &rsa.exponent_1, &rsa.exponent_2, &rsa.coefficient];
                known + primes.into_iter().map(len).sum::<usize>()
            }
            PrivateParts::Ec { scalar, .. } => scalar.len(),
            PrivateParts::Seed { seed, .. } => seed.len(),
            PrivateParts::PostQuantum { seed, expanded, .. } => len(seed) + len(expanded),
            PrivateParts::Secret { value, .. } => value.len(),
            PrivateParts::Measured(_) => 0,
        }
    }

    /// Takes material of `kind` apart.
    ///
    /// # Errors
    /// `invalid_argument` for what is not material of `kind`.
    pub fn of_material(kind: KeyType, material: &[u8]) -> Result<Self> {
        match kind.family() {
            Family::Aes | Family::Generic | Family::Des | Family::TripleDes => {
                Ok(PrivateParts::Secret { kind, value: SecretBytes::copied_from(material) })
            }
            Family::Rsa => {
                RsaParts::of_pkcs1(private_info::parse(kind, material)?.key).map(PrivateParts::Rsa)
            }
            Family::Ec => {
                let key = private_info::ec_private_key(private_info::parse(kind, material)?.key)?;
                Ok(PrivateParts::Ec { curve: kind, scalar: part(key.private_key.as_bytes()) })
            }
            Family::Edwards | Family::Montgomery => {
                let seed = part(&*private_info::seed(kind, material)?.seed);
                Ok(PrivateParts::Seed { kind, seed })
            }
            Family::MlDsa | Family::MlKem | Family::SlhDsa | Family::Hybrid => {
                let Seeded { seed, expanded } =
                    post_quantum::decode(kind, private_info::parse(kind, material)?.key)?;
                Ok(PrivateParts::PostQuantum { kind, seed, expanded })
            }
        }
    }
}

/// The type of the private key in PKCS#8 DER; whether it is a valid one is for [`super::Keys::private`] to say.
///
/// # Errors
/// `invalid_argument` for what is no PKCS#8 of an algorithm there is; `invalid_key_type` for an RSA modulus of a size
/// that no type has.
pub(crate) fn kind_of(pkcs8: &[u8]) -> Result<KeyType> {
    let info = PrivateKeyInfoRef::from_der(pkcs8).map_err(|_| bad_private_key("it is not PKCS#8 DER"))?;
    if info.algorithm.oid == RSA {
        let key = pkcs1::RsaPrivateKey::<UintRef<'_>>::from_der(info.private_key.as_bytes())
            .map_err(|_| bad_private_key("it is no RSAPrivateKey DER"))?;
        return rsa_type(key.modulus.as_bytes());
    }
    let curve = info.algorithm.parameters_oid().ok();
    let fits = |kind: &&KeyType| match kind.family() {
        Family::Ec => info.algorithm.oid == EC && curve.is_some() && curve == curve_oid(**kind),
        Family::Edwards => info.algorithm.oid == ED25519,
        Family::Montgomery => info.algorithm.oid == X25519,
        _ => post_quantum::kind_of(info.algorithm.oid) == Some(**kind),
    };
    KeyType::ALL.iter().find(fits).copied().ok_or_else(|| bad_private_key("its algorithm is not known here"))
}

pub(super) fn part(bytes: &[u8]) -> Part {
    Zeroizing::new(bytes.to_vec())
}

/// ECPrivateKey (RFC 5915) without its optional fields, in PKCS#8.
fn ec_pkcs8(curve: KeyType, scalar: &[u8]) -> Result<SecretBytes> {
    let oid = curve_oid(curve).ok_or_else(|| unsupported("the key type names no curve"))?;
    let scalar = significant(scalar);
    let mut padded = Zeroizing::new(vec![0; curve.bytes()]);
    let Some(start) = padded.len().checked_sub(scalar.len()) else {
        return Err(bad_private_key("its scalar is longer than the field of its curve"));
    };
    padded[start..].copy_from_slice(scalar);
    let encoded = |_: der::Error| bad_private_key("its scalar cannot be encoded");
    let key = EcPrivateKey {
        version: 1,
        private_key: OctetStringRef::new(&padded).map_err(encoded)?,
        parameters: None,
        public_key: None,
    };
    let key = Zeroizing::new(key.to_der().map_err(encoded)?);
    let algorithm = AlgorithmIdentifier { oid: EC, parameters: Some((&oid).into()) };
    let info = PrivateKeyInfoRef::new(algorithm, OctetStringRef::new(&key).map_err(encoded)?);
    info.to_der().map(SecretBytes::taken_from).map_err(encoded)
}

/// A big-endian number without leading zeros.
pub(super) fn significant(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{check_pair, providers};
    use proptest::prelude::*;

    /// Every type of key pair comes apart and together again, with either provider's keys, and stays the same key.
    #[test]
    fn keys_come_apart_and_together() {
        for provider in providers() {
            for kind in KeyType::ALL.iter().copied().filter(|kind| kind.is_asymmetric() && kind.bits() < 4096)
            {
                let drawn = provider.keys.generate(kind).unwrap();
                let spki = check_pair(provider.keys, kind, drawn.expose()).unwrap();
                let (found, again) =
                    PrivateParts::of_material(kind, drawn.expose()).unwrap().into_material().unwrap();
                assert_eq!(found, kind);
                assert_eq!(check_pair(provider.keys, kind, again.expose()).unwrap(), spki, "{kind}");
            }
        }
    }

    fn rsa() -> RsaParts {
        static KEY: std::sync::OnceLock<SecretBytes> = std::sync::OnceLock::new();
        let key = KEY.get_or_init(|| providers()[0].keys.generate(KeyType::Rsa2048).unwrap());
        match PrivateParts::of_material(KeyType::Rsa2048, key.expose()).unwrap() {
            PrivateParts::Rsa(parts) => parts,
            _ => unreachable!(),
        }
    }

    /// n, e and d are enough: the primes are found. Order and leading zeros do not matter.
    #[test]
    fn missing_rsa_numbers_are_found() {
        let whole = rsa();
        let modulus = [&[0, 0][..], &whole.modulus].concat();
        let short = RsaParts {
            modulus,
            prime_1: None,
            prime_2: None,
            exponent_1: None,
            exponent_2: None,
            coefficient: None,
            ..rsa()
        };
        let swapped = RsaParts {
            prime_1: rsa().prime_2,
            prime_2: rsa().prime_1,
            exponent_1: None,
            exponent_2: None,
            coefficient: None,
            ..rsa()
        };
        for parts in [short, swapped] {
            let (kind, pkcs8) = parts.to_pkcs8().unwrap();
            for provider in providers() {
                check_pair(provider.keys, kind, pkcs8.expose()).unwrap();
            }
        }
    }

    #[test]
    fn rsa_numbers_that_do_not_belong_together_are_refused() {
        let off = |number: &Part| {
            let mut number = number.clone();
            let last = number.len() - 1;
            number[last] ^= 2;
            number
        };
        type Spoil = fn(&mut RsaParts, &dyn Fn(&Part) -> Part);
        let spoilt: &[Spoil] = &[
            |k, off| k.private_exponent = off(&k.private_exponent),
            |k, off| k.prime_1 = k.prime_1.as_ref().map(off),
            |k, off| k.exponent_1 = k.exponent_1.as_ref().map(off),
            |k, off| k.exponent_2 = k.exponent_2.as_ref().map(off),
            |k, off| k.coefficient = k.coefficient.as_ref().map(off),
            |k, _| k.prime_2 = None,
            |k, _| k.prime_2 = k.prime_1.clone(),
            |k, _| k.public_exponent = vec![1],
            |k, _| k.public_exponent = vec![3],
            |k, _| k.public_exponent = vec![1, 0, 3],
            |k, _| k.public_exponent = vec![255; 9],
            |k, _| k.modulus[255] ^= 1,
            |k, _| k.modulus[255] ^= 2,
            |k, _| k.modulus.truncate(128),
            |k, _| k.modulus.clear(),
            |k, _| k.private_exponent.clear(),
            |k, _| k.private_exponent = part(&[1]),
            |k, _| k.private_exponent = part(&[255; 257]),
        ];
        for (at, spoil) in spoilt.iter().enumerate() {
            let mut parts = rsa();
            spoil(&mut parts, &off);
            assert!(parts.to_pkcs8().is_err(), "{at}");
        }
    }

    #[test]
    fn scalars_are_padded_and_too_long_ones_refused() {
        let one = |len: usize| [vec![0; len - 1], vec![1]].concat();
        for provider in providers() {
            let spki = |len| {
                let pkcs8 = ec_pkcs8(KeyType::EcdsaP256, &one(len)).unwrap();
                check_pair(provider.keys, KeyType::EcdsaP256, pkcs8.expose()).unwrap()
            };
            assert_eq!(spki(1), spki(40));
            for scalar in [&[0; 32][..], &[255; 32], &[]] {
                let pkcs8 = ec_pkcs8(KeyType::EcdsaP256, scalar).unwrap();
                assert!(provider.keys.private(KeyType::EcdsaP256, pkcs8.expose()).is_err());
            }
        }
        assert!(ec_pkcs8(KeyType::EcdsaP256, &[1; 33]).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        /// No d, however wrong, makes the search for the primes panic or find a key.
        #[test]
        fn wrong_exponents_are_refused(d in proptest::collection::vec(any::<u8>(), 0..258)) {
            let parts = RsaParts { private_exponent: Zeroizing::new(d), prime_1: None, prime_2: None, ..rsa() };
            prop_assert!(parts.to_pkcs8().is_err());
        }
    }
}
