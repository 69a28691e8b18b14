//! What keys are: families and types.

use crate::{Error, ErrorCode, Result, Usage};
use std::fmt;
use std::str::FromStr;

/// What an algorithm family can do at all, whatever a key's usage allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// AES, a secret key.
    Aes,
    /// RSA key pair.
    Rsa,
    /// ECDSA key pair on a NIST curve or secp256k1.
    Ec,
    /// Ed25519 key pair.
    Edwards,
    /// X25519 key pair.
    Montgomery,
    /// A secret of any length, for HMAC and derivation.
    Generic,
    /// DES with one key, a secret key.
    Des,
    /// DES three times with two or three keys (SP 800-67), a secret key.
    TripleDes,
    /// ML-DSA key pair (FIPS 204).
    MlDsa,
    /// ML-KEM key pair (FIPS 203).
    MlKem,
    /// SLH-DSA key pair (FIPS 205).
    SlhDsa,
    /// Key pair that shares secrets by ML-KEM and a curve together.
    Hybrid,
}

impl Family {
    /// Whether its keys have a public half.
    #[must_use]
    pub const fn is_pair(self) -> bool {
        !matches!(self, Family::Aes | Family::Generic | Family::Des | Family::TripleDes)
    }

    /// The block of its cipher in bytes; 0 for families that are no block ciphers.
    #[must_use]
    pub const fn block(self) -> usize {
        match self {
            Family::Aes => 16,
            Family::Des | Family::TripleDes => 8,
            Family::Rsa
            | Family::Ec
            | Family::Edwards
            | Family::Montgomery
            | Family::Generic
            | Family::MlDsa
            | Family::MlKem
            | Family::SlhDsa
            | Family::Hybrid => 0,
        }
    }
}

macro_rules! key_types {
    ($($(#[doc = $doc:literal])+ $variant:ident = $number:literal, $name:literal, $family:ident, $bits:literal;)+) => {
        /// The type of a key; fixed when it is created. The number is what records and CANISP carry.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum KeyType { $($(#[doc = $doc])+ $variant = $number,)+ }

        impl KeyType {
            /// Every key type.
            pub const ALL: &'static [KeyType] = &[$(KeyType::$variant,)+];

            /// The name users write.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(KeyType::$variant => $name,)+ }
            }

            /// The family of algorithms.
            #[must_use]
            pub const fn family(self) -> Family {
                match self { $(KeyType::$variant => Family::$family,)+ }
            }

            /// The size in bits: key of a block cipher (of DES with the bits of parity), RSA modulus, order of the
            /// curve's field, seed of a post-quantum key, or the whole private key of SLH-DSA, which has no seed; 0 where each
            /// key has its own.
            #[must_use]
            pub const fn bits(self) -> usize {
                match self { $(KeyType::$variant => $bits,)+ }
            }

            /// The type with this number.
            #[must_use]
            pub const fn from_number(number: u8) -> Option<KeyType> {
                match number { $($number => Some(KeyType::$variant),)+ _ => None }
            }
        }
    };
}

key_types! {
    /// AES-256.
    Aes256 = 1, "aes256-gcm", Aes, 256;
    /// RSA, 2048-bit modulus.
    Rsa2048 = 2, "rsa-2048", Rsa, 2048;
    /// RSA, 4096-bit modulus.
    Rsa4096 = 3, "rsa-4096", Rsa, 4096;
    /// ECDSA on NIST P-256.
    EcdsaP256 = 4, "ecdsa-p256", Ec, 256;
    /// ECDSA on NIST P-384.
    EcdsaP384 = 5, "ecdsa-p384", Ec, 384;
    /// Ed25519 (RFC 8032).
    Ed25519 = 6, "ed25519", Edwards, 256;
    /// AES-128; made through PKCS#11.
    Aes128 = 7, "aes128-gcm", Aes, 128;
    /// AES-192; made through PKCS#11.
    Aes192 = 8, "aes192-gcm", Aes, 192;
    /// RSA, 3072-bit modulus.
    Rsa3072 = 9, "rsa-3072", Rsa, 3072;
    /// RSA, 6144-bit modulus.
    Rsa6144 = 10, "rsa-6144", Rsa, 6144;
    /// RSA, 8192-bit modulus.
    Rsa8192 = 11, "rsa-8192", Rsa, 8192;
    /// ECDSA on NIST P-521.
    EcdsaP521 = 12, "ecdsa-p521", Ec, 521;
    /// ECDSA on secp256k1 (SEC 2).
    EcdsaSecp256k1 = 13, "ecdsa-secp256k1", Ec, 256;
    /// X25519 (RFC 7748); derives only.
    X25519 = 14, "x25519", Montgomery, 256;
    /// A secret of any length; made through PKCS#11.
    Generic = 15, "generic", Generic, 0;
    /// DES; for old clients of PKCS#11.
    Des = 16, "des", Des, 64;
    /// Triple DES with two keys; for old clients of PKCS#11.
    Des2 = 17, "des2", TripleDes, 128;
    /// Triple DES with three keys; for old clients of PKCS#11.
    Des3 = 18, "des3", TripleDes, 192;
    /// ML-DSA-44 (FIPS 204), security category 2.
    MlDsa44 = 19, "ml-dsa-44", MlDsa, 256;
    /// ML-DSA-65 (FIPS 204), security category 3.
    MlDsa65 = 20, "ml-dsa-65", MlDsa, 256;
    /// ML-DSA-87 (FIPS 204), security category 5.
    MlDsa87 = 21, "ml-dsa-87", MlDsa, 256;
    /// ML-KEM-512 (FIPS 203), security category 1.
    MlKem512 = 22, "ml-kem-512", MlKem, 512;
    /// ML-KEM-768 (FIPS 203), security category 3.
    MlKem768 = 23, "ml-kem-768", MlKem, 512;
    /// ML-KEM-1024 (FIPS 203), security category 5.
    MlKem1024 = 24, "ml-kem-1024", MlKem, 512;
    /// SLH-DSA-SHA2-128s (FIPS 205), security category 1: short signatures, slowly made.
    SlhDsaSha2128s = 30, "slh-dsa-sha2-128s", SlhDsa, 512;
    /// SLH-DSA-SHA2-128f, security category 1: long signatures, made faster.
    SlhDsaSha2128f = 31, "slh-dsa-sha2-128f", SlhDsa, 512;
    /// SLH-DSA-SHA2-192s, security category 3.
    SlhDsaSha2192s = 32, "slh-dsa-sha2-192s", SlhDsa, 768;
    /// SLH-DSA-SHA2-192f, security category 3.
    SlhDsaSha2192f = 33, "slh-dsa-sha2-192f", SlhDsa, 768;
    /// SLH-DSA-SHA2-256s, security category 5.
    SlhDsaSha2256s = 34, "slh-dsa-sha2-256s", SlhDsa, 1024;
    /// SLH-DSA-SHA2-256f, security category 5.
    SlhDsaSha2256f = 35, "slh-dsa-sha2-256f", SlhDsa, 1024;
    /// ML-KEM-768 and X25519 together (MLKEM768-X25519, X-Wing); a secret is safe as long as one of the two is.
    MlKem768X25519 = 37, "ml-kem-768-x25519", Hybrid, 256;
}

impl KeyType {
    /// The number that records and CANISP carry.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The type of the secret keys of a family that have `bytes` bytes; `None` if it has none such, or no secret keys.
    #[must_use]
    pub const fn of_secret(family: Family, bytes: usize) -> Option<KeyType> {
        match (family, bytes) {
            (Family::Generic, _) => Some(KeyType::Generic),
            (Family::Aes, 16) => Some(KeyType::Aes128),
            (Family::Aes, 24) => Some(KeyType::Aes192),
            (Family::Aes, 32) => Some(KeyType::Aes256),
            (Family::Des, 8) => Some(KeyType::Des),
            (Family::TripleDes, 16) => Some(KeyType::Des2),
            (Family::TripleDes, 24) => Some(KeyType::Des3),
            _ => None,
        }
    }

    /// The size in whole bytes: AES or DES key, RSA modulus, coordinate of a point, seed of a post-quantum key, private key of
    /// SLH-DSA.
    #[must_use]
    pub const fn bytes(self) -> usize {
        self.bits().div_ceil(8)
    }

    /// The security strength in bits of a key of this type that has `bytes` bytes: NIST SP 800-57 part 1 rev. 5, table
    /// 2, and for the moduli between its lines SP 800-56B rev. 2, table 4. A post-quantum key counts for the strength
    /// that its security category compares it with (FIPS 204, table 1; FIPS 205, table 2). No secret counts for more than 256.
    #[must_use]
    pub const fn strength(self, bytes: usize) -> usize {
        match (self.family(), self.bits()) {
            (Family::Aes, bits) => bits,
            // The table has triple DES only; of DES every key can be tried.
            (Family::Des, _) => 56,
            (Family::TripleDes, ..=128) => 80,
            (Family::TripleDes, _) => 112,
            (Family::Rsa, ..=2048) => 112,
            (Family::Rsa, ..=3072) => 128,
            (Family::Rsa, ..=4096) => 152,
            (Family::Rsa, ..=6144) => 176,
            (Family::Rsa, _) => 200,
            (Family::Ec, 521) => 256,
            (Family::Ec | Family::Edwards | Family::Montgomery, bits) => bits / 2,
            (Family::MlDsa | Family::MlKem, _) => match self {
                KeyType::MlDsa44 | KeyType::MlKem512 => 128,
                KeyType::MlDsa65 | KeyType::MlKem768 => 192,
                _ => 256,
            },
            // The private key has four parts as long as the hash that it is as strong as.
            (Family::SlhDsa, bits) => bits / 4,
            // What its ML-KEM-768 counts for; X25519 is the second lock, should the first one break (ADR 0048).
            (Family::Hybrid, _) => 192,
            (Family::Generic, _) if bytes >= 32 => 256,
            (Family::Generic, _) => 8 * bytes,
        }
    }

    /// Whether there is a public half.
    #[must_use]
    pub const fn is_asymmetric(self) -> bool {
        self.family().is_pair()
    }

    /// Whether it is there for old clients of PKCS#11 only, by the policy `legacy`: CANISP has no such keys.
    #[must_use]
    pub const fn is_legacy(self) -> bool {
        matches!(self.family(), Family::Des | Family::TripleDes)
    }

    /// What a key of this type can be used for at all.
    #[must_use]
    pub const fn possible_usage(self) -> Usage {
        match self.family() {
            // An AES key signs by CMAC.
            Family::Aes => Usage::ALL,
            Family::Rsa => Usage::ALL.without(Usage::DERIVE),
            Family::Ec => Usage::SIGN.with(Usage::VERIFY).with(Usage::DERIVE),
            Family::Edwards | Family::MlDsa | Family::SlhDsa => Usage::SIGN.with(Usage::VERIFY),
            Family::Montgomery => Usage::DERIVE,
            // To encapsulate and to decapsulate (ADR 0042).
            Family::MlKem => Usage::ENCRYPT.with(Usage::DECRYPT),
            // It wraps by HPKE as well (ADR 0048).
            Family::Hybrid => Usage::ENCRYPT.with(Usage::DECRYPT).with(Usage::WRAP).with(Usage::UNWRAP),
            Family::Generic => Usage::SIGN.with(Usage::VERIFY).with(Usage::DERIVE),
            // Neither wraps (ADR 0016); triple DES signs by CMAC.
            Family::Des => Usage::ENCRYPT.with(Usage::DECRYPT),
            Family::TripleDes => Usage::ENCRYPT.with(Usage::DECRYPT).with(Usage::SIGN).with(Usage::VERIFY),
        }
    }

    /// What a key created through the API is used for.
    #[must_use]
    pub const fn default_usage(self) -> Usage {
        match self.family() {
            Family::Aes | Family::MlKem | Family::Hybrid => Usage::ENCRYPT.with(Usage::DECRYPT),
            Family::Rsa => Usage::ENCRYPT.with(Usage::DECRYPT).with(Usage::SIGN).with(Usage::VERIFY),
            Family::Ec | Family::Edwards | Family::MlDsa | Family::SlhDsa | Family::Generic => {
                Usage::SIGN.with(Usage::VERIFY)
            }
            Family::Montgomery => Usage::DERIVE,
            // The API makes none.
            Family::Des | Family::TripleDes => Usage::NONE,
        }
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for KeyType {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        KeyType::ALL.iter().copied().find(|t| t.name() == text).ok_or_else(|| {
            let known: Vec<_> = KeyType::ALL.iter().filter(|t| !t.is_legacy()).map(|t| t.name()).collect();
            Error::new(
                ErrorCode::InvalidKeyType,
                format!("unknown key type `{}`; the types are {}", crate::quote(text), known.join(", ")),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_resolve_by_name_and_number() {
        for kind in KeyType::ALL {
            assert_eq!(kind.name().parse::<KeyType>().as_ref(), Ok(kind));
            assert_eq!(KeyType::from_number(kind.number()), Some(*kind));
            assert!(kind.possible_usage().allows(kind.default_usage()));
            let secret = (!kind.is_asymmetric()).then_some(*kind);
            assert_eq!(KeyType::of_secret(kind.family(), kind.bytes()), secret);
        }
    }

    /// NIST SP 800-57 part 1 rev. 5, table 2; DES by the length of its key.
    #[test]
    fn strengths_are_those_of_the_table() {
        for (name, bytes, bits) in [
            ("aes128-gcm", 16, 128),
            ("aes256-gcm", 32, 256),
            ("rsa-2048", 256, 112),
            ("rsa-3072", 384, 128),
            ("rsa-8192", 1024, 200),
            ("ecdsa-p256", 32, 128),
            ("ecdsa-p384", 48, 192),
            ("ecdsa-p521", 66, 256),
            ("ed25519", 32, 128),
            ("generic", 16, 128),
            ("generic", 64, 256),
            ("des", 8, 56),
            ("des2", 16, 80),
            ("des3", 24, 112),
            ("ml-dsa-44", 32, 128),
            ("ml-dsa-65", 32, 192),
            ("ml-dsa-87", 32, 256),
            ("ml-kem-512", 64, 128),
            ("ml-kem-768", 64, 192),
            ("ml-kem-1024", 64, 256),
            ("slh-dsa-sha2-128s", 64, 128),
            ("slh-dsa-sha2-192f", 96, 192),
            ("slh-dsa-sha2-256s", 128, 256),
            ("ml-kem-768-x25519", 32, 192),
        ] {
            assert_eq!(name.parse::<KeyType>().map(|kind| kind.strength(bytes)), Ok(bits), "{name}");
        }
    }

    /// R7: an unknown type is refused and the refusal names the known ones.
    #[test]
    fn unknown_type_is_named() {
        let error = "foo".parse::<KeyType>().unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidKeyType);
        assert!(error.message.contains("foo") && error.message.contains("aes256-gcm"));
    }
}
