//! The outer form of private keys, PKCS#8 (RFC 5958), read strictly and alike for both providers; and the inner
//! form of Ed25519 and X25519 keys (RFC 8410, section 7), which is small enough to need no library.

use super::post_quantum;
use super::public_parts::{EC, ED25519, RSA, X25519, curve_oid};
use super::refusal::bad_private_key;
use crate::secret::SecretBytes;
use canis_proto::{Family, KeyType, Result};
use der::asn1::{BitStringRef, ObjectIdentifier, OctetStringRef};
use der::{Decode, Sequence};
use pkcs8::PrivateKeyInfoRef;
use zeroize::Zeroizing;

/// What stands inside a PrivateKeyInfo whose algorithm is the expected one.
pub(super) struct PrivateInfo<'a> {
    /// The content of `privateKey`.
    pub(super) key: &'a [u8],
    /// The content of `publicKey` (version 2 only).
    pub(super) public: Option<&'a [u8]>,
}

/// Reads the outer structure and checks that the algorithm (and curve) is that of `kind`.
///
/// # Errors
/// `invalid_argument` for bytes that are not strict DER, another algorithm, or a version 2 public key beside
/// anything but Ed25519 and X25519, which the libraries read differently.
pub(super) fn parse(kind: KeyType, pkcs8: &[u8]) -> Result<PrivateInfo<'_>> {
    let info = PrivateKeyInfoRef::from_der(pkcs8).map_err(|_| bad_private_key("it is not PKCS#8 DER"))?;
    let fits = match kind.family() {
        Family::Rsa => info.algorithm.oid == RSA && info.algorithm.parameters.is_some_and(|p| p.is_null()),
        Family::Ec => info.algorithm.oid == EC && info.algorithm.parameters_oid().ok() == curve_oid(kind),
        Family::Edwards => info.algorithm.oid == ED25519 && info.algorithm.parameters.is_none(),
        Family::Montgomery => info.algorithm.oid == X25519 && info.algorithm.parameters.is_none(),
        Family::MlDsa | Family::MlKem | Family::SlhDsa | Family::Hybrid => {
            post_quantum::kind_of(info.algorithm.oid) == Some(kind) && info.algorithm.parameters.is_none()
        }
        Family::Aes | Family::Generic | Family::Des | Family::TripleDes => false,
    };
    if !fits {
        return Err(bad_private_key(&format!("its algorithm is not that of {kind}")));
    }
    if kind.family() == Family::Ec {
        check_point_form(info.private_key.as_bytes())?;
    }
    let public = match info.public_key {
        None => None,
        Some(bits) if matches!(kind.family(), Family::Edwards | Family::Montgomery) => {
            Some(bits.as_bytes().ok_or_else(|| bad_private_key("its public half is no octets"))?)
        }
        Some(_) => return Err(bad_private_key("PKCS#8 version 2 is taken for Ed25519 and X25519 only")),
    };
    Ok(PrivateInfo { key: info.private_key.as_bytes(), public })
}

/// ECPrivateKey (RFC 5915, section 3).
#[derive(Sequence)]
pub(crate) struct EcPrivateKey<'a> {
    pub(crate) version: u8,
    pub(crate) private_key: &'a OctetStringRef,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub(crate) parameters: Option<ObjectIdentifier>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    pub(crate) public_key: Option<BitStringRef<'a>>,
}

/// Reads ECPrivateKey DER.
pub(crate) fn ec_private_key(key: &[u8]) -> Result<EcPrivateKey<'_>> {
    EcPrivateKey::from_der(key).map_err(|_| bad_private_key("it is no ECPrivateKey DER"))
}

/// The public half inside an EC private key may be missing, uncompressed or compressed; AWS-LC would also read the
/// hybrid form of X9.62, which RFC 5480 forbids and RustCrypto refuses.
fn check_point_form(key: &[u8]) -> Result<()> {
    match ec_private_key(key)?.public_key.map(|bits| bits.as_bytes().and_then(|point| point.first())) {
        None | Some(Some(2..=4)) => Ok(()),
        Some(_) => Err(bad_private_key("its public half is in no form of RFC 5480")),
    }
}

/// An Ed25519 or X25519 private key's 32 bytes, and its public key if the PKCS#8 carried one.
pub(super) struct Seed<'a> {
    pub(super) seed: Zeroizing<[u8; 32]>,
    pub(super) public: Option<&'a [u8]>,
}

/// Reads an Ed25519 or X25519 key in PKCS#8 version 1 or 2.
pub(super) fn seed(kind: KeyType, pkcs8: &[u8]) -> Result<Seed<'_>> {
    let info = parse(kind, pkcs8)?;
    // CurvePrivateKey ::= OCTET STRING, inside the OCTET STRING of PKCS#8: tag 4, length 32, the seed.
    let seed = match info.key {
        [0x04, 0x20, seed @ ..] => <[u8; 32]>::try_from(seed).map(Zeroizing::new).ok(),
        _ => None,
    };
    Ok(Seed { seed: seed.ok_or_else(|| bad_private_key("its seed is not 32 bytes"))?, public: info.public })
}

/// PKCS#8 version 1 without attributes around a seed, up to the seed (RFC 8410, section 10.3), with the last byte of
/// the algorithm's identifier left open.
const SEED_V1: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x00, 0x04, 0x22, 0x04, 0x20];
/// Where that byte stands.
const ARC: usize = 11;

/// An Ed25519 or X25519 seed in PKCS#8 version 1, which every OpenSSL reads.
pub(super) fn seed_pkcs8(kind: KeyType, fill: impl FnOnce(&mut [u8]) -> Result<()>) -> Result<SecretBytes> {
    SecretBytes::filled(SEED_V1.len() + 32, |out| {
        let (head, seed) = out.split_at_mut(SEED_V1.len());
        head.copy_from_slice(&SEED_V1);
        head[ARC] = if kind == KeyType::X25519 { 110 } else { 112 };
        fill(seed)
    })
}
