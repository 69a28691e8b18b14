//! Encryption, decryption and digests.

use crate::harness::{refused, user_session};
use crate::keys;
use cryptoki::error::RvError;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsOaepParams, PkcsOaepSource};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;

/// AES-GCM with an IV of 12 sevens.
fn gcm<T>(aad: &[u8], tag_bits: u64, iv_len: usize, f: impl FnOnce(&Mechanism<'_>) -> T) -> T {
    let mut iv = vec![7; iv_len];
    f(&Mechanism::AesGcm(GcmParams::new(&mut iv, aad, tag_bits.into()).unwrap()))
}

fn seal(session: &Session, key: ObjectHandle, aad: &[u8], message: &[u8]) -> Vec<u8> {
    gcm(aad, 128, 12, |mechanism| session.encrypt(mechanism, key, message)).unwrap()
}

fn open(
    session: &Session,
    key: ObjectHandle,
    aad: &[u8],
    sealed: &[u8],
) -> Result<Vec<u8>, cryptoki::error::Error> {
    gcm(aad, 128, 12, |mechanism| session.decrypt(mechanism, key, sealed))
}

/// R1: round trips with every key size, in one piece and in parts; every flipped bit is noticed.
#[test]
fn aes_gcm() {
    let session = user_session("gcm");
    for len in [16, 24, 32] {
        let key = keys::aes(&session, len);
        let message = b"sixteen bytes or".repeat(70);
        let sealed = seal(&session, key, b"aad", &message);
        assert_eq!(sealed.len(), message.len() + 16);
        assert_eq!(open(&session, key, b"aad", &sealed).unwrap(), message);
        refused(open(&session, key, b"other", &sealed), RvError::EncryptedDataInvalid);

        let parts = gcm(b"aad", 128, 12, |mechanism| session.encrypt_init(mechanism, key)).map(|()| {
            let mut out: Vec<u8> =
                message.chunks(100).flat_map(|part| session.encrypt_update(part).unwrap()).collect();
            out.extend(session.encrypt_final().unwrap());
            out
        });
        assert_eq!(parts.unwrap(), sealed);
        gcm(b"aad", 128, 12, |mechanism| session.decrypt_init(mechanism, key)).unwrap();
        for part in sealed.chunks(33) {
            assert!(session.decrypt_update(part).unwrap().is_empty(), "plaintext before the tag was checked");
        }
        assert_eq!(session.decrypt_final().unwrap(), message);

        for at in [0, sealed.len() / 2, sealed.len() - 1] {
            let mut bent = sealed.clone();
            bent[at] ^= 0x10;
            refused(open(&session, key, b"aad", &bent), RvError::EncryptedDataInvalid);
        }
        let empty = seal(&session, key, b"", b"");
        assert_eq!((empty.len(), open(&session, key, b"", &empty).unwrap()), (16, vec![]));
        refused(open(&session, key, b"", &sealed[..15]), RvError::EncryptedDataLenRange);
    }
}

#[test]
fn aes_gcm_takes_no_short_tags_and_no_empty_iv() {
    let session = user_session("gcmparams");
    let key = keys::aes(&session, 32);
    for (tag, iv) in [(96, 12), (128, 16), (104, 1)] {
        let sealed = gcm(b"aad", tag, iv, |mechanism| session.encrypt(mechanism, key, b"x")).unwrap();
        assert_eq!(sealed.len() as u64, 1 + tag / 8);
        let opened = gcm(b"aad", tag, iv, |mechanism| session.decrypt(mechanism, key, &sealed)).unwrap();
        assert_eq!(opened, b"x");
        let outcome = gcm(b"bad", tag, iv, |mechanism| session.decrypt(mechanism, key, &sealed));
        refused(outcome, RvError::EncryptedDataInvalid);
    }
    for (tag, iv) in [(32, 12), (64, 12), (0, 12), (129, 12), (128, 0)] {
        let outcome = gcm(b"", tag, iv, |mechanism| session.encrypt(mechanism, key, b"x"));
        refused(outcome, RvError::MechanismParamInvalid);
    }
    let template = [Attribute::ValueLen(16.into()), Attribute::Encrypt(false)];
    let silent = session.generate_key(&Mechanism::AesKeyGen, &template).unwrap();
    refused(
        gcm(b"", 128, 12, |mechanism| session.encrypt(mechanism, silent, b"x")),
        RvError::KeyFunctionNotPermitted,
    );
}

/// R2: OAEP with every hash, with and without a label, with MGF1 by another hash.
#[test]
fn rsa_oaep() {
    let session = user_session("oaep");
    let pair = keys::rsa(&session, 2048);
    use MechanismType as M;
    use PkcsMgfType as G;
    for (hash, mgf, longest) in [
        (M::SHA1, G::MGF1_SHA1, 214),
        (M::SHA256, G::MGF1_SHA256, 190),
        (M::SHA384, G::MGF1_SHA384, 158),
        (M::SHA512, G::MGF1_SHA512, 126),
        (M::SHA256, G::MGF1_SHA1, 190),
    ] {
        for source in [PkcsOaepSource::empty(), PkcsOaepSource::data_specified(b"label")] {
            let oaep = Mechanism::RsaPkcsOaep(PkcsOaepParams::new(hash, mgf, source));
            for len in [0, 1, longest] {
                let sealed = session.encrypt(&oaep, pair.public, &vec![3; len]).unwrap();
                assert_eq!(session.decrypt(&oaep, pair.private, &sealed).unwrap(), vec![3; len]);
            }
            refused(session.encrypt(&oaep, pair.public, &vec![3; longest + 1]), RvError::DataLenRange);
        }
        let labelled = PkcsOaepParams::new(hash, mgf, PkcsOaepSource::data_specified(b"label"));
        let other = PkcsOaepParams::new(hash, mgf, PkcsOaepSource::data_specified(b"other"));
        let sealed = session.encrypt(&Mechanism::RsaPkcsOaep(labelled), pair.public, b"x").unwrap();
        let outcome = session.decrypt(&Mechanism::RsaPkcsOaep(other), pair.private, &sealed);
        refused(outcome, RvError::EncryptedDataInvalid);
        let cut = session.decrypt(&Mechanism::RsaPkcsOaep(labelled), pair.private, &sealed[1..]);
        refused(cut, RvError::EncryptedDataLenRange);
    }
    let strange = PkcsOaepParams::new(M::AES_GCM, G::MGF1_SHA1, PkcsOaepSource::empty());
    let outcome = session.encrypt(&Mechanism::RsaPkcsOaep(strange), pair.public, b"x");
    refused(outcome, RvError::MechanismParamInvalid);
}

/// The digests of "abc" (FIPS 180-4, examples), in one piece and in parts.
#[test]
fn digests() {
    let session = user_session("digests");
    for (mechanism, start, len) in [
        (Mechanism::Sha1, [0xa9, 0x99, 0x3e, 0x36], 20),
        (Mechanism::Sha256, [0xba, 0x78, 0x16, 0xbf], 32),
        (Mechanism::Sha384, [0xcb, 0x00, 0x75, 0x3f], 48),
        (Mechanism::Sha512, [0xdd, 0xaf, 0x35, 0xa1], 64),
    ] {
        let whole = session.digest(&mechanism, b"abc").unwrap();
        assert_eq!((&whole[..4], whole.len()), (&start[..], len));
        session.digest_init(&mechanism).unwrap();
        for part in [&b"a"[..], b"", b"bc"] {
            session.digest_update(part).unwrap();
        }
        assert_eq!(session.digest_final().unwrap(), whole);
        session.digest_init(&mechanism).unwrap();
        assert_eq!(session.digest_final().unwrap(), session.digest(&mechanism, b"").unwrap());
    }
}

/// The value of a key is digested if it may be read, and of no other key.
#[test]
fn readable_keys_are_digested() {
    let session = user_session("digested keys");
    let value = [7; 24];
    let open = [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::GENERIC_SECRET),
        Attribute::Value(value.to_vec()),
        Attribute::Sensitive(false),
        Attribute::Extractable(true),
    ];
    let open = session.create_object(&open).unwrap();
    session.digest_init(&Mechanism::Sha256).unwrap();
    session.digest_update(b"before").unwrap();
    session.digest_key(open).unwrap();
    let whole = [&b"before"[..], &value].concat();
    assert_eq!(session.digest_final().unwrap(), session.digest(&Mechanism::Sha256, &whole).unwrap());

    session.update_attributes(open, &[Attribute::Sensitive(true)]).unwrap();
    let private = keys::p256(&session).private;
    for key in [open, keys::aes(&session, 16), private] {
        session.digest_init(&Mechanism::Sha256).unwrap();
        refused(session.digest_key(key), RvError::KeyIndigestible);
    }
    session.digest_init(&Mechanism::Sha256).unwrap();
    session.destroy_object(open).unwrap();
    refused(session.digest_key(open), RvError::KeyHandleInvalid);
}
