//! A tenant's limits hold for who comes in by a role as for who bears its tokens (R61).
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod authority;
mod harness;

use authority::Authority;
use canis_client::Client;
use canis_proto::message::{CreateKey, Encrypt};
use canis_proto::role::PutRole;
use canis_proto::tenant::LimitTenant;
use canis_proto::{ErrorCode, KeyType};
use harness::{Deployment, Shared};
use rcgen::SanType;
use std::fs;

/// Who shows a certificate brings no more at a time than his tenant may, and asks no faster.
#[test]
fn limits_hold_for_certificates() {
    let authority = Authority::new("clients");
    let deployment = Deployment::with_keyfile();
    let file = deployment.folder.path().join("clients.pem");
    fs::write(&file, &authority.1).unwrap();
    let server = deployment.start_with(&["--client-ca", file.to_str().unwrap()]);
    assert_eq!(server.line(), "unsealed", "{}", server.log());
    let shared = Shared { deployment, server };
    let mut admin = shared.client();
    admin.call(&CreateKey::new("k", KeyType::Aes256)).unwrap();
    let text = "capabilities = [\"encrypt\"]\ncertificate { uri = \"spiffe://shop.example/*\" }";
    let role = PutRole { name: "shop".into(), text: text.into(), tenant: "".into(), revision: None };
    admin.call(&role).map(drop).unwrap();
    let uri = "spiffe://shop.example/till";
    let config = authority.client(&shared, |params| {
        params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
    });
    let mut till = Client::connect(&config.0).unwrap();
    let mut encrypt = |len: usize| till.call(&Encrypt::new("k", vec![7; len])).map(drop).map_err(|e| e.code);
    encrypt(11).unwrap();
    let limits = |max_requests, max_payload| LimitTenant {
        name: "default".into(),
        max_keys: None,
        max_requests: Some(max_requests),
        max_payload: Some(max_payload),
    };
    admin.call(&limits(0, 10)).unwrap();
    assert_eq!(encrypt(11), Err(ErrorCode::TooLarge));
    encrypt(10).unwrap();
    admin.call(&limits(3, 0)).unwrap();
    let came: Vec<_> = (0..40).map(|_| encrypt(11)).collect();
    assert!(came.contains(&Ok(())) && came.contains(&Err(ErrorCode::RateLimited)), "{came:?}");
}
