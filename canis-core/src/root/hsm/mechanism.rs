//! How a key in a token wraps 32 bytes. The table says what is tried first.

use canis_proto::{Error, Result, quote};
use cryptoki::mechanism::MechanismType;
use cryptoki::mechanism::rsa::PkcsMgfType;
use wincode::{SchemaRead, SchemaWrite};

/// A mechanism by which a token wraps. Root slots hold it: new ones come at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum WrapMechanism {
    /// CKM_AES_GCM with associated data (SP 800-38D).
    AesGcm,
    /// CKM_AES_KEY_WRAP_PAD (RFC 5649, also called KWP).
    AesKeyWrapPad,
    /// CKM_AES_KEY_WRAP (RFC 3394).
    AesKeyWrap,
    /// CKM_RSA_PKCS_OAEP with SHA-512 (RFC 8017).
    RsaOaepSha512,
    /// The same with SHA-384.
    RsaOaepSha384,
    /// The same with SHA-256.
    RsaOaepSha256,
    /// The same with SHA-1, which is all that some tokens have. OAEP does not need a hash without collisions.
    RsaOaepSha1,
}

impl WrapMechanism {
    /// All of them, the best first.
    pub const ALL: [WrapMechanism; 7] = [
        WrapMechanism::AesGcm,
        WrapMechanism::AesKeyWrapPad,
        WrapMechanism::AesKeyWrap,
        WrapMechanism::RsaOaepSha512,
        WrapMechanism::RsaOaepSha384,
        WrapMechanism::RsaOaepSha256,
        WrapMechanism::RsaOaepSha1,
    ];

    /// Its name, as flags and lists have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            WrapMechanism::AesGcm => "aes-gcm",
            WrapMechanism::AesKeyWrapPad => "aes-key-wrap-pad",
            WrapMechanism::AesKeyWrap => "aes-key-wrap",
            WrapMechanism::RsaOaepSha512 => "rsa-oaep-sha512",
            WrapMechanism::RsaOaepSha384 => "rsa-oaep-sha384",
            WrapMechanism::RsaOaepSha256 => "rsa-oaep-sha256",
            WrapMechanism::RsaOaepSha1 => "rsa-oaep-sha1",
        }
    }

    /// The mechanism of that name.
    ///
    /// # Errors
    /// `invalid_argument` with the names that there are.
    pub fn of_name(name: &str) -> Result<Self> {
        WrapMechanism::ALL.into_iter().find(|mechanism| mechanism.name() == name).ok_or_else(|| {
            let names: Vec<&str> = WrapMechanism::ALL.iter().map(|mechanism| mechanism.name()).collect();
            Error::invalid(format!(
                "`{}` is no mechanism to wrap by; there are {}",
                quote(name),
                names.join(", ")
            ))
        })
    }

    /// The number that tokens list it by.
    pub(super) fn number(self) -> MechanismType {
        match self {
            WrapMechanism::AesGcm => MechanismType::AES_GCM,
            WrapMechanism::AesKeyWrapPad => MechanismType::AES_KEY_WRAP_PAD,
            WrapMechanism::AesKeyWrap => MechanismType::AES_KEY_WRAP,
            _ => MechanismType::RSA_PKCS_OAEP,
        }
    }

    /// The hash functions of OAEP and of its mask; `None` for AES.
    pub(super) fn hash(self) -> Option<(MechanismType, PkcsMgfType)> {
        Some(match self {
            WrapMechanism::RsaOaepSha512 => (MechanismType::SHA512, PkcsMgfType::MGF1_SHA512),
            WrapMechanism::RsaOaepSha384 => (MechanismType::SHA384, PkcsMgfType::MGF1_SHA384),
            WrapMechanism::RsaOaepSha256 => (MechanismType::SHA256, PkcsMgfType::MGF1_SHA256),
            WrapMechanism::RsaOaepSha1 => (MechanismType::SHA1, PkcsMgfType::MGF1_SHA1),
            _ => return None,
        })
    }

    /// Whether it wraps key objects, by C_WrapKey, and not bytes, by C_Encrypt.
    pub(super) fn wraps_objects(self) -> bool {
        matches!(self, WrapMechanism::AesKeyWrapPad | WrapMechanism::AesKeyWrap)
    }
}
