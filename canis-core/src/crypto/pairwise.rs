//! The pairwise consistency test of fresh key pairs (FIPS 140-3, implementation guidance 10.3.A): one signature is
//! made by the private half and checked by the public half, both parsed from what will be stored.

use super::{Hash, Keys, SignScheme, digest_info};
use canis_proto::{Error, Family, KeyType, Result};

/// Signs and verifies once with the key in `pkcs8`.
///
/// # Errors
/// `internal` if the two halves do not belong together.
pub(super) fn check(keys: &dyn Keys, kind: KeyType, pkcs8: &[u8]) -> Result<()> {
    let private = keys.private(kind, pkcs8)?;
    let public = keys.public(kind, private.public_spki())?;
    let digest = [0x5a; 32];
    let info;
    let (scheme, input) = match kind.family() {
        Family::Rsa => {
            info = digest_info::encode(Hash::Sha256, &digest)?;
            (SignScheme::RsaPkcs1, info.as_slice())
        }
        Family::Edwards => (SignScheme::Ed25519, digest.as_slice()),
        Family::Ec | Family::Aes => (SignScheme::Ecdsa, digest.as_slice()),
    };
    let mut signature = vec![0; private.signature_len()];
    let len = private.sign(scheme, input, &mut signature)?;
    if public.verify(scheme, input, signature.get(..len).unwrap_or_default())? {
        Ok(())
    } else {
        Err(Error::internal(format!("a fresh {kind} key pair failed its pairwise consistency test")))
    }
}
