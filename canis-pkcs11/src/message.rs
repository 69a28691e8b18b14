//! The message of an operation: in one piece or in parts, as it stands or through a hash.

use crate::mechanism::{Scheme, Signer};
use crate::rv::{Result, fail};
use crate::token::{Keeper, MacParts, ReadyKey};
use canis_core::crypto::{Hash, Hasher, MAX_DIGEST, Provider, SignScheme, digest_info};
use canis_core::object::{MacScheme, MacUse};
use pkcs11_sys::*;
use zeroize::Zeroizing;

/// The most that is kept of a message that cannot be worked on in parts (AES-GCM, RSA, Ed25519): 64 MiB.
pub(crate) const MAX_KEPT: usize = 64 << 20;

/// A message that is only complete at the end, kept till then and wiped afterwards.
#[derive(Default)]
pub(crate) struct Kept {
    bytes: Option<Zeroizing<Vec<u8>>>,
}

impl Kept {
    /// Takes another part.
    ///
    /// # Errors
    /// CKR_DATA_LEN_RANGE above [`MAX_KEPT`].
    pub(crate) fn push(&mut self, part: &[u8]) -> Result {
        let bytes = self.bytes.get_or_insert_default();
        let total = bytes.len() + part.len();
        if total > MAX_KEPT {
            return fail(CKR_DATA_LEN_RANGE);
        }
        if total > bytes.capacity() {
            // Growing a Vec leaves the old copy behind unwiped, so the bytes move by hand.
            let mut larger = Zeroizing::new(Vec::with_capacity(total.next_power_of_two()));
            larger.extend_from_slice(bytes);
            *bytes = larger;
        }
        bytes.extend_from_slice(part);
        Ok(())
    }

    /// Whether a part was given; then the one-piece functions may not be used (section 5.8.2 and its like).
    pub(crate) fn started(&self) -> bool {
        self.bytes.is_some()
    }

    /// The parts so far, in one.
    pub(crate) fn whole(&self) -> &[u8] {
        self.bytes.as_ref().map_or(&[], |bytes| bytes.as_slice())
    }
}

/// The message of a signature or MAC, to be made or checked as `U` says.
pub(crate) struct Message<U> {
    provider: &'static Provider,
    signer: Signer,
    parts: Parts<U>,
}

enum Parts<U> {
    Kept(Kept),
    Hashing(Option<Box<dyn Hasher>>, Hash),
    Mac(Option<MacParts<U>>, MacScheme),
}

impl<U: MacUse> Message<U> {
    /// An empty message to be signed or verified by `signer`.
    pub(crate) fn new(provider: &'static Provider, signer: Signer) -> Self {
        let parts = match &signer {
            Signer { hash: Some(hash), .. } => Parts::Hashing(None, *hash),
            Signer { scheme: Scheme::Mac(scheme), .. } => Parts::Mac(None, *scheme),
            Signer { scheme: Scheme::Pair(_) | Scheme::PostQuantum { .. }, .. } => {
                Parts::Kept(Kept::default())
            }
        };
        Message { provider, signer, parts }
    }

    /// How to sign it.
    pub(crate) fn scheme(&self) -> &Scheme {
        &self.signer.scheme
    }

    /// Whether it may come in parts. What the standard calls single-part only has a digest of the host's (section 6.67).
    pub(crate) fn has_parts(&self) -> bool {
        !matches!(self.signer, Signer { hash: None, scheme: Scheme::PostQuantum { hash: Some(_), .. } })
    }

    /// The length of the signature by `key` in bytes.
    pub(crate) fn signature_len(&self, key: &ReadyKey) -> usize {
        match self.signer.scheme {
            Scheme::Pair(_) | Scheme::PostQuantum { .. } => key.signature_len(),
            Scheme::Mac(scheme) => scheme.len,
        }
    }

    /// Takes another part.
    pub(crate) fn push(&mut self, keeper: &Keeper, key: &ReadyKey, part: &[u8]) -> Result {
        match &mut self.parts {
            Parts::Kept(kept) => kept.push(part),
            Parts::Hashing(hasher, hash) => {
                hasher.get_or_insert_with(|| self.provider.digest.start(*hash)).update(part);
                Ok(())
            }
            Parts::Mac(run, scheme) => Ok(started(run, keeper, key, *scheme)?.update(keeper, key, part)?),
        }
    }

    /// Whether a part was given.
    pub(crate) fn started(&self) -> bool {
        match &self.parts {
            Parts::Kept(kept) => kept.started(),
            Parts::Hashing(hasher, _) => hasher.is_some(),
            Parts::Mac(run, _) => run.is_some(),
        }
    }

    /// The MAC that is being computed of the parts so far, if it is one.
    pub(crate) fn mac(&mut self, keeper: &Keeper, key: &ReadyKey) -> Result<Option<&mut MacParts<U>>> {
        match &mut self.parts {
            Parts::Mac(run, scheme) => started(run, keeper, key, *scheme).map(Some),
            Parts::Kept(_) | Parts::Hashing(..) => Ok(None),
        }
    }

    /// Gives `f` what the scheme signs for the parts so far; not for MACs.
    pub(crate) fn finish<T>(&mut self, f: impl FnOnce(&[u8]) -> Result<T>) -> Result<T> {
        let mut digest = [0; MAX_DIGEST];
        match &mut self.parts {
            Parts::Kept(kept) => self.signer.prepare(None, kept.whole(), f),
            Parts::Hashing(hasher, hash) => {
                let mut hasher = hasher.take().unwrap_or_else(|| self.provider.digest.start(*hash));
                let len = hasher.finish(&mut digest);
                self.signer.prepare(Some(*hash), &digest[..len], f)
            }
            Parts::Mac(..) => fail(CKR_GENERAL_ERROR),
        }
    }

    /// Gives `f` what the scheme signs for `message` in one piece.
    pub(crate) fn whole<T>(&self, message: &[u8], f: impl FnOnce(&[u8]) -> Result<T>) -> Result<T> {
        match self.signer.hash {
            None => self.signer.prepare(None, message, f),
            Some(hash) => {
                let mut digest = [0; MAX_DIGEST];
                let len = self.provider.digest.hash(hash, message, &mut digest);
                self.signer.prepare(Some(hash), &digest[..len], f)
            }
        }
    }
}

fn started<'a, U: MacUse>(
    run: &'a mut Option<MacParts<U>>,
    keeper: &Keeper,
    key: &ReadyKey,
    scheme: MacScheme,
) -> Result<&'a mut MacParts<U>> {
    if run.is_none() {
        *run = Some(MacParts::start(keeper, key, scheme)?);
    }
    run.as_mut().ok_or_else(|| CKR_GENERAL_ERROR.into())
}

impl Signer {
    /// The step between message (or digest by `hash`) and the core's input.
    fn prepare<T>(&self, hash: Option<Hash>, input: &[u8], f: impl FnOnce(&[u8]) -> Result<T>) -> Result<T> {
        match (&self.scheme, hash) {
            (Scheme::Pair(SignScheme::RsaPkcs1), Some(hash)) => {
                f(digest_info::encode(hash, input)?.as_slice())
            }
            // CKM_RSA_PKCS_PSS takes a digest made by the parameter's hash (section 6.1.11).
            (Scheme::Pair(SignScheme::RsaPss { hash, .. }), None) if input.len() != hash.len() => {
                fail(CKR_DATA_LEN_RANGE)
            }
            _ => f(input),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_streamed_is_kept_to_a_bound() {
        let mut kept = Kept::default();
        kept.push(b"ab").unwrap();
        kept.push(b"cd").unwrap();
        assert_eq!(kept.whole(), b"abcd");
        assert_eq!(kept.push(&vec![0; MAX_KEPT - 3]).unwrap_err().rv, CKR_DATA_LEN_RANGE);
    }
}
