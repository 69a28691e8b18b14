//! Every signature mechanism: in one piece, in parts, empty, wrong.

use crate::harness::{PIN, library, pin, refused, succeed, user_session};
use crate::keys::{self, Pair};
use cryptoki::error::RvError;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, ObjectHandle};
use cryptoki::session::{Session, UserType};

fn pss(hash: MechanismType, mgf: PkcsMgfType, salt: u64) -> PkcsPssParams {
    PkcsPssParams { hash_alg: hash, mgf, s_len: salt.into() }
}

fn pss_params() -> [PkcsPssParams; 3] {
    [
        pss(MechanismType::SHA256, PkcsMgfType::MGF1_SHA256, 32),
        pss(MechanismType::SHA384, PkcsMgfType::MGF1_SHA384, 48),
        pss(MechanismType::SHA512, PkcsMgfType::MGF1_SHA512, 64),
    ]
}

fn ed25519() -> Mechanism<'static> {
    Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Ed25519))
}

/// Signs and verifies in all the ways there are.
fn exercise(session: &Session, mechanism: &Mechanism<'_>, pair: Pair) {
    let message = b"the quick brown fox jumps over the lazy dog".repeat(20);
    let whole = session.sign(mechanism, pair.private, &message).unwrap();
    session.verify(mechanism, pair.public, &message, &whole).unwrap();

    session.sign_init(mechanism, pair.private).unwrap();
    for part in message.chunks(100) {
        session.sign_update(part).unwrap();
    }
    session.sign_update(b"").unwrap();
    let parts = session.sign_final().unwrap();
    session.verify_init(mechanism, pair.public).unwrap();
    for part in message.chunks(7) {
        session.verify_update(part).unwrap();
    }
    session.verify_final(&parts).unwrap();
    session.verify(mechanism, pair.public, &message, &parts).unwrap();

    let empty = session.sign(mechanism, pair.private, b"").unwrap();
    session.verify(mechanism, pair.public, b"", &empty).unwrap();
    session.sign_init(mechanism, pair.private).unwrap();
    let empty = session.sign_final().unwrap();
    session.verify(mechanism, pair.public, b"", &empty).unwrap();

    wrong(session, mechanism, pair.public, &message, whole);
}

/// A wrong signature is CKR_SIGNATURE_INVALID, one of wrong length CKR_SIGNATURE_LEN_RANGE, and both end the operation.
fn wrong(
    session: &Session,
    mechanism: &Mechanism<'_>,
    public: ObjectHandle,
    message: &[u8],
    mut signature: Vec<u8>,
) {
    refused(session.verify(mechanism, public, b"another", &signature), RvError::SignatureInvalid);
    refused(session.verify(mechanism, public, message, &signature[1..]), RvError::SignatureLenRange);
    signature[9] ^= 1;
    refused(session.verify(mechanism, public, message, &signature), RvError::SignatureInvalid);
    refused(session.verify_update(b""), RvError::OperationNotInitialized);
}

/// R2, R93
#[test]
fn rsa_signs_with_hashes() {
    let session = user_session("rsa");
    let pair = keys::rsa(&session, 2048);
    for mechanism in [Mechanism::Sha256RsaPkcs, Mechanism::Sha384RsaPkcs, Mechanism::Sha512RsaPkcs] {
        exercise(&session, &mechanism, pair);
    }
    let [sha256, sha384, sha512] = pss_params();
    for mechanism in [
        Mechanism::Sha256RsaPkcsPss(sha256),
        Mechanism::Sha384RsaPkcsPss(sha384),
        Mechanism::Sha512RsaPkcsPss(sha512),
    ] {
        exercise(&session, &mechanism, pair);
    }
}

/// CKM_RSA_PKCS signs the caller's DigestInfo as it stands: with the right one it is CKM_SHA256_RSA_PKCS.
#[test]
fn rsa_signs_the_callers_digest_info() {
    let session = user_session("digestinfo");
    let pair = keys::rsa(&session, 2048);
    let digest = session.digest(&Mechanism::Sha256, b"message").unwrap();
    let prefix = [
        0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 5, 0, 4,
        0x20,
    ];
    let info = [&prefix[..], &digest].concat();
    let signature = session.sign(&Mechanism::RsaPkcs, pair.private, &info).unwrap();
    session.verify(&Mechanism::Sha256RsaPkcs, pair.public, b"message", &signature).unwrap();
    assert_eq!(session.sign(&Mechanism::Sha256RsaPkcs, pair.private, b"message").unwrap(), signature);
    session.verify(&Mechanism::RsaPkcs, pair.public, &info, &signature).unwrap();
    refused(session.sign(&Mechanism::RsaPkcs, pair.private, &[0; 246]), RvError::DataLenRange);
    session.sign(&Mechanism::RsaPkcs, pair.private, &[0; 245]).unwrap();
}

/// CKM_RSA_PKCS_PSS takes the digest: it is the hashed mechanism with the hash left to the caller.
#[test]
fn pss_of_a_digest() {
    let session = user_session("pss");
    let pair = keys::rsa(&session, 3072);
    let params = pss(MechanismType::SHA384, PkcsMgfType::MGF1_SHA384, 20);
    let digest = session.digest(&Mechanism::Sha384, b"message").unwrap();
    let signature = session.sign(&Mechanism::RsaPkcsPss(params), pair.private, &digest).unwrap();
    session.verify(&Mechanism::Sha384RsaPkcsPss(params), pair.public, b"message", &signature).unwrap();
    refused(session.sign(&Mechanism::RsaPkcsPss(params), pair.private, b"short"), RvError::DataLenRange);
    let torn = pss(MechanismType::SHA512, PkcsMgfType::MGF1_SHA512, 64);
    refused(
        session.sign(&Mechanism::Sha384RsaPkcsPss(torn), pair.private, b""),
        RvError::MechanismParamInvalid,
    );
}

/// R4, R5
#[test]
fn ecdsa_signs_raw_and_hashed() {
    let session = user_session("ecdsa");
    for (pair, len) in [(keys::p256(&session), 64), (keys::p384(&session), 96)] {
        for mechanism in
            [Mechanism::EcdsaSha1, Mechanism::EcdsaSha256, Mechanism::EcdsaSha384, Mechanism::EcdsaSha512]
        {
            exercise(&session, &mechanism, pair);
        }
        for (hash, hashed) in [
            (Mechanism::Sha1, Mechanism::EcdsaSha1),
            (Mechanism::Sha256, Mechanism::EcdsaSha256),
            (Mechanism::Sha512, Mechanism::EcdsaSha512),
        ] {
            let digest = session.digest(&hash, b"message").unwrap();
            let signature = session.sign(&Mechanism::Ecdsa, pair.private, &digest).unwrap();
            assert_eq!(signature.len(), len);
            session.verify(&hashed, pair.public, b"message", &signature).unwrap();
            session.verify(&Mechanism::Ecdsa, pair.public, &digest, &signature).unwrap();
        }
    }
}

/// R6
#[test]
fn ed25519_signs() {
    let session = user_session("ed25519");
    let pair = keys::ed25519(&session);
    exercise(&session, &ed25519(), pair);
    let context = Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Ed25519ctx(b"context")));
    refused(session.sign(&context, pair.private, b""), RvError::MechanismParamInvalid);
    let prehashed = Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Ed25519ph(b"")));
    refused(session.sign(&prehashed, pair.private, b""), RvError::MechanismParamInvalid);
}

/// R8: a key does what its type and its attributes allow, nothing else.
#[test]
fn keys_are_refused_for_what_they_are_not_for() {
    let session = user_session("refused");
    let (rsa, ec) = (keys::rsa(&session, 2048), keys::p256(&session));
    refused(session.sign(&Mechanism::Ecdsa, rsa.private, b""), RvError::KeyTypeInconsistent);
    refused(session.sign(&ed25519(), ec.private, b""), RvError::KeyTypeInconsistent);
    refused(session.sign(&Mechanism::Ecdsa, ec.public, b""), RvError::KeyFunctionNotPermitted);
    refused(session.verify(&Mechanism::Ecdsa, ec.private, b"", &[0; 64]), RvError::KeyFunctionNotPermitted);
    refused(session.sign(&Mechanism::Sha256, ec.private, b""), RvError::MechanismInvalid);
    refused(session.sign(&Mechanism::EccKeyPairGen, ec.private, b""), RvError::MechanismInvalid);
    refused(session.sign(&Mechanism::Sha256Hmac, rsa.private, b""), RvError::KeyTypeInconsistent);

    let silent = keys::pair(&session, &Mechanism::EccKeyPairGen, &[keys::P256], &[Attribute::Sign(false)]);
    refused(session.sign(&Mechanism::Ecdsa, silent.private, b""), RvError::KeyFunctionNotPermitted);
    session.update_attributes(silent.private, &[Attribute::Sign(true)]).unwrap();
    session.sign(&Mechanism::Ecdsa, silent.private, b"digest").unwrap();

    let narrow = Attribute::AllowedMechanisms(vec![MechanismType::ECDSA_SHA256]);
    let narrow = keys::pair(&session, &Mechanism::EccKeyPairGen, &[keys::P256], &[narrow]);
    refused(session.sign(&Mechanism::Ecdsa, narrow.private, b""), RvError::MechanismInvalid);
    session.sign(&Mechanism::EcdsaSha256, narrow.private, b"").unwrap();
}

/// A change is seen by the very next operation, also in a session that has just used the key: attributes, destruction,
/// logout; for keys of the session and of the token.
#[test]
fn a_key_that_was_just_used_obeys_at_once() {
    let session = user_session("at-once");
    for on_token in [false, true] {
        let here = [Attribute::Token(on_token)];
        let public = [Attribute::from(keys::P256), here[0].clone()];
        let fresh = || keys::pair(&session, &Mechanism::EccKeyPairGen, &public, &here);
        let sign = |pair: Pair| session.sign(&Mechanism::EcdsaSha256, pair.private, b"message");
        let pair = fresh();
        let signature = sign(pair).unwrap();
        session.update_attributes(pair.private, &[Attribute::Sign(false)]).unwrap();
        refused(sign(pair), RvError::KeyFunctionNotPermitted);
        session.update_attributes(pair.private, &[Attribute::Sign(true)]).unwrap();
        sign(pair).unwrap();
        session.destroy_object(pair.private).unwrap();
        refused(sign(pair), RvError::KeyHandleInvalid);
        let verify = || session.verify(&Mechanism::EcdsaSha256, pair.public, b"message", &signature);
        verify().unwrap();
        session.destroy_object(pair.public).unwrap();
        refused(verify(), RvError::KeyHandleInvalid);

        let pair = fresh();
        sign(pair).unwrap();
        session.logout().unwrap();
        refused(sign(pair), RvError::KeyHandleInvalid);
        session.login(UserType::User, Some(&pin(PIN))).unwrap();
        refused(sign(pair), RvError::KeyHandleInvalid);
    }
}

/// Another process destroys a key that this one has just used.
#[test]
fn a_change_by_another_process_is_seen_at_once() {
    let session = user_session("other-process");
    let here = [Attribute::Token(true), Attribute::Id(vec![0x42])];
    let public = [&[Attribute::from(keys::P256)], &here[..]].concat();
    let pair = keys::pair(&session, &Mechanism::EccKeyPairGen, &public, &here);
    session.sign(&Mechanism::EcdsaSha256, pair.private, b"message").unwrap();
    let mut tool = std::process::Command::new("pkcs11-tool");
    tool.arg("--module").arg(library()).args(["--token-label", "other-process", "--login", "--pin", PIN]);
    succeed(tool.args(["--delete-object", "--type", "privkey", "--id", "42"]));
    refused(session.sign(&Mechanism::EcdsaSha256, pair.private, b"message"), RvError::KeyHandleInvalid);
}
