//! Ways round a policy that are none (R59, R60): by streams, batches, aliases of PKCS#11, copies, and other names of a key.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.
#![allow(dead_code)] // Of the shared modules these tests use a part.

mod application;
mod harness;

use application::{Site, code, content, to_sign};
use canis_client::Client;
use canis_core::object::{Class, Content, CopyObject, FindPage, ReadObject, Wanted};
use canis_proto::credential::CreateCredential;
use canis_proto::message::{Batch, CreateKey, Encrypt, Rewrap, Sign};
use canis_proto::policy::PutPolicy;
use canis_proto::stream::EncryptStream;
use canis_proto::{Capabilities, ErrorCode, Id, KeyType, batch};
use std::io;

/// A host whose user is logged in, and whose credential has the rights of this text.
fn limited(site: &Site, application: u8, name: &str, text: &str) -> Client {
    let mut admin = site.deployment.client(&site.server);
    admin.call(&PutPolicy { name: name.into(), text: text.into(), revision: None, force: false }).unwrap();
    let bearing =
        CreateCredential { policies: vec![name.into()], ..CreateCredential::new(Capabilities::NONE) };
    let token = admin.call(&bearing).unwrap().token.clone().unwrap();
    let mut host = Client::connect(&site.config(&token, application)).unwrap();
    site.log_in(&mut host, application::USER).unwrap();
    host
}

fn labelled(class: Class, label: &str) -> Content {
    Content { label: label.into(), private: true, ..content(class, KeyType::EcdsaP256) }
}

/// A stream is as long as a message may be, and no longer; and each item of a batch is asked by itself.
#[test]
fn neither_streams_nor_batches_get_round_a_condition() {
    let site = Site::new();
    let mut admin = site.deployment.client(&site.server);
    for name in ["long/a", "other/a"] {
        admin.call(&CreateKey::new(name, KeyType::Aes256)).unwrap();
    }
    let text = r#"path "kms/keys/long/*" {
        capabilities = ["encrypt", "decrypt"]
        max_payload  = "1MiB"
    }"#;
    let mut bearer = limited(&site, 10, "short", text);
    let mut stream = |len: u64| {
        let request = EncryptStream { name: "long/a".into(), context: b""[..].into(), version: 0 };
        bearer.stream(&request, &mut io::Read::take(io::repeat(7), len), &mut io::sink()).map(drop)
    };
    stream(1 << 20).unwrap();
    assert_eq!(code(stream((1 << 20) + 1)), ErrorCode::PermissionDenied);
    assert_eq!(code(stream(30 << 20)), ErrorCode::PermissionDenied);
    let (mine, theirs) = (Encrypt::new("long/a", &b"x"[..]), Encrypt::new("other/a", &b"x"[..]));
    let long = Encrypt::new("long/a", vec![7; (1 << 20) + 1]);
    let operations = vec![batch::item(&mine), batch::item(&theirs), batch::item(&long)];
    let results = bearer.call(&Batch { operations, atomic: false, preview: false }).unwrap().results;
    let codes: Vec<_> = results.iter().map(|one| one.as_ref().err().map(|error| error.code)).collect();
    assert_eq!(codes, [None, Some(ErrorCode::PermissionDenied), Some(ErrorCode::PermissionDenied)]);
    // A ciphertext of a key that may be decrypted only is not made anew.
    let made = bearer.call(&mine).unwrap().ciphertext;
    let text = r#"path "kms/keys/long/*" { capabilities = ["decrypt"] }"#;
    let mut reader = limited(&site, 11, "reader", text);
    let rewrap = Rewrap { name: "long/a".into(), ciphertexts: vec![made.into()], context: b""[..].into() };
    assert_eq!(code(reader.call(&rewrap)), ErrorCode::PermissionDenied);
}

/// An object is the key that it shows, whatever its label says; and what is not shown is not found.
#[test]
fn an_object_is_its_key() {
    let site = Site::new();
    let mut owner = site.user(20);
    let pair = |owner: &mut Client, label: &str| -> Id {
        let (secret, public) = (labelled(Class::PrivateKey, label), labelled(Class::PublicKey, label));
        let request = canis_core::object::GenerateObjects {
            kind: KeyType::EcdsaP256,
            len: 0,
            session: None,
            secret,
            public: Some(public),
        };
        site.at(owner, request).unwrap().0
    };
    let (open, shut) = (pair(&mut owner, "open/key"), pair(&mut owner, "shut/key"));
    let text = r#"path "kms/keys/open/*" { capabilities = ["read", "sign"] }
        path "kms/objects/*" { capabilities = ["read", "create"] }"#;
    let mut bearer = limited(&site, 21, "opener", text);
    site.sign(&mut bearer, to_sign(open, None)).unwrap();
    assert_eq!(code(site.sign(&mut bearer, to_sign(shut, None))), ErrorCode::PermissionDenied);
    assert_eq!(code(site.at(&mut bearer, ReadObject { object: shut })), ErrorCode::PermissionDenied);
    assert_eq!(code(bearer.call(&Sign::new("shut/key", &b"x"[..]))), ErrorCode::PermissionDenied);
    bearer.call(&Sign::new("open/key", &b"x"[..])).unwrap();
    let all = Wanted::default();
    let found = site.at(&mut bearer, FindPage { wanted: all, after: None }).unwrap();
    let labels: Vec<_> = found.objects.iter().map(|object| object.content.label.clone()).collect();
    assert!(labels.iter().all(|label| label == b"open/key") && labels.len() == 2, "{labels:?}");
    // A copy with another label would have a path of its own.
    let seen = site.at(&mut bearer, ReadObject { object: open }).unwrap();
    let renamed = || Content { label: b"mine".into(), ..seen.content.clone() };
    let copy = |session| CopyObject { object: open, session, content: renamed() };
    assert_eq!(code(site.at(&mut bearer, copy(None))), ErrorCode::PermissionDenied);
    let of_session = site.at(&mut bearer, copy(Some(1))).unwrap();
    site.sign(&mut bearer, to_sign(of_session, None)).unwrap();
    site.at(&mut owner, copy(None)).unwrap();
    // And so would a key be that is made under the name of somebody else's path.
    let new = canis_core::object::GenerateObjects {
        kind: KeyType::EcdsaP256,
        len: 0,
        session: None,
        secret: labelled(Class::PrivateKey, "shut/other"),
        public: Some(labelled(Class::PublicKey, "shut/other")),
    };
    assert_eq!(code(site.at(&mut bearer, new)), ErrorCode::PermissionDenied);
}
