//! Public keys of CANIS: what they encrypt, their server decrypts. No server is asked.

use super::canis::{CONTEXT, KIND};
use super::key::{FileKey, hkdf};
use super::recipient::Recipient;
use super::stanza::Stanza;
use aws_lc_rs::agreement::{self, Algorithm, ParsedPublicKey, PrivateKey, UnparsedPublicKey};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};
use base64ct::{Base64Unpadded, Encoding};
use canis_proto::{Error, ErrorCode, KeyName, Result};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;
use zeroize::Zeroizing;

/// How SubjectPublicKeyInfos of the curves begin (RFC 5480, RFC 8410); the point follows.
pub(super) const CURVES: [(&Algorithm, &[u8]); 4] = [
    (&agreement::X25519, b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x6e\x03\x21\x00"),
    (
        &agreement::ECDH_P256,
        b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00",
    ),
    (
        &agreement::ECDH_P384,
        b"\x30\x76\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22\x03\x62\x00",
    ),
    (
        &agreement::ECDH_P521,
        b"\x30\x81\x9b\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x23\x03\x81\x86\x00",
    ),
];

/// Bytes before the point of an X25519 key, the whole of which has 44.
const X25519_START: usize = 12;

/// A version of a key of CANIS, by its public key.
pub struct PublicRecipient {
    name: KeyName,
    version: u32,
    /// SubjectPublicKeyInfo, DER.
    spki: Vec<u8>,
    half: Half,
}

enum Half {
    Rsa(OaepPublicEncryptingKey),
    Curve(&'static Algorithm),
}

impl PublicRecipient {
    /// A public key as SubjectPublicKeyInfo in DER, and what its server calls it.
    ///
    /// # Errors
    /// `invalid_name`, `invalid_argument`; `operation_not_supported` for a key that neither encrypts nor agrees.
    pub fn new(name: &str, version: u32, spki: &[u8]) -> Result<Self> {
        let name = KeyName::parse(name)?;
        if version == 0 {
            return Err(Error::invalid("a public key is of a version of its key, from 1; say which"));
        }
        let curve = CURVES.iter().find(|(_, start)| spki.starts_with(start));
        let half = match curve {
            Some((curve, _)) => {
                let known = ParsedPublicKey::try_from(UnparsedPublicKey::new(curve, spki));
                known.map_err(|_| Error::invalid("this public key is no point on its curve"))?;
                Half::Curve(curve)
            }
            None => Half::Rsa(rsa(spki)?),
        };
        Ok(PublicRecipient { name, version, spki: spki.to_vec(), half })
    }

    /// The same in PEM, as `canis key public` prints it.
    ///
    /// # Errors
    /// As [`PublicRecipient::new`].
    pub fn from_pem(name: &str, version: u32, pem: &[u8]) -> Result<Self> {
        let spki = SubjectPublicKeyInfoDer::from_pem_slice(pem)
            .map_err(|_| Error::invalid("this is no public key in PEM (`-----BEGIN PUBLIC KEY-----`)"))?;
        PublicRecipient::new(name, version, &spki)
    }

    /// The key's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// The key's version.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// SubjectPublicKeyInfo, DER.
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    fn agree(&self, curve: &'static Algorithm, key: &FileKey) -> Result<Stanza> {
        let failed = |_| {
            Error::invalid(format!(
                "nothing can be encrypted for key `{}`: its public key is wrong",
                self.name
            ))
        };
        let ephemeral = PrivateKey::generate(curve).map_err(|_| Error::internal("no key can be made"))?;
        let share = ephemeral.compute_public_key().and_then(|public| public.as_der()).map_err(failed)?;
        let peer = UnparsedPublicKey::new(curve, &self.spki);
        let secret = agreement::agree(&ephemeral, peer, aws_lc_rs::error::Unspecified, |secret| {
            Ok(Zeroizing::new(secret.to_vec()))
        });
        let share = share.as_ref();
        let wrapping = hkdf(&secret.map_err(failed)?, share, &info(self.name.as_str(), self.version))?;
        let arguments =
            [self.name.as_str(), &self.version.to_string(), &Base64Unpadded::encode_string(share)];
        Ok(Stanza::new(KIND, &arguments).with_body(key.wrap(&wrapping)?))
    }
}

impl Recipient for PublicRecipient {
    fn wrap(&self, key: &FileKey) -> Result<Stanza> {
        let rsa = match &self.half {
            Half::Curve(curve) => return self.agree(curve, key),
            Half::Rsa(rsa) => rsa,
        };
        let mut room = vec![0; rsa.ciphertext_size()];
        let wrapped = rsa.encrypt(&OAEP_SHA256_MGF1SHA256, key.expose(), &mut room, Some(CONTEXT));
        let wrapped = wrapped.map_err(|_| Error::internal("the file key cannot be wrapped"))?.to_vec();
        let arguments = [self.name.as_str(), &self.version.to_string()];
        Ok(Stanza::new(KIND, &arguments).with_body(wrapped))
    }
}

/// What the wrapping key of a share is derived for: one version of one key.
pub(super) fn info(name: &str, version: u32) -> Vec<u8> {
    [CONTEXT, format!(" {name} {version}").as_bytes()].concat()
}

/// SubjectPublicKeyInfo of a public key of X25519.
pub(super) fn x25519_spki(public: &[u8; 32]) -> Vec<u8> {
    [CURVES[0].1, &public[..]].concat()
}

/// The other way round.
pub(super) fn x25519_public(spki: &[u8]) -> Option<[u8; 32]> {
    let (start, public) = spki.split_at_checked(X25519_START)?;
    (start == CURVES[0].1).then(|| <[u8; 32]>::try_from(public).ok()).flatten()
}

pub(super) fn rsa(spki: &[u8]) -> Result<OaepPublicEncryptingKey> {
    let key = PublicEncryptingKey::from_der(spki).ok().and_then(|key| OaepPublicEncryptingKey::new(key).ok());
    key.ok_or_else(|| {
        Error::new(
            ErrorCode::OperationNotSupported,
            "files are encrypted for RSA keys and keys on P-256, P-384, P-521 and X25519; this public key is none of them",
        )
    })
}
