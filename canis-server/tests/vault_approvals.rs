//! What others have to approve, at Vault's surface.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod harness;
mod web;

use canis_client::{Client, Config};
use canis_proto::approval::{ApproveRequest, ListApprovals};
use canis_proto::credential::CreateCredential;
use canis_proto::message::{CreateKey, UpdateKey};
use canis_proto::{Capabilities, Capability, KeyType};
use zeroize::Zeroizing;

const PATH: &str = "/v1/transit/export/encryption-key/k";

/// An approved export is not used up by who asks for its head alone, and is given once.
#[test]
fn a_head_uses_nothing_up() {
    let site = web::Site::new();
    let mut admin = site.deployment.client(&site.server);
    let made = CreateKey::new("k", KeyType::Aes256);
    admin.call(&CreateKey { exportable: true, allow_plaintext_backup: true, ..made }).unwrap();
    admin.call(&UpdateKey { approvals: Some(1), ..UpdateKey::new("k") }).unwrap();
    let address = format!("unix:{}", site.deployment.data().display());
    let mut host = Client::connect(&Config::new(address, Vec::new(), "")).unwrap();
    let may = CreateCredential::new(Capabilities::NONE.with(Capability::Approve));
    let mut config = site.deployment.config(&site.server);
    config.token = Some(Zeroizing::new(host.call(&may).unwrap().token.clone().unwrap()));
    let mut friend = Client::connect(&config).unwrap();
    let mut waiting = || {
        let asked = ListApprovals { on: "".into(), waiting: true };
        let list = admin.call(&asked).unwrap();
        list.requests.iter().map(|one| one.id.clone()).collect::<Vec<_>>()
    };
    assert_eq!(site.ask("GET", PATH, "").status, 403);
    let [id] = &waiting()[..] else { panic!("not one request") };
    friend.call(&ApproveRequest { id: id.as_str().into() }).map(drop).unwrap();
    let bearer = site.bearer();
    assert_eq!(site.curl("HEAD", PATH, &["--head", "--header", &bearer]).status, 405);
    assert_eq!(waiting().len(), 1);
    assert_eq!(site.ask("GET", PATH, "").json()["data"]["keys"].as_object().unwrap().len(), 1);
    assert_eq!(waiting().len(), 0);
    assert_eq!(site.ask("GET", PATH, "").status, 403);
}
