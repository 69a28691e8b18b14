//! SLH-DSA (FIPS 205) with SHA-2: keys, messages and signatures as bytes, by the `slh-dsa` crate.
//!
//! Why a crate of its own: the library is generic, so that its code is compiled where it is used, as fast or slow as that crate.
//! A signature is some million hashes; this crate is optimised in every profile, whoever uses it need not be.

use slh_dsa::{
    ParameterSet, Sha2_128f, Sha2_128s, Sha2_192f, Sha2_192s, Sha2_256f, Sha2_256s, Signature, SigningKey,
    VerifyingKey,
};
use zeroize::Zeroizing;

/// A parameter set (section 11, table 2): `s` has short signatures, `f` makes them faster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// SLH-DSA-SHA2-128s.
    Sha2128s,
    /// SLH-DSA-SHA2-128f.
    Sha2128f,
    /// SLH-DSA-SHA2-192s.
    Sha2192s,
    /// SLH-DSA-SHA2-192f.
    Sha2192f,
    /// SLH-DSA-SHA2-256s.
    Sha2256s,
    /// SLH-DSA-SHA2-256f.
    Sha2256f,
}

/// A function of the library for a set.
macro_rules! of_set {
    ($set:expr, $function:ident($($given:expr),*)) => {
        match $set {
            Set::Sha2128s => $function::<Sha2_128s>($($given),*),
            Set::Sha2128f => $function::<Sha2_128f>($($given),*),
            Set::Sha2192s => $function::<Sha2_192s>($($given),*),
            Set::Sha2192f => $function::<Sha2_192f>($($given),*),
            Set::Sha2256s => $function::<Sha2_256s>($($given),*),
            Set::Sha2256f => $function::<Sha2_256f>($($given),*),
        }
    };
}

impl Set {
    /// n: the bytes of a hash, of a seed, and of the randomness of a signature. A private key has 4 n, a public key 2 n.
    #[must_use]
    pub const fn hash_len(self) -> usize {
        match self {
            Set::Sha2128s | Set::Sha2128f => 16,
            Set::Sha2192s | Set::Sha2192f => 24,
            Set::Sha2256s | Set::Sha2256f => 32,
        }
    }

    /// The private key SK.seed ‖ SK.prf ‖ PK.seed ‖ PK.root of its first three parts, n bytes each (section 9.1, algorithm
    /// 18). The last two are the public key. `None` for another length.
    #[must_use]
    pub fn key_of_seeds(self, seeds: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        (seeds.len() == 3 * self.hash_len()).then(|| of_set!(self, key_of_seeds(seeds)))
    }

    /// The signature of `message` (section 9.2, algorithm 19), by this randomness or, without, by PK.seed in its place.
    /// `None` for a private key or randomness of another length.
    #[must_use]
    pub fn sign(self, private: &[u8], random: Option<&[u8]>, message: &[u8]) -> Option<Vec<u8>> {
        if random.is_some_and(|random| random.len() != self.hash_len()) {
            return None;
        }
        of_set!(self, sign(private, random, message))
    }

    /// Whether the signature is right (section 9.3, algorithm 20). One of another length is wrong, and so is all by a public
    /// key of another length.
    #[must_use]
    pub fn verify(self, public: &[u8], message: &[u8], signature: &[u8]) -> bool {
        of_set!(self, verify(public, message, signature)).is_some()
    }
}

fn key_of_seeds<P: ParameterSet>(seeds: &[u8]) -> Zeroizing<Vec<u8>> {
    let (sk_seed, rest) = seeds.split_at(seeds.len() / 3);
    let (sk_prf, pk_seed) = rest.split_at(rest.len() / 2);
    Zeroizing::new(SigningKey::<P>::slh_keygen_internal(sk_seed, sk_prf, pk_seed).to_vec())
}

fn sign<P: ParameterSet>(private: &[u8], random: Option<&[u8]>, message: &[u8]) -> Option<Vec<u8>> {
    let key = SigningKey::<P>::try_from(private).ok()?;
    Some(key.slh_sign_internal(&[message], random).to_vec())
}

fn verify<P: ParameterSet>(public: &[u8], message: &[u8], signature: &[u8]) -> Option<()> {
    let key = VerifyingKey::<P>::try_from(public).ok()?;
    key.slh_verify_internal(&[message], &Signature::try_from(signature).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Set; 6] =
        [Set::Sha2128s, Set::Sha2128f, Set::Sha2192s, Set::Sha2192f, Set::Sha2256s, Set::Sha2256f];

    /// What has another length is refused before the library sees it, which would panic.
    #[test]
    fn other_lengths_are_refused() {
        for set in ALL {
            let n = set.hash_len();
            for len in [0, n, 3 * n - 1, 3 * n + 1, 4 * n] {
                assert!(set.key_of_seeds(&vec![7; len]).is_none(), "{set:?}");
            }
            for (private, random) in [(0, n), (4 * n - 1, n), (4 * n + 1, n), (4 * n, 0), (4 * n, n + 1)] {
                assert!(set.sign(&vec![7; private], Some(&vec![7; random]), b"").is_none(), "{set:?}");
            }
            for (public, signature) in [(0, 0), (2 * n, 0), (2 * n + 1, 7856), (2 * n, 7857)] {
                assert!(!set.verify(&vec![7; public], b"", &vec![7; signature]), "{set:?}");
            }
        }
    }
}
