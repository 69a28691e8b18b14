//! RSA (RFC 8017). One `RSA*` per key is shared by all threads: its pool of blindings is inside.

use super::AWS_LC;
use super::binding::RsaKey;
use crate::crypto::key_pairs::Maker;
use crate::crypto::private_info;
use crate::crypto::public_parts::{self, PublicParts};
use crate::crypto::refusal::{
    bad_private_key, bad_public_key, decryption_failed, digest_fits, room, wrong_scheme,
};
use crate::crypto::rsa_pkcs1::{self, Rejection};
use crate::crypto::{Oaep, PrivateKey, PublicKey, SignScheme, rsa_block};
use crate::secret::SecretBytes;
use canis_proto::{Error, KeyType, Result};
use zeroize::Zeroizing;

/// RSA keys.
pub(super) const RSA: Maker = Maker { generate, private, public };

fn generate(kind: KeyType) -> Result<SecretBytes> {
    RsaKey::generate(kind.bits())
        .and_then(|key| key.to_pkcs8())
        .map_err(|_| Error::internal("no RSA key could be generated"))
}

fn private(kind: KeyType, pkcs8: &[u8]) -> Result<Box<dyn PrivateKey>> {
    let info = private_info::parse(kind, pkcs8)?;
    let spki = public_parts::of_rsa_private(kind, info.key)?;
    let rejection = Rejection::new(&AWS_LC, info.key, kind.bytes())?;
    let key = RsaKey::from_pkcs8(pkcs8)
        .map_err(|_| bad_private_key("it is no RSAPrivateKey of two primes, or its numbers do not fit"))?;
    Ok(Box::new(Private { key, spki, rejection }))
}

fn public(kind: KeyType, spki: &[u8]) -> Result<Box<dyn PublicKey>> {
    let PublicParts::Rsa { modulus, exponent } = public_parts::of_kind(kind, spki)? else {
        return Err(bad_public_key("it is not RSA"));
    };
    let key = RsaKey::from_numbers(&modulus, &exponent)
        .map_err(|_| bad_public_key("its numbers are no RSA key"))?;
    Ok(Box::new(Public(key)))
}

struct Private {
    key: RsaKey,
    spki: Vec<u8>,
    rejection: Rejection,
}

impl PrivateKey for Private {
    fn public_spki(&self) -> &[u8] {
        &self.spki
    }

    fn signature_len(&self) -> usize {
        self.key.size()
    }

    fn sign(&self, scheme: SignScheme, input: &[u8], out: &mut [u8]) -> Result<usize> {
        let out = room(out, self.key.size())?;
        let signed = match scheme {
            SignScheme::RsaPkcs1 if input.len() + 11 > out.len() => {
                return Err(Error::invalid("the input is longer than the modulus less 11 bytes"));
            }
            SignScheme::RsaPkcs1 => self.key.sign_pkcs1(input, out),
            SignScheme::RsaPss { hash, mgf, salt } => {
                digest_fits(hash, input)?;
                if salt > out.len() - hash.len() - 2 {
                    return Err(Error::invalid("the PSS salt is too long for this modulus"));
                }
                self.key.sign_pss(hash, mgf, salt, input, out)
            }
            SignScheme::RsaRaw => {
                let block = rsa_block::extended(input, out.len())?;
                return self.key.private(&block, out).map_err(|_| rsa_block::not_below());
            }
            SignScheme::Ecdsa | SignScheme::Ed25519 | SignScheme::MlDsa | SignScheme::SlhDsa => {
                return Err(wrong_scheme("RSA"));
            }
        };
        signed.map_err(|_| Error::internal("RSA gave no signature"))
    }

    fn decrypt_oaep(&self, scheme: Oaep<'_>, ciphertext: &[u8], out: &mut [u8]) -> Result<usize> {
        let out = room(out, self.key.size())?;
        self.key.decrypt_oaep(scheme, ciphertext, out).map_err(|_| decryption_failed())
    }

    fn decrypt_pkcs1(&self, ciphertext: &[u8], out: &mut [u8]) -> Result<usize> {
        let raw = |ciphertext: &[u8]| {
            let mut block = Zeroizing::new(vec![0; self.key.size()]);
            self.key.private(ciphertext, &mut block).ok()?;
            Some(block)
        };
        self.rejection.decrypt(AWS_LC.mac, raw, ciphertext, out)
    }

    fn decrypt_raw(&self, ciphertext: &[u8], out: &mut [u8]) -> Result<usize> {
        let out = room(out, self.key.size())?;
        self.key.private(ciphertext, out).map_err(|_| decryption_failed())
    }
}

struct Public(RsaKey);

impl PublicKey for Public {
    fn verify(&self, scheme: SignScheme, input: &[u8], signature: &[u8]) -> Result<bool> {
        match scheme {
            SignScheme::RsaPkcs1 => Ok(self.0.recover_pkcs1(signature).is_ok_and(|signed| signed == input)),
            SignScheme::RsaPss { hash, mgf, salt } => {
                Ok(input.len() == hash.len() && self.0.verify_pss(hash, mgf, salt, input, signature))
            }
            SignScheme::RsaRaw => Ok(signature.len() == self.0.size()
                && self.0.public(signature).is_ok_and(|signed| rsa_block::is(&signed, input))),
            SignScheme::Ecdsa | SignScheme::Ed25519 | SignScheme::MlDsa | SignScheme::SlhDsa => {
                Err(wrong_scheme("RSA"))
            }
        }
    }

    fn encrypt_oaep(&self, scheme: Oaep<'_>, plaintext: &[u8]) -> Result<Vec<u8>> {
        if plaintext.len() + 2 * scheme.hash.len() + 2 > self.0.size() {
            return Err(Error::invalid("the plaintext is too long for this key and hash"));
        }
        self.0.encrypt_oaep(scheme, plaintext).map_err(|_| Error::internal("RSA gave no ciphertext"))
    }

    fn encrypt_pkcs1(&self, plaintext: &[u8]) -> Result<Vec<u8>> {
        let block = rsa_pkcs1::pad(&AWS_LC, plaintext, self.0.size())?;
        self.0.public(&block).map_err(|_| Error::internal("RSA gave no ciphertext"))
    }

    fn encrypt_raw(&self, block: &[u8]) -> Result<Vec<u8>> {
        let block = rsa_block::extended(block, self.0.size())?;
        self.0.public(&block).map_err(|_| rsa_block::not_below())
    }

    fn recover_pkcs1(&self, signature: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.0.recover_pkcs1(signature).ok())
    }
}
