//! The operations that are measured, one row each.

use canis_proto::KeyType;
use serde::{Deserialize, Serialize};

/// The keys that operations use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// An RSA pair of this many bits.
    Rsa(u16),
    /// An EC pair on NIST P-256.
    P256,
    /// An EC pair on NIST P-384.
    P384,
    /// An Ed25519 pair.
    Ed25519,
    /// A pair of ML-DSA with this parameter set.
    MlDsa(u16),
    /// A pair of ML-KEM with this parameter set.
    MlKem(u16),
    /// A pair of SLH-DSA of this type.
    SlhDsa(KeyType),
    /// A pair of ML-KEM-768 and X25519 together.
    Hybrid,
    /// An AES-256 key.
    Aes,
    /// A generic secret of 32 bytes, for HMAC.
    Secret,
}

macro_rules! operations {
    ($($op:ident, $name:literal, $title:literal, $key:expr;)+) => {
        /// An operation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub(crate) enum Op {
            $(#[doc = $title] #[serde(rename = $name)] $op,)+
        }

        impl Op {
            /// Every operation, in the order of the report.
            pub(super) const ALL: &'static [Op] = &[$(Op::$op,)+];

            /// Its name in JSON and on the command line.
            pub(super) fn name(self) -> &'static str {
                match self { $(Op::$op => $name,)+ }
            }

            /// Its name in the report.
            pub(super) fn title(self) -> &'static str {
                match self { $(Op::$op => $title,)+ }
            }

            /// The key it needs.
            pub(super) fn key(self) -> Option<Kind> {
                match self { $(Op::$op => $key,)+ }
            }
        }
    };
}

operations! {
    Rsa2048Sign, "rsa-2048-sign", "RSA-2048 sign PKCS#1", Some(Kind::Rsa(2048));
    Rsa2048Pss, "rsa-2048-pss", "RSA-2048 sign PSS", Some(Kind::Rsa(2048));
    Rsa2048Oaep, "rsa-2048-oaep", "RSA-2048 OAEP decrypt", Some(Kind::Rsa(2048));
    Rsa4096Sign, "rsa-4096-sign", "RSA-4096 sign PKCS#1", Some(Kind::Rsa(4096));
    P256Sign, "p256-sign", "ECDSA P-256 sign", Some(Kind::P256);
    P256Verify, "p256-verify", "ECDSA P-256 verify", Some(Kind::P256);
    P256Ecdh, "p256-ecdh", "ECDH P-256 derive", Some(Kind::P256);
    P384Sign, "p384-sign", "ECDSA P-384 sign", Some(Kind::P384);
    Ed25519Sign, "ed25519-sign", "Ed25519 sign", Some(Kind::Ed25519);
    Ed25519Verify, "ed25519-verify", "Ed25519 verify", Some(Kind::Ed25519);
    MlDsa44Sign, "ml-dsa-44-sign", "ML-DSA-44 sign", Some(Kind::MlDsa(44));
    MlDsa44Verify, "ml-dsa-44-verify", "ML-DSA-44 verify", Some(Kind::MlDsa(44));
    MlDsa65Sign, "ml-dsa-65-sign", "ML-DSA-65 sign", Some(Kind::MlDsa(65));
    MlDsa65Verify, "ml-dsa-65-verify", "ML-DSA-65 verify", Some(Kind::MlDsa(65));
    MlDsa87Sign, "ml-dsa-87-sign", "ML-DSA-87 sign", Some(Kind::MlDsa(87));
    MlDsa87Verify, "ml-dsa-87-verify", "ML-DSA-87 verify", Some(Kind::MlDsa(87));
    MlKem512Encapsulate, "ml-kem-512-encapsulate", "ML-KEM-512 encapsulate", Some(Kind::MlKem(512));
    MlKem512Decapsulate, "ml-kem-512-decapsulate", "ML-KEM-512 decapsulate", Some(Kind::MlKem(512));
    MlKem768Encapsulate, "ml-kem-768-encapsulate", "ML-KEM-768 encapsulate", Some(Kind::MlKem(768));
    MlKem768Decapsulate, "ml-kem-768-decapsulate", "ML-KEM-768 decapsulate", Some(Kind::MlKem(768));
    MlKem1024Encapsulate, "ml-kem-1024-encapsulate", "ML-KEM-1024 encapsulate", Some(Kind::MlKem(1024));
    MlKem1024Decapsulate, "ml-kem-1024-decapsulate", "ML-KEM-1024 decapsulate", Some(Kind::MlKem(1024));
    SlhDsa128sSign, "slh-dsa-sha2-128s-sign", "SLH-DSA-SHA2-128s sign", Some(Kind::SlhDsa(KeyType::SlhDsaSha2128s));
    SlhDsa128sVerify, "slh-dsa-sha2-128s-verify", "SLH-DSA-SHA2-128s verify", Some(Kind::SlhDsa(KeyType::SlhDsaSha2128s));
    SlhDsa128fSign, "slh-dsa-sha2-128f-sign", "SLH-DSA-SHA2-128f sign", Some(Kind::SlhDsa(KeyType::SlhDsaSha2128f));
    SlhDsa128fVerify, "slh-dsa-sha2-128f-verify", "SLH-DSA-SHA2-128f verify", Some(Kind::SlhDsa(KeyType::SlhDsaSha2128f));
    SlhDsa192sSign, "slh-dsa-sha2-192s-sign", "SLH-DSA-SHA2-192s sign", Some(Kind::SlhDsa(KeyType::SlhDsaSha2192s));
    SlhDsa192sVerify, "slh-dsa-sha2-192s-verify", "SLH-DSA-SHA2-192s verify", Some(Kind::SlhDsa(KeyType::SlhDsaSha2192s));
    SlhDsa192fSign, "slh-dsa-sha2-192f-sign", "SLH-DSA-SHA2-192f sign", Some(Kind::SlhDsa(KeyType::SlhDsaSha2192f));
    SlhDsa192fVerify, "slh-dsa-sha2-192f-verify", "SLH-DSA-SHA2-192f verify", Some(Kind::SlhDsa(KeyType::SlhDsaSha2192f));
    SlhDsa256sSign, "slh-dsa-sha2-256s-sign", "SLH-DSA-SHA2-256s sign", Some(Kind::SlhDsa(KeyType::SlhDsaSha2256s));
    SlhDsa256sVerify, "slh-dsa-sha2-256s-verify", "SLH-DSA-SHA2-256s verify", Some(Kind::SlhDsa(KeyType::SlhDsaSha2256s));
    SlhDsa256fSign, "slh-dsa-sha2-256f-sign", "SLH-DSA-SHA2-256f sign", Some(Kind::SlhDsa(KeyType::SlhDsaSha2256f));
    SlhDsa256fVerify, "slh-dsa-sha2-256f-verify", "SLH-DSA-SHA2-256f verify", Some(Kind::SlhDsa(KeyType::SlhDsaSha2256f));
    HybridEncapsulate, "ml-kem-768-x25519-encapsulate", "ML-KEM-768 with X25519 encapsulate", Some(Kind::Hybrid);
    HybridDecapsulate, "ml-kem-768-x25519-decapsulate", "ML-KEM-768 with X25519 decapsulate", Some(Kind::Hybrid);
    Gcm1K, "aes-gcm-1k", "AES-256-GCM encrypt 1 KiB", Some(Kind::Aes);
    Gcm1M, "aes-gcm-1m", "AES-256-GCM encrypt 1 MiB", Some(Kind::Aes);
    Hmac1K, "hmac-sha256-1k", "HMAC-SHA256 1 KiB", Some(Kind::Secret);
    Attribute, "get-attribute", "get attribute", Some(Kind::Aes);
    Sha256Of1K, "sha256-1k", "SHA-256 1 KiB", None;
    Sha256Of16K, "sha256-16k", "SHA-256 16 KiB", None;
    Random, "random-32", "random 32 bytes", None;
    Session, "session", "open and close a session", None;
    Find, "find-by-label", "find by label", None;
    Create, "create-object", "create a token object", None;
}

impl Op {
    /// Whether it waits for the disk, so that the processor's time says nothing.
    pub(super) fn waits(self) -> bool {
        self == Op::Create
    }

    /// How often it is done in a slice at most: what it makes must be taken away again, which may take longer.
    pub(super) fn most(self) -> f64 {
        if self == Op::Create { 100.0 } else { f64::INFINITY }
    }
}

impl std::str::FromStr for Op {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Op::ALL.iter().copied().find(|op| op.name() == name).ok_or_else(|| {
            let names: Vec<_> = Op::ALL.iter().map(|op| op.name()).collect();
            format!("no such operation; there are {}", names.join(", "))
        })
    }
}
