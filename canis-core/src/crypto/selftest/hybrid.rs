//! The hybrid of ML-KEM-768 and X25519.

use super::hex;
use crate::crypto::{Hash, MAX_DIGEST, Provider, post_quantum};
use canis_proto::{KeyType, Result};

/// draft-connolly-cfrg-xwing-kem, appendix C, the first vector: the hash of the public key; and what zeros lead to: the secret of
/// ML-KEM's implicit rejection and the zeros that X25519 agrees on with a point of small order, combined.
pub(super) fn hybrid(provider: &'static Provider) -> Result<bool> {
    const SEED: [u8; 32] = hex("7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26");
    const KEY_HASH: [u8; 32] = hex("5121745904643ad9dfacca7869292c19a8a69533b53e60666b7db910b4ad6367");
    const REJECTED: [u8; 32] = hex("e6325d46169c99e0dee538459ee7a8f714961cd9618af93f17ef5d9461300ade");
    let kind = KeyType::MlKem768X25519;
    let pkcs8 = post_quantum::seed_pkcs8(kind, |seed| {
        seed.copy_from_slice(&SEED);
        Ok(())
    })?;
    let private = provider.keys.private(kind, pkcs8.expose())?;
    let bytes = post_quantum::public_bytes(kind, private.public_spki())?;
    let mut hash = [0; MAX_DIGEST];
    let len = provider.digest.hash(Hash::Sha3_256, &bytes, &mut hash);
    let made = provider.keys.public(kind, private.public_spki())?.encapsulate()?;
    let rejected = private.decapsulate(&vec![0; made.ciphertext.len()])?;
    Ok(hash[..len] == KEY_HASH
        && rejected.equals(&REJECTED)
        && private.decapsulate(&made.ciphertext)?.equals(made.secret.expose()))
}
