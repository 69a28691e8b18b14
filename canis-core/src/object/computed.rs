//! Attributes of secret keys that are computed from the key when it comes to be, and kept with the object.

use super::Content;
use crate::crypto::{BLOCK, Chain, CipherKey, Direction, Hash, MAX_DIGEST, Provider};
use canis_proto::{Error, Family, KeyType, Result};

/// CKA_CHECK_VALUE.
const CHECK_VALUE: u64 = 0x90;
/// CKA_VALUE_LEN; eight bytes, lowest first. Kept where the type does not tell it.
pub(crate) const VALUE_LEN: u64 = 0x161;

impl Content {
    /// Notes what is computed from a secret key of `kind`.
    ///
    /// # Errors
    /// `invalid_argument` if the content claims another CKA_CHECK_VALUE.
    pub(crate) fn note_secret(&mut self, provider: &Provider, kind: KeyType, value: &[u8]) -> Result<()> {
        if kind == KeyType::Generic {
            let len = (value.len() as u64).to_le_bytes().to_vec();
            match self.find(VALUE_LEN) {
                Ok(at) => self.attributes[at].1 = len,
                Err(at) => self.attributes.insert(at, (VALUE_LEN, len)),
            }
        }
        let check = check_value(provider, kind, value)?;
        match self.find(CHECK_VALUE) {
            Err(at) => self.attributes.insert(at, (CHECK_VALUE, check.to_vec())),
            // An empty one asks for none (PKCS#11 v3.1, section 4.10.2).
            Ok(at) if self.attributes[at].1.is_empty() || self.attributes[at].1 == check => {}
            Ok(_) => return Err(Error::invalid("CKA_CHECK_VALUE is not that of this key")),
        }
        Ok(())
    }

    /// The same for the next version's value: what was computed of the one before is not its own.
    ///
    /// # Errors
    /// As [`Self::note_secret`].
    pub(crate) fn note_next_secret(
        &mut self,
        provider: &Provider,
        kind: KeyType,
        value: &[u8],
    ) -> Result<()> {
        if let Ok(at) = self.find(CHECK_VALUE)
            && !self.attributes[at].1.is_empty()
        {
            self.attributes.remove(at);
        }
        self.note_secret(provider, kind, value)
    }

    /// No check value is to be computed, nor one that the content claims to be compared: it would tell something of a
    /// value that somebody else chose a part of.
    pub(crate) fn withhold_check_value(&mut self) {
        match self.find(CHECK_VALUE) {
            Ok(at) => self.attributes[at].1.clear(),
            Err(at) => self.attributes.insert(at, (CHECK_VALUE, Vec::new())),
        }
    }

    fn find(&self, kind: u64) -> std::result::Result<usize, usize> {
        self.attributes.binary_search_by_key(&kind, |(kind, _)| *kind)
    }
}

/// The key check value (PKCS#11 v3.1, section 4.10.2): of a block cipher's key the first three bytes of a block of zeros
/// encrypted, of any other secret the first three of its SHA-1.
pub(crate) fn check_value(provider: &Provider, kind: KeyType, value: &[u8]) -> Result<[u8; 3]> {
    let mut out = [0; MAX_DIGEST];
    let cipher: Box<dyn CipherKey> = match kind.family() {
        Family::Aes => provider.cipher.aes(value)?,
        Family::Des | Family::TripleDes => provider.cipher.des(value)?,
        _ => {
            provider.digest.hash(Hash::Sha1, value, &mut out);
            return Ok([out[0], out[1], out[2]]);
        }
    };
    let block = cipher.block();
    cipher.blocks(Chain::Ecb, Direction::Encrypt)?.run(&[0; BLOCK][..block], &mut out[..block])?;
    Ok([out[0], out[1], out[2]])
}
