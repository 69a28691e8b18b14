//! A recipient as root: a public key, X25519 or hybrid, whose private half lies elsewhere, in a safe. The store wraps the root key
//! to it without asking anybody; the private key's file opens the store when every other root is lost.
//!
//! Why this is safe here: each wrap has a secret of its own, of a key pair whose private half is gone afterwards, or encapsulated
//! to a hybrid key; the wrapping key is HKDF-SHA-256 of that secret, salted with what was made for it and with the
//! recipient's public key, so that it belongs to these two alone.

use super::Root;
use crate::crypto::public_parts::PublicParts;
use crate::crypto::xaes::XaesKey;
use crate::crypto::{Encapsulation, PrivateKey, Provider, post_quantum, private_parts};
use crate::keyring::root_record::RootParameters;
use crate::keyring::seal::{open_secret, xaes_key};
use crate::secret::SecretBytes;
use canis_proto::{Error, ErrorCode, KeyType, Result};

pub(super) const KIND: &str = "recipient";

/// The length of an X25519 public key and of what two sides agree on.
const LEN: usize = 32;

/// The type of a hybrid recipient's key.
const HYBRID: KeyType = KeyType::MlKem768X25519;

/// The public key of a recipient.
#[derive(Clone, Copy)]
pub(super) enum Public<'a> {
    /// X25519.
    Point(&'a [u8; LEN]),
    /// [`HYBRID`].
    Hybrid(&'a [u8]),
}

/// The parameters of a slot for the recipient of this public key, which is checked.
///
/// # Errors
/// `invalid_argument`, `invalid_key_type`: the bytes are no SubjectPublicKeyInfo of X25519 or a hybrid key.
pub(super) fn parameters(provider: &Provider, spki: &[u8]) -> Result<RootParameters> {
    match PublicParts::from_spki(spki)? {
        (kind, PublicParts::Montgomery { point }) => {
            provider.keys.public(kind, spki)?;
            Ok(RootParameters::Recipient { public_key: point })
        }
        (HYBRID, PublicParts::PostQuantum { key, .. }) => {
            provider.keys.public(HYBRID, spki)?;
            Ok(RootParameters::HybridRecipient { public_key: key })
        }
        _ => Err(Error::invalid(
            "a recipient's key is hybrid, which `canis root recipient-key` makes, or X25519, which \
             `openssl genpkey -algorithm X25519` makes",
        )),
    }
}

impl Public<'_> {
    fn kind(self) -> KeyType {
        match self {
            Public::Point(_) => KeyType::X25519,
            Public::Hybrid(_) => HYBRID,
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Public::Point(point) => *point,
            Public::Hybrid(key) => key,
        }
    }

    /// SubjectPublicKeyInfo DER.
    pub(super) fn to_spki(self) -> Result<Vec<u8>> {
        match self {
            Public::Point(point) => PublicParts::Montgomery { point: *point }.to_spki(),
            Public::Hybrid(key) => PublicParts::PostQuantum { kind: HYBRID, key: key.to_vec() }.to_spki(),
        }
    }

    /// What the wrapping key is derived for (docs/storage.md).
    fn label(self) -> &'static [u8] {
        match self {
            Public::Point(_) => b"canis/v1/recipient-root",
            Public::Hybrid(_) => b"canis/v1/hybrid-recipient-root",
        }
    }

    /// How many bytes of a slot were made for its secret, before what is wrapped.
    fn head(self) -> Result<usize> {
        match self {
            Public::Point(_) => Ok(LEN),
            Public::Hybrid(_) => Ok(post_quantum::sizes_of(HYBRID)?.ciphertext),
        }
    }
}

fn point(spki: &[u8]) -> Result<[u8; LEN]> {
    match PublicParts::from_spki(spki)?.1 {
        PublicParts::Montgomery { point } => Ok(point),
        _ => Err(Error::internal("an X25519 key has a public half of another sort")),
    }
}

pub(super) struct RecipientRoot<'a> {
    pub(super) provider: &'static Provider,
    pub(super) public: Public<'a>,
    /// PKCS#8 DER; only to open.
    pub(super) private: Option<&'a SecretBytes>,
}

impl RecipientRoot<'_> {
    /// The wrapping key of a secret and of what was made for it.
    fn key(&self, secret: &SecretBytes, made: &[u8]) -> Result<XaesKey> {
        let salt = [made, self.public.bytes()].concat();
        let derive =
            |out: &mut [u8]| self.provider.kdf.hkdf_sha256(secret.expose(), &salt, self.public.label(), out);
        xaes_key(self.provider, &SecretBytes::filled(32, derive)?)
    }

    /// A fresh secret that the recipient comes to as well, and what he needs for that.
    fn share(&self) -> Result<Encapsulation> {
        let keys = self.provider.keys;
        match self.public {
            Public::Hybrid(_) => keys.public(HYBRID, &self.public.to_spki()?)?.encapsulate(),
            Public::Point(peer) => {
                let fresh = keys.generate(KeyType::X25519)?;
                let own = keys.private(KeyType::X25519, fresh.expose())?;
                let secret = agreed(&*own, peer)?;
                Ok(Encapsulation { ciphertext: point(own.public_spki())?.to_vec(), secret })
            }
        }
    }

    /// The recipient's own way to the secret.
    fn shared(&self, own: &dyn PrivateKey, made: &[u8]) -> Result<SecretBytes> {
        match self.public {
            Public::Hybrid(_) => own.decapsulate(made),
            Public::Point(_) => agreed(own, made),
        }
    }
}

fn agreed(own: &dyn PrivateKey, peer: &[u8]) -> Result<SecretBytes> {
    SecretBytes::filled(LEN, |out| own.agree(peer, out).map(drop))
}

impl Root for RecipientRoot<'_> {
    fn seal(&self, key: &SecretBytes, context: &[u8]) -> Result<Vec<u8>> {
        let made = self.share()?;
        let wrapped = self.key(&made.secret, &made.ciphertext)?.seal_to_vec(context, key.expose())?;
        Ok([made.ciphertext, wrapped].concat())
    }

    fn open(&self, sealed: &[u8], context: &[u8]) -> Result<SecretBytes> {
        let wrong = || {
            Error::new(
                ErrorCode::RootCredentialWrong,
                "the private key is not the one that this slot was made for",
            )
        };
        let private = self.private.ok_or_else(wrong)?;
        let kind = self.public.kind();
        if private_parts::kind_of(private.expose())? != kind {
            return Err(wrong());
        }
        let own = self.provider.keys.private(kind, private.expose())?;
        if own.public_spki() != self.public.to_spki()? {
            return Err(wrong());
        }
        let Some((made, wrapped)) = sealed.split_at_checked(self.public.head()?) else {
            return Err(Error::new(ErrorCode::StoreTampered, "the recipient's root slot is too short"));
        };
        open_secret(&self.key(&self.shared(&*own, made)?, made)?, context, wrapped).map_err(|_| {
            Error::new(ErrorCode::StoreTampered, "the recipient's root slot was changed by other hands")
        })
    }
}
