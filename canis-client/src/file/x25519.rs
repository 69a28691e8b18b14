//! age's own recipients, `age1…`, and identities, `AGE-SECRET-KEY-1…` (age v1, "The X25519 recipient type").

use super::key::{FileKey, WRAPPED, hkdf};
use super::public::x25519_public;
use super::recipient::{Identity, Recipient};
use super::stanza::{Stanza, base64};
use super::{damaged, malformed};
use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey, X25519};
use base64ct::{Base64Unpadded, Encoding};
use canis_proto::{Error, Result, bech32};
use zeroize::Zeroizing;

/// The type of the stanza.
pub(super) const KIND: &str = "X25519";

/// What wrapping keys are derived for.
pub(super) const INFO: &[u8] = b"age-encryption.org/v1/X25519";

const RECIPIENT: &str = "age";
const IDENTITY: &str = "age-secret-key-";

/// Who has the private key of this public one.
#[derive(Clone, PartialEq, Eq)]
pub struct X25519Recipient([u8; 32]);

impl X25519Recipient {
    /// A public key as it is (RFC 7748).
    #[must_use]
    pub fn from_bytes(public: [u8; 32]) -> Self {
        X25519Recipient(public)
    }

    /// A public key as SubjectPublicKeyInfo in DER; `None` for one of another kind.
    #[must_use]
    pub fn from_spki(spki: &[u8]) -> Option<Self> {
        x25519_public(spki).map(X25519Recipient)
    }

    /// Reads `age1…`.
    ///
    /// # Errors
    /// `invalid_argument`.
    pub fn parse(text: &str) -> Result<Self> {
        let key = bech32::decode(text).filter(|(prefix, _)| prefix == RECIPIENT);
        let key = key.and_then(|(_, key)| <[u8; 32]>::try_from(&key[..]).ok());
        key.map(X25519Recipient).ok_or_else(|| Error::invalid("this is no recipient of age's, `age1…`"))
    }

    /// Writes `age1…`.
    #[must_use]
    pub fn to_text(&self) -> String {
        bech32::encode(RECIPIENT, &self.0).to_string()
    }
}

impl Recipient for X25519Recipient {
    fn wrap(&self, key: &FileKey) -> Result<Stanza> {
        let ephemeral = PrivateKey::generate(&X25519).map_err(|_| Error::internal("no key can be made"))?;
        let share = public(&ephemeral)?;
        let shared = agree(&ephemeral, &self.0).ok_or_else(|| {
            Error::invalid("nothing can be encrypted for this recipient: its key is of low order")
        })?;
        let wrapped = key.wrap(&*wrapping_key(&*shared, &share, &self.0)?)?;
        Ok(Stanza::new(KIND, &[&Base64Unpadded::encode_string(&share)]).with_body(wrapped))
    }
}

/// A private key.
pub struct X25519Identity {
    private: PrivateKey,
    public: [u8; 32],
}

impl X25519Identity {
    /// A private key as it is (RFC 7748).
    ///
    /// # Errors
    /// `invalid_argument`.
    pub fn from_bytes(private: &[u8; 32]) -> Result<Self> {
        let refused = |_| Error::invalid("this is no private key of X25519");
        let private = PrivateKey::from_private_key(&X25519, private).map_err(refused)?;
        let public = public(&private)?;
        Ok(X25519Identity { private, public })
    }

    /// Reads `AGE-SECRET-KEY-1…`.
    ///
    /// # Errors
    /// `invalid_argument`.
    pub fn parse(text: &str) -> Result<Self> {
        let refused = || Error::invalid("this is no identity of age's, `AGE-SECRET-KEY-1…`");
        let (prefix, key) = bech32::decode(text).ok_or_else(refused)?;
        let key = <[u8; 32]>::try_from(&key[..]).map(Zeroizing::new).map_err(|_| refused())?;
        if prefix != IDENTITY || text.starts_with('a') {
            return Err(refused());
        }
        X25519Identity::from_bytes(&key)
    }

    /// Who a file must be for, so that this identity opens it.
    #[must_use]
    pub fn recipient(&self) -> X25519Recipient {
        X25519Recipient(self.public)
    }
}

impl Identity for X25519Identity {
    fn unwrap(&self, stanzas: &[Stanza]) -> Result<Option<FileKey>> {
        for stanza in stanzas.iter().filter(|stanza| stanza.kind == KIND) {
            let share = share(stanza)?;
            let shared = agree(&self.private, &share)
                .ok_or_else(|| malformed("a section X25519 holds a share of low order"))?;
            let key = wrapping_key(&*shared, &share, &self.public)?;
            if let Some(key) = FileKey::unwrap(&key, &stanza.body)? {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }
}

/// The ephemeral share of a stanza whose parts are as long as they must be.
pub(super) fn share(stanza: &Stanza) -> Result<[u8; 32]> {
    let [share] = stanza.exactly()?;
    let share = base64(share).and_then(|share| <[u8; 32]>::try_from(&share[..]).ok());
    match share {
        Some(share) if stanza.body.len() == WRAPPED => Ok(share),
        _ => Err(malformed("a section X25519 holds parts of the wrong length")),
    }
}

/// The salt by which age derives the wrapping key.
pub(super) fn salt(share: &[u8; 32], recipient: &[u8; 32]) -> Vec<u8> {
    [&share[..], &recipient[..]].concat()
}

fn wrapping_key(shared: &[u8], share: &[u8; 32], recipient: &[u8; 32]) -> Result<Zeroizing<[u8; 32]>> {
    hkdf(shared, &salt(share, recipient), INFO)
}

/// The public key of a private one.
pub(super) fn public(private: &PrivateKey) -> Result<[u8; 32]> {
    let public = private.compute_public_key().map_err(|_| Error::internal("no public key can be made"))?;
    <[u8; 32]>::try_from(public.as_ref()).map_err(|_| damaged("a public key of X25519 has 32 bytes"))
}

/// What both share; `None` if that is zero (RFC 7748, section 6.1).
pub(super) fn agree(private: &PrivateKey, peer: &[u8; 32]) -> Option<Zeroizing<[u8; 32]>> {
    let peer = UnparsedPublicKey::new(&X25519, peer);
    let shared = agreement::agree(private, peer, (), |shared| {
        <[u8; 32]>::try_from(shared).map(Zeroizing::new).map_err(drop)
    });
    shared.ok().filter(|shared| **shared != [0; 32])
}
