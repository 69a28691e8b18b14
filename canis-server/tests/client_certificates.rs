//! Clients that prove themselves by certificates (R61, R78): bound, foreign, expired, revoked, resumed.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod authority;
mod harness;
mod raw;

use authority::Authority;
use canis_client::{Certificate, Client, Config};
use canis_core::format::pem;
use canis_proto::credential::{CreateCredential, RevokeCredential};
use canis_proto::frame::{self, FrameType};
use canis_proto::message::{CreateKey, ListKeys, decode_error};
use canis_proto::{Capabilities, Capability, ErrorCode, KeyType};
use harness::{Deployment, Shared};
use raw::{Raw, trusting};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, HandshakeKind};
use std::fs;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// A server that asks for certificates of `authority`.
fn asking(authority: &Authority, flags: &[&str]) -> Shared {
    let deployment = Deployment::with_keyfile();
    let file = deployment.folder.path().join("clients.pem");
    fs::write(&file, &authority.1).unwrap();
    let server = deployment.start_with(&[&["--client-ca", file.to_str().unwrap()], flags].concat());
    assert_eq!(server.line(), "unsealed", "{}", server.log());
    Shared { deployment, server }
}

/// How a client with this certificate connects; sessions are resumed among connections of one such.
fn showing(shared: &Shared, certificate: &[u8], key: &KeyPair) -> Arc<ClientConfig> {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let chain = vec![CertificateDer::from(certificate.to_vec())];
    let mut config = trusting(shared).with_client_auth_cert(chain, key).unwrap();
    config.alpn_protocols = vec![frame::ALPN.to_vec()];
    Arc::new(config)
}

/// Lets the certificate stand for a caller; gives the credential's id. Asked by the server's socket.
fn bind(shared: &Shared, certificate: &[u8], capabilities: Capabilities) -> Result<String, ErrorCode> {
    let request = CreateCredential { certificate: certificate.into(), ..CreateCredential::new(capabilities) };
    let made = local(shared).call(&request).map_err(|error| error.code)?;
    assert!(made.token.is_none() && made.credential.kind == "certificate");
    Ok(made.credential.id.clone())
}

fn local(shared: &Shared) -> Client {
    let addr = format!("unix:{}", shared.deployment.data().display());
    Client::connect(&Config::new(addr, Vec::new(), "none")).unwrap()
}

fn list() -> ListKeys<'static> {
    ListKeys { prefix: "".into(), after: "".into(), limit: 0, include_deleted: false }
}

/// The connection is refused by an ERROR behind its handshake, or by TLS itself.
fn refused(shared: &Shared, config: &Arc<ClientConfig>, token: Option<&str>) -> String {
    let Ok(mut raw) = Raw::connect_by(shared, config) else { return "in the handshake".to_owned() };
    raw.hello(token);
    match raw.read() {
        Err(error) => error.to_string(),
        Ok((header, payload)) => {
            let error = decode_error(&payload);
            assert_eq!((header.kind, error.code), (FrameType::Error, ErrorCode::Unauthenticated), "{error}");
            error.message
        }
    }
}

/// A token that is bound to a certificate is nothing without it, nor beside another one; a renewal of the same key will do.
#[test]
fn a_token_may_be_bound_to_a_certificate() {
    let authority = Authority::new("clients");
    let shared = asking(&authority, &[]);
    let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let certificate = authority.sign(&key, 3600);
    let capabilities = Capabilities::NONE.with(Capability::List);
    let bound =
        CreateCredential { bound_to: certificate.as_slice().into(), ..CreateCredential::new(capabilities) };
    let made = local(&shared).call(&bound).unwrap();
    let token = made.token.as_deref();
    for shown in [&certificate, &authority.sign(&key, 7200)] {
        let mut bearer = Raw::connect_by(&shared, &showing(&shared, shown, &key)).unwrap().greet(token);
        bearer.request(1, &list());
        assert_eq!(bearer.read().unwrap().0.kind, FrameType::Response);
    }
    let wrong = "the token is unknown, expired or malformed";
    let anothers = showing(&shared, &authority.sign(&other, 3600), &other);
    assert_eq!(refused(&shared, &anothers, token), wrong);
    let mut alone = Raw::connect(&shared);
    alone.hello(token);
    assert_eq!(alone.refused(ErrorCode::Unauthenticated), wrong);
    assert!(refused(&shared, &showing(&shared, &certificate, &key), None).contains("stands for nobody"));
}

/// A certificate that is bound is a caller with the capabilities it was given, by its key; revoked, it is nobody at once.
#[test]
fn a_bound_certificate_is_a_caller() {
    let authority = Authority::new("clients");
    let shared = asking(&authority, &[]);
    let key = KeyPair::generate().unwrap();
    let certificate = authority.sign(&key, 3600);
    let config = showing(&shared, &certificate, &key);
    assert!(refused(&shared, &config, None).contains("stands for nobody"));
    let id = bind(&shared, &certificate, Capabilities::NONE.with(Capability::List)).unwrap();
    assert_eq!(
        bind(&shared, &certificate, Capabilities::ALL),
        Err(ErrorCode::Conflict),
        "one key, one caller"
    );
    let mut client = Raw::connect_by(&shared, &config).unwrap().greet(None);
    client.request(1, &list());
    assert_eq!(client.read().unwrap().0.kind, FrameType::Response);
    client.request(2, &CreateKey::new("k", KeyType::Ed25519));
    assert_eq!(client.error(2).code, ErrorCode::PermissionDenied);
    // Renewed, it is the same caller; the same names with another key are nobody.
    let renewed = showing(&shared, &authority.sign(&key, 7200), &key);
    Raw::connect_by(&shared, &renewed).unwrap().greet(None);
    let other = KeyPair::generate().unwrap();
    let namesake = showing(&shared, &authority.sign(&other, 3600), &other);
    assert!(refused(&shared, &namesake, None).contains("stands for nobody"));
    // A token that is shown beside it is who asks.
    let mut bearer = Raw::connect_by(&shared, &config).unwrap().greet(Some(&shared.deployment.token));
    bearer.request(1, &CreateKey::new("k", KeyType::Ed25519));
    assert_eq!(bearer.read().unwrap().0.kind, FrameType::Response);
    assert!(
        refused(&shared, &config, Some("canis_wrong")).contains("token"),
        "and a wrong one is not overlooked"
    );
    local(&shared).call(&RevokeCredential { id: id.as_str().into() }).unwrap();
    client.request(3, &list());
    assert_eq!(client.error(3).code, ErrorCode::Unauthenticated);
    assert!(refused(&shared, &config, None).contains("stands for nobody"));
    // Clients without certificates are as they were.
    assert!(shared.client().call(&list()).is_ok());
}

/// Foreign, expired and self-made certificates do not get through the handshake, bound or not.
#[test]
fn certificates_that_are_not_good() {
    let (authority, elsewhere) = (Authority::new("clients"), Authority::new("clients"));
    let shared = asking(&authority, &[]);
    let key = KeyPair::generate().unwrap();
    let foreign = elsewhere.sign(&key, 3600);
    bind(&shared, &foreign, Capabilities::ALL).unwrap();
    let own = CertificateParams::new(vec!["client.example".to_owned()]).unwrap();
    let cases = [
        ("UnknownCA", foreign),
        ("Expired", authority.sign(&key, -60)),
        ("UnknownCA", own.self_signed(&key).unwrap().der().to_vec()),
    ];
    for (why, certificate) in cases {
        let told = refused(&shared, &showing(&shared, &certificate, &key), Some(&shared.deployment.token));
        assert!(told.contains(why) || told.contains("DecryptError"), "{why}: {told}");
    }
    // The very same key with a good certificate is the caller that was bound.
    let good = showing(&shared, &authority.sign(&key, 3600), &key);
    Raw::connect_by(&shared, &good).unwrap().greet(None);
}

/// Where a certificate is a must, a token alone is not enough; with any certificate of the CA it is.
#[test]
fn certificates_may_be_required() {
    let authority = Authority::new("clients");
    let shared = asking(&authority, &["--require-client-certificate"]);
    let mut none = trusting(&shared).with_no_client_auth();
    none.alpn_protocols = vec![frame::ALPN.to_vec()];
    let told = refused(&shared, &Arc::new(none), Some(&shared.deployment.token));
    assert!(told.contains("CertificateRequired"), "{told}");
    let key = KeyPair::generate().unwrap();
    let config = showing(&shared, &authority.sign(&key, 3600), &key);
    let mut bearer = Raw::connect_by(&shared, &config).unwrap().greet(Some(&shared.deployment.token));
    bearer.request(1, &list());
    assert_eq!(bearer.read().unwrap().0.kind, FrameType::Response);
}

/// A session that is resumed is worth what its certificate is worth now: revoked, over, or of a CA that is gone.
#[test]
fn resumption_looks_again() {
    let authority = Authority::new("clients");
    let shared = asking(&authority, &[]);
    let resumed = |config: &Arc<ClientConfig>| {
        let raw = Raw::connect_by(&shared, config).unwrap();
        raw.0.conn.handshake_kind() == Some(HandshakeKind::Resumed)
    };
    let client = |seconds| {
        let key = KeyPair::generate().unwrap();
        let certificate = authority.sign(&key, seconds);
        let id = bind(&shared, &certificate, Capabilities::ALL).unwrap();
        let config = showing(&shared, &certificate, &key);
        // Ticket by ticket: each connection is given one and uses one up.
        for _ in 0..3 {
            Raw::connect_by(&shared, &config).unwrap().greet(None);
        }
        (id, config)
    };
    let (id, revoked) = client(3600);
    let (_, kept) = client(3600);
    let (_, over) = client(10);
    assert!(resumed(&kept), "nothing was resumed: this test shows nothing");
    local(&shared).call(&RevokeCredential { id: id.as_str().into() }).unwrap();
    assert!(refused(&shared, &revoked, None).contains("stands for nobody"));
    std::thread::sleep(Duration::from_secs(11));
    assert!(refused(&shared, &over, None).contains("expired"), "{}", shared.server.log());
    Raw::connect_by(&shared, &kept).unwrap().greet(None);
    let another = Authority::new("others");
    fs::write(shared.deployment.folder.path().join("clients.pem"), &another.1).unwrap();
    shared.server.signal("HUP");
    let began = std::time::Instant::now();
    while !shared.server.log().contains("new connections get") {
        assert!(began.elapsed() < Duration::from_secs(30));
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(refused(&shared, &kept, None).contains("not accepted"));
    assert!(refused(&shared, &kept, Some(&shared.deployment.token)).contains("not accepted"));
}

/// The program `canis` shows a certificate by its flags, and by its environment.
#[test]
fn the_program_shows_a_certificate() {
    let authority = Authority::new("clients");
    let shared = asking(&authority, &["--require-client-certificate"]);
    let key = KeyPair::generate().unwrap();
    let certificate = authority.sign(&key, 3600);
    bind(&shared, &certificate, Capabilities::NONE.with(Capability::List)).unwrap();
    let (cert_file, key_file) = (
        shared.deployment.folder.path().join("client.pem"),
        shared.deployment.folder.path().join("client.key"),
    );
    fs::write(&cert_file, pem::encode("CERTIFICATE", &certificate).as_bytes()).unwrap();
    fs::write(&key_file, key.serialize_pem()).unwrap();
    let mut flags = shared.deployment.canis(&shared.server);
    flags.env_remove("CANIS_TOKEN").args(["key", "list", "--client-cert"]).arg(&cert_file);
    harness::failure(&flags.output().unwrap(), 2);
    harness::stdout(&flags.arg("--client-key").arg(&key_file).output().unwrap());
    let mut environment = shared.deployment.canis(&shared.server);
    environment
        .env("CANIS_CLIENT_CERT", &cert_file)
        .env("CANIS_CLIENT_KEY", &key_file)
        .env_remove("CANIS_TOKEN");
    let refused = environment.args(["random", "8"]).output().unwrap();
    assert!(harness::failure(&refused, 3).contains("permission_denied"));
}

/// `canis.toml` says it as the flags do, and a requirement without a CA is a mistake.
#[test]
fn the_configuration_asks_for_certificates() {
    let authority = Authority::new("clients");
    let deployment = Deployment::with_keyfile();
    let alone =
        deployment.server_command("127.0.0.1:0").arg("--require-client-certificate").output().unwrap();
    assert!(harness::failure(&alone, 3).contains("--client-ca"));
    let file = deployment.folder.path().join("clients.pem");
    let missing = deployment.server_command("127.0.0.1:0").arg("--client-ca").arg(&file).output().unwrap();
    assert!(harness::failure(&missing, 3).contains("clients.pem"));
    fs::write(&file, &authority.1).unwrap();
    let config = deployment.data().join("canis.toml");
    let tls =
        format!("\n[tls]\nclient_ca = {:?}\nrequire_client_certificate = true\n", file.display().to_string());
    fs::write(&config, fs::read_to_string(&config).unwrap() + &tls).unwrap();
    let server = deployment.start();
    let shared = Shared { deployment, server };
    let mut none = trusting(&shared).with_no_client_auth();
    none.alpn_protocols = vec![frame::ALPN.to_vec()];
    assert!(refused(&shared, &Arc::new(none), None).contains("CertificateRequired"));
}

/// The clients of this project show the certificate of their configuration, and are told when it is not wanted.
#[test]
fn our_clients_show_certificates() {
    let authority = Authority::new("clients");
    let shared = asking(&authority, &["--require-client-certificate"]);
    let key = KeyPair::generate().unwrap();
    let certificate = authority.certify(&key, 3600);
    bind(&shared, certificate.der(), Capabilities::NONE.with(Capability::List)).unwrap();
    let config = |certificate: Option<&rcgen::Certificate>| {
        let certificate = certificate.map(|certificate| Certificate {
            chain_pem: certificate.pem().into_bytes(),
            key_pem: Zeroizing::new(key.serialize_pem().into_bytes()),
            source: "the test".to_owned(),
        });
        Config { token: None, certificate, ..shared.deployment.config(&shared.server) }
    };
    Client::connect(&config(Some(&certificate))).unwrap().call(&list()).unwrap();
    let canis = canis_client::Shared::new(&config(Some(&certificate))).unwrap();
    canis.call(&list()).unwrap();
    canis.disconnect();
    // Resumed, it is still shown.
    canis.call(&list()).unwrap();
    let foreign = Authority::new("others").certify(&key, 3600);
    for unwanted in [None, Some(&foreign)] {
        let error = Client::connect(&config(unwanted)).err().unwrap();
        assert_eq!(error.code, ErrorCode::Unauthenticated, "{error}");
        let error = canis_client::Shared::new(&config(unwanted)).unwrap().call(&list()).err().unwrap();
        assert_eq!(error.code, ErrorCode::Unauthenticated, "{error}");
    }
}
