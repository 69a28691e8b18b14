//! Work that is done for nothing, so that a private key that could not be unwrapped costs what one that could costs: how
//! long a refusal takes would tell whoever alters a wrapping how far what is in it was read (Vaudenay, 2002).

use super::{Provider, from_outside};
use crate::secret::SecretBytes;
use canis_proto::{Family, KeyType};
use std::sync::OnceLock;

/// The types of decoys: for keys of a family that were wrapped into at most so many bytes.
const KINDS: [(Family, usize, KeyType); 11] = [
    (Family::Rsa, 1500, KeyType::Rsa2048),
    (Family::Rsa, usize::MAX, KeyType::Rsa4096),
    (Family::Ec, 160, KeyType::EcdsaP256),
    (Family::Ec, 208, KeyType::EcdsaP384),
    (Family::Ec, usize::MAX, KeyType::EcdsaP521),
    (Family::Edwards, usize::MAX, KeyType::Ed25519),
    (Family::Montgomery, usize::MAX, KeyType::X25519),
    (Family::MlDsa, usize::MAX, KeyType::MlDsa65),
    (Family::MlKem, usize::MAX, KeyType::MlKem768),
    (Family::SlhDsa, usize::MAX, KeyType::SlhDsaSha2128f),
    (Family::Hybrid, usize::MAX, KeyType::MlKem768X25519),
];

/// Keys that are used for nothing but to be checked. Each is made when it is first needed.
#[derive(Default)]
pub(crate) struct Decoys([OnceLock<Option<SecretBytes>>; KINDS.len()]);

impl Decoys {
    /// Checks a key of this family, as large as what was wrapped into `len` bytes could be.
    pub(crate) fn check(&self, provider: &Provider, family: Family, len: usize) {
        let fits = |(known, most, _): &(Family, usize, KeyType)| *known == family && len <= *most;
        let Some(at) = KINDS.iter().position(fits) else { return };
        let (kind, kept) = (KINDS[at].2, &self.0[at]);
        if let Some(key) = kept.get_or_init(|| provider.keys.generate(kind).ok()) {
            // That it is right is known; only the time counts.
            let _ = from_outside::check_private(provider, kind, key.expose());
        }
    }
}
