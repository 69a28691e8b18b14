//! The keys that modules make for the measurement.

use super::module::refused;
use super::operation::Kind;
use super::plan::Keep;
use super::steps::unnamed;
use canis_proto::Result;
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, MlDsaParameterSetType, MlKemParameterSetType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;

/// DER of the OID prime256v1 (RFC 5480, section 2.1.1.1).
const P256: &[u8] = b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
/// DER of the OID secp384r1.
const P384: &[u8] = b"\x06\x05\x2b\x81\x04\x00\x22";
/// DER of the PrintableString that all modules take for Ed25519 (PKCS#11 3.1, section 6.3.10).
const ED25519: &[u8] = b"\x13\x0cedwards25519";
const F4: &[u8] = &[1, 0, 1];

/// A key pair, or a secret key in both places.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    pub(super) public: ObjectHandle,
    pub(super) private: ObjectHandle,
}

/// Makes a key.
pub(super) fn generate(session: &Session, kind: Kind, keep: Keep) -> Result<Key> {
    let mechanism = match kind {
        Kind::Aes => return secret(session, &Mechanism::AesKeyGen, keep, &cipher()),
        Kind::Secret => return secret(session, &Mechanism::GenericSecretKeyGen, keep, &mac()),
        Kind::Rsa(_) => Mechanism::RsaPkcsKeyPairGen,
        Kind::P256 | Kind::P384 => Mechanism::EccKeyPairGen,
        Kind::Ed25519 => Mechanism::EccEdwardsKeyPairGen,
        Kind::MlDsa(_) => Mechanism::MlDsaKeyPairGen,
        Kind::MlKem(_) => Mechanism::MlKemKeyPairGen,
        Kind::SlhDsa(_) | Kind::Hybrid => return Err(unnamed()),
    };
    let (mut public, mut private) = match kind {
        Kind::MlKem(_) => (vec![Attribute::Encapsulate(true)], vec![Attribute::Decapsulate(true)]),
        _ => (vec![Attribute::Verify(true)], vec![Attribute::Sign(true)]),
    };
    match kind {
        Kind::Rsa(bits) => {
            let bits = Attribute::ModulusBits(u64::from(bits).into());
            public.extend([bits, Attribute::PublicExponent(F4.to_vec()), Attribute::Encrypt(true)]);
            private.push(Attribute::Decrypt(true));
        }
        Kind::P256 => {
            public.push(Attribute::EcParams(P256.to_vec()));
            private.push(Attribute::Derive(true));
        }
        Kind::MlDsa(set) => public.push(Attribute::ParameterSet(ml_dsa(set).into())),
        Kind::MlKem(set) => public.push(Attribute::ParameterSet(ml_kem(set).into())),
        Kind::P384 => public.push(Attribute::EcParams(P384.to_vec())),
        _ => public.push(Attribute::EcParams(ED25519.to_vec())),
    }
    let token = Attribute::Token(keep == Keep::Token);
    let label = Attribute::Label(label(kind).into_bytes());
    public.extend([token.clone(), label.clone(), Attribute::Private(false)]);
    private.extend([token, label, Attribute::Private(true), Attribute::Sensitive(true)]);
    let (public, private) = session.generate_key_pair(&mechanism, &public, &private).map_err(refused)?;
    Ok(Key { public, private })
}

fn ml_dsa(set: u16) -> MlDsaParameterSetType {
    match set {
        44 => MlDsaParameterSetType::ML_DSA_44,
        65 => MlDsaParameterSetType::ML_DSA_65,
        _ => MlDsaParameterSetType::ML_DSA_87,
    }
}

fn ml_kem(set: u16) -> MlKemParameterSetType {
    match set {
        512 => MlKemParameterSetType::ML_KEM_512,
        768 => MlKemParameterSetType::ML_KEM_768,
        _ => MlKemParameterSetType::ML_KEM_1024,
    }
}

/// The label of the keys that are made.
pub(super) fn label(kind: Kind) -> String {
    format!("bench {kind:?}")
}

fn cipher() -> [Attribute; 2] {
    [Attribute::Encrypt(true), Attribute::Decrypt(true)]
}

fn mac() -> [Attribute; 2] {
    [Attribute::Sign(true), Attribute::Verify(true)]
}

fn secret(session: &Session, mechanism: &Mechanism<'_>, keep: Keep, uses: &[Attribute]) -> Result<Key> {
    let template = [
        uses,
        &[
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::ValueLen(32_u64.into()),
            Attribute::Token(keep == Keep::Token),
            Attribute::Private(true),
            Attribute::Sensitive(true),
        ],
    ]
    .concat();
    let key = session.generate_key(mechanism, &template).map_err(refused)?;
    Ok(Key { public: key, private: key })
}
