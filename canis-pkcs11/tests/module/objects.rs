//! Objects: made, found, read, changed, destroyed; seen and not seen.

use crate::harness::{PIN, SO_PIN, module, pin, refused, token, user_session};
use crate::keys;
use cryptoki::error::RvError;
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeInfo, AttributeType, CertificateType, KeyType, ObjectClass};
use cryptoki::session::UserType;

fn data(label: &str) -> Vec<Attribute> {
    vec![
        Attribute::Class(ObjectClass::DATA),
        Attribute::Label(label.as_bytes().to_vec()),
        Attribute::Application(b"test".to_vec()),
        Attribute::Value(b"value".to_vec()),
    ]
}

fn certificate() -> Vec<Attribute> {
    vec![
        Attribute::Class(ObjectClass::CERTIFICATE),
        Attribute::CertificateType(CertificateType::X_509),
        Attribute::Token(true),
        Attribute::Label(b"cert".to_vec()),
        Attribute::Id(vec![1, 2]),
        Attribute::Subject(b"subject".to_vec()),
        Attribute::Issuer(b"issuer".to_vec()),
        Attribute::SerialNumber(b"\x02\x01\x07".to_vec()),
        Attribute::Value(b"der".to_vec()),
    ]
}

fn read(
    session: &cryptoki::session::Session,
    object: cryptoki::object::ObjectHandle,
    kind: AttributeType,
) -> Attribute {
    session.get_attributes(object, &[kind]).unwrap().remove(0)
}

#[test]
fn data_and_certificates_are_kept_as_they_were_given() {
    let session = user_session("kept");
    let cert = session.create_object(&certificate()).unwrap();
    for wanted in certificate() {
        assert_eq!(read(&session, cert, wanted.attribute_type()), wanted);
    }
    assert_eq!(read(&session, cert, AttributeType::Private), Attribute::Private(false));
    assert_eq!(read(&session, cert, AttributeType::Trusted), Attribute::Trusted(false));
    let object = session.create_object(&data("a label")).unwrap();
    for wanted in data("a label") {
        assert_eq!(read(&session, object, wanted.attribute_type()), wanted);
    }
    let incomplete = &certificate()[..5];
    refused(session.create_object(incomplete), RvError::TemplateIncomplete);
    refused(session.create_object(&[]), RvError::TemplateIncomplete);
    let secret = [Attribute::Class(ObjectClass::SECRET_KEY), Attribute::KeyType(KeyType::AES)];
    refused(session.create_object(&secret), RvError::TemplateIncomplete);
    let strange = [Attribute::Class(ObjectClass::HARDWARE_FEATURE)];
    refused(session.create_object(&strange), RvError::AttributeValueInvalid);
}

/// A public key brought by its numbers verifies what the private key signed; the point comes bare or wrapped.
#[test]
fn public_keys_are_brought_by_their_numbers() {
    let session = user_session("brought");
    let rsa = keys::rsa(&session, 2048);
    let numbers = [AttributeType::Modulus, AttributeType::PublicExponent];
    let mut template = session.get_attributes(rsa.public, &numbers).unwrap();
    template.extend([Attribute::Class(ObjectClass::PUBLIC_KEY), Attribute::KeyType(KeyType::RSA)]);
    let brought = session.create_object(&template).unwrap();
    let signature = session.sign(&Mechanism::Sha256RsaPkcs, rsa.private, b"m").unwrap();
    session.verify(&Mechanism::Sha256RsaPkcs, brought, b"m", &signature).unwrap();
    assert_eq!(read(&session, brought, AttributeType::Local), Attribute::Local(false));

    for (pair, kind, mechanism) in [
        (keys::p256(&session), KeyType::EC, Mechanism::EcdsaSha256),
        (keys::p384(&session), KeyType::EC, Mechanism::EcdsaSha384),
    ] {
        let shown =
            session.get_attributes(pair.public, &[AttributeType::EcParams, AttributeType::EcPoint]).unwrap();
        let Attribute::EcPoint(wrapped) = &shown[1] else { panic!("{shown:?}") };
        let signature = session.sign(&mechanism, pair.private, b"m").unwrap();
        for point in [wrapped.clone(), wrapped[2..].to_vec()] {
            let mut template = vec![Attribute::Class(ObjectClass::PUBLIC_KEY), Attribute::KeyType(kind)];
            template.extend([shown[0].clone(), Attribute::EcPoint(point)]);
            let brought = session.create_object(&template).unwrap();
            session.verify(&mechanism, brought, b"m", &signature).unwrap();
        }
        let mut off = wrapped[2..].to_vec();
        off[5] ^= 1;
        let mut template = vec![Attribute::Class(ObjectClass::PUBLIC_KEY), Attribute::KeyType(kind)];
        template.extend([shown[0].clone(), Attribute::EcPoint(off)]);
        refused(session.create_object(&template), RvError::AttributeValueInvalid);
    }
}

/// Finding by any attribute, alone and together.
#[test]
fn objects_are_found_by_their_attributes() {
    let session = user_session("found");
    let pair = keys::pair(
        &session,
        &Mechanism::EccKeyPairGen,
        &[Attribute::from(keys::P256), Attribute::Id(vec![9])],
        &[Attribute::Id(vec![9]), Attribute::Label(b"mine".to_vec())],
    );
    let other = session.create_object(&data("mine")).unwrap();
    let find = |template: &[Attribute]| {
        let mut found = session.find_objects(template).unwrap();
        found.sort_by_key(|handle| handle.handle());
        found
    };
    assert_eq!(find(&[Attribute::Class(ObjectClass::PRIVATE_KEY)]), [pair.private]);
    assert_eq!(
        find(&[Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Id(vec![9]), Attribute::Sign(true)]),
        [pair.private]
    );
    assert_eq!(find(&[Attribute::Label(b"mine".to_vec())]), [pair.private, other]);
    assert_eq!(find(&[Attribute::KeyType(KeyType::EC)]).len(), 2);
    assert_eq!(find(&[Attribute::Application(b"test".to_vec())]), [other]);
    assert_eq!(find(&[Attribute::KeyType(KeyType::RSA)]), []);
    assert_eq!(find(&[Attribute::Class(ObjectClass::HARDWARE_FEATURE)]), []);
    assert_eq!(find(&[Attribute::Token(true)]), []);
    assert_eq!(find(&[Attribute::Value(b"value".to_vec())]), [other]);
    assert_eq!(find(&[]).len(), 3);
}

#[test]
fn attributes_change_by_their_rules() {
    let session = user_session("changed");
    let pair = keys::p256(&session);
    let set = |attribute: Attribute| session.update_attributes(pair.private, &[attribute]);
    set(Attribute::Label(b"new".to_vec())).unwrap();
    set(Attribute::Id(vec![1, 2, 3])).unwrap();
    assert_eq!(read(&session, pair.private, AttributeType::Id), Attribute::Id(vec![1, 2, 3]));
    refused(set(Attribute::Sensitive(false)), RvError::AttributeReadOnly);
    refused(set(Attribute::Extractable(true)), RvError::AttributeReadOnly);
    refused(set(Attribute::Token(true)), RvError::AttributeReadOnly);
    refused(set(Attribute::Class(ObjectClass::DATA)), RvError::AttributeReadOnly);
    refused(set(Attribute::Modulus(vec![1])), RvError::AttributeTypeInvalid);
    refused(set(Attribute::Trusted(true)), RvError::AttributeTypeInvalid);
    refused(session.update_attributes(pair.public, &[Attribute::Trusted(true)]), RvError::AttributeReadOnly);

    let fixed = session.create_object(&[data("fixed"), vec![Attribute::Modifiable(false)]].concat()).unwrap();
    refused(session.update_attributes(fixed, &[Attribute::Label(vec![])]), RvError::ActionProhibited);
    let lasting =
        session.create_object(&[data("lasting"), vec![Attribute::Destroyable(false)]].concat()).unwrap();
    refused(session.destroy_object(lasting), RvError::ActionProhibited);
}

/// What cannot be read is said attribute by attribute, and the others are still given (section 5.7.5).
#[test]
fn attributes_that_cannot_be_read_do_not_hide_the_others() {
    let session = user_session("unread");
    let pair = keys::rsa(&session, 2048);
    let info = session
        .get_attribute_info(
            pair.private,
            &[
                AttributeType::Class,
                AttributeType::PrivateExponent,
                AttributeType::EcPoint,
                AttributeType::Modulus,
            ],
        )
        .unwrap();
    assert!(
        matches!(
            info[..],
            [
                AttributeInfo::Available(8),
                AttributeInfo::Sensitive,
                AttributeInfo::TypeInvalid,
                AttributeInfo::Available(256)
            ]
        ),
        "{info:?}"
    );
    let allowed = session.get_attribute_info(pair.private, &[AttributeType::AllowedMechanisms]).unwrap();
    assert!(matches!(allowed[0], AttributeInfo::TypeInvalid));
}

/// Public objects are seen before login, private ones only after; handles of private objects end with the login.
#[test]
fn login_decides_what_is_seen() {
    let slot = token("seen");
    let session = module().open_rw_session(slot).unwrap();
    session.login(UserType::User, Some(&pin(PIN))).unwrap();
    let on_token = [Attribute::Token(true)];
    let public = [Attribute::from(keys::P256), Attribute::Token(true)];
    let pair = keys::pair(&session, &Mechanism::EccKeyPairGen, &public, &on_token);
    assert_eq!(session.find_objects(&[]).unwrap().len(), 2);
    session.logout().unwrap();

    assert_eq!(session.find_objects(&[]).unwrap(), [pair.public]);
    assert_eq!(read(&session, pair.public, AttributeType::Verify), Attribute::Verify(true));
    refused(session.sign(&Mechanism::Ecdsa, pair.private, b"x"), RvError::KeyHandleInvalid);
    refused(session.get_attributes(pair.private, &[AttributeType::Label]), RvError::ObjectHandleInvalid);
    let secret = [data("secret"), vec![Attribute::Private(true)]].concat();
    refused(session.create_object(&secret), RvError::UserNotLoggedIn);

    session.login(UserType::So, Some(&pin(SO_PIN))).unwrap();
    assert_eq!(session.find_objects(&[]).unwrap(), [pair.public], "the security officer uses no keys");
    session.logout().unwrap();
    session.login(UserType::User, Some(&pin(PIN))).unwrap();
    let found = session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY)]).unwrap();
    assert!(found.len() == 1 && found[0] != pair.private);
    session.sign(&Mechanism::Ecdsa, found[0], b"x").unwrap();
    session.destroy_object(found[0]).unwrap();
    refused(session.destroy_object(found[0]), RvError::ObjectHandleInvalid);
}

/// Only the security officer says that a certificate is trusted.
#[test]
fn trust_is_the_security_officers_to_give() {
    let slot = token("trust");
    let session = module().open_rw_session(slot).unwrap();
    let trusted = [Attribute::Trusted(true)];
    session.login(UserType::User, Some(&pin(PIN))).unwrap();
    let cert = session.create_object(&certificate()).unwrap();
    refused(session.update_attributes(cert, &trusted), RvError::AttributeReadOnly);
    let claimed = [&certificate()[..], &trusted].concat();
    refused(session.create_object(&claimed), RvError::AttributeReadOnly);
    session.logout().unwrap();
    session.login(UserType::So, Some(&pin(SO_PIN))).unwrap();
    session.update_attributes(cert, &trusted).unwrap();
    assert_eq!(read(&session, cert, AttributeType::Trusted), trusted[0]);
    assert_eq!(session.find_objects(&trusted).unwrap(), [cert]);
}

/// A secret key becomes a trusted wrapping key by the security officer's word, if he can see it; he changes nothing else
/// of it. Then it wraps what only trusted keys may.
#[test]
fn the_officer_trusts_wrapping_keys() {
    let slot = token("trusted wrapper");
    let session = module().open_rw_session(slot).unwrap();
    let (officer, user) = ((UserType::So, SO_PIN), (UserType::User, PIN));
    let as_user = |(who, secret): (UserType, &str)| session.login(who, Some(&pin(secret))).unwrap();
    as_user(user);
    let base = [Attribute::ValueLen(32.into()), Attribute::Token(true)];
    let wrapper = |private| {
        let more = [
            Attribute::Private(private),
            Attribute::Wrap(true),
            Attribute::Encrypt(false),
            Attribute::Decrypt(false),
        ];
        session.generate_key(&Mechanism::AesKeyGen, &[&base[..], &more].concat()).unwrap()
    };
    let (seen, hidden) = (wrapper(false), wrapper(true));
    let guarded = [
        Attribute::Extractable(true),
        Attribute::WrapWithTrusted(true),
        Attribute::Encrypt(false),
        Attribute::Decrypt(false),
    ];
    let guarded = session.generate_key(&Mechanism::AesKeyGen, &[&base[..], &guarded].concat()).unwrap();
    refused(session.wrap_key(&Mechanism::AesKeyWrapPad, seen, guarded), RvError::KeyNotWrappable);
    refused(session.update_attributes(seen, &[Attribute::Trusted(true)]), RvError::AttributeReadOnly);
    session.logout().unwrap();
    as_user(officer);
    assert_eq!(session.find_objects(&[Attribute::Wrap(true)]).unwrap(), [seen]);
    session.update_attributes(seen, &[Attribute::Trusted(true)]).unwrap();
    refused(session.update_attributes(hidden, &[Attribute::Trusted(true)]), RvError::ObjectHandleInvalid);
    for more in
        [Attribute::Label(b"new".to_vec()), Attribute::Decrypt(true), Attribute::WrapWithTrusted(true)]
    {
        let outcome = session.update_attributes(seen, &[Attribute::Trusted(true), more]);
        refused(outcome, RvError::UserNotLoggedIn);
    }
    refused(session.wrap_key(&Mechanism::AesKeyWrapPad, seen, seen), RvError::UserNotLoggedIn);
    session.logout().unwrap();
    as_user(user);
    assert_eq!(read(&session, seen, AttributeType::Trusted), Attribute::Trusted(true));
    let found = session.find_objects(&[Attribute::WrapWithTrusted(true)]).unwrap();
    session.wrap_key(&Mechanism::AesKeyWrapPad, seen, found[0]).unwrap();
    refused(session.update_attributes(seen, &[Attribute::Trusted(false)]), RvError::AttributeReadOnly);
}

/// A private key with CKA_PRIVATE = false is seen by everybody and used by the user only.
#[test]
fn key_material_needs_the_login_even_when_it_is_not_private() {
    let slot = token("open");
    let session = module().open_rw_session(slot).unwrap();
    session.login(UserType::User, Some(&pin(PIN))).unwrap();
    let public = [Attribute::from(keys::P256), Attribute::Token(true)];
    let private = [Attribute::Token(true), Attribute::Private(false)];
    let pair = keys::pair(&session, &Mechanism::EccKeyPairGen, &public, &private);
    session.logout().unwrap();
    assert_eq!(session.find_objects(&[]).unwrap().len(), 2);
    refused(session.sign(&Mechanism::Ecdsa, pair.private, b"x"), RvError::UserNotLoggedIn);
}

/// Session objects are seen by the application's other sessions and are gone with theirs.
#[test]
fn session_objects_live_as_long_as_their_session() {
    let slot = token("living");
    let keeper = module().open_rw_session(slot).unwrap();
    keeper.login(UserType::User, Some(&pin(PIN))).unwrap();
    let short = module().open_ro_session(slot).unwrap();
    let object = short.create_object(&data("short")).unwrap();
    let key = keys::p256(&short).private;
    assert_eq!(read(&keeper, object, AttributeType::Token), Attribute::Token(false));
    keeper.sign(&Mechanism::EcdsaSha256, key, b"x").unwrap();
    refused(
        short.create_object(&[data("long"), vec![Attribute::Token(true)]].concat()),
        RvError::SessionReadOnly,
    );
    short.close().unwrap();
    refused(keeper.get_attributes(object, &[AttributeType::Label]), RvError::ObjectHandleInvalid);
    refused(keeper.sign(&Mechanism::EcdsaSha256, key, b"x"), RvError::KeyHandleInvalid);
    assert!(keeper.find_objects(&[]).unwrap().is_empty());
}

/// A R/O session changes and destroys no token object.
#[test]
fn a_reader_changes_nothing_on_the_token() {
    let slot = token("reader");
    let writer = module().open_rw_session(slot).unwrap();
    let reader = module().open_ro_session(slot).unwrap();
    reader.login(UserType::User, Some(&pin(PIN))).unwrap();
    let object = writer.create_object(&certificate()).unwrap();
    refused(reader.update_attributes(object, &[Attribute::Label(vec![])]), RvError::SessionReadOnly);
    refused(reader.destroy_object(object), RvError::SessionReadOnly);
    writer.update_attributes(object, &[Attribute::Id(vec![7])]).unwrap();
    assert_eq!(reader.find_objects(&[Attribute::Id(vec![7])]).unwrap(), [object]);
    writer.destroy_object(object).unwrap();
    assert!(reader.find_objects(&[]).unwrap().is_empty());
}

/// CKA_UNIQUE_ID leads to its object, in session and token; with anything else beside it that fits.
#[test]
fn unique_ids_lead_to_their_objects() {
    let session = user_session("unique");
    let kept = session.create_object(&certificate()).unwrap();
    let object = session.create_object(&data("here")).unwrap();
    for wanted in [kept, object] {
        let id = read(&session, wanted, AttributeType::UniqueId);
        assert_eq!(session.find_objects(std::slice::from_ref(&id)).unwrap(), [wanted]);
        let fits = [id.clone(), read(&session, wanted, AttributeType::Class)];
        assert_eq!(session.find_objects(&fits).unwrap(), [wanted]);
        let strange = [id, Attribute::Label(b"another".to_vec())];
        assert_eq!(session.find_objects(&strange).unwrap(), []);
    }
    for nonsense in [&b""[..], b"1", b"00000000-0000-4000-8000-000000000000", &[0xff; 36]] {
        assert_eq!(session.find_objects(&[Attribute::UniqueId(nonsense.to_vec())]).unwrap(), []);
    }
    let other = user_session("other unique");
    let id = read(&session, kept, AttributeType::UniqueId);
    assert_eq!(other.find_objects(&[id]).unwrap(), [], "tokens do not see each other's objects");
}

/// A point is searched for in each of its encodings, and curves have several names.
#[test]
fn points_and_curves_are_known_by_all_their_encodings() {
    let session = user_session("encodings");
    let pair = keys::ed25519(&session);
    let Attribute::EcPoint(der) = read(&session, pair.public, AttributeType::EcPoint) else { panic!() };
    assert_eq!((der.len(), &der[..2]), (34, &[4, 32][..]));
    let bare = der[2..].to_vec();
    let bits = [&[3, 33, 0][..], &bare].concat();
    for point in [&der, &bare, &bits] {
        let wanted = [Attribute::Class(ObjectClass::PUBLIC_KEY), Attribute::EcPoint(point.clone())];
        assert_eq!(session.find_objects(&wanted).unwrap(), [pair.public]);
        for curve in [&b"\x13\x0cedwards25519"[..], &[6, 9, 0x2b, 6, 1, 4, 1, 0xda, 0x47, 0x0f, 1]] {
            let template = [
                Attribute::Class(ObjectClass::PUBLIC_KEY),
                Attribute::KeyType(KeyType::EC_EDWARDS),
                Attribute::EcParams(curve.to_vec()),
                Attribute::EcPoint(point.clone()),
            ];
            let brought = session.create_object(&template).unwrap();
            let shown = [AttributeType::EcPoint, AttributeType::EcParams];
            assert_eq!(
                session.get_attributes(brought, &shown).unwrap(),
                session.get_attributes(pair.public, &shown).unwrap()
            );
            session.destroy_object(brought).unwrap();
        }
    }
    let another = [Attribute::EcPoint(vec![0; 32])];
    assert_eq!(session.find_objects(&another).unwrap(), []);
    let named = Attribute::EcParams(b"\x13\x05P-256".to_vec());
    let p256 = keys::pair(&session, &Mechanism::EccKeyPairGen, &[named], &[]);
    assert_eq!(read(&session, p256.public, AttributeType::EcParams), keys::P256.into());
}
