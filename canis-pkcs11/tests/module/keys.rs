//! Key generation.

use crate::harness::{module, refused, token, user_session};
use cryptoki::error::RvError;
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, KeyType, MlDsaParameterSetType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;

/// The handles of a key pair.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    pub(crate) public: ObjectHandle,
    pub(crate) private: ObjectHandle,
}

/// CKA_EC_PARAMS of a curve, as a value that constants can have.
#[derive(Clone, Copy)]
pub(crate) struct Curve(pub(crate) &'static [u8]);

pub(crate) const P256: Curve = Curve(&[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]);
const P384: Curve = Curve(&[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22]);
const ED25519: Curve = Curve(&[0x06, 0x03, 0x2b, 0x65, 0x70]);

impl From<Curve> for Attribute {
    fn from(curve: Curve) -> Self {
        Attribute::EcParams(curve.0.to_vec())
    }
}

/// Generates a pair of session keys.
pub(crate) fn pair(
    session: &Session,
    mechanism: &Mechanism<'_>,
    public: &[impl Clone + Into<Attribute>],
    private: &[Attribute],
) -> Pair {
    let public: Vec<Attribute> = public.iter().cloned().map(Into::into).collect();
    let (public, private) = session.generate_key_pair(mechanism, &public, private).unwrap();
    Pair { public, private }
}

pub(crate) fn rsa(session: &Session, bits: u64) -> Pair {
    pair(session, &Mechanism::RsaPkcsKeyPairGen, &[Attribute::ModulusBits(bits.into())], &[])
}

/// Java gives no more than this.
pub(crate) fn p256(session: &Session) -> Pair {
    pair(session, &Mechanism::EccKeyPairGen, &[P256], &[])
}

pub(crate) fn p384(session: &Session) -> Pair {
    pair(session, &Mechanism::EccKeyPairGen, &[P384], &[])
}

pub(crate) fn ed25519(session: &Session) -> Pair {
    pair(session, &Mechanism::EccEdwardsKeyPairGen, &[ED25519], &[])
}

pub(crate) fn ml_dsa(session: &Session, set: MlDsaParameterSetType) -> Pair {
    pair(session, &Mechanism::MlDsaKeyPairGen, &[Attribute::ParameterSet(set.into())], &[])
}

pub(crate) fn aes(session: &Session, len: u64) -> ObjectHandle {
    session.generate_key(&Mechanism::AesKeyGen, &[Attribute::ValueLen(len.into())]).unwrap()
}

fn generate(
    session: &Session,
    mechanism: &Mechanism<'_>,
    public: &[Attribute],
    private: &[Attribute],
) -> Result<(), cryptoki::error::Error> {
    session.generate_key_pair(mechanism, public, private).map(|_| ())
}

/// R2, R3: RSA of three sizes, on the token, found again in another session.
#[test]
fn rsa_keys_of_all_sizes() {
    let session = user_session("sizes");
    for bits in [2048u64, 3072, 4096] {
        let label = Attribute::Label(bits.to_string().into_bytes());
        let public = [Attribute::ModulusBits(bits.into()), Attribute::Token(true), label.clone()];
        let exponent = Attribute::PublicExponent(vec![0, 1, 0, 1]);
        let public = [&public[..], &[exponent]].concat();
        generate(&session, &Mechanism::RsaPkcsKeyPairGen, &public, &[Attribute::Token(true), label.clone()])
            .unwrap();
        let found = session.find_objects(&[label, Attribute::Class(ObjectClass::PRIVATE_KEY)]).unwrap();
        let [Attribute::Modulus(n), Attribute::PublicExponent(e)] = &session
            .get_attributes(found[0], &[AttributeType::Modulus, AttributeType::PublicExponent])
            .unwrap()[..]
        else {
            panic!("the private key shows no modulus")
        };
        assert_eq!((n.len() as u64 * 8, &e[..]), (bits, &[1, 0, 1][..]));
        assert!(n[0] & 0x80 != 0);
    }
}

#[test]
fn templates_that_cannot_be_met_are_refused() {
    let session = user_session("unmet");
    let rsa = |public: &[Attribute]| generate(&session, &Mechanism::RsaPkcsKeyPairGen, public, &[]);
    refused(rsa(&[]), RvError::TemplateIncomplete);
    refused(rsa(&[Attribute::ModulusBits(1024.into())]), RvError::KeySizeRange);
    refused(rsa(&[Attribute::ModulusBits(2049.into())]), RvError::KeySizeRange);
    let three = Attribute::PublicExponent(vec![3]);
    refused(rsa(&[Attribute::ModulusBits(2048.into()), three]), RvError::AttributeValueInvalid);

    let ec = |public: &[Attribute], private: &[Attribute]| {
        generate(&session, &Mechanism::EccKeyPairGen, public, private)
    };
    refused(ec(&[], &[]), RvError::TemplateIncomplete);
    let secp224r1 = Attribute::EcParams(vec![0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x21]);
    refused(ec(&[secp224r1], &[]), RvError::CurveNotSupported);
    refused(ec(&[Attribute::EcParams(vec![1, 2, 3])], &[]), RvError::DomainParamsInvalid);
    refused(ec(&[ED25519.into()], &[]), RvError::CurveNotSupported);
    refused(ec(&[P256.into(), Attribute::KeyType(KeyType::RSA)], &[]), RvError::TemplateInconsistent);
    refused(ec(&[P256.into(), Attribute::Token(true)], &[]), RvError::TemplateInconsistent);
    refused(ec(&[P256.into(), Attribute::Modulus(vec![1])], &[]), RvError::AttributeTypeInvalid);
    refused(ec(&[P256.into()], &[Attribute::Local(true)]), RvError::AttributeReadOnly);
    refused(ec(&[P256.into()], &[Attribute::Value(vec![7; 32])]), RvError::AttributeReadOnly);
    let seen = [Attribute::Private(false), Attribute::AlwaysAuthenticate(true)];
    refused(ec(&[P256.into()], &seen), RvError::TemplateInconsistent);
    refused(ec(&[P256.into(), Attribute::Trusted(true)], &[]), RvError::AttributeReadOnly);
    let torn = [Attribute::Sign(true), Attribute::Sign(false)];
    refused(ec(&[P256.into()], &torn), RvError::TemplateInconsistent);

    let aes = |len: u64| session.generate_key(&Mechanism::AesKeyGen, &[Attribute::ValueLen(len.into())]);
    refused(aes(17), RvError::KeySizeRange);
    refused(session.generate_key(&Mechanism::AesKeyGen, &[]), RvError::TemplateIncomplete);
    refused(session.generate_key(&Mechanism::EccKeyPairGen, &[P256.into()]), RvError::MechanismInvalid);
    refused(generate(&session, &Mechanism::AesKeyGen, &[], &[]), RvError::MechanismInvalid);
    refused(generate(&session, &Mechanism::Sha256, &[], &[]), RvError::MechanismInvalid);
}

/// Ed25519's curve has two names.
#[test]
fn ed25519_by_both_names_of_its_curve() {
    let session = user_session("names");
    let named = Attribute::EcParams(b"\x13\x0cedwards25519".to_vec());
    let pair = pair(&session, &Mechanism::EccEdwardsKeyPairGen, &[named], &[]);
    for half in [pair.public, pair.private] {
        let shown = session.get_attributes(half, &[AttributeType::EcParams, AttributeType::EcPoint]).unwrap();
        let [Attribute::EcParams(params), Attribute::EcPoint(point)] = &shown[..] else {
            panic!("{shown:?}")
        };
        assert_eq!(&params[..], ED25519.0);
        assert_eq!((&point[..2], point.len()), (&[4, 32][..], 34));
    }
}

/// Key pairs need the user; a R/O session makes no token objects.
#[test]
fn keys_are_made_by_the_user_in_the_right_session() {
    let slot = token("who");
    let session = module().open_rw_session(slot).unwrap();
    let ec = |session: &Session, more: &[Attribute]| {
        let public = [&[P256.into()], more].concat();
        generate(session, &Mechanism::EccKeyPairGen, &public, more)
    };
    refused(ec(&session, &[]), RvError::UserNotLoggedIn);
    refused(ec(&session, &[Attribute::Token(true)]), RvError::UserNotLoggedIn);
    let reader = module().open_ro_session(slot).unwrap();
    reader.login(cryptoki::session::UserType::User, Some(&crate::harness::pin(crate::harness::PIN))).unwrap();
    refused(ec(&reader, &[Attribute::Token(true)]), RvError::SessionReadOnly);
    ec(&reader, &[]).unwrap();
    ec(&session, &[Attribute::Token(true)]).unwrap();
}

/// R52: what a key says about itself, and what it never says.
#[test]
fn facts_of_generated_keys() {
    let session = user_session("facts");
    let pair = p256(&session);
    let facts = session
        .get_attributes(
            pair.private,
            &[
                AttributeType::Sensitive,
                AttributeType::AlwaysSensitive,
                AttributeType::NeverExtractable,
                AttributeType::Local,
                AttributeType::Private,
                AttributeType::Sign,
                AttributeType::Unwrap,
                AttributeType::Extractable,
                AttributeType::KeyGenMechanism,
            ],
        )
        .unwrap();
    assert_eq!(
        facts,
        [
            Attribute::Sensitive(true),
            Attribute::AlwaysSensitive(true),
            Attribute::NeverExtractable(true),
            Attribute::Local(true),
            Attribute::Private(true),
            Attribute::Sign(true),
            Attribute::Unwrap(false),
            Attribute::Extractable(false),
            Attribute::KeyGenMechanism(MechanismType::ECC_KEY_PAIR_GEN),
        ]
    );
    let secret = aes(&session, 32);
    for (key, material) in [(pair.private, AttributeType::Value), (secret, AttributeType::Value)] {
        let info = session.get_attribute_info(key, &[material]).unwrap();
        assert!(matches!(info[0], cryptoki::object::AttributeInfo::Sensitive), "{info:?}");
    }
}
