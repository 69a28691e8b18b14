//! PKCS#11 over CANISP: applications, what they may see, and what those try that may not. The uses of keys themselves are
//! tested through the module.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod application;
mod harness;
mod raw;

use application::{
    AES_ECB, AES_GCM, ALLOWED_MECHANISMS, ECDSA, ECDSA_SHA256, SO, Site, USER, code, content, note, secret,
    to_sign,
};
use canis_client::Client;
use canis_core::crypto::{BlockMode, SignScheme};
use canis_core::object::{
    CipherScheme, Class, ConfirmNamed, Content, CreateObject, DestroyObject, EncryptNamed, EndSession,
    FindPage, GenerateObjects, NamedKey, OpenNamed, ReadObject, SignNamed, SignWith, Wanted,
};
use canis_core::token::{EndApplication, InitToken, ListTokens, Login, Logout, Role, ShowLogin};
use canis_core::wire::AtToken;
use canis_proto::batch::item;
use canis_proto::credential::RevokeCredential;
use canis_proto::frame::FrameType;
use canis_proto::message::{Batch, ClientHello};
use canis_proto::slot::UnlockSlot;
use canis_proto::{ErrorCode, Id, KeyType, Usage};
use raw::Raw;
use std::sync::Arc;

/// A host that comes back finds its login and its session's objects; one that said that it is done does not.
#[test]
fn an_application_outlives_its_connection() {
    let site = Site::new();
    let mut host = site.host(2);
    assert_eq!(host.server().resumed, Some(false));
    site.log_in(&mut host, USER).unwrap();
    let key = site.pair(&mut host, Some(1), false);
    drop(host);
    let mut host = site.host(2);
    assert_eq!((host.server().resumed, site.role(&mut host)), (Some(true), Some(Role::User)));
    assert_eq!(site.sign(&mut host, to_sign(key, None)).unwrap().bytes.len(), 64);
    // A second connection beside it is the same application.
    assert_eq!(code(site.log_in(&mut site.host(2), USER)), ErrorCode::OperationNotAllowed);
    host.call(&EndApplication).unwrap();
    drop(host);
    let mut host = site.host(2);
    assert_eq!((host.server().resumed, site.role(&mut host)), (Some(false), None));
    site.log_in(&mut host, USER).unwrap();
    assert_eq!(code(site.sign(&mut host, to_sign(key, None))), ErrorCode::ObjectNotFound);
}

/// Who learns an application's secret and has another credential has another application.
#[test]
fn the_secret_alone_is_nothing() {
    let site = Site::new();
    let mut host = site.user(3);
    let made = site.at(&mut host, CreateObject { session: Some(1), content: note(5) }).unwrap();
    let limited = Client::connect(&site.config(&site.limited, 3)).unwrap();
    for mut thief in [limited, site.local(3)] {
        assert_eq!((thief.server().resumed, site.role(&mut thief)), (Some(false), None));
        assert_eq!(code(site.at(&mut thief, ReadObject { object: made })), ErrorCode::ObjectNotFound);
    }
    assert!(site.at(&mut host, ReadObject { object: made }).is_ok());
}

/// A bearer sees the token of its tenant. Another tenant's token and objects are not there, in the same words as those
/// that are nowhere; the server's own user sees them.
#[test]
fn other_tenants_are_not_there() {
    let site = Site::new();
    let mut local = site.local(4);
    let shown =
        |tokens: Arc<Vec<canis_core::token::TokenInfo>>| tokens.iter().map(|t| t.id).collect::<Vec<_>>();
    assert_eq!(shown(local.call(&ListTokens).unwrap()), [site.default, site.other]);
    let public = CreateObject { session: None, content: note(5) };
    let theirs = local.call(&AtToken { token: site.other, request: public }).unwrap();

    let mut host = site.user(4);
    assert_eq!(shown(host.call(&ListTokens).unwrap()), [site.default]);
    let nowhere = Id([9; 16]);
    let refusal = |host: &mut Client, token: Id, object: Id| {
        let error = host.call(&AtToken { token, request: ReadObject { object } }).map(drop).unwrap_err();
        (error.code, error.message.replace(&token.to_string(), "…"))
    };
    let (token, object) = (refusal(&mut host, nowhere, theirs), refusal(&mut host, site.default, nowhere));
    assert_eq!((token.0, object.0), (ErrorCode::TenantNotFound, ErrorCode::ObjectNotFound));
    assert_eq!(refusal(&mut host, site.other, theirs), token);
    assert_eq!(refusal(&mut host, site.default, theirs), object);
    let found = site.at(&mut host, FindPage { wanted: Wanted::default(), after: None }).unwrap();
    assert!(found.objects.iter().all(|found| found.id != theirs));
    let login = Login { role: Role::So, pin: secret(SO).into() };
    assert_eq!(code(host.call(&AtToken { token: site.other, request: login })), ErrorCode::TenantNotFound);
    // Nor are slots: neither the other token's nor a free one.
    for slot in [7, 8] {
        let init = InitToken { slot, label: "mine", so_pin: secret(SO).into() };
        assert_eq!(code(host.call(&init)), ErrorCode::TenantNotFound);
    }
    let own = InitToken { slot: 0, label: "mine", so_pin: secret(SO).into() };
    assert_eq!(code(host.call(&own)), ErrorCode::OperationNotAllowed, "it belongs to the server");
    // Over the socket it is as in a process of that user: the SO's PIN decides.
    let wipe = |pin: &[u8]| InitToken { slot: 7, label: "anew", so_pin: secret(pin).into() };
    assert_eq!(code(local.call(&wipe(b"wrong"))), ErrorCode::PinIncorrect);
    assert_eq!(local.call(&wipe(SO)).unwrap(), site.other);
}

/// Private objects are not there before the login and after the logout; the login of one application is not another's.
#[test]
fn private_objects_want_a_login() {
    let site = Site::new();
    let mut host = site.user(5);
    let key = site.pair(&mut host, None, false);
    assert!(site.sign(&mut host, to_sign(key, None)).is_ok());
    let mut stranger = site.host(6);
    for client in [&mut stranger, &mut host] {
        if site.role(client).is_some() {
            site.at(client, Logout).unwrap();
        }
        for refused in [
            code(site.sign(client, to_sign(key, None))),
            code(site.at(client, OpenNamed { key: to_sign(key, None) })),
            code(site.at(client, ReadObject { object: key })),
            code(site.at(client, DestroyObject { object: key })),
        ] {
            assert_eq!(refused, ErrorCode::ObjectNotFound);
        }
    }
}

/// What a credential does not grant, no login gives.
#[test]
fn logins_grant_nothing_that_the_credential_lacks() {
    let site = Site::new();
    let key = site.pair(&mut site.user(7), None, false);
    let mut limited = Client::connect(&site.config(&site.limited, 7)).unwrap();
    site.log_in(&mut limited, USER).unwrap();
    assert!(site.at(&mut limited, OpenNamed { key: to_sign(key, None) }).is_ok());
    assert_eq!(code(site.sign(&mut limited, to_sign(key, None))), ErrorCode::PermissionDenied);
    let note = CreateObject { session: Some(1), content: note(1) };
    assert_eq!(code(site.at(&mut limited, note)), ErrorCode::PermissionDenied);
    assert_eq!(code(site.at(&mut limited, DestroyObject { object: key })), ErrorCode::PermissionDenied);
}

/// A credential that is taken away takes its applications with it: the next request is refused, login or not.
#[test]
fn a_revoked_credential_has_no_applications() {
    let site = Site::new();
    let mut limited = Client::connect(&site.config(&site.limited, 7)).unwrap();
    site.log_in(&mut limited, USER).unwrap();
    let revoke = RevokeCredential { id: site.limited_id.as_str().into() };
    site.deployment.client(&site.server).call(&revoke).map(drop).unwrap();
    assert_eq!(code(site.at(&mut limited, ShowLogin)), ErrorCode::Unauthenticated);
    assert_eq!(code(limited.call(&ListTokens)), ErrorCode::Unauthenticated);
}

/// The PIN for an opening counts for one use of that opening, in the application that gave it.
#[test]
fn an_openings_pin_is_spent_once() {
    let site = Site::new();
    let mut host = site.user(8);
    let key = site.pair(&mut host, None, true);
    let confirm = |host: &mut Client, opening, pin: &[u8]| {
        site.at(host, ConfirmNamed { key: to_sign(key, opening), pin: secret(pin).into() })
    };
    assert!(site.at(&mut host, OpenNamed { key: to_sign(key, Some(1)) }).unwrap().wants_pin);
    assert_eq!(code(site.sign(&mut host, to_sign(key, Some(1)))), ErrorCode::LoginRequired);
    assert_eq!(code(confirm(&mut host, Some(1), b"wrong")), ErrorCode::PinIncorrect);
    assert_eq!(code(confirm(&mut host, None, USER)), ErrorCode::InvalidArgument, "a PIN for nothing");
    confirm(&mut host, Some(1), USER).unwrap();
    let mut other = site.user(9);
    assert_eq!(code(site.sign(&mut other, to_sign(key, Some(1)))), ErrorCode::LoginRequired);
    for wrong in [None, Some(2)] {
        assert_eq!(code(site.sign(&mut host, to_sign(key, wrong))), ErrorCode::LoginRequired);
    }
    // A change of the store and a lost connection in between are nothing to it.
    site.pair(&mut other, None, false);
    drop(host);
    let mut host = site.host(8);
    assert!(site.sign(&mut host, to_sign(key, Some(1))).is_ok());
    assert_eq!(code(site.sign(&mut host, to_sign(key, Some(1)))), ErrorCode::LoginRequired);
    confirm(&mut host, Some(3), USER).unwrap();
    site.at(&mut host, Logout).unwrap();
    site.log_in(&mut host, USER).unwrap();
    assert_eq!(code(site.sign(&mut host, to_sign(key, Some(3)))), ErrorCode::LoginRequired);
}

/// Wrong PINs count as one, whoever gives them by whichever door.
#[test]
fn tries_count_across_doors() {
    let site = Site::new();
    let (mut host, mut local) = (site.host(10), site.local(10));
    assert_eq!(code(site.log_in(&mut host, b"wrong")), ErrorCode::PinIncorrect);
    assert_eq!(code(site.log_in(&mut local, b"wrong")), ErrorCode::PinIncorrect);
    let left = |client: &mut Client, at: usize| client.call(&ListTokens).unwrap()[at].user_pin.tries_left;
    assert_eq!((left(&mut host, 0), left(&mut local, 0)), (8, 8));
    site.log_in(&mut host, USER).unwrap();
    assert_eq!(left(&mut local, 0), 10);
    let unlock = UnlockSlot { token: "other".into(), so_pin: b"wrong"[..].into(), pin: USER.into() };
    assert_eq!(code(site.deployment.client(&site.server).call(&unlock)), ErrorCode::PinIncorrect);
    assert_eq!(local.call(&ListTokens).unwrap()[1].so_pin.tries_left, 9);
}

/// Without an application, without a token, or with a secret of another length nothing of PKCS#11 is answered.
#[test]
fn nothing_without_an_application() {
    let site = Site::new();
    let mut plain = site.deployment.client(&site.server);
    assert_eq!(plain.server().resumed, None);
    assert_eq!(code(plain.call(&ListTokens)), ErrorCode::OperationNotAllowed);
    let mut config = site.config("", 11);
    config.token = None;
    let mut stranger = Client::connect(&config).unwrap();
    assert_eq!(stranger.server().resumed, Some(false));
    assert_eq!(code(stranger.call(&ListTokens)), ErrorCode::Unauthenticated);
    assert_eq!(code(site.log_in(&mut stranger, USER)), ErrorCode::Unauthenticated);
    let Site { deployment, server, .. } = site;
    let shared = harness::Shared { deployment, server };
    for len in [0, 31, 33, 1000] {
        let mut raw = Raw::connect(&shared);
        let hello = ClientHello {
            client: "raw".into(),
            token: Some(shared.deployment.token.as_str().into()),
            application: Some(vec![1; len].into()),
        };
        raw.frame(FrameType::Hello, 0, &hello.encode());
        assert_eq!(raw.error(0).code, ErrorCode::InvalidArgument);
    }
}

/// Session objects are bounded, and so are applications; what was refused is taken when there is room again.
#[test]
fn floods_are_bounded() {
    let site = Site::new();
    let mut host = site.host(12);
    let before = site.server.resident();
    let flood = |client: &mut Client, session: u64| {
        let mut add = |_| {
            let made = CreateObject { session: Some(session), content: note(900 << 10) };
            site.at(client, made).is_ok()
        };
        (0..100).take_while(|n| add(*n)).count()
    };
    assert_eq!(flood(&mut host, 1), 18, "16 MiB");
    let more = CreateObject { session: Some(1), content: note(900 << 10) };
    assert_eq!(code(site.at(&mut host, more)), ErrorCode::LimitReached);
    // The others of this credential have the rest of its 64 MiB.
    let all: usize = (0..6).map(|n| flood(&mut site.host(100 + n), 1)).sum();
    assert!((50..=56).contains(&all), "{all}");
    host.call(&EndSession { session: 1 }).unwrap();
    assert_eq!(flood(&mut host, 2), 18);
    // Applications without number put out one another.
    for number in 0..=255 {
        assert!(site.host(number).server().resumed.is_some());
    }
    let grown = site.server.resident().saturating_sub(before);
    assert!(grown < 160 << 10, "{grown} KiB");
}

/// A message's claims of lengths take no memory, and no search shows more than a page at a time.
#[test]
fn claims_and_pages() {
    let site = Site::new();
    let mut host = site.user(13);
    let secret = content(Class::SecretKey, KeyType::Aes256);
    let make = GenerateObjects { kind: KeyType::Aes256, len: 0, session: Some(1), secret, public: None };
    let (object, _) = site.at(&mut host, make).unwrap();
    let key = NamedKey { object, usage: Usage::ENCRYPT, mechanism: AES_GCM, opening: None };
    for tag in [17, u32::MAX as usize] {
        let cipher = CipherScheme::AesGcmSized { iv: &[1; 12], aad: b"", tag };
        assert_eq!(
            code(site.at(&mut host, EncryptNamed { key, cipher, input: b"x" })),
            ErrorCode::InvalidArgument
        );
    }
    let wrong = NamedKey { usage: Usage::SIGN, ..key };
    let cipher = CipherScheme::AesGcm { iv: &[1; 12], aad: b"" };
    let refused = site.at(&mut host, EncryptNamed { key: wrong, cipher, input: b"x" });
    assert_eq!(code(refused), ErrorCode::InvalidArgument, "the usage is the operation's");

    let large = || Content { label: b"large".to_vec(), ..note(900 << 10) };
    let made: Vec<_> = (0..8)
        .map(|_| site.at(&mut host, CreateObject { session: Some(2), content: large() }).unwrap())
        .collect();
    let wanted = Wanted { label: Some(b"large"), ..Wanted::default() };
    let (mut seen, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = site.at(&mut host, FindPage { wanted, after }).unwrap();
        seen.extend(page.objects.iter().map(|object| object.id));
        (after, pages) = (seen.last().copied(), pages + 1);
        if !page.more {
            break;
        }
    }
    assert_eq!((seen.as_slice(), pages), (made.as_slice(), 2));
    site.at(&mut host, DestroyObject { object: made[4] }).unwrap();
    let gone = site.at(&mut host, FindPage { wanted, after: Some(made[4]) });
    assert_eq!(code(gone), ErrorCode::Conflict);
}

/// A key that is limited to a mechanism is used by no scheme of another, whatever the request calls it.
#[test]
fn a_mechanism_is_no_pretext() {
    let site = Site::new();
    let mut host = site.user(15);
    let limited = |class, kind, mechanism: u64| {
        let mut content = content(class, kind);
        content.attributes.push((ALLOWED_MECHANISMS, mechanism.to_le_bytes().to_vec()));
        content
    };
    let secret = limited(Class::SecretKey, KeyType::Aes256, AES_GCM);
    let make = GenerateObjects { kind: KeyType::Aes256, len: 0, session: Some(1), secret, public: None };
    let (object, _) = site.at(&mut host, make).unwrap();
    let key = NamedKey { object, usage: Usage::ENCRYPT, mechanism: AES_GCM, opening: None };
    let (ecb, gcm) = (CipherScheme::Blocks(BlockMode::Ecb), CipherScheme::AesGcm { iv: &[1; 12], aad: b"" });
    let mut encrypt = |mechanism, cipher| {
        let key = NamedKey { mechanism, ..key };
        site.at(&mut host, EncryptNamed { key, cipher, input: &[0; 16] }).map(drop)
    };
    assert_eq!(encrypt(AES_GCM, gcm), Ok(()));
    for mechanism in [AES_GCM, AES_ECB] {
        assert_eq!(encrypt(mechanism, ecb).unwrap_err().code, ErrorCode::MechanismNotAllowed);
    }

    let kind = KeyType::EcdsaP256;
    let secret = limited(Class::PrivateKey, kind, ECDSA_SHA256);
    let public = Some(content(Class::PublicKey, kind));
    let make = GenerateObjects { kind, len: 0, session: Some(1), secret, public };
    let (object, _) = site.at(&mut host, make).unwrap();
    let mut sign = |mechanism, digest: &[u8]| {
        let key = NamedKey { mechanism, ..to_sign(object, None) };
        let request = SignNamed { key, scheme: SignWith::Pair(SignScheme::Ecdsa), input: digest };
        site.at(&mut host, request).map(drop)
    };
    assert_eq!(sign(ECDSA_SHA256, &[7; 32]), Ok(()));
    for (mechanism, len) in [(ECDSA_SHA256, 20), (ECDSA_SHA256, 48), (ECDSA, 32)] {
        assert_eq!(sign(mechanism, &vec![7; len]).unwrap_err().code, ErrorCode::MechanismNotAllowed);
    }
}

/// A batch asks for them as for any other operation, each by itself.
#[test]
fn batches_carry_them() {
    let site = Site::new();
    let mut host = site.user(14);
    let role = AtToken { token: site.default, request: ShowLogin };
    let theirs = AtToken { token: site.other, request: ShowLogin };
    let operations = vec![item(&role), item(&theirs)];
    let answers = host.call(&Batch { operations, atomic: false, preview: false }).unwrap();
    let codes: Vec<_> =
        answers.results.into_iter().map(|result| result.map(drop).map_err(|e| e.code)).collect();
    assert_eq!(codes, [Ok(()), Err(ErrorCode::TenantNotFound)]);
}
