//! Keys of OpenSSH as recipients, as a line of `authorized_keys` or a `.pub` file writes them (age v1, "The ssh-rsa
//! recipient type", "The ssh-ed25519 recipient type"). age opens such files with the private key.

use super::key::{FileKey, hkdf};
use super::public;
use super::recipient::Recipient;
use super::stanza::Stanza;
use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey, X25519};
use aws_lc_rs::digest;
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey};
use base64ct::{Base64, Base64Unpadded, Encoding};
use canis_proto::{Error, Result};
use curve25519_dalek::edwards::CompressedEdwardsY;
use zeroize::Zeroizing;

/// The types of the stanzas.
pub(super) const RSA: &str = "ssh-rsa";
pub(super) const ED25519: &str = "ssh-ed25519";
const RSA_LABEL: &[u8] = b"age-encryption.org/v1/ssh-rsa";
const ED25519_INFO: &[u8] = b"age-encryption.org/v1/ssh-ed25519";

/// RSA keys of fewer bits are refused, as age does.
const LEAST_BITS: usize = 2048;

/// A public key of OpenSSH.
pub struct SshRecipient {
    /// The key as SSH sends it (RFC 4253, section 6.6).
    wire: Vec<u8>,
    half: Half,
}

enum Half {
    Rsa(OaepPublicEncryptingKey),
    /// The key of Ed25519 as one of X25519.
    Ed25519([u8; 32]),
}

impl SshRecipient {
    /// Reads `ssh-ed25519 AAAA… comment` or `ssh-rsa AAAA… comment`.
    ///
    /// # Errors
    /// `invalid_argument`.
    pub fn parse(line: &str) -> Result<Self> {
        let refused =
            || Error::invalid("this is no public key of OpenSSH of the kinds `ssh-ed25519` and `ssh-rsa`");
        let mut words = line.split_ascii_whitespace();
        let (kind, key) = (words.next().ok_or_else(refused)?, words.next().ok_or_else(refused)?);
        let wire = Base64::decode_vec(key).map_err(|_| refused())?;
        let mut fields = Fields(&wire);
        if fields.next() != Some(kind.as_bytes()) {
            return Err(refused());
        }
        let half = match kind {
            ED25519 => fields.next().and_then(montgomery).map(Half::Ed25519),
            RSA => rsa(&mut fields)?.map(Half::Rsa),
            _ => None,
        };
        match (half, fields.0.is_empty()) {
            (Some(half), true) => Ok(SshRecipient { half, wire }),
            _ => Err(refused()),
        }
    }

    /// Whether a text is meant to be one.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        text.starts_with("ssh-")
    }

    fn tag(&self) -> String {
        let hash = digest::digest(&digest::SHA256, &self.wire);
        Base64Unpadded::encode_string(&hash.as_ref()[..4])
    }

    fn wrap_ed25519(&self, recipient: &[u8; 32], key: &FileKey) -> Result<Stanza> {
        let failed = || Error::internal("no ephemeral key can be made");
        let ephemeral = PrivateKey::generate(&X25519).map_err(|_| failed())?;
        let share = ephemeral.compute_public_key().map_err(|_| failed())?;
        // The tweak makes what is shared depend on the key of SSH, not only on its form as an X25519 key.
        let tweak = hkdf(b"", &self.wire, ED25519_INFO)?;
        let tweak = PrivateKey::from_private_key(&X25519, &tweak[..]).map_err(|_| failed())?;
        let shared = agree(&tweak, &*agree(&ephemeral, recipient)?)?;
        let salt = [share.as_ref(), &recipient[..]].concat();
        let wrapped = key.wrap(&*hkdf(&*shared, &salt, ED25519_INFO)?)?;
        Ok(Stanza::new(ED25519, &[&self.tag(), &Base64Unpadded::encode_string(share.as_ref())])
            .with_body(wrapped))
    }
}

impl Recipient for SshRecipient {
    fn wrap(&self, key: &FileKey) -> Result<Stanza> {
        let rsa = match &self.half {
            Half::Ed25519(recipient) => return self.wrap_ed25519(recipient, key),
            Half::Rsa(rsa) => rsa,
        };
        let mut room = vec![0; rsa.ciphertext_size()];
        let wrapped = rsa.encrypt(&OAEP_SHA256_MGF1SHA256, key.expose(), &mut room, Some(RSA_LABEL));
        let wrapped = wrapped.map_err(|_| Error::internal("the file key cannot be wrapped"))?.to_vec();
        Ok(Stanza::new(RSA, &[&self.tag()]).with_body(wrapped))
    }
}

fn agree(private: &PrivateKey, peer: &[u8; 32]) -> Result<Zeroizing<[u8; 32]>> {
    let shared = agreement::agree(private, UnparsedPublicKey::new(&X25519, peer), (), |shared| {
        <[u8; 32]>::try_from(shared).map(Zeroizing::new).map_err(drop)
    });
    shared
        .map_err(|()| Error::invalid("nothing can be encrypted for this key of OpenSSH: it is of low order"))
}

/// The same point on the other form of the curve (RFC 7748, section 4.1).
fn montgomery(point: &[u8]) -> Option<[u8; 32]> {
    Some(CompressedEdwardsY::from_slice(point).ok()?.decompress()?.to_montgomery().to_bytes())
}

fn rsa(fields: &mut Fields<'_>) -> Result<Option<OaepPublicEncryptingKey>> {
    let (Some(exponent), Some(modulus)) = (fields.next(), fields.next()) else { return Ok(None) };
    let key = public::rsa(&spki(modulus, exponent))?;
    if key.key_size_bits() < LEAST_BITS {
        return Err(Error::invalid("RSA keys of fewer than 2048 bits protect nothing"));
    }
    Ok(Some(key))
}

/// SubjectPublicKeyInfo of an RSA key (RFC 3279, section 2.3.1). SSH's integers are DER's: big endian, with a sign.
fn spki(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    const ALGORITHM: &[u8] = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
    let key = der(0x30, &[der(0x02, modulus), der(0x02, exponent)].concat());
    let key = der(0x03, &[&[0][..], &key].concat());
    der(0x30, &[ALGORITHM, &key].concat())
}

/// Tag, length, value (X.690, section 8.1).
fn der(tag: u8, value: &[u8]) -> Vec<u8> {
    let len = value.len().to_be_bytes();
    let len = &len[len.iter().take_while(|byte| **byte == 0).count()..];
    let mut bytes = vec![tag];
    match value.len() {
        short @ 0..128 => bytes.push(short as u8),
        _ => {
            bytes.push(0x80 | len.len() as u8);
            bytes.extend(len);
        }
    }
    bytes.extend(value);
    bytes
}

/// Strings with their length before them (RFC 4251, section 5).
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn next(&mut self) -> Option<&'a [u8]> {
        let (len, rest) = self.0.split_first_chunk::<4>()?;
        let (field, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*len)).ok()?)?;
        self.0 = rest;
        Some(field)
    }
}
