//! RSA (RFC 8017), by the `rsa` crate. Private operations are blinded with fresh randomness and checked against the
//! public key, so that a fault does not give a factor away.

use super::{RUST, pss};
use crate::crypto::key_pairs::Maker;
use crate::crypto::private_info;
use crate::crypto::public_parts::{self, PublicParts};
use crate::crypto::refusal::{
    bad_private_key, bad_public_key, decryption_failed, digest_fits, room, wrong_scheme,
};
use crate::crypto::{Hash, Oaep, PrivateKey, PublicKey, SignScheme};
use crate::secret::SecretBytes;
use canis_proto::{Error, KeyType, Result};
use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use pkcs8::{DecodePrivateKey, EncodePrivateKey};
use rsa::pkcs1::EncodeRsaPrivateKey;
use rsa::pkcs1v15::Pkcs1v15Sign;
use rsa::traits::{PaddingScheme, PublicKeyParts, SignatureScheme};
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
    let key = RsaPrivateKey::from_pkcs8_der(pkcs8)
        .map_err(|_| bad_private_key("it is no RSAPrivateKey of two primes, or its numbers do not fit"))?;
    // The crate computes the CRT numbers anew; a key that came with others has been damaged or tampered with.
    let again = key.to_pkcs1_der().map_err(|_| bad_private_key("its numbers cannot be encoded"))?;
    if again.as_bytes() != info.key {
        return Err(bad_private_key("its CRT numbers do not fit"));
    }
    Ok(Box::new(Private { key, spki }))
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

/// The padding of RFC 8017 with the crate's types for the two hashes, handed to the body as `$oaep`.
macro_rules! with_oaep {
    ($scheme:expr, |$oaep:ident| $body:expr) => {
        match $scheme.hash {
            Hash::Sha1 => with_oaep!(@mgf $scheme, sha1::Sha1, |$oaep| $body),
            Hash::Sha256 => with_oaep!(@mgf $scheme, sha2::Sha256, |$oaep| $body),
            Hash::Sha384 => with_oaep!(@mgf $scheme, sha2::Sha384, |$oaep| $body),
            Hash::Sha512 => with_oaep!(@mgf $scheme, sha2::Sha512, |$oaep| $body),
        }
    };
    (@mgf $scheme:expr, $hash:ty, |$oaep:ident| $body:expr) => {
        match $scheme.mgf {
            Hash::Sha1 => with_oaep!(@new $scheme, $hash, sha1::Sha1, |$oaep| $body),
            Hash::Sha256 => with_oaep!(@new $scheme, $hash, sha2::Sha256, |$oaep| $body),
            Hash::Sha384 => with_oaep!(@new $scheme, $hash, sha2::Sha384, |$oaep| $body),
            Hash::Sha512 => with_oaep!(@new $scheme, $hash, sha2::Sha512, |$oaep| $body),
        }
    };
    (@new $scheme:expr, $hash:ty, $mgf:ty, |$oaep:ident| $body:expr) => {{
        let $oaep = rsa::Oaep::<$hash, $mgf>::new_with_mgf_hash_and_label($scheme.label);
        $body
    }};
}

struct Private {
    key: RsaPrivateKey,
    spki: Vec<u8>,
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
        let number = BoxedUint::from_be_slice(&encoded, self.key.n_bits_precision())
            .map_err(|_| Error::internal("a PSS encoding is larger than its modulus"))?;
        let signature =
            hazmat::rsa_decrypt_and_check(&self.key, Some(&mut SysRng), &number).map_err(no_signature)?;
        Ok(signature.to_be_bytes().into_vec())
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
            SignScheme::Ecdsa | SignScheme::Ed25519 => return Err(wrong_scheme("RSA")),
        };
        if signature.len() != out.len() {
            return Err(Error::internal("an RSA signature has not the length of its modulus"));
        }
        out.copy_from_slice(&signature);
        Ok(signature.len())
    }

    fn decrypt_oaep(&self, scheme: Oaep<'_>, ciphertext: &[u8], out: &mut [u8]) -> Result<usize> {
        let out = room(out, self.key.size())?;
        if ciphertext.len() != self.key.size() {
            return Err(decryption_failed());
        }
        let plaintext = with_oaep!(scheme, |oaep| oaep.decrypt(Some(&mut SysRng), &self.key, ciphertext))
            .map(Zeroizing::new)
            .map_err(|_| decryption_failed())?;
        out[..plaintext.len()].copy_from_slice(&plaintext);
        Ok(plaintext.len())
    }
}

struct Public(RsaPublicKey);

impl Public {
    fn verify_pss(&self, hash: Hash, mgf: Hash, salt: usize, digest: &[u8], signature: &[u8]) -> bool {
        if signature.len() != self.0.size() || digest.len() != hash.len() {
            return false;
        }
        match BoxedUint::from_be_slice(signature, self.0.n_bits_precision()) {
            Ok(number) if number < *self.0.n().as_ref() => hazmat::rsa_encrypt(&self.0, &number)
                .is_ok_and(|encoded| pss::verify(hash, mgf, digest, salt, &encoded.to_be_bytes())),
            _ => false,
        }
    }
}

impl PublicKey for Public {
    fn verify(&self, scheme: SignScheme, input: &[u8], signature: &[u8]) -> Result<bool> {
        match scheme {
            SignScheme::RsaPkcs1 => {
                Ok(Pkcs1v15Sign::new_unprefixed().verify(&self.0, input, signature).is_ok())
            }
            SignScheme::RsaPss { hash, mgf, salt } => Ok(self.verify_pss(hash, mgf, salt, input, signature)),
            SignScheme::Ecdsa | SignScheme::Ed25519 => Err(wrong_scheme("RSA")),
        }
    }

    fn encrypt_oaep(&self, scheme: Oaep<'_>, plaintext: &[u8]) -> Result<Vec<u8>> {
        with_oaep!(scheme, |oaep| oaep.encrypt(&mut SysRng, &self.0, plaintext)).map_err(
            |error| match error {
                rsa::Error::MessageTooLong => {
                    Error::invalid("the plaintext is too long for this key and hash")
                }
                _ => Error::internal("RSA gave no ciphertext"),
            },
        )
    }
}
