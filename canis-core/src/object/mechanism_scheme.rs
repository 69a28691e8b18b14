//! Which scheme a mechanism stands for. A request that names its key names both, and CKA_ALLOWED_MECHANISMS speaks of
//! mechanisms: one that is allowed must not be the pretext for a scheme that is not.

use super::{CipherScheme, MacWith, PostQuantumUse, SignWith};
use crate::crypto::{BlockMode, Hash, SignScheme, digest_info};
use canis_proto::{Error, ErrorCode, Family, Result};

/// The mechanisms that work with one hash, as CKM_… numbers.
struct OfHash {
    hash: Hash,
    pkcs1: u64,
    pss: u64,
    ecdsa: u64,
    ml_dsa: u64,
    slh_dsa: u64,
    /// The whole tag, and a part of it.
    hmac: [u64; 2],
}

/// There is none.
const NONE: u64 = u64::MAX;

const OF_HASHES: [OfHash; 10] = [
    OfHash {
        hash: Hash::Md5,
        pkcs1: 0x05,
        pss: NONE,
        ecdsa: NONE,
        ml_dsa: NONE,
        slh_dsa: NONE,
        hmac: [0x211, 0x212],
    },
    OfHash {
        hash: Hash::Sha1,
        pkcs1: 0x06,
        pss: 0x0e,
        ecdsa: 0x1042,
        ml_dsa: NONE,
        slh_dsa: NONE,
        hmac: [0x221, 0x222],
    },
    OfHash {
        hash: Hash::Sha224,
        pkcs1: 0x46,
        pss: 0x47,
        ecdsa: 0x1043,
        ml_dsa: 0x23,
        slh_dsa: 0x36,
        hmac: [0x256, 0x257],
    },
    OfHash {
        hash: Hash::Sha256,
        pkcs1: 0x40,
        pss: 0x43,
        ecdsa: 0x1044,
        ml_dsa: 0x24,
        slh_dsa: 0x37,
        hmac: [0x251, 0x252],
    },
    OfHash {
        hash: Hash::Sha384,
        pkcs1: 0x41,
        pss: 0x44,
        ecdsa: 0x1045,
        ml_dsa: 0x25,
        slh_dsa: 0x38,
        hmac: [0x261, 0x262],
    },
    OfHash {
        hash: Hash::Sha512,
        pkcs1: 0x42,
        pss: 0x45,
        ecdsa: 0x1046,
        ml_dsa: 0x26,
        slh_dsa: 0x39,
        hmac: [0x271, 0x272],
    },
    OfHash {
        hash: Hash::Sha3_224,
        pkcs1: 0x66,
        pss: 0x67,
        ecdsa: 0x1047,
        ml_dsa: 0x27,
        slh_dsa: 0x3a,
        hmac: [0x2b6, 0x2b7],
    },
    OfHash {
        hash: Hash::Sha3_256,
        pkcs1: 0x60,
        pss: 0x63,
        ecdsa: 0x1048,
        ml_dsa: 0x28,
        slh_dsa: 0x3b,
        hmac: [0x2b1, 0x2b2],
    },
    OfHash {
        hash: Hash::Sha3_384,
        pkcs1: 0x61,
        pss: 0x64,
        ecdsa: 0x1049,
        ml_dsa: 0x29,
        slh_dsa: 0x3c,
        hmac: [0x2c1, 0x2c2],
    },
    OfHash {
        hash: Hash::Sha3_512,
        pkcs1: 0x62,
        pss: 0x65,
        ecdsa: 0x104a,
        ml_dsa: 0x2a,
        slh_dsa: 0x3d,
        hmac: [0x2d1, 0x2d2],
    },
];

impl SignWith<'_> {
    /// Whether a mechanism signs so what the caller gives, a digest where the mechanism hashes.
    #[must_use]
    pub fn is_of(&self, mechanism: u64, input: &[u8]) -> bool {
        let hashed = |number: fn(&OfHash) -> u64| OF_HASHES.iter().find(|of| number(of) == mechanism);
        match self {
            SignWith::Pair(SignScheme::RsaPkcs1) => match hashed(|of| of.pkcs1) {
                Some(of) => digest_info::parse(input).is_some_and(|(hash, _)| hash == of.hash),
                None => mechanism == 0x01,
            },
            SignWith::Pair(SignScheme::RsaPss { hash, .. }) => {
                hashed(|of| of.pss).map_or(mechanism == 0x0d, |of| of.hash == *hash)
            }
            SignWith::Pair(SignScheme::RsaRaw) => mechanism == 0x03,
            SignWith::Pair(SignScheme::Ecdsa) => {
                hashed(|of| of.ecdsa).map_or(mechanism == 0x1041, |of| of.hash.len() == input.len())
            }
            SignWith::Pair(SignScheme::Ed25519) => mechanism == 0x1057,
            // The mechanisms of PKCS#11 sign messages and digests; mu and M' are made of one, and do not tell of which.
            SignWith::Pair(SignScheme::MlDsa | SignScheme::SlhDsa) => false,
            SignWith::MlDsa(PostQuantumUse { hash: None, .. }) => mechanism == 0x1d,
            SignWith::MlDsa(PostQuantumUse { hash: Some(hash), .. }) => {
                hashed(|of| of.ml_dsa).map_or(mechanism == 0x1f, |of| of.hash == *hash)
            }
            SignWith::SlhDsa(PostQuantumUse { hash: None, .. }) => mechanism == 0x2e,
            SignWith::SlhDsa(PostQuantumUse { hash: Some(hash), .. }) => {
                hashed(|of| of.slh_dsa).map_or(mechanism == 0x34, |of| of.hash == *hash)
            }
            SignWith::Mac(mac) => match mac.with {
                MacWith::Hmac(hash) => {
                    OF_HASHES.iter().any(|of| of.hash == hash && of.hmac.contains(&mechanism))
                }
                MacWith::Cmac(Family::Aes) => [0x108a, 0x108b].contains(&mechanism),
                MacWith::Cmac(_) => [0x138, 0x137].contains(&mechanism),
            },
        }
    }
}

impl CipherScheme<'_> {
    /// Whether a mechanism works so. What pads is chained by the caller, so its blocks may also come without padding.
    #[must_use]
    pub fn is_of(&self, mechanism: u64) -> bool {
        let numbers: &[u64] = match self {
            CipherScheme::AesGcm { .. } | CipherScheme::AesGcmSized { .. } => &[0x1087],
            CipherScheme::AesCcm { .. } => &[0x1088],
            CipherScheme::Blocks(BlockMode::Ecb) => &[0x1081, 0x121, 0x132],
            CipherScheme::Blocks(BlockMode::Cbc { .. }) => &[0x1082, 0x1085, 0x122, 0x125, 0x133, 0x136],
            CipherScheme::Blocks(BlockMode::CbcPad { .. }) => &[0x1085, 0x125, 0x136],
            CipherScheme::Blocks(BlockMode::Ctr { .. }) => &[0x1086],
            CipherScheme::RsaOaep(_) => &[0x09],
            CipherScheme::RsaPkcs1 => &[0x01],
            CipherScheme::RsaRaw => &[0x03],
        };
        numbers.contains(&mechanism)
    }
}

/// Refuses a scheme that is none of the mechanism that was named.
///
/// # Errors
/// `mechanism_not_allowed`.
pub(crate) fn agree(is_of: bool) -> Result<()> {
    if is_of {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::MechanismNotAllowed,
        "the mechanism does not work so; name the one whose scheme and input these are",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A mechanism that is allowed is no pretext for another one: pure signatures, digests and mu are told apart.
    #[test]
    fn post_quantum_mechanisms_sign_what_they_are_named_for() {
        let how = |hash| PostQuantumUse { hash, context: b"", deterministic: false };
        let [ml_dsa, slh_dsa] = [[0x1d, 0x1f, 0x26], [0x2e, 0x34, 0x39]];
        for (one, scheme) in [(0, SignScheme::MlDsa), (1, SignScheme::SlhDsa)] {
            let by = |hash| [SignWith::MlDsa(how(hash)), SignWith::SlhDsa(how(hash))][one];
            for (scheme, is) in [
                (by(None), [true, false, false]),
                (by(Some(Hash::Sha512)), [false, true, true]),
                (by(Some(Hash::Sha256)), [false, true, false]),
                (SignWith::Pair(scheme), [false; 3]),
                (SignWith::Pair(SignScheme::Ed25519), [false; 3]),
            ] {
                let allowed = |of: [u64; 3]| of.map(|mechanism| scheme.is_of(mechanism, &[7; 64]));
                let expected = if one == 0 { [is, [false; 3]] } else { [[false; 3], is] };
                assert_eq!([allowed(ml_dsa), allowed(slh_dsa)], expected, "{scheme:?}");
            }
        }
    }
}
