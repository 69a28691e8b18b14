//! A private key of CANIS that was exported: opens what was encrypted for it where no server is in reach.

use super::canis::{CONTEXT, Wrapped};
use super::key::{FileKey, hkdf};
use super::public::{CURVES, info};
use super::recipient::Identity;
use super::stanza::Stanza;
use super::x25519::X25519Identity;
use aws_lc_rs::agreement::{self, Algorithm, PrivateKey, UnparsedPublicKey, X25519};
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use canis_proto::{Error, ErrorCode, Result};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use zeroize::Zeroizing;

/// What stands before the 32 bytes of an X25519 key in PKCS#8 (RFC 8410, section 7).
const X25519_PKCS8: &[u8] = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x6e\x04\x22\x04\x20";

/// One version of a pair, by its private key.
pub struct ExportedKey(Half);

enum Half {
    Rsa(OaepPrivateDecryptingKey),
    /// The public keys that it agrees with begin so.
    Curve(&'static Algorithm, &'static [u8], PrivateKey),
    /// Opens what age itself encrypted, too.
    X25519(PrivateKey, X25519Identity),
}

impl ExportedKey {
    /// A private key as PKCS#8 in PEM, as `canis key export` writes it.
    ///
    /// # Errors
    /// `invalid_argument` if it is none; `operation_not_supported` for a key that neither decrypts nor agrees.
    pub fn from_pem(pem: &[u8]) -> Result<Self> {
        let pkcs8 = PrivatePkcs8KeyDer::from_pem_slice(pem)
            .map_err(|_| Error::invalid("this is no private key in PEM (`-----BEGIN PRIVATE KEY-----`)"))?;
        ExportedKey::from_pkcs8(pkcs8.secret_pkcs8_der())
    }

    fn from_pkcs8(pkcs8: &[u8]) -> Result<Self> {
        if let Some(private) =
            pkcs8.strip_prefix(X25519_PKCS8).and_then(|key| <&[u8; 32]>::try_from(key).ok())
        {
            let own = PrivateKey::from_private_key(&X25519, private)
                .map_err(|_| Error::invalid("this is no private key of X25519"))?;
            return Ok(ExportedKey(Half::X25519(own, X25519Identity::from_bytes(private)?)));
        }
        let rsa = PrivateDecryptingKey::from_pkcs8(pkcs8).ok();
        if let Some(rsa) = rsa.and_then(|key| OaepPrivateDecryptingKey::new(key).ok()) {
            return Ok(ExportedKey(Half::Rsa(rsa)));
        }
        for (curve, start) in CURVES.into_iter().filter(|(curve, _)| *curve != &X25519) {
            if let Ok(private) = PrivateKey::from_private_key_der(curve, pkcs8) {
                return Ok(ExportedKey(Half::Curve(curve, start, private)));
            }
        }
        Err(Error::new(
            ErrorCode::OperationNotSupported,
            "files are encrypted for RSA keys and keys on P-256, P-384, P-521 and X25519; this private key is none of them",
        ))
    }

    fn open(&self, wrapped: &Wrapped<'_>) -> Result<Option<FileKey>> {
        let (curve, start, private) = match (&self.0, &wrapped.share) {
            (Half::Rsa(rsa), None) => return Ok(decrypt(rsa, wrapped.body)),
            (Half::Curve(curve, start, private), Some(_)) => (*curve, *start, private),
            (Half::X25519(private, _), Some(_)) => (&X25519, CURVES[0].1, private),
            _ => return Ok(None),
        };
        let share = wrapped.share.as_deref().filter(|share| share.starts_with(start));
        let Some(share) = share else { return Ok(None) };
        let peer = UnparsedPublicKey::new(curve, share);
        let shared = agreement::agree(private, peer, (), |secret| Ok(Zeroizing::new(secret.to_vec())));
        let Ok(shared) = shared else { return Ok(None) };
        let key = hkdf(&shared, share, &info(wrapped.name, wrapped.version))?;
        FileKey::unwrap(&key, wrapped.body)
    }
}

fn decrypt(rsa: &OaepPrivateDecryptingKey, body: &[u8]) -> Option<FileKey> {
    let mut room = Zeroizing::new(vec![0; rsa.min_output_size()]);
    let key = rsa.decrypt(&OAEP_SHA256_MGF1SHA256, body, &mut room, Some(CONTEXT)).ok()?;
    FileKey::from_slice(key).ok()
}

impl Identity for ExportedKey {
    fn unwrap(&self, stanzas: &[Stanza]) -> Result<Option<FileKey>> {
        for wrapped in Wrapped::of(stanzas, None)? {
            if let Some(key) = self.open(&wrapped)? {
                return Ok(Some(key));
            }
        }
        match &self.0 {
            Half::X25519(_, identity) => identity.unwrap(stanzas),
            _ => Ok(None),
        }
    }
}
