//! Each operation as a PKCS#11 program does it: the client library asks for the length of an answer first.

use super::measure::Step;
use super::module::{Module, refused};
use super::operation::Op;
use canis_proto::{Error, ErrorCode, Result};
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::mechanism::dsa::{HedgeType, SignAdditionalContext};
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::mechanism::elliptic_curve::{EcKdf, Ecdh1DeriveParams};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsOaepParams, PkcsOaepSource, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use std::sync::atomic::{AtomicU64, Ordering};

/// DigestInfo of a SHA-256 digest without the digest (RFC 8017, section 9.2, note 1).
pub(super) const SHA256_INFO: &[u8] =
    b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20";
/// What stands for a digest.
pub(super) const DIGEST: [u8; 48] = [0xa5; 48];
const KIB: usize = 1024;

/// A DigestInfo.
pub(super) fn digest_info() -> Vec<u8> {
    [SHA256_INFO, &DIGEST[..32]].concat()
}

/// How long an operation's message is.
pub(super) fn message_len(op: Op) -> usize {
    match op {
        Op::Gcm1M => KIB * KIB,
        Op::Sha256Of16K => 16 * KIB,
        _ => KIB,
    }
}

/// An operation on the module, with a session of its own.
pub(super) fn step(module: &Module, op: Op) -> Result<Step<'_>> {
    let session = module.session()?;
    match op {
        Op::Rsa2048Sign | Op::Rsa4096Sign => sign(module, op, session, Mechanism::RsaPkcs, digest_info()),
        Op::Rsa2048Pss => sign(module, op, session, pss(), DIGEST[..32].to_vec()),
        Op::P256Sign => sign(module, op, session, Mechanism::Ecdsa, DIGEST[..32].to_vec()),
        Op::P384Sign => sign(module, op, session, Mechanism::Ecdsa, DIGEST.to_vec()),
        Op::Ed25519Sign => sign(module, op, session, eddsa(), DIGEST[..32].to_vec()),
        Op::Hmac1K => sign(module, op, session, Mechanism::Sha256Hmac, vec![0; message_len(op)]),
        Op::MlDsa44Sign | Op::MlDsa65Sign | Op::MlDsa87Sign => {
            sign(module, op, session, ml_dsa(), DIGEST[..32].to_vec())
        }
        Op::MlDsa44Verify | Op::MlDsa65Verify | Op::MlDsa87Verify => verify(module, op, session, ml_dsa()),
        Op::MlKem512Encapsulate | Op::MlKem768Encapsulate | Op::MlKem1024Encapsulate => {
            encapsulate(module, op, session)
        }
        Op::MlKem512Decapsulate | Op::MlKem768Decapsulate | Op::MlKem1024Decapsulate => {
            decapsulate(module, op, session)
        }
        Op::SlhDsa128sSign
        | Op::SlhDsa128fSign
        | Op::SlhDsa192sSign
        | Op::SlhDsa192fSign
        | Op::SlhDsa256sSign
        | Op::SlhDsa256fSign
        | Op::SlhDsa128sVerify
        | Op::SlhDsa128fVerify
        | Op::SlhDsa192sVerify
        | Op::SlhDsa192fVerify
        | Op::SlhDsa256sVerify
        | Op::SlhDsa256fVerify
        | Op::HybridEncapsulate
        | Op::HybridDecapsulate => Err(unnamed()),
        Op::P256Verify => verify(module, op, session, Mechanism::Ecdsa),
        Op::Ed25519Verify => verify(module, op, session, eddsa()),
        Op::Rsa2048Oaep => decrypt(module, op, session),
        Op::P256Ecdh => derive(module, op, session),
        Op::Gcm1K | Op::Gcm1M => encrypt(module, op, session),
        Op::Sha256Of1K | Op::Sha256Of16K => {
            let message = vec![0; message_len(op)];
            Ok(Box::new(move || session.digest(&Mechanism::Sha256, &message).map(drop).map_err(refused)))
        }
        Op::Random => {
            let mut bytes = [0; 32];
            Ok(Box::new(move || session.generate_random_slice(&mut bytes).map_err(refused)))
        }
        Op::Attribute => {
            let key = module.key(op)?.private;
            Ok(Box::new(move || {
                session.get_attributes(key, &[AttributeType::KeyType]).map(drop).map_err(refused)
            }))
        }
        Op::Session => Ok(Box::new(move || {
            // Kept, so that the login outlives the sessions that come and go.
            let _kept = &session;
            module.session()?.close().map_err(refused)
        })),
        Op::Create => module.own_objects().map(|_| create(session)),
        Op::Find => find(session, module.own_objects()? / 2),
    }
}

/// The client library has no names for these mechanisms yet, and the standard none for some.
pub(super) fn unnamed() -> Error {
    Error::new(ErrorCode::OperationNotSupported, "the PKCS#11 client has no mechanism of this name")
}

fn pss() -> Mechanism<'static> {
    let (hash_alg, mgf) = (MechanismType::SHA256, PkcsMgfType::MGF1_SHA256);
    Mechanism::RsaPkcsPss(PkcsPssParams { hash_alg, mgf, s_len: 32_u64.into() })
}

/// SHA-1, because SoftHSM2 knows no other.
fn oaep() -> Mechanism<'static> {
    let (hash, mgf) = (MechanismType::SHA1, PkcsMgfType::MGF1_SHA1);
    Mechanism::RsaPkcsOaep(PkcsOaepParams::new(hash, mgf, PkcsOaepSource::empty()))
}

fn eddsa() -> Mechanism<'static> {
    Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Ed25519))
}

/// Hedged, with an empty context.
fn ml_dsa() -> Mechanism<'static> {
    Mechanism::MlDsa(SignAdditionalContext::new(HedgeType::Preferred, None))
}

fn sign<'a>(
    module: &Module,
    op: Op,
    session: Session,
    mechanism: Mechanism<'a>,
    input: Vec<u8>,
) -> Result<Step<'a>> {
    let key = module.key(op)?.private;
    Ok(Box::new(move || session.sign(&mechanism, key, &input).map(drop).map_err(refused)))
}

fn verify<'a>(module: &Module, op: Op, session: Session, mechanism: Mechanism<'a>) -> Result<Step<'a>> {
    let key = *module.key(op)?;
    let signature = session.sign(&mechanism, key.private, &DIGEST[..32]).map_err(refused)?;
    Ok(Box::new(move || session.verify(&mechanism, key.public, &DIGEST[..32], &signature).map_err(refused)))
}

fn decrypt<'a>(module: &Module, op: Op, session: Session) -> Result<Step<'a>> {
    let key = *module.key(op)?;
    let sealed = session.encrypt(&oaep(), key.public, &DIGEST[..32]).map_err(refused)?;
    Ok(Box::new(move || session.decrypt(&oaep(), key.private, &sealed).map(drop).map_err(refused)))
}

/// Each message has a nonce of its own: there are modules that insist.
fn encrypt<'a>(module: &Module, op: Op, session: Session) -> Result<Step<'a>> {
    static NONCE: AtomicU64 = AtomicU64::new(0);
    let key = module.key(op)?.private;
    let message = vec![0; message_len(op)];
    let (mut nonce, mut count) = ([0; 12], 0_u64);
    nonce[..4].copy_from_slice(&NONCE.fetch_add(1, Ordering::Relaxed).to_be_bytes()[4..]);
    Ok(Box::new(move || {
        count += 1;
        nonce[4..].copy_from_slice(&count.to_be_bytes());
        let gcm = GcmParams::new(&mut nonce, &[], 128_u64.into()).map_err(refused)?;
        session.encrypt(&Mechanism::AesGcm(gcm), key, &message).map(drop).map_err(refused)
    }))
}

/// The secret becomes an object of the session, which is destroyed again: one does not go without the other.
fn derive<'a>(module: &Module, op: Op, session: Session) -> Result<Step<'a>> {
    let key = *module.key(op)?;
    let points = session.get_attributes(key.public, &[AttributeType::EcPoint]).map_err(refused)?;
    let Some(Attribute::EcPoint(point)) = points.into_iter().next() else {
        return Err(canis_proto::Error::invalid("the public key shows no CKA_EC_POINT"));
    };
    // The DER header of an OCTET STRING of 65 bytes; the mechanism takes the bare point.
    let point = point.strip_prefix(&[4, 65]).map(<[u8]>::to_vec).unwrap_or(point);
    let template = [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::GENERIC_SECRET),
        Attribute::ValueLen(32_u64.into()),
        Attribute::Token(false),
        Attribute::Sensitive(true),
    ];
    Ok(Box::new(move || {
        let mechanism = Mechanism::Ecdh1Derive(Ecdh1DeriveParams::new(EcKdf::null(), &point));
        let secret = session.derive_key(&mechanism, key.private, &template).map_err(refused)?;
        session.destroy_object(secret).map_err(refused)
    }))
}

/// What encapsulation makes, and decapsulation: an object of the session, destroyed again with each.
fn shared_secret() -> [Attribute; 4] {
    [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::GENERIC_SECRET),
        Attribute::Token(false),
        Attribute::Sensitive(true),
    ]
}

fn encapsulate<'a>(module: &Module, op: Op, session: Session) -> Result<Step<'a>> {
    let (key, template) = (module.key(op)?.public, shared_secret());
    Ok(Box::new(move || {
        let (_, secret) = session.encapsulate_key(&Mechanism::MlKem, key, &template).map_err(refused)?;
        session.destroy_object(secret).map_err(refused)
    }))
}

fn decapsulate<'a>(module: &Module, op: Op, session: Session) -> Result<Step<'a>> {
    let (key, template) = (*module.key(op)?, shared_secret());
    let (ciphertext, secret) =
        session.encapsulate_key(&Mechanism::MlKem, key.public, &template).map_err(refused)?;
    session.destroy_object(secret).map_err(refused)?;
    Ok(Box::new(move || {
        let secret = session.decapsulate_key(&Mechanism::MlKem, key.private, &template, &ciphertext);
        session.destroy_object(secret.map_err(refused)?).map_err(refused)
    }))
}

/// The label of the object with this number on a token that the tool filled.
pub(super) fn object_label(number: usize) -> Vec<u8> {
    format!("object-{number:06}").into_bytes()
}

/// A data object.
pub(super) fn object(label: Vec<u8>) -> [Attribute; 5] {
    [
        Attribute::Class(ObjectClass::DATA),
        Attribute::Token(true),
        Attribute::Private(false),
        Attribute::Label(label),
        Attribute::Value(vec![0x5a; 64]),
    ]
}

/// Finds the object with this number.
fn find<'a>(session: Session, number: usize) -> Result<Step<'a>> {
    let template = [Attribute::Label(object_label(number))];
    Ok(Box::new(move || match session.find_objects(&template).map_err(refused)?.len() {
        1 => Ok(()),
        found => Err(canis_proto::Error::invalid(format!("{found} objects have the label of one"))),
    }))
}

/// Objects made by a step; they go with it, outside of what is measured.
struct Created {
    session: Session,
    objects: Vec<ObjectHandle>,
}

impl Drop for Created {
    fn drop(&mut self) {
        for object in self.objects.drain(..) {
            // What stays goes with the tool's own token.
            drop(self.session.destroy_object(object));
        }
    }
}

fn create<'a>(session: Session) -> Step<'a> {
    let mut created = Created { session, objects: Vec::new() };
    Box::new(move || {
        let object = created.session.create_object(&object(b"created".to_vec())).map_err(refused)?;
        created.objects.push(object);
        Ok(())
    })
}
