//! A crypto provider, called without any PKCS#11 in between, as a subject.

use super::measure::{Place, Step, Subject, compare};
use super::module::Login;
use super::operation::{Kind, Op};
use super::plan::{Effort, Keep, Measured, Target};
use super::steps::{DIGEST, digest_info, message_len};
use super::worker::progress;
use canis_core::crypto::ml_dsa::{MU, Mu};
use canis_core::crypto::{
    GCM_NONCE, GCM_TAG, GcmKey, Hash, MAX_AGREED, MAX_DIGEST, MacKey, Oaep, PrivateKey, Provider, PublicKey,
    SignScheme, slh_dsa,
};
use canis_core::default_provider;
use canis_core::secret::SecretBytes;
use canis_proto::{Error, ErrorCode, KeyType, Result};

/// A provider with keys.
pub(super) struct Direct {
    provider: &'static Provider,
    keys: Vec<(Kind, Key)>,
}

enum Key {
    Pair(Box<dyn PrivateKey>, Box<dyn PublicKey>),
    Gcm(Box<dyn GcmKey>),
    Mac(Box<dyn MacKey>),
}

/// The length of an uncompressed point on P-256 (SEC 1, section 2.3.3).
const P256_POINT: usize = 65;

/// The operations that a provider does.
pub(super) const OPS: &[Op] = &[
    Op::Rsa2048Sign,
    Op::Rsa2048Pss,
    Op::Rsa2048Oaep,
    Op::Rsa4096Sign,
    Op::P256Sign,
    Op::P256Verify,
    Op::P256Ecdh,
    Op::P384Sign,
    Op::Ed25519Sign,
    Op::Ed25519Verify,
    Op::MlDsa44Sign,
    Op::MlDsa44Verify,
    Op::MlDsa65Sign,
    Op::MlDsa65Verify,
    Op::MlDsa87Sign,
    Op::MlDsa87Verify,
    Op::MlKem512Encapsulate,
    Op::MlKem512Decapsulate,
    Op::MlKem768Encapsulate,
    Op::MlKem768Decapsulate,
    Op::MlKem1024Encapsulate,
    Op::MlKem1024Decapsulate,
    Op::SlhDsa128sSign,
    Op::SlhDsa128sVerify,
    Op::SlhDsa128fSign,
    Op::SlhDsa128fVerify,
    Op::SlhDsa192sSign,
    Op::SlhDsa192sVerify,
    Op::SlhDsa192fSign,
    Op::SlhDsa192fVerify,
    Op::SlhDsa256sSign,
    Op::SlhDsa256sVerify,
    Op::SlhDsa256fSign,
    Op::SlhDsa256fVerify,
    Op::HybridEncapsulate,
    Op::HybridDecapsulate,
    Op::Gcm1K,
    Op::Gcm1M,
    Op::Hmac1K,
    Op::Sha256Of1K,
    Op::Sha256Of16K,
    Op::Random,
];

/// The module (A) and the provider that it is built on (B), in turns.
pub(super) fn measure(target: &Target, effort: &Effort) -> Result<Measured> {
    let login = Login::new(target)?;
    let module = login.module(&effort.ops, Keep::Session, None);
    let [provider] = with_same_keys([default_provider()], &effort.ops)?;
    let names = vec![module.name.clone(), provider.provider.name.to_owned()];
    Ok(Measured { names, rows: rows(&module, &provider, effort) })
}

/// Two providers in turns.
pub(super) fn providers(a: &'static Provider, b: &'static Provider, effort: &Effort) -> Result<Measured> {
    let names = vec![a.name.to_owned(), b.name.to_owned()];
    let [a, b] = with_same_keys([a, b], &effort.ops)?;
    Ok(Measured { names, rows: rows(&a, &b, effort) })
}

fn rows(a: &dyn Subject, b: &dyn Subject, effort: &Effort) -> Vec<super::plan::Row> {
    let mut rows = Vec::new();
    for op in &effort.ops {
        progress(op.title());
        rows.extend(compare(a, Some(b), *op, Place { keys: None, objects: None }, effort));
    }
    progress("");
    rows
}

/// Keys are made once, by the default provider: making RSA keys is slow with the other.
fn with_same_keys<const N: usize>(providers: [&'static Provider; N], ops: &[Op]) -> Result<[Direct; N]> {
    let mut directs = providers.map(|provider| Direct { provider, keys: Vec::new() });
    for kind in ops.iter().filter_map(|op| op.key()) {
        if directs.iter().any(|direct| direct.keys.iter().any(|(made, _)| *made == kind)) {
            continue;
        }
        let secret = match key_type(kind) {
            Some(pair) => default_provider().keys.generate(pair)?,
            None => SecretBytes::copied_from(&DIGEST[..32]),
        };
        for direct in &mut directs {
            let key = ready(direct.provider, kind, secret.expose())?;
            direct.keys.push((kind, key));
        }
    }
    Ok(directs)
}

/// The type of key pairs.
fn key_type(kind: Kind) -> Option<KeyType> {
    match kind {
        Kind::Rsa(2048) => Some(KeyType::Rsa2048),
        Kind::Rsa(_) => Some(KeyType::Rsa4096),
        Kind::P256 => Some(KeyType::EcdsaP256),
        Kind::P384 => Some(KeyType::EcdsaP384),
        Kind::Ed25519 => Some(KeyType::Ed25519),
        Kind::MlDsa(44) => Some(KeyType::MlDsa44),
        Kind::MlDsa(65) => Some(KeyType::MlDsa65),
        Kind::MlDsa(_) => Some(KeyType::MlDsa87),
        Kind::MlKem(512) => Some(KeyType::MlKem512),
        Kind::MlKem(768) => Some(KeyType::MlKem768),
        Kind::MlKem(_) => Some(KeyType::MlKem1024),
        Kind::SlhDsa(kind) => Some(kind),
        Kind::Hybrid => Some(KeyType::MlKem768X25519),
        Kind::Aes | Kind::Secret => None,
    }
}

fn ready(provider: &Provider, kind: Kind, secret: &[u8]) -> Result<Key> {
    match (kind, key_type(kind)) {
        (_, Some(pair)) => {
            let private = provider.keys.private(pair, secret)?;
            let public = provider.keys.public(pair, private.public_spki())?;
            Ok(Key::Pair(private, public))
        }
        (Kind::Secret, None) => provider.mac.hmac(Hash::Sha256, secret).map(Key::Mac),
        (_, None) => provider.cipher.aes_gcm(secret).map(Key::Gcm),
    }
}

impl Direct {
    fn key(&self, op: Op) -> Result<&Key> {
        let found = self.keys.iter().find(|(kind, _)| Some(*kind) == op.key());
        found.map(|(_, key)| key).ok_or_else(lacking)
    }

    fn pair(&self, op: Op) -> Result<(&dyn PrivateKey, &dyn PublicKey)> {
        match self.key(op)? {
            Key::Pair(private, public) => Ok((&**private, &**public)),
            Key::Gcm(_) | Key::Mac(_) => Err(lacking()),
        }
    }
}

fn lacking() -> Error {
    Error::new(ErrorCode::OperationNotSupported, "not at the provider's seam")
}

impl Subject for Direct {
    fn step(&self, op: Op) -> Result<Step<'_>> {
        match op {
            Op::Rsa2048Sign | Op::Rsa4096Sign => sign(self.pair(op)?, SignScheme::RsaPkcs1, digest_info()),
            Op::Rsa2048Pss => {
                let scheme = SignScheme::RsaPss { hash: Hash::Sha256, mgf: Hash::Sha256, salt: 32 };
                sign(self.pair(op)?, scheme, DIGEST[..32].to_vec())
            }
            Op::Rsa2048Oaep => decrypt(self.pair(op)?),
            Op::P256Sign => sign(self.pair(op)?, SignScheme::Ecdsa, DIGEST[..32].to_vec()),
            Op::P384Sign => sign(self.pair(op)?, SignScheme::Ecdsa, DIGEST.to_vec()),
            Op::Ed25519Sign => sign(self.pair(op)?, SignScheme::Ed25519, DIGEST[..32].to_vec()),
            Op::MlDsa44Sign | Op::MlDsa65Sign | Op::MlDsa87Sign => sign_message(self.pair(op)?),
            Op::MlDsa44Verify | Op::MlDsa65Verify | Op::MlDsa87Verify => verify_message(self.pair(op)?),
            Op::SlhDsa128sSign
            | Op::SlhDsa128fSign
            | Op::SlhDsa192sSign
            | Op::SlhDsa192fSign
            | Op::SlhDsa256sSign
            | Op::SlhDsa256fSign => {
                sign(self.pair(op)?, SignScheme::SlhDsa, slh_dsa::pure(b"", &DIGEST[..32])?)
            }
            Op::SlhDsa128sVerify
            | Op::SlhDsa128fVerify
            | Op::SlhDsa192sVerify
            | Op::SlhDsa192fVerify
            | Op::SlhDsa256sVerify
            | Op::SlhDsa256fVerify => verify(self.pair(op)?, SignScheme::SlhDsa),
            Op::MlKem512Encapsulate
            | Op::MlKem768Encapsulate
            | Op::MlKem1024Encapsulate
            | Op::HybridEncapsulate => {
                let (_, key) = self.pair(op)?;
                Ok(Box::new(move || key.encapsulate().map(drop)))
            }
            Op::MlKem512Decapsulate
            | Op::MlKem768Decapsulate
            | Op::MlKem1024Decapsulate
            | Op::HybridDecapsulate => {
                let (private, public) = self.pair(op)?;
                let ciphertext = public.encapsulate()?.ciphertext;
                Ok(Box::new(move || private.decapsulate(&ciphertext).map(drop)))
            }
            Op::P256Verify => verify(self.pair(op)?, SignScheme::Ecdsa),
            Op::Ed25519Verify => verify(self.pair(op)?, SignScheme::Ed25519),
            Op::Gcm1K | Op::Gcm1M => match self.key(op)? {
                Key::Gcm(key) => Ok(encrypt(&**key, message_len(op))),
                _ => Err(lacking()),
            },
            Op::Hmac1K => match self.key(op)? {
                Key::Mac(key) => Ok(mac(&**key, message_len(op))),
                _ => Err(lacking()),
            },
            Op::P256Ecdh => agree(self.pair(op)?),
            Op::Sha256Of1K | Op::Sha256Of16K => Ok(digest(self.provider, message_len(op))),
            Op::Random => {
                let mut bytes = [0; 32];
                Ok(Box::new(move || self.provider.random.fill(&mut bytes)))
            }
            _ => Err(lacking()),
        }
    }
}

type Pair<'a> = (&'a dyn PrivateKey, &'a dyn PublicKey);

fn sign((key, _): Pair<'_>, scheme: SignScheme, input: Vec<u8>) -> Result<Step<'_>> {
    let mut signature = vec![0; key.signature_len()];
    Ok(Box::new(move || key.sign(scheme, &input, &mut signature).map(drop)))
}

fn verify((private, public): Pair<'_>, scheme: SignScheme) -> Result<Step<'_>> {
    let mut signature = vec![0; private.signature_len()];
    let len = private.sign(scheme, &DIGEST[..32], &mut signature)?;
    signature.truncate(len);
    Ok(Box::new(move || match public.verify(scheme, &DIGEST[..32], &signature)? {
        true => Ok(()),
        false => Err(Error::internal("a good signature is refused")),
    }))
}

/// A message of 32 bytes, as the module is given it: mu is made of it first (FIPS 204, section 6.2). The hash of the public key is the
/// key's own, once and for all.
fn mu_of((_, public): Pair<'_>) -> Result<impl Fn() -> Result<[u8; MU]> + use<>> {
    let hash = *public.ml_dsa_hash().ok_or_else(lacking)?;
    Ok(move || {
        let mut mu = Mu::pure(&hash, b"")?;
        mu.update(&DIGEST[..32]);
        Ok(mu.finish())
    })
}

fn sign_message(pair: Pair<'_>) -> Result<Step<'_>> {
    let (mu, key) = (mu_of(pair)?, pair.0);
    let mut signature = vec![0; key.signature_len()];
    Ok(Box::new(move || key.sign(SignScheme::MlDsa, &mu()?, &mut signature).map(drop)))
}

fn verify_message(pair: Pair<'_>) -> Result<Step<'_>> {
    let (mu, (private, public)) = (mu_of(pair)?, pair);
    let mut signature = vec![0; private.signature_len()];
    private.sign(SignScheme::MlDsa, &mu()?, &mut signature)?;
    Ok(Box::new(move || match public.verify(SignScheme::MlDsa, &mu()?, &signature)? {
        true => Ok(()),
        false => Err(Error::internal("a good signature is refused")),
    }))
}

fn decrypt((private, public): Pair<'_>) -> Result<Step<'_>> {
    let scheme = Oaep { hash: Hash::Sha1, mgf: Hash::Sha1, label: b"" };
    let sealed = public.encrypt_oaep(scheme, &DIGEST[..32])?;
    let mut plain = vec![0; private.signature_len()];
    Ok(Box::new(move || private.decrypt_oaep(scheme, &sealed, &mut plain).map(drop)))
}

fn mac(key: &dyn MacKey, len: usize) -> Step<'_> {
    let message = vec![0; len];
    let mut tag = [0; MAX_DIGEST];
    Box::new(move || key.tag(&[&message], &mut tag).map(drop))
}

/// With itself; the point is the end of the public key (RFC 5480, section 2).
fn agree((key, _): Pair<'_>) -> Result<Step<'_>> {
    let point = key.public_spki().last_chunk::<P256_POINT>().copied().ok_or_else(lacking)?;
    let mut secret = [0; MAX_AGREED];
    Ok(Box::new(move || key.agree(&point, &mut secret).map(drop)))
}

/// Into memory of its own each time, as the PKCS#11 client library does it.
fn encrypt(key: &dyn GcmKey, len: usize) -> Step<'_> {
    let message = vec![0; len];
    let (mut nonce, mut count) = ([0; GCM_NONCE], 0_u64);
    Box::new(move || {
        count += 1;
        nonce[4..].copy_from_slice(&count.to_be_bytes());
        let mut sealed = vec![0; len + GCM_TAG];
        let Some((ciphertext, tag)) = sealed.split_last_chunk_mut::<GCM_TAG>() else { return Err(lacking()) };
        key.seal(&nonce, &[], &message, ciphertext, tag)
    })
}

fn digest(provider: &'static Provider, len: usize) -> Step<'static> {
    let message = vec![0; len];
    let mut out = [0; MAX_DIGEST];
    Box::new(move || {
        provider.digest.hash(Hash::Sha256, &message, &mut out);
        Ok(())
    })
}
