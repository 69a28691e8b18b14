//! Post-quantum key pairs. Their signatures and ciphertexts are drawn anew each time, so the known answers are the keys that
//! seeds lead to; that the other side takes what they make is tried beside.

use super::hex;
use crate::crypto::ml_dsa::MU;
use crate::crypto::public_parts::PublicParts;
use crate::crypto::rust::slh_dsa_of_seeds;
use crate::crypto::{Hash, MAX_DIGEST, Provider, SignScheme, post_quantum, slh_dsa};
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

/// NIST's ACVP vectors (SLH-DSA-keyGen-FIPS205, test 21; SLH-DSA-sigVer-FIPS205, test 266): the root of a key of seeds, and a
/// signature that verifies, and does not over another message. To sign would take too long.
pub(super) fn slh_dsa(provider: &'static Provider) -> Result<bool> {
    const SEEDS: [u8; 48] = hex(concat!(
        "c42bcb3b5a6f331f5cce899253c6d9e29ff2b7ead7a04bab1794db8cc659c3b4",
        "a868f1bd5debc12d4c9fad66aabd0a94",
    ));
    const ROOT: [u8; 16] = hex("b546df247be4c457f3d467cdfcfabd39");
    const PUBLIC: [u8; 32] = hex("cf5339f7b748f3b48c0bbf22392e6f4254aeaa7d529078de7c056d3e71973df5");
    const MESSAGE: [u8; 24] = hex("4b81f0cd1f79cb8524d12233592474236b6b9ef279e53b38");
    const CONTEXT: [u8; 255] = hex(concat!(
        "159f52b2492f1dfe8c3eac8e5a05edc7f098351f168a8fe18b50322dc24385aa0080ba72b3c0b07687a56be544b2afb1",
        "9aacb440642ad8cf110572faa6a5a3f724f1400ab78873a4d99a4aef59a1e7fe4ad8d2653aaa9b418b71fa26658910d1",
        "94c5872bb0fa8a6d12efeb006b63410c2cd884b67737bdab1df10542f58594c49ab5529bad13d6cf8f4a9df855b83290",
        "b3f0acf94eaa87e760353f87ca19b7afe740b89ef4f5fcd8d2d261ff1e1de05c78d05bad357c0453544790aaeba9a1f0",
        "49bc163515ab600f9de17652fddb2ef0df2b306c09006bfe76ce4955049ab948255fda4d0ebf87a83c65ada07a7a219d",
        "9c9444a5f1c74f230925f59d549d74",
    ));
    const SIGNATURE: &[u8] = include_bytes!("slh_dsa_sha2_128s.sig");
    let made = slh_dsa_of_seeds(KeyType::SlhDsaSha2128f, &SEEDS)?;
    let kind = KeyType::SlhDsaSha2128s;
    let spki = PublicParts::PostQuantum { kind, key: PUBLIC.to_vec() }.to_spki()?;
    let public = provider.keys.public(kind, &spki)?;
    let (message, other) = (slh_dsa::pure(&CONTEXT, &MESSAGE)?, slh_dsa::pure(&CONTEXT, &SEEDS)?);
    Ok(made.expose().ends_with(&ROOT)
        && public.verify(SignScheme::SlhDsa, &message, SIGNATURE)?
        && !public.verify(SignScheme::SlhDsa, &other, SIGNATURE)?)
}
