//! Keys that leave and come, wrapped by other keys.

use super::Content;
use crate::crypto::{BLOCK, GCM_NONCE, Oaep};
use canis_proto::{Family, Id, Operation, OperationId};

/// How one key wraps another.
#[derive(Clone, Copy)]
pub enum Wrapping<'a> {
    /// CKM_AES_KEY_WRAP (NIST SP 800-38F, KW; RFC 3394).
    AesKw,
    /// CKM_AES_KEY_WRAP_KWP (NIST SP 800-38F, KWP; RFC 5649).
    AesKwp,
    /// CKM_AES_GCM; the result is ciphertext ‖ tag.
    AesGcm {
        /// The IV.
        iv: GcmIv<'a>,
        /// The caller's AAD.
        aad: &'a [u8],
        /// The tag's length in bytes.
        tag: usize,
    },
    /// CKM_AES_CBC_PAD. Not authenticated: for old systems only.
    AesCbcPad {
        /// What the first block is XORed with.
        iv: [u8; BLOCK],
    },
    /// CKM_RSA_PKCS_OAEP; secret keys only.
    RsaOaep(Oaep<'a>),
    /// CKM_RSA_AES_KEY_WRAP: OAEP of a fresh AES key ‖ KWP under that.
    RsaAes {
        /// The bits of the AES key; not looked at when unwrapping.
        bits: usize,
        /// How RSA encrypts it.
        oaep: Oaep<'a>,
    },
    /// CKM_RSA_PKCS; secret keys only. Not authenticated: for old systems only.
    RsaPkcs1,
    /// CKM_AES_CCM; the result is ciphertext ‖ tag.
    AesCcm {
        /// The nonce, 7 to 13 bytes.
        nonce: GcmIv<'a>,
        /// The caller's AAD.
        aad: &'a [u8],
        /// The tag's length in bytes.
        tag: usize,
    },
}

impl Wrapping<'_> {
    /// Whether somebody who lacks the key can make something that unwraps, and so learn about what was wrapped.
    #[must_use]
    pub const fn is_malleable(&self) -> bool {
        matches!(self, Wrapping::AesCbcPad { .. } | Wrapping::RsaPkcs1)
    }
}

/// The IV of AES-GCM, the nonce of AES-CCM.
#[derive(Clone, Copy)]
pub enum GcmIv<'a> {
    /// Drawn here, 12 bytes. A sensitive key is wrapped with no other: with an IV used twice, one wrapped key that is
    /// known would give the other one away, in both modes.
    Drawn,
    /// The caller's.
    Given(&'a [u8]),
}

/// A key that was wrapped, or the room that it takes.
pub struct Wrapped {
    /// The length in bytes.
    pub len: usize,
    /// The wrapped key; `None` if there is no room for it, and then nothing has happened.
    pub bytes: Option<Vec<u8>>,
    /// The IV that was drawn for it.
    pub iv: Option<[u8; GCM_NONCE]>,
}

/// What is expected inside a wrapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inside {
    /// A secret key.
    Secret {
        /// AES, DES or a generic secret.
        family: Family,
        /// Its length in bytes. A wrapping that is not authenticated needs it.
        len: Option<usize>,
    },
    /// A private key as PKCS#8 PrivateKeyInfo.
    Private(Family),
}

operation! {
    /// Wraps an object's key with another one.
    WrapKey<'a> => Wrapped {
        /// The secret or public key that wraps.
        wrapper: Id,
        /// The secret or private key to be wrapped: its bytes, or PKCS#8 PrivateKeyInfo.
        key: Id,
        /// How.
        how: Wrapping<'a>,
        /// How many bytes the caller can take.
        room: usize,
        /// Whether an RSA key of any size may wrap any secret key, as old systems do.
        weak_rsa: bool,
    }
}
operation! {
    /// Makes an object of a wrapped key.
    UnwrapKey<'a> => Id {
        /// The secret or private key that unwraps.
        unwrapper: Id,
        /// How.
        how: Wrapping<'a>,
        /// What was wrapped.
        wrapped: &'a [u8],
        /// What is in it.
        inside: Inside,
        /// The session the key lives in; `None` for a token object.
        session: Option<u64>,
        /// Its attributes; what is computed is filled in.
        content: Content,
    }
}
