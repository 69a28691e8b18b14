//! RSA (RFC 8017), by the `rsa` crate. Private operations are blinded with fresh randomness and checked against the
//! public key, so that a fault does not give a factor away.

use super::{RUST, oaep, pss};
use crate::crypto::key_pairs::Maker;
use crate::crypto::private_info;
use crate::crypto::public_parts::{self, PublicParts};
use crate::crypto::refusal::{
    bad_private_key, bad_public_key, decryption_failed, digest_fits, room, wrong_scheme,
};
use crate::crypto::rsa_pkcs1::{self, Rejection};
use crate::crypto::{Hash, Oaep, PrivateKey, PublicKey, SignScheme, rsa_block};
use crate::secret::SecretBytes;
use canis_proto::{Error, KeyType, Result};
use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use pkcs8::{DecodePrivateKey, EncodePrivateKey};
use rsa::pkcs1::EncodeRsaPrivateKey;
use rsa::pkcs1v15::Pkcs1v15Sign;
use rsa::traits::{PublicKeyParts, SignatureScheme};
use rsa::{BoxedUint, RsaPrivateKey, RsaPublicKey, hazmat};
use zeroize::Zeroizing;

/// RSA keys.
pub(super) const RSA: Maker = Maker { generate, private, public };

fn generate(kind: KeyType) -> Result<SecretBytes> {
    // The crate's generator takes only a source of randomness that cannot fail. Asking the kernel once first keeps
    // that honest: getrandom(2) does not fail any more once it has answered.
    RUST.random.fill(&mut [0; 32])?;
    let key = RsaPrivateKey::new(&mut UnwrapErr(SysRng), kind.bits())
        .map_err(|_| Error::internal("no RSA key could be generated"))?;
    let der = key.to_pkcs8_der().map_err(|_| Error::internal("an RSA key cannot be encoded"))?;
    Ok(SecretBytes::copied_from(der.as_bytes()))
}

fn private(kind: KeyType, pkcs8: &[u8]) -> Result<Box<dyn PrivateKey>> {
    let info = private_info::parse(kind, pkcs8)?;
    let spki = public_parts::of_rsa_private(kind, info.key)?;
    let rejection = Rejection::new(&RUST, info.key, kind.bytes())?;
    let key = RsaPrivateKey::from_pkcs8_der(pkcs8)
        .map_err(|_| bad_private_key("it is no RSAPrivateKey of two primes, or its numbers do not fit"))?;
    // The crate computes the CRT numbers anew; a key that came with others has been damaged or tampered with.
    let again = key.to_pkcs1_der().map_err(|_| bad_private_key("its numbers cannot be encoded"))?;
    if again.as_bytes() != info.key {
        return Err(bad_private_key("its CRT numbers do not fit"));
    }
    let modulus = key.n().as_ref().to_be_bytes().into_vec();
    Ok(Box::new(Private { key, modulus, spki, rejection }))
}

fn public(kind: KeyType, spki: &[u8]) -> Result<Box<dyn PublicKey>> {
    let PublicParts::Rsa { modulus, exponent } = public_parts::of_kind(kind, spki)? else {
        return Err(bad_public_key("it is not RSA"));
    };
    let number = |bytes: &[u8]| BoxedUint::from_be_slice_vartime(bytes);
    let key = RsaPublicKey::new(number(&modulus), number(&exponent))
        .map_err(|_| bad_public_key("its numbers are no RSA key"))?;
    Ok(Box::new(Public(key)))
}

struct Private {
    key: RsaPrivateKey,
    modulus: Vec<u8>,
    spki: Vec<u8>,
    rejection: Rejection,
}

impl Private {
    fn sign_pkcs1(&self, input: &[u8]) -> Result<Vec<u8>> {
        if input.len() + 11 > self.key.size() {
            return Err(Error::invalid("the input is longer than the modulus less 11 bytes"));
        }
        Pkcs1v15Sign::new_unprefixed().sign(Some(&mut SysRng), &self.key, input).map_err(no_signature)
    }

    fn sign_pss(&self, hash: Hash, mgf: Hash, salt: usize, digest: &[u8]) -> Result<Vec<u8>> {
        digest_fits(hash, digest)?;
        if salt > self.key.size() {
            return Err(Error::invalid("the PSS salt is too long for this modulus"));
        }
        let mut random = vec![0; salt];
        RUST.random.fill(&mut random)?;
        let encoded = pss::encode(hash, mgf, digest, &random, self.key.size())?;
        self.raw(&encoded).map_err(|()| Error::internal("RSA gave no signature"))
    }

    /// The private operation on a block of the modulus' length; checked with the public one before it is answered.
    fn raw(&self, block: &[u8]) -> std::result::Result<Vec<u8>, ()> {
        if !rsa_block::in_range(block, &self.modulus) {
            return Err(());
        }
        let number = BoxedUint::from_be_slice(block, self.key.n_bits_precision()).map_err(|_| ())?;
        hazmat::rsa_decrypt_and_check(&self.key, Some(&mut SysRng), &number)
            .map(|number| number.to_be_bytes().into_vec())
            .map_err(|_| ())
    }
}

fn no_signature(_: rsa::Error) -> Error {
    Error::internal("RSA gave no signature")
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
        let signature = match scheme {
            SignScheme::RsaPkcs1 => self.sign_pkcs1(input)?,
            SignScheme::RsaPss { hash, mgf, salt } => self.sign_pss(hash, mgf, salt, input)?,
            SignScheme::RsaRaw => {
                let block = rsa_block::extended(input, out.len())?;
                self.raw(&block).map_err(|()| rsa_block::not_below())?
            }
            SignScheme::Ecdsa | SignScheme::Ed25519 | SignScheme::MlDsa | SignScheme::SlhDsa => {
                return Err(wrong_scheme("RSA"));
            }
        };
        if signature.len() != out.len() {
            return Err(Error::internal("an RSA signature has not the length of its modulus"));
        }
        out.copy_from_slice(&signature);
        Ok(signature.len())
    }

    fn decrypt_oaep(&self, scheme: Oaep<'_>, ciphertext: &[u8], out: &mut [u8]) -> Result<usize> {
        let out = room(out, self.key.size())?;
        let mut encoded = self.raw(ciphertext).map(Zeroizing::new).map_err(|()| decryption_failed())?;
        let plaintext = oaep::decode(scheme, &mut encoded)?;
        out[..plaintext.len()].copy_from_slice(plaintext);
        Ok(plaintext.len())
    }

    fn decrypt_pkcs1(&self, ciphertext: &[u8], out: &mut [u8]) -> Result<usize> {
        let raw = |ciphertext: &[u8]| self.raw(ciphertext).ok().map(Zeroizing::new);
        self.rejection.decrypt(RUST.mac, raw, ciphertext, out)
    }

    fn decrypt_raw(&self, ciphertext: &[u8], out: &mut [u8]) -> Result<usize> {
        let out = room(out, self.key.size())?;
        let block = self.raw(ciphertext).map(Zeroizing::new).map_err(|()| decryption_failed())?;
        out.copy_from_slice(&block);
        Ok(block.len())
    }
}

struct Public(RsaPublicKey);

impl Public {
    fn verify_pss(&self, hash: Hash, mgf: Hash, salt: usize, digest: &[u8], signature: &[u8]) -> bool {
        digest.len() == hash.len()
            && self.raw(signature).is_some_and(|encoded| pss::verify(hash, mgf, digest, salt, &encoded))
    }

    /// The public operation on a block of the modulus' length; `None` for another length and for a number that is
    /// not below the modulus.
    fn raw(&self, block: &[u8]) -> Option<Vec<u8>> {
        let number = BoxedUint::from_be_slice(block, self.0.n_bits_precision()).ok()?;
        if block.len() != self.0.size() || number >= *self.0.n().as_ref() {
            return None;
        }
        hazmat::rsa_encrypt(&self.0, &number).ok().map(|number| number.to_be_bytes().into_vec())
    }
}

impl PublicKey for Public {
    fn verify(&self, scheme: SignScheme, input: &[u8], signature: &[u8]) -> Result<bool> {
        match scheme {
            SignScheme::RsaPkcs1 => {
                Ok(Pkcs1v15Sign::new_unprefixed().verify(&self.0, input, signature).is_ok())
            }
            SignScheme::RsaPss { hash, mgf, salt } => Ok(self.verify_pss(hash, mgf, salt, input, signature)),
            SignScheme::RsaRaw => Ok(self.raw(signature).is_some_and(|signed| rsa_block::is(&signed, input))),
            SignScheme::Ecdsa | SignScheme::Ed25519 | SignScheme::MlDsa | SignScheme::SlhDsa => {
                Err(wrong_scheme("RSA"))
            }
        }
    }

    fn encrypt_oaep(&self, scheme: Oaep<'_>, plaintext: &[u8]) -> Result<Vec<u8>> {
        let encoded = oaep::encode(scheme, plaintext, self.0.size())?;
        self.raw(&encoded).ok_or_else(|| Error::internal("RSA gave no ciphertext"))
    }

    fn encrypt_pkcs1(&self, plaintext: &[u8]) -> Result<Vec<u8>> {
        let block = rsa_pkcs1::pad(&RUST, plaintext, self.0.size())?;
        self.raw(&block).ok_or_else(|| Error::internal("RSA gave no ciphertext"))
    }

    fn encrypt_raw(&self, block: &[u8]) -> Result<Vec<u8>> {
        let block = rsa_block::extended(block, self.0.size())?;
        self.raw(&block).ok_or_else(rsa_block::not_below)
    }

    fn recover_pkcs1(&self, signature: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.raw(signature).and_then(|block| signed_content(&block)))
    }
}

/// What stands behind the padding of type 1 (RFC 8017, section 9.2, step 5): 0, 1, at least eight times 255, 0. All of
/// it is public.
fn signed_content(block: &[u8]) -> Option<Vec<u8>> {
    let rest = block.strip_prefix(&[0, 1])?;
    let padding = rest.iter().take_while(|&&byte| byte == 0xff).count();
    match rest.split_at(padding) {
        (_, [0, content @ ..]) if padding >= 8 => Some(content.to_vec()),
        _ => None,
    }
}
