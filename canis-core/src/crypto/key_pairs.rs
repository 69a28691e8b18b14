//! Key pairs of all families behind one [`Keys`]: a provider fills in one [`Maker`] for each family.

use super::ml_dsa::MU;
use super::private_info::seed_pkcs8;
use super::public_parts::PublicParts;
use super::refusal::{bad_private_key, unsupported};
use super::{Encapsulation, Hash, Keys, MAX_AGREED, PrivateKey, PublicKey, SignScheme, digest_info};
use crate::secret::SecretBytes;
use canis_proto::{Error, Family, KeyType, Result};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

type Parse<Key> = fn(KeyType, &[u8]) -> Result<Box<Key>>;

/// What a provider can do with one family; the functions of [`Keys`] for a type of that family.
pub(super) struct Maker {
    pub(super) generate: fn(KeyType) -> Result<SecretBytes>,
    pub(super) private: Parse<dyn PrivateKey>,
    pub(super) public: Parse<dyn PublicKey>,
}

/// The families of a provider.
pub(super) struct KeyPairs {
    pub(super) rsa: Maker,
    pub(super) ec: Maker,
    pub(super) edwards: Maker,
    pub(super) montgomery: Maker,
    pub(super) ml_dsa: Maker,
    pub(super) ml_kem: Maker,
    pub(super) slh_dsa: Maker,
    pub(super) hybrid: Maker,
}

impl KeyPairs {
    fn maker(&self, kind: KeyType) -> Result<&Maker> {
        match kind.family() {
            Family::Rsa => Ok(&self.rsa),
            Family::Ec => Ok(&self.ec),
            Family::Edwards => Ok(&self.edwards),
            Family::Montgomery => Ok(&self.montgomery),
            Family::MlDsa => Ok(&self.ml_dsa),
            Family::MlKem => Ok(&self.ml_kem),
            Family::SlhDsa => Ok(&self.slh_dsa),
            Family::Hybrid => Ok(&self.hybrid),
            Family::Aes | Family::Generic | Family::Des | Family::TripleDes => {
                Err(unsupported("a secret key is no key pair"))
            }
        }
    }
}

impl Keys for KeyPairs {
    fn generate(&self, kind: KeyType) -> Result<SecretBytes> {
        let pkcs8 = (self.maker(kind)?.generate)(kind)?;
        check_pair(self, kind, pkcs8.expose())
            .map_err(|error| Error::internal(format!("a fresh key is unfit: {}", error.message)))?;
        Ok(pkcs8)
    }

    fn private(&self, kind: KeyType, pkcs8: &[u8]) -> Result<Box<dyn PrivateKey>> {
        (self.maker(kind)?.private)(kind, pkcs8)
    }

    fn public(&self, kind: KeyType, spki: &[u8]) -> Result<Box<dyn PublicKey>> {
        (self.maker(kind)?.public)(kind, spki)
    }
}

/// The pairwise consistency test of a key pair that is fresh or comes from outside (FIPS 140-3, implementation
/// guidance 10.3.A): one signature is made by the private half and checked by the public half, or one secret encapsulated and
/// decapsulated, both halves parsed from what will be stored; of SLH-DSA the public half is computed anew. Gives the public half in SubjectPublicKeyInfo DER.
///
/// # Errors
/// `invalid_argument`, naming what is wrong.
pub(crate) fn check_pair(keys: &dyn Keys, kind: KeyType, pkcs8: &[u8]) -> Result<Vec<u8>> {
    let private = keys.private(kind, pkcs8)?;
    let public = keys.public(kind, private.public_spki())?;
    let fits = match (kind.family(), private.leads_to_public()) {
        (_, Some(own)) => own,
        (Family::Montgomery, None) => agrees(keys, kind, &*private)?,
        (Family::MlKem | Family::Hybrid, None) => encapsulates(&*private, &*public).unwrap_or(false),
        // A library that finds its own signature wrong gives none.
        _ => signs(kind, &*private, &*public).unwrap_or(false),
    };
    if fits { Ok(private.public_spki().to_vec()) } else { Err(torn(kind)) }
}

/// Whether the public half accepts a signature of the private half.
fn signs(kind: KeyType, private: &dyn PrivateKey, public: &dyn PublicKey) -> Result<bool> {
    let digest = [0x5a; 32];
    let info = digest_info::encode(Hash::Sha256, &digest)?;
    let (scheme, input) = match kind.family() {
        Family::Rsa => (SignScheme::RsaPkcs1, info.as_slice()),
        Family::Edwards => (SignScheme::Ed25519, digest.as_slice()),
        Family::MlDsa => (SignScheme::MlDsa, [0x5a; MU].as_slice()),
        Family::SlhDsa => (SignScheme::SlhDsa, digest.as_slice()),
        _ => (SignScheme::Ecdsa, digest.as_slice()),
    };
    let mut signature = vec![0; private.signature_len()];
    let len = private.sign(scheme, input, &mut signature)?;
    public.verify(scheme, input, signature.get(..len).unwrap_or_default())
}

/// The same for keys that share secrets: both halves come to the same one.
fn encapsulates(private: &dyn PrivateKey, public: &dyn PublicKey) -> Result<bool> {
    let Encapsulation { ciphertext, secret } = public.encapsulate()?;
    Ok(private.decapsulate(&ciphertext)?.equals(secret.expose()))
}

/// The same for keys that agree: with a known second pair, both sides come to the same secret.
fn agrees(keys: &dyn Keys, kind: KeyType, private: &dyn PrivateKey) -> Result<bool> {
    let known = seed_pkcs8(kind, |seed| {
        seed.fill(0x5a);
        Ok(())
    })?;
    let known = keys.private(kind, known.expose())?;
    let (mut ours, mut theirs) = (Zeroizing::new([0; MAX_AGREED]), Zeroizing::new([0; MAX_AGREED]));
    let len = private.agree(point_of(known.public_spki())?.as_slice(), &mut *ours)?;
    known.agree(point_of(private.public_spki())?.as_slice(), &mut *theirs)?;
    Ok(ours[..len].ct_eq(&theirs[..len]).into())
}

fn point_of(spki: &[u8]) -> Result<[u8; 32]> {
    match PublicParts::from_spki(spki)?.1 {
        PublicParts::Montgomery { point } => Ok(point),
        _ => Err(Error::internal("an X25519 key has a public half of another sort")),
    }
}

fn torn(kind: KeyType) -> Error {
    bad_private_key(&format!("a {kind} key pair failed its pairwise consistency test"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{Oaep, RUST};

    /// Signs like a key whose two halves do not belong together.
    struct Torn(Box<dyn PrivateKey>);

    impl PrivateKey for Torn {
        fn public_spki(&self) -> &[u8] {
            self.0.public_spki()
        }
        fn signature_len(&self) -> usize {
            self.0.signature_len()
        }
        fn sign(&self, scheme: SignScheme, _: &[u8], out: &mut [u8]) -> Result<usize> {
            self.0.sign(scheme, b"something else", out)
        }
        fn decrypt_oaep(&self, scheme: Oaep<'_>, ciphertext: &[u8], out: &mut [u8]) -> Result<usize> {
            self.0.decrypt_oaep(scheme, ciphertext, out)
        }
        fn decapsulate(&self, ciphertext: &[u8]) -> Result<SecretBytes> {
            let mut other = ciphertext.to_vec();
            other[0] ^= 1;
            self.0.decapsulate(&other)
        }
    }

    /// A pair that does not fit is not handed out.
    #[test]
    fn a_torn_pair_is_found() {
        fn maker() -> Maker {
            Maker {
                generate: |kind| RUST.keys.generate(kind),
                private: |kind, pkcs8| Ok(Box::new(Torn(RUST.keys.private(kind, pkcs8)?))),
                public: |kind, spki| RUST.keys.public(kind, spki),
            }
        }
        let torn = KeyPairs {
            rsa: maker(),
            ec: maker(),
            edwards: maker(),
            montgomery: maker(),
            ml_dsa: maker(),
            ml_kem: maker(),
            slh_dsa: maker(),
            hybrid: maker(),
        };
        for kind in [
            KeyType::EcdsaP256,
            KeyType::EcdsaP384,
            KeyType::Ed25519,
            KeyType::MlDsa65,
            KeyType::MlKem768,
            KeyType::SlhDsaSha2128f,
            KeyType::MlKem768X25519,
        ] {
            let error = torn.generate(kind).err().map(|e| e.message);
            let expected = format!("a {kind} key pair failed its pairwise consistency test");
            assert!(error.is_some_and(|error| error.ends_with(&expected)), "{kind}");
        }
    }
}
