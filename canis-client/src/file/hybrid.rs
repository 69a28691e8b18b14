//! age's post-quantum recipients, `age1pq1…`, and identities, `AGE-SECRET-KEY-PQ-1…` (age v1, "The MLKEM768-X25519 hybrid
//! post-quantum recipient type").

use super::key::{FileKey, WRAPPED};
use super::recipient::{Identity, Recipient};
use super::stanza::{Stanza, base64};
use super::xwing::{CIPHERTEXT, PUBLIC, PrivateKey, PublicKey, SEED};
use super::{hpke, malformed};
use aws_lc_rs::rand;
use base64ct::{Base64Unpadded, Encoding};
use canis_proto::{Error, Result, bech32};
use zeroize::Zeroizing;

/// The type of the stanza.
pub(super) const KIND: &str = "mlkem768x25519";

const INFO: &[u8] = b"age-encryption.org/mlkem768x25519";

const RECIPIENT: &str = "age1pq";
const IDENTITY: &str = "age-secret-key-pq-";

/// Who has the private key of this public one, of ML-KEM-768 and X25519 together.
#[derive(Clone)]
pub struct HybridRecipient(PublicKey);

impl HybridRecipient {
    /// Whether a text is meant to be one.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        text.starts_with("age1pq1")
    }

    /// Reads `age1pq1…`.
    ///
    /// # Errors
    /// `invalid_argument`.
    pub fn parse(text: &str) -> Result<Self> {
        let key = bech32::decode(text).filter(|(prefix, key)| prefix == RECIPIENT && key.len() == PUBLIC);
        let key = key.and_then(|(_, key)| PublicKey::parse(&key));
        key.map(HybridRecipient)
            .ok_or_else(|| Error::invalid("this is no post-quantum recipient of age's, `age1pq1…`"))
    }

    /// Writes `age1pq1…`, which has 1959 characters.
    #[must_use]
    pub fn to_text(&self) -> String {
        bech32::encode(RECIPIENT, &self.0.to_bytes()).to_string()
    }
}

impl Recipient for HybridRecipient {
    fn wrap(&self, key: &FileKey) -> Result<Stanza> {
        let (ciphertext, secret) = self.0.encapsulate()?.ok_or_else(|| {
            Error::invalid("nothing can be encrypted for this recipient: its key is of low order")
        })?;
        let hpke::MessageKey { key: wrapping, nonce } = hpke::schedule(&secret, INFO)?;
        let wrapped = key.wrap_with_nonce(&wrapping, nonce)?;
        Ok(Stanza::new(KIND, &[&Base64Unpadded::encode_string(&ciphertext)]).with_body(wrapped))
    }
}

/// A private key of both kinds, made from one seed.
pub struct HybridIdentity {
    seed: Zeroizing<[u8; SEED]>,
    private: PrivateKey,
}

impl HybridIdentity {
    /// A new one, at random.
    ///
    /// # Errors
    /// `internal` if the system gives no random bytes.
    pub fn random() -> Result<Self> {
        let mut seed = Zeroizing::new([0; SEED]);
        rand::fill(&mut *seed).map_err(|_| Error::internal("the system gives no random bytes"))?;
        HybridIdentity::from_seed(seed)
    }

    /// Reads `AGE-SECRET-KEY-PQ-1…`.
    ///
    /// # Errors
    /// `invalid_argument`.
    pub fn parse(text: &str) -> Result<Self> {
        let refused = || Error::invalid("this is no post-quantum identity of age's, `AGE-SECRET-KEY-PQ-1…`");
        let (prefix, seed) = bech32::decode(text).ok_or_else(refused)?;
        let seed = <[u8; SEED]>::try_from(&seed[..]).map(Zeroizing::new).map_err(|_| refused())?;
        if prefix != IDENTITY || text.starts_with('a') {
            return Err(refused());
        }
        HybridIdentity::from_seed(seed)
    }

    fn from_seed(seed: Zeroizing<[u8; SEED]>) -> Result<Self> {
        Ok(HybridIdentity { private: PrivateKey::from_seed(&seed)?, seed })
    }

    /// Whether a text is meant to be one.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        text.starts_with("AGE-SECRET-KEY-PQ-1")
    }

    /// Writes `AGE-SECRET-KEY-PQ-1…`: the secret itself.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut text = bech32::encode(IDENTITY, &self.seed[..]);
        text.make_ascii_uppercase();
        text
    }

    /// Who a file must be for, so that this identity opens it.
    #[must_use]
    pub fn recipient(&self) -> HybridRecipient {
        HybridRecipient(self.private.public())
    }
}

impl Identity for HybridIdentity {
    fn unwrap(&self, stanzas: &[Stanza]) -> Result<Option<FileKey>> {
        for stanza in stanzas.iter().filter(|stanza| stanza.kind == KIND) {
            let [ciphertext] = stanza.exactly()?;
            let ciphertext = base64(ciphertext).filter(|ciphertext| ciphertext.len() == CIPHERTEXT);
            let ciphertext = ciphertext.filter(|_| stanza.body.len() == WRAPPED);
            let ciphertext = ciphertext
                .ok_or_else(|| malformed("a section mlkem768x25519 holds parts of the wrong length"))?;
            let secret = self.private.decapsulate(&ciphertext);
            let secret =
                secret.ok_or_else(|| malformed("a section mlkem768x25519 holds a share of low order"))?;
            let hpke::MessageKey { key, nonce } = hpke::schedule(&secret, INFO)?;
            if let Some(key) = FileKey::unwrap_with_nonce(&key, nonce, &stanza.body)? {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::{Header, X25519Identity};
    use canis_proto::ErrorCode;
    use proptest::prelude::*;
    use sha2::{Digest, Sha256};

    /// The example of the format's own text: the recipient, which has 1959 characters, by its hash.
    #[test]
    fn the_recipient_of_a_seed() {
        let text = "AGE-SECRET-KEY-PQ-1XX76JRALNLXDMEW0CRK45QMCCH4X06SE84UN3VPM33W6HWDX0H3SK3ZQFR";
        let identity = HybridIdentity::parse(text).unwrap();
        assert_eq!(*identity.to_text(), text);
        let recipient = identity.recipient().to_text();
        let hash: String = Sha256::digest(&recipient).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            (recipient.len(), &hash[..]),
            (1959, "a091dd7e0ee9d62b75173dcc98441a0424baa941e66a8776e570a4ae60ff61ea")
        );
        assert_eq!(HybridRecipient::parse(&recipient).unwrap().to_text(), recipient);
    }

    fn refusal<T>(result: Result<T>) -> ErrorCode {
        result.map(drop).unwrap_err().code
    }

    /// Neither kind of text passes for the other, and an identity in lower case is none.
    #[test]
    fn texts_of_other_kinds() {
        let identity = HybridIdentity::random().unwrap();
        let recipient = identity.recipient().to_text();
        let classic = X25519Identity::from_bytes(&[7; 32]).unwrap().recipient().to_text();
        for text in [&classic, &recipient[..1958], &recipient.replace("age1pq1", "age1"), ""] {
            assert_eq!(refusal(HybridRecipient::parse(text)), ErrorCode::InvalidArgument);
        }
        for text in [&*identity.to_text().to_lowercase(), &recipient, "AGE-SECRET-KEY-1QQQQ"] {
            assert_eq!(refusal(HybridIdentity::parse(text)), ErrorCode::InvalidArgument);
        }
    }

    /// A public key with a coefficient that is no number below q, and one of low order, get no file (FIPS 203, section 7.2; RFC 7748,
    /// section 6.1).
    #[test]
    fn weak_recipients() {
        let mut key = HybridIdentity::random().unwrap().recipient().0.to_bytes();
        key[PUBLIC - 32..].fill(0);
        let low = HybridRecipient::parse(&bech32::encode(RECIPIENT, &key)).unwrap();
        assert_eq!(refusal(low.wrap(&FileKey::random().unwrap())), ErrorCode::InvalidArgument);
        key[..3].fill(0xff);
        assert_eq!(
            refusal(HybridRecipient::parse(&bech32::encode(RECIPIENT, &key))),
            ErrorCode::InvalidArgument
        );
    }

    /// Beside a key that a quantum computer finds no post-quantum recipient stands, whichever comes first; what is nobody's does no harm.
    #[test]
    fn kept_apart() {
        let (key, identity) = (FileKey::random().unwrap(), HybridIdentity::random().unwrap());
        let classic = X25519Identity::from_bytes(&[7; 32]).unwrap().recipient().wrap(&key).unwrap();
        let hybrid = identity.recipient().wrap(&key).unwrap();
        for stanzas in [vec![classic.clone(), hybrid.clone()], vec![hybrid.clone(), classic]] {
            for made in [Header::new(stanzas.clone(), &key), Header::with_room(stanzas, &key)] {
                assert_eq!(refusal(made), ErrorCode::InvalidArgument);
            }
        }
        let twice = vec![identity.recipient().wrap(&key).unwrap(), hybrid];
        let header = Header::with_room(twice, &key).unwrap();
        assert_eq!(header.open(&[&identity]).unwrap().expose(), key.expose());
    }

    proptest! {
        /// Whatever stands in a section, it is not for this identity, or it is malformed.
        #[test]
        fn total(text in "[ -~]{0,40}", ciphertext in prop::collection::vec(any::<u8>(), 1110..1130), body in prop::collection::vec(any::<u8>(), 30..34)) {
            let identity = HybridIdentity::from_seed(Zeroizing::new([7; SEED])).unwrap();
            let _ = HybridRecipient::parse(&format!("age1pq1{text}"));
            let _ = HybridIdentity::parse(&format!("AGE-SECRET-KEY-PQ-1{text}"));
            let fits = ciphertext.len() == CIPHERTEXT && body.len() == WRAPPED;
            let stanza = Stanza::new(KIND, &[&Base64Unpadded::encode_string(&ciphertext)]).with_body(body);
            match identity.unwrap(&[stanza]) {
                Ok(key) => prop_assert!(fits && key.is_none()),
                Err(error) => prop_assert!(!fits && error.code == ErrorCode::UnsupportedFormat),
            }
        }
    }
}
