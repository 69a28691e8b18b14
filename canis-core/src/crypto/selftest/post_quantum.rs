//! Post-quantum key pairs. Their signatures and ciphertexts are drawn anew each time, so the known answers are the keys that
//! seeds lead to; that the other side takes what they make is tried beside.

use super::hex;
use crate::crypto::ml_dsa::MU;
use crate::crypto::{Provider, SignScheme, post_quantum};
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
