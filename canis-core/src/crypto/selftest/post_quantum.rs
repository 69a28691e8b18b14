//! Post-quantum key pairs. Their signatures and ciphertexts are drawn anew each time, so the known answers are the keys that
//! seeds lead to; that the other side takes what they make is tried beside.

use super::hex;
use crate::crypto::ml_dsa::MU;
use crate::crypto::{Hash, MAX_DIGEST, Provider, SignScheme, post_quantum};
use canis_proto::{KeyType, Result};

/// Wycheproof, mldsa_44_sign_seed, its first group: the hash of the public key.
pub(super) fn ml_dsa(provider: &'static Provider) -> Result<bool> {
    const KEY_HASH: [u8; MU] = hex(concat!(
        "9c4fa4df25ba91314a29ff442622734bdb60bdd6e32da000ed543cc0715e74f6",
        "9a06f1b020ec8e6a82bc1309e7c184b9290518ece32f6115f535b09a55694d46",
    ));
    let kind = KeyType::MlDsa44;
    let pkcs8 = post_quantum::seed_pkcs8(kind, |seed| {
        seed.fill(0x2a);
        Ok(())
    })?;
    let private = provider.keys.private(kind, pkcs8.expose())?;
    let public = provider.keys.public(kind, private.public_spki())?;
    let mut signature = vec![0; private.signature_len()];
    private.sign(SignScheme::MlDsa, &KEY_HASH, &mut signature)?;
    Ok(public.ml_dsa_hash() == Some(&KEY_HASH)
        && public.verify(SignScheme::MlDsa, &KEY_HASH, &signature)?
        && !public.verify(SignScheme::MlDsa, &[0; MU], &signature)?)
}

/// Wycheproof, mlkem_512_keygen_seed, its first test: the hash of the public key; and what implicit rejection makes of
/// zeros, J(z, c) (FIPS 203, section 6.3).
pub(super) fn ml_kem(provider: &'static Provider) -> Result<bool> {
    const SEED: [u8; 64] = hex(concat!(
        "7c9935a0b07694aa0c6d10e4db6b1add2fd81a25ccb148032dcd739936737f2d",
        "8626ed79d451140800e03b59b956f8210e556067407d13dc90fa9e8b872bfb8f",
    ));
    const KEY_HASH: [u8; 32] = hex("50c8dd152a4531aab560d2fc7ca9a40ad8af25ad1dd08c6d79afe4dd4d1eee5a");
    const REJECTED: [u8; 32] = hex("5ac14adb3fba23f4f93f6feb37203ec8394d1c29c1d6e595867219814f7aaee5");
    let kind = KeyType::MlKem512;
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
