//! The signature schemes that can be asked for by name.

use crate::{Error, Family, KeyType, Result};
use std::fmt;
use std::str::FromStr;

macro_rules! schemes {
    ($($(#[doc = $doc:literal])+ $variant:ident, $name:literal, $family:ident;)+) => {
        /// How a message is signed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum SignatureScheme { $($(#[doc = $doc])+ $variant,)+ }

        impl SignatureScheme {
            /// Every scheme.
            pub const ALL: &'static [SignatureScheme] = &[$(SignatureScheme::$variant,)+];

            /// The name users write.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(SignatureScheme::$variant => $name,)+ }
            }

            /// The family of keys that sign so.
            #[must_use]
            pub const fn family(self) -> Family {
                match self { $(SignatureScheme::$variant => Family::$family,)+ }
            }
        }
    };
}

schemes! {
    /// RSASSA-PSS with SHA-256, MGF1-SHA-256 and a 32-byte salt (RFC 8017, section 8.1). RSA's default.
    RsaPssSha256, "rsa-pss-sha256", Rsa;
    /// RSASSA-PSS with SHA-384 and a 48-byte salt.
    RsaPssSha384, "rsa-pss-sha384", Rsa;
    /// RSASSA-PSS with SHA-512 and a 64-byte salt.
    RsaPssSha512, "rsa-pss-sha512", Rsa;
    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, section 8.2).
    RsaPkcs1Sha256, "rsa-pkcs1-sha256", Rsa;
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RsaPkcs1Sha384, "rsa-pkcs1-sha384", Rsa;
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RsaPkcs1Sha512, "rsa-pkcs1-sha512", Rsa;
    /// ECDSA with SHA-256, DER (FIPS 186-5). The default on P-256 and secp256k1.
    EcdsaSha256, "ecdsa-sha256", Ec;
    /// ECDSA with SHA-384, DER. The default on P-384.
    EcdsaSha384, "ecdsa-sha384", Ec;
    /// ECDSA with SHA-512, DER. The default on P-521.
    EcdsaSha512, "ecdsa-sha512", Ec;
    /// Ed25519 (RFC 8032).
    Ed25519, "ed25519", Edwards;
    /// ML-DSA over the message itself (FIPS 204, section 5.2). The default on ML-DSA keys.
    MlDsa, "ml-dsa", MlDsa;
    /// HashML-DSA with SHA-256 (FIPS 204, section 5.4), on ML-DSA-44 alone.
    HashMlDsaSha256, "hash-ml-dsa-sha256", MlDsa;
    /// HashML-DSA with SHA-384, on ML-DSA-44 and ML-DSA-65.
    HashMlDsaSha384, "hash-ml-dsa-sha384", MlDsa;
    /// HashML-DSA with SHA-512.
    HashMlDsaSha512, "hash-ml-dsa-sha512", MlDsa;
    /// SLH-DSA over the message itself (FIPS 205, section 10.2.1). The default on SLH-DSA keys.
    SlhDsa, "slh-dsa", SlhDsa;
    /// HashSLH-DSA with SHA-256 (FIPS 205, section 10.2.2), on the keys of category 1 alone.
    HashSlhDsaSha256, "hash-slh-dsa-sha256", SlhDsa;
    /// HashSLH-DSA with SHA-384, on the keys of categories 1 and 3.
    HashSlhDsaSha384, "hash-slh-dsa-sha384", SlhDsa;
    /// HashSLH-DSA with SHA-512.
    HashSlhDsaSha512, "hash-slh-dsa-sha512", SlhDsa;
}

impl SignatureScheme {
    /// Whether keys of `kind` sign so. A post-quantum key takes no hash function that is weaker than itself against
    /// collisions (FIPS 204, section 5.4; FIPS 205, section 10.2.2).
    #[must_use]
    pub fn fits(self, kind: KeyType) -> bool {
        let strong = match self {
            SignatureScheme::HashMlDsaSha256 => kind == KeyType::MlDsa44,
            SignatureScheme::HashMlDsaSha384 => kind != KeyType::MlDsa87,
            SignatureScheme::HashSlhDsaSha256 => kind.strength(kind.bytes()) <= 128,
            SignatureScheme::HashSlhDsaSha384 => kind.strength(kind.bytes()) <= 192,
            _ => true,
        };
        strong && self.family() == kind.family()
    }

    /// What a key of `kind` signs with unless told otherwise; `None` if it cannot sign.
    #[must_use]
    pub const fn default_for(kind: KeyType) -> Option<SignatureScheme> {
        match kind {
            KeyType::EcdsaP256 | KeyType::EcdsaSecp256k1 => Some(SignatureScheme::EcdsaSha256),
            KeyType::EcdsaP384 => Some(SignatureScheme::EcdsaSha384),
            KeyType::EcdsaP521 => Some(SignatureScheme::EcdsaSha512),
            _ => match kind.family() {
                Family::Rsa => Some(SignatureScheme::RsaPssSha256),
                Family::Edwards => Some(SignatureScheme::Ed25519),
                Family::MlDsa => Some(SignatureScheme::MlDsa),
                Family::SlhDsa => Some(SignatureScheme::SlhDsa),
                Family::Ec | Family::Aes | Family::Montgomery | Family::Generic | Family::MlKem => None,
                Family::Hybrid | Family::Des | Family::TripleDes => None,
            },
        }
    }
}

impl fmt::Display for SignatureScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for SignatureScheme {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        SignatureScheme::ALL.iter().copied().find(|s| s.name() == text).ok_or_else(|| {
            let known: Vec<_> = SignatureScheme::ALL.iter().map(|s| s.name()).collect();
            Error::invalid(format!(
                "unknown signature scheme `{}`; the schemes are {}",
                crate::quote(text),
                known.join(", ")
            ))
        })
    }
}
