//! Key material: brought in, read back where that is allowed, and hidden everywhere else.

use crate::harness::{PIN, module, pin, refused, token, user_session};
use crate::keys::{self, P256, Pair};
use crate::raw::{attribute, call};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeInfo, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use pkcs11_sys::{CK_MECHANISM_TYPE, CK_UNAVAILABLE_INFORMATION, CKA_KEY_GEN_MECHANISM, CKR_OK};

const ED25519: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];
const X25519: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x6e];
const P384: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];
const P521: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23];

/// What a host asks for that wants to read a key back.
pub(crate) const OPEN: [Attribute; 2] = [Attribute::Sensitive(false), Attribute::Extractable(true)];

const RSA_PRIVATE: [AttributeType; 8] = [
    AttributeType::Modulus,
    AttributeType::PublicExponent,
    AttributeType::PrivateExponent,
    AttributeType::Prime1,
    AttributeType::Prime2,
    AttributeType::Exponent1,
    AttributeType::Exponent2,
    AttributeType::Coefficient,
];

fn read(session: &Session, object: ObjectHandle, kind: AttributeType) -> Attribute {
    session.get_attributes(object, &[kind]).unwrap().remove(0)
}

fn secret(kind: KeyType, value: Vec<u8>) -> Vec<Attribute> {
    vec![Attribute::Class(ObjectClass::SECRET_KEY), Attribute::KeyType(kind), Attribute::Value(value)]
}

fn private(kind: KeyType, numbers: &[Attribute]) -> Vec<Attribute> {
    let class = [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::KeyType(kind)];
    [&class[..], numbers].concat()
}

fn ec(kind: KeyType, curve: &[u8], value: Vec<u8>) -> Vec<Attribute> {
    private(kind, &[Attribute::EcParams(curve.to_vec()), Attribute::Value(value)])
}

/// An RSA pair whose numbers may be read, and the numbers.
fn open_rsa(session: &Session) -> (Pair, Vec<Attribute>) {
    let bits = [Attribute::ModulusBits(2048.into())];
    let pair = keys::pair(session, &Mechanism::RsaPkcsKeyPairGen, &bits, &OPEN);
    (pair, session.get_attributes(pair.private, &RSA_PRIVATE).unwrap())
}

/// R47: AES keys of all sizes come in, work, and can be read back if their template says so; the check value is that of
/// the standard.
#[test]
fn secret_keys_are_brought_and_read_back() {
    let slot = token("secrets");
    let session = module().open_rw_session(slot).unwrap();
    session.login(UserType::User, Some(&pin(PIN))).unwrap();
    for (on_token, len) in [(true, 16), (false, 24), (true, 32)] {
        let value: Vec<u8> = (0..len).collect();
        let template = [
            &secret(KeyType::AES, value.clone())[..],
            &OPEN,
            &[Attribute::Token(on_token), Attribute::Label(vec![b'a'; usize::from(len)])],
        ]
        .concat();
        let key = session.create_object(&template).unwrap();
        assert_eq!(read(&session, key, AttributeType::Value), Attribute::Value(value.clone()));
        assert_eq!(read(&session, key, AttributeType::ValueLen), Attribute::ValueLen(u64::from(len).into()));
        for wanted in [
            Attribute::Local(false),
            Attribute::AlwaysSensitive(false),
            Attribute::NeverExtractable(false),
            Attribute::Token(on_token),
        ] {
            assert_eq!(read(&session, key, wanted.attribute_type()), wanted);
        }
        let mut mechanism: CK_MECHANISM_TYPE = 0;
        let mut wanted = attribute(CKA_KEY_GEN_MECHANISM, &mut mechanism);
        let rv = call!(C_GetAttributeValue(session.handle(), key.handle(), &mut wanted, 1));
        assert_eq!((rv, mechanism), (CKR_OK, CK_UNAVAILABLE_INFORMATION));
    }
    // FIPS 197, appendix B.
    let value =
        [0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6, 0xab, 0xf7, 0x15, 0x88, 0x09, 0xcf, 0x4f, 0x3c];
    let template = secret(KeyType::AES, value.to_vec());
    let key = session.create_object(&template).unwrap();
    let check = Attribute::CheckValue(vec![0x7d, 0xf7, 0x6b]);
    assert_eq!(read(&session, key, AttributeType::CheckValue), check);
    session.create_object(&[&template[..], &[check]].concat()).unwrap();
    let none = session.create_object(&[&template[..], &[Attribute::CheckValue(vec![])]].concat()).unwrap();
    assert_eq!(read(&session, none, AttributeType::CheckValue), Attribute::CheckValue(vec![]));
    let wrong = [&template[..], &[Attribute::CheckValue(vec![1, 2, 3])]].concat();
    refused(session.create_object(&wrong), RvError::AttributeValueInvalid);
    for len in [0, 1, 15, 17, 33] {
        let template = secret(KeyType::AES, vec![1; len]);
        refused(session.create_object(&template), RvError::AttributeValueInvalid);
    }
    refused(session.create_object(&secret(KeyType::DES3, vec![1; 24])), RvError::AttributeValueInvalid);
    refused(session.create_object(&secret(KeyType::RSA, vec![1; 24])), RvError::AttributeValueInvalid);
    refused(session.create_object(&template[..2]), RvError::TemplateIncomplete);
}

/// Generic secrets of any length, and the types that say what they are for; they show the type they were given.
#[test]
fn generic_secrets_keep_their_name() {
    let session = user_session("generic");
    for kind in [KeyType::GENERIC_SECRET, KeyType::SHA_1_HMAC, KeyType::SHA256_HMAC] {
        let template = [&secret(kind, b"abc".to_vec())[..], &OPEN, &[Attribute::Token(true)]].concat();
        let key = session.create_object(&template).unwrap();
        assert_eq!(read(&session, key, AttributeType::KeyType), Attribute::KeyType(kind));
        assert_eq!(read(&session, key, AttributeType::Value), Attribute::Value(b"abc".to_vec()));
        assert_eq!(read(&session, key, AttributeType::ValueLen), Attribute::ValueLen(3.into()));
        // The first bytes of SHA-1("abc"), FIPS 180-4.
        let check = Attribute::CheckValue(vec![0xa9, 0x99, 0x3e]);
        assert_eq!(read(&session, key, AttributeType::CheckValue), check);
        assert_eq!(session.find_objects(&[Attribute::KeyType(kind)]).unwrap(), [key]);
    }
    for len in [0, 4097] {
        let template = secret(KeyType::GENERIC_SECRET, vec![1; len]);
        refused(session.create_object(&template), RvError::AttributeValueInvalid);
    }
    let long = [&secret(KeyType::GENERIC_SECRET, vec![7; 4096])[..], &OPEN].concat();
    let long = session.create_object(&long).unwrap();
    assert_eq!(read(&session, long, AttributeType::Value), Attribute::Value(vec![7; 4096]));
}

/// R51: an RSA key comes in with all its numbers, or with n, e and d alone, and is the same key.
#[test]
fn rsa_keys_are_brought_by_their_numbers() {
    let session = user_session("rsa");
    let (pair, numbers) = open_rsa(&session);
    for (on_token, given) in
        [(true, &numbers[..]), (false, &numbers[..]), (true, &numbers[..3]), (false, &numbers[..5])]
    {
        let template = [&private(KeyType::RSA, given)[..], &OPEN, &[Attribute::Token(on_token)]].concat();
        let key = session.create_object(&template).unwrap();
        let signature = session.sign(&Mechanism::Sha256RsaPkcs, key, b"m").unwrap();
        session.verify(&Mechanism::Sha256RsaPkcs, pair.public, b"m", &signature).unwrap();
        assert_eq!(session.get_attributes(key, &RSA_PRIVATE[..3]).unwrap(), numbers[..3]);
        assert_eq!(
            read(&session, key, AttributeType::PublicKeyInfo),
            read(&session, pair.public, AttributeType::PublicKeyInfo)
        );
    }
}

/// R50: numbers that make no good key are refused, each with a code of the template.
#[test]
fn rsa_numbers_that_make_no_key_are_refused() {
    let session = user_session("no rsa");
    let (_, numbers) = open_rsa(&session);
    let with = |changes: &[Attribute]| {
        let kept =
            numbers.iter().filter(|n| changes.iter().all(|c| c.attribute_type() != n.attribute_type()));
        let template: Vec<_> = kept.chain(changes).cloned().collect();
        session.create_object(&private(KeyType::RSA, &template)).map(|_| ())
    };
    with(&[]).unwrap();
    let Attribute::PrivateExponent(d) = &numbers[2] else { panic!() };
    let Attribute::Modulus(n) = &numbers[0] else { panic!() };
    let off = |number: &[u8], by: u8| {
        let mut number = number.to_vec();
        let last = number.len() - 1;
        number[last] ^= by;
        number
    };
    let prime = |at: usize| match &numbers[at] {
        Attribute::Prime1(p) | Attribute::Prime2(p) => p.clone(),
        other => panic!("{other:?}"),
    };
    for wrong in [
        vec![Attribute::PrivateExponent(off(d, 2))],
        vec![Attribute::PrivateExponent(vec![])],
        vec![Attribute::PrivateExponent(vec![1])],
        vec![Attribute::PrivateExponent(vec![255; 300])],
        vec![Attribute::PublicExponent(vec![1])],
        vec![Attribute::PublicExponent(vec![3])],
        vec![Attribute::PublicExponent(vec![1, 0, 3])],
        vec![Attribute::PublicExponent(vec![])],
        vec![Attribute::Modulus(off(n, 1))],
        vec![Attribute::Modulus(off(n, 2))],
        vec![Attribute::Modulus(n[..128].to_vec())],
        vec![Attribute::Modulus(n[..255].to_vec())],
        vec![Attribute::Modulus(vec![])],
        vec![Attribute::Prime1(off(&prime(3), 2))],
        vec![Attribute::Prime1(prime(4))],
        vec![Attribute::Prime1(prime(4)), Attribute::Prime2(prime(3))],
        vec![Attribute::Prime1(vec![])],
        vec![Attribute::Prime1(vec![1]), Attribute::Prime2(n.clone())],
        vec![Attribute::Exponent1(vec![5])],
        vec![Attribute::Coefficient(vec![5])],
    ] {
        refused(with(&wrong), RvError::AttributeValueInvalid);
    }
    for missing in 0..3 {
        let mut fewer = numbers.clone();
        fewer.remove(missing);
        refused(session.create_object(&private(KeyType::RSA, &fewer)), RvError::TemplateIncomplete);
    }
    let other = keys::p256(&session);
    let info = read(&session, other.public, AttributeType::PublicKeyInfo);
    refused(with(&[info]), RvError::TemplateInconsistent);
}

/// R51: keys on every curve come in by their scalar or seed; the public half is computed.
#[test]
fn curve_keys_are_brought_by_their_scalar() {
    let session = user_session("curves");
    for (on_token, curve, len, mechanism) in
        [(true, P256.0, 32, Mechanism::EcdsaSha256), (false, P384, 48, Mechanism::EcdsaSha384)]
    {
        let template =
            [&ec(KeyType::EC, curve, vec![7; len])[..], &OPEN, &[Attribute::Token(on_token)]].concat();
        let key = session.create_object(&template).unwrap();
        let shown = session.get_attributes(key, &[AttributeType::EcPoint, AttributeType::EcParams]).unwrap();
        let public = [Attribute::Class(ObjectClass::PUBLIC_KEY), Attribute::KeyType(KeyType::EC)];
        let public = session.create_object(&[&public[..], &shown].concat()).unwrap();
        let signature = session.sign(&mechanism, key, b"m").unwrap();
        session.verify(&mechanism, public, b"m", &signature).unwrap();
        assert_eq!(read(&session, key, AttributeType::Value), Attribute::Value(vec![7; len]));
        // The point may be given, and must then be the right one.
        let with = |point| session.create_object(&[&template[..], &[Attribute::EcPoint(point)]].concat());
        let Attribute::EcPoint(point) = &shown[0] else { panic!() };
        with(point.clone()).unwrap();
        with(point[2..].to_vec()).unwrap();
        let other = keys::p256(&session);
        let Attribute::EcPoint(other) = read(&session, other.public, AttributeType::EcPoint) else {
            panic!()
        };
        refused(with(other), RvError::AttributeValueInvalid);
    }
    // RFC 8032, section 7.1, test 1.
    let seed = hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
    let point = hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    for curve in [ED25519, b"\x13\x0cedwards25519"] {
        let key = session.create_object(&ec(KeyType::EC_EDWARDS, curve, seed.clone())).unwrap();
        let Attribute::EcPoint(shown) = read(&session, key, AttributeType::EcPoint) else { panic!() };
        assert_eq!(shown[2..], point);
    }
    session.create_object(&ec(KeyType::EC_MONTGOMERY, X25519, seed)).unwrap();
    session.create_object(&ec(KeyType::EC, P521, vec![1; 66])).unwrap();
    for (template, wanted) in [
        (ec(KeyType::EC, P256.0, vec![0; 32]), RvError::AttributeValueInvalid),
        (ec(KeyType::EC, P256.0, vec![255; 32]), RvError::AttributeValueInvalid),
        (ec(KeyType::EC, P256.0, vec![]), RvError::AttributeValueInvalid),
        (ec(KeyType::EC, P256.0, vec![7; 48]), RvError::AttributeValueInvalid),
        (ec(KeyType::EC_EDWARDS, ED25519, vec![7; 31]), RvError::AttributeValueInvalid),
        (ec(KeyType::EC_EDWARDS, P256.0, vec![7; 32]), RvError::TemplateInconsistent),
        (ec(KeyType::EC, ED25519, vec![7; 32]), RvError::TemplateInconsistent),
        (ec(KeyType::EC, &[6, 5, 0x2b, 0x81, 4, 0, 0x21], vec![7; 28]), RvError::CurveNotSupported),
        (ec(KeyType::EC, b"nonsense", vec![7; 32]), RvError::DomainParamsInvalid),
        (ec(KeyType::DSA, P256.0, vec![7; 32]), RvError::AttributeValueInvalid),
        (private(KeyType::EC, &[Attribute::Value(vec![7; 32])]), RvError::TemplateIncomplete),
    ] {
        refused(session.create_object(&template), wanted);
    }
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// Attacks: a template that claims a history, or contradicts itself, or fits no attribute, makes no key.
#[test]
fn no_template_invents_a_history() {
    let session = user_session("claims");
    let aes = secret(KeyType::AES, vec![7; 16]);
    for (more, wanted) in [
        (Attribute::Local(true), RvError::AttributeReadOnly),
        (Attribute::AlwaysSensitive(true), RvError::AttributeReadOnly),
        (Attribute::NeverExtractable(true), RvError::AttributeReadOnly),
        (Attribute::KeyGenMechanism(MechanismType::AES_KEY_GEN), RvError::AttributeReadOnly),
        (Attribute::UniqueId(vec![1]), RvError::AttributeReadOnly),
        (Attribute::ValueLen(16.into()), RvError::AttributeReadOnly),
        (Attribute::Trusted(true), RvError::AttributeReadOnly),
        (Attribute::Modulus(vec![1]), RvError::AttributeTypeInvalid),
        (Attribute::PrivateExponent(vec![1]), RvError::AttributeTypeInvalid),
        (Attribute::Value(vec![8; 16]), RvError::TemplateInconsistent),
        (Attribute::KeyType(KeyType::GENERIC_SECRET), RvError::TemplateInconsistent),
        (Attribute::Class(ObjectClass::DATA), RvError::TemplateInconsistent),
    ] {
        refused(session.create_object(&[&aes[..], &[more]].concat()), wanted);
    }
    let huge = Attribute::Label(vec![b'x'; 1 << 21]);
    for on_token in [true, false] {
        let template = [&aes[..], &[huge.clone(), Attribute::Token(on_token)]].concat();
        refused(session.create_object(&template), RvError::DataLenRange);
    }
    let domain = [Attribute::Class(ObjectClass::DOMAIN_PARAMETERS), Attribute::KeyType(KeyType::DSA)];
    refused(session.create_object(&domain), RvError::AttributeValueInvalid);
}

/// Nobody brings or reads key material without the user's login, private or not.
#[test]
fn material_is_the_users_own() {
    let slot = token("own");
    let session = module().open_rw_session(slot).unwrap();
    let shown = [Attribute::Private(false), Attribute::Token(true)];
    let template = [&secret(KeyType::AES, vec![7; 16])[..], &OPEN, &shown].concat();
    refused(session.create_object(&template), RvError::UserNotLoggedIn);
    session.login(UserType::User, Some(&pin(PIN))).unwrap();
    let key = session.create_object(&template).unwrap();
    assert_eq!(read(&session, key, AttributeType::Value), Attribute::Value(vec![7; 16]));
    session.logout().unwrap();
    let info = session.get_attribute_info(key, &[AttributeType::Value]).unwrap();
    assert!(matches!(info[..], [AttributeInfo::Sensitive]), "{info:?}");
    refused(session.copy_object(key, &[]), RvError::UserNotLoggedIn);
}

/// A sensitive or unextractable key shows nothing, and what it does show is filled in beside that.
#[test]
fn sensitive_keys_hide_their_material() {
    let session = user_session("hidden");
    let (_, numbers) = open_rsa(&session);
    let closed: [&[Attribute]; 4] = [
        &[],
        &[Attribute::Sensitive(false)],
        &[Attribute::Extractable(true)],
        &[Attribute::Sensitive(true), Attribute::Extractable(true)],
    ];
    for more in closed {
        let aes = session.create_object(&[&secret(KeyType::AES, vec![7; 16])[..], more].concat()).unwrap();
        let rsa = session.create_object(&[&private(KeyType::RSA, &numbers)[..], more].concat()).unwrap();
        let ec = session.create_object(&[&ec(KeyType::EC, P256.0, vec![7; 32])[..], more].concat()).unwrap();
        for (key, kinds) in
            [(aes, &[AttributeType::Value][..]), (ec, &[AttributeType::Value]), (rsa, &RSA_PRIVATE[2..])]
        {
            for info in session.get_attribute_info(key, kinds).unwrap() {
                assert!(matches!(info, AttributeInfo::Sensitive), "{info:?}");
            }
        }
        let both = session.get_attributes(aes, &[AttributeType::Value, AttributeType::Sensitive]).unwrap();
        assert!(matches!(both[..], [Attribute::Sensitive(_)]), "{both:?}");
    }
    // Once closed it stays closed.
    let key = session.create_object(&[&secret(KeyType::AES, vec![7; 16])[..], &OPEN].concat()).unwrap();
    session.update_attributes(key, &[Attribute::Sensitive(true)]).unwrap();
    let info = session.get_attribute_info(key, &[AttributeType::Value]).unwrap();
    assert!(matches!(info[..], [AttributeInfo::Sensitive]));
    refused(session.update_attributes(key, &[Attribute::Sensitive(false)]), RvError::AttributeReadOnly);
    refused(session.update_attributes(key, &[Attribute::Value(vec![1; 16])]), RvError::AttributeReadOnly);
}

/// Attack: asking searches whether a key has a guessed value. They never look at material, not even at open keys'.
#[test]
fn searches_do_not_look_at_material() {
    let session = user_session("guessing");
    let aes = secret(KeyType::AES, vec![7; 16]);
    session.create_object(&aes).unwrap();
    session.create_object(&[&aes[..], &OPEN].concat()).unwrap();
    let (_, numbers) = open_rsa(&session);
    session.create_object(&private(KeyType::RSA, &numbers)).unwrap();
    for guess in [&aes[2], &numbers[2], &numbers[3], &numbers[5], &numbers[7]] {
        assert_eq!(session.find_objects(std::slice::from_ref(guess)).unwrap(), []);
    }
    assert_eq!(session.find_objects(&numbers[..1]).unwrap().len(), 2 + 1);
}

/// Attack: a key that was read where it was open comes back as another object; it has no claim to have been safe.
#[test]
fn what_came_back_is_not_what_never_left() {
    let session = user_session("back");
    let key = keys::aes(&session, 16);
    let open =
        session.generate_key(&Mechanism::AesKeyGen, &[&[Attribute::ValueLen(16.into())], &OPEN[..]].concat());
    let open = open.unwrap();
    assert_eq!(read(&session, key, AttributeType::AlwaysSensitive), Attribute::AlwaysSensitive(true));
    assert_eq!(read(&session, key, AttributeType::NeverExtractable), Attribute::NeverExtractable(true));
    let value = read(&session, open, AttributeType::Value);
    let closed = [Attribute::Sensitive(true), Attribute::Extractable(false)];
    let template =
        [&[Attribute::Class(ObjectClass::SECRET_KEY), Attribute::KeyType(KeyType::AES), value], &closed[..]];
    let back = session.create_object(&template.concat()).unwrap();
    for object in [open, back] {
        for wanted in [Attribute::AlwaysSensitive(false), Attribute::NeverExtractable(false)] {
            assert_eq!(read(&session, object, wanted.attribute_type()), wanted);
        }
    }
    assert!(matches!(
        session.get_attribute_info(back, &[AttributeType::Value]).unwrap()[..],
        [AttributeInfo::Sensitive]
    ));
    let unknown: Result<_, Error> = session.get_attributes(back, &[AttributeType::Prime1]);
    assert_eq!(unknown.unwrap(), []);
}
