//! ML-DSA (FIPS 204), what is the same for both providers: the 64 bytes that are signed for a message, and what an
//! expanded private key must show before a library computes with it.
//!
//! Why the message is hashed here: mu is all that signing needs of a message (section 6.2, step 6), so one place builds
//! it for messages, streams, digests and context strings alike, and the libraries sign nothing else.

use super::post_quantum;
use super::refusal::bad_private_key;
use super::{Hash, digest_info};
use canis_proto::{Error, KeyType, Result};
use shake::Shake256;
use shake::digest::{ExtendableOutput, Update, XofReader};
use subtle::ConstantTimeEq;

/// The length of mu and of the hash of a public key, in bytes.
pub const MU: usize = 64;

/// The longest context string, in bytes (section 5.2).
pub const MAX_CONTEXT: usize = 255;

/// tr: the hash of a public key, which every signature binds (section 6.1, step 9).
#[must_use]
pub fn key_hash(public: &[u8]) -> [u8; MU] {
    let mut shake = Shake256::default();
    shake.update(public);
    squeeze(shake)
}

/// mu of a message that comes in pieces.
#[derive(Clone)]
pub struct Mu(Shake256);

impl Mu {
    /// Of a message that is signed as it is (section 5.2), by the key whose public half has this hash.
    ///
    /// # Errors
    /// `invalid_argument` for a context string of more than [`MAX_CONTEXT`] bytes.
    pub fn pure(key_hash: &[u8; MU], context: &[u8]) -> Result<Self> {
        Mu::begin(key_hash, 0, context)
    }

    /// Of a message that `hash` has made `digest` of (section 5.4).
    ///
    /// # Errors
    /// As above, and for a digest of another length.
    pub fn prehashed(key_hash: &[u8; MU], context: &[u8], hash: Hash, digest: &[u8]) -> Result<[u8; MU]> {
        if digest.len() != hash.len() {
            return Err(Error::invalid("the digest is not as long as its hash makes it"));
        }
        let mut mu = Mu::begin(key_hash, 1, context)?;
        mu.update(digest_info::object_identifier(hash));
        mu.update(digest);
        Ok(mu.finish())
    }

    fn begin(key_hash: &[u8; MU], domain: u8, context: &[u8]) -> Result<Self> {
        let len = u8::try_from(context.len()).map_err(|_| {
            Error::invalid(format!("a context string has at most {MAX_CONTEXT} bytes, not {}", context.len()))
        })?;
        let mut mu = Mu(Shake256::default());
        for part in [key_hash.as_slice(), &[domain, len], context] {
            mu.update(part);
        }
        Ok(mu)
    }

    /// Takes more of the message.
    pub fn update(&mut self, message: &[u8]) {
        self.0.update(message);
    }

    /// What is signed.
    #[must_use]
    pub fn finish(self) -> [u8; MU] {
        squeeze(self.0)
    }
}

fn squeeze(shake: Shake256) -> [u8; MU] {
    let mut out = [0; MU];
    shake.finalize_xof().read(&mut out);
    out
}

/// The input of a signature, which must be mu.
pub(super) fn as_mu(input: &[u8]) -> Result<&[u8; MU]> {
    input.try_into().map_err(|_| {
        Error::invalid(format!("ML-DSA signs {MU} bytes made of the message, not {}", input.len()))
    })
}

/// ρ, K, tr: what stands before the vectors of an expanded key (section 7.2, algorithm 24).
const HEAD: usize = 32 + 32 + MU;

/// Refuses an expanded key with a coefficient of s₁ or s₂ out of its range: what decodes such keys may make anything of
/// them, or panic (section 7.2, algorithm 25, its last remark).
pub(super) fn check_expanded(kind: KeyType, expanded: &[u8]) -> Result<()> {
    // (ℓ + k, η) of section 4, table 1.
    let (vectors, eta) = match kind {
        KeyType::MlDsa44 => (8, 2),
        KeyType::MlDsa65 => (11, 4),
        _ => (15, 2),
    };
    let bits = if eta == 2 { 3 } else { 4 };
    let packed = expanded.get(HEAD..HEAD + vectors * 32 * bits);
    let in_range = |group: &[u8]| {
        let word = group.iter().rev().fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
        (0..8 * group.len() / bits).all(|at| (word >> (at * bits)) & ((1 << bits) - 1) <= 2 * eta)
    };
    let fits =
        packed.is_some_and(|packed| packed.chunks_exact(bits).fold(true, |fits, one| fits & in_range(one)));
    if fits && post_quantum::sizes_of(kind)?.expanded == expanded.len() {
        return Ok(());
    }
    Err(bad_private_key("a coefficient of its expanded key is out of range"))
}

/// Refuses an expanded key that names the hash of another public key than its own.
pub(super) fn check_key_hash(expanded: &[u8], key_hash: &[u8; MU]) -> Result<()> {
    let named = expanded.get(HEAD - MU..HEAD).unwrap_or_default();
    if bool::from(named.ct_eq(key_hash)) {
        return Ok(());
    }
    Err(bad_private_key("its public half is not its own"))
}
