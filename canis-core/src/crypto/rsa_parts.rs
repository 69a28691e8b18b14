//! The numbers of an RSA private key (RFC 8017, appendix A.1.2), put together and taken apart.

use super::private_info;
use super::private_parts::{Part, part, significant};
use super::public_parts::{PublicParts, rsa_type};
use super::refusal::bad_private_key;
use crate::secret::SecretBytes;
use canis_proto::{KeyType, Result};
use der::Decode;
use der::asn1::UintRef;
use pkcs8::EncodePrivateKey;
use rsa::{BoxedUint, RsaPrivateKey, pkcs1};

/// The numbers of an RSA private key (RFC 8017, appendix A.1.2), all big-endian. What is `None` is computed.
#[derive(Default)]
pub struct RsaParts {
    /// n
    pub modulus: Vec<u8>,
    /// e
    pub public_exponent: Vec<u8>,
    /// d
    pub private_exponent: Part,
    /// p; both primes or none.
    pub prime_1: Option<Part>,
    /// q
    pub prime_2: Option<Part>,
    /// d mod (p − 1)
    pub exponent_1: Option<Part>,
    /// d mod (q − 1)
    pub exponent_2: Option<Part>,
    /// q⁻¹ mod p
    pub coefficient: Option<Part>,
}

impl RsaParts {
    /// The `rsa` crate puts the numbers together: it finds the primes if they are missing (SP 800-56B, appendix C.2)
    /// and computes what the Chinese remainder theorem needs. It does so once for a key; the timing leak of its private
    /// operations (RUSTSEC-2023-0071) needs many, and those stay with the provider.
    pub(super) fn to_pkcs8(&self) -> Result<(KeyType, SecretBytes)> {
        let modulus = significant(&self.modulus).to_vec();
        let kind = rsa_type(&modulus)?;
        PublicParts::Rsa { modulus, exponent: significant(&self.public_exponent).to_vec() }
            .check_numbers()?;
        let wrong = |_| bad_private_key("its numbers do not belong together");
        let number = |bytes: &[u8], bits: usize| {
            BoxedUint::from_be_slice(significant(bytes), bits as u32)
                .map_err(|_| bad_private_key("one of its numbers is too large"))
        };
        let primes = match (&self.prime_1, &self.prime_2) {
            (Some(p), Some(q)) => vec![number(p, kind.bits() / 2)?, number(q, kind.bits() / 2)?],
            (None, None) => Vec::new(),
            _ => return Err(bad_private_key("one of its two primes is missing")),
        };
        let d = number(&self.private_exponent, kind.bits())?;
        if d <= BoxedUint::one() {
            return Err(bad_private_key("its private exponent is 0 or 1"));
        }
        let (n, e) = (number(&self.modulus, kind.bits())?, number(&self.public_exponent, 64)?);
        let pkcs8 = RsaPrivateKey::from_components(n, e, d, primes)
            .map_err(wrong)?
            .to_pkcs8_der()
            .map_err(|_| bad_private_key("its numbers cannot be encoded"))?;
        self.agree_with(private_info::parse(kind, pkcs8.as_bytes())?.key)?;
        Ok((kind, SecretBytes::copied_from(pkcs8.as_bytes())))
    }

    /// What was given must be what was computed.
    fn agree_with(&self, pkcs1: &[u8]) -> Result<()> {
        let made = RsaParts::of_pkcs1(pkcs1)?;
        let pairs = [
            (&self.exponent_1, &made.exponent_1),
            (&self.exponent_2, &made.exponent_2),
            (&self.coefficient, &made.coefficient),
        ];
        let differs = |(given, made): &(&Option<Part>, &Option<Part>)| match (given, made) {
            (Some(given), Some(made)) => significant(given) != significant(made),
            _ => false,
        };
        if pairs.iter().any(differs) {
            return Err(bad_private_key("its CRT numbers do not fit"));
        }
        Ok(())
    }

    /// Reads RSAPrivateKey DER of two primes.
    pub(crate) fn of_pkcs1(key: &[u8]) -> Result<Self> {
        let key = pkcs1::RsaPrivateKey::<UintRef<'_>>::from_der(key)
            .map_err(|_| bad_private_key("it is no RSAPrivateKey DER"))?;
        let secret = |number: &UintRef<'_>| Some(part(number.as_bytes()));
        Ok(RsaParts {
            modulus: key.modulus.as_bytes().to_vec(),
            public_exponent: key.public_exponent.as_bytes().to_vec(),
            private_exponent: part(key.private_exponent.as_bytes()),
            prime_1: secret(&key.prime1),
            prime_2: secret(&key.prime2),
            exponent_1: secret(&key.exponent1),
            exponent_2: secret(&key.exponent2),
            coefficient: secret(&key.coefficient),
        })
    }
}
