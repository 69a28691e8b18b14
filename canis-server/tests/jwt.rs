//! JSON Web Tokens (R61): who comes in by one at every door, and every way to come in by a bad one that is none.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod harness;
mod issuer;

use canis_client::{Client, Config};
use canis_core::crypto::Hash;
use canis_core::default_provider;
use canis_proto::message::{CreateKey, Encrypt};
use canis_proto::policy::PutPolicy;
use canis_proto::role::{DeleteRole, PutRole};
use canis_proto::{ErrorCode, KeyType, Result};
use harness::{Deployment, Server};
use issuer::{AUDIENCE, ISSUER, SigningKey, claims, now, part, set, with};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// A server that trusts one issuer, at three doors: TLS, HTTP, and the socket for everybody.
struct Site {
    deployment: Deployment,
    server: Server,
    http: String,
    socket: Config,
    set: PathBuf,
    /// Where HTTP's requests come from, so that wrong ones lock nobody else out.
    last: AtomicU8,
}

const ROLE: &str = r#"policies = ["ci"]

jwt {
  issuer   = "https://issuer.example"
  audience = ["canis"]
  subject  = "repo:org/*"
}
"#;

impl Site {
    fn new(keys: &str) -> Self {
        let deployment = Deployment::with_keyfile();
        let (set, socket) =
            (deployment.folder.path().join("jwks"), deployment.folder.path().join("all.sock"));
        fs::write(&set, keys).unwrap();
        let trusted = format!("{ISSUER}={}", set.display());
        let flags = ["--http", "127.0.0.1:0", "--jwks", &trusted, "--socket", socket.to_str().unwrap()];
        let server = deployment.start_with(&flags);
        let http = server.line().strip_prefix("listening for HTTP on ").unwrap().to_owned();
        assert_eq!(server.line(), "unsealed", "{}", server.log());
        let socket = Config::new(format!("unix:{}", socket.display()), Vec::new(), "");
        let mut admin = deployment.client(&server);
        for name in ["ci/build", "other"] {
            admin.call(&CreateKey::new(name, KeyType::Aes256)).map(drop).unwrap();
        }
        let text = r#"path "kms/keys/ci/*" { capabilities = ["encrypt"] }"#;
        let policy = PutPolicy { name: "ci".into(), text: text.into(), revision: None, force: false };
        admin.call(&policy).map(drop).unwrap();
        let site = Site { deployment, server, http, socket, set, last: AtomicU8::new(1) };
        site.role(ROLE);
        site
    }

    fn role(&self, text: &str) {
        let role = PutRole { name: "ci".into(), text: text.into(), tenant: "".into(), revision: None };
        self.deployment.client(&self.server).call(&role).map(drop).unwrap();
    }

    fn by_socket(&self, token: &str) -> Result<Client> {
        let mut config = self.socket.clone();
        config.token = Some(Zeroizing::new(token.to_owned()));
        Client::connect(&config)
    }

    /// The status of an encryption with this key over HTTP.
    fn by_http(&self, token: &str, key: &str) -> u16 {
        let source = format!("127.0.1.{}", self.last.fetch_add(1, Ordering::Relaxed));
        let output = Command::new("curl")
            .args([
                "--silent",
                "--interface",
                &source,
                "--output",
                "/dev/null",
                "--write-out",
                "%{http_code}",
            ])
            .arg("--cacert")
            .arg(self.deployment.ca())
            .args(["--header", &format!("Authorization: Bearer {token}")])
            .args(["--header", "Content-Type: application/json", "--data", r#"{"plaintext": "eA=="}"#])
            .arg(format!("https://{}/v1/kms/encrypt/{key}", self.http))
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap().parse().unwrap()
    }
}

fn encrypt(client: &mut Client, key: &str) -> std::result::Result<(), ErrorCode> {
    client.call(&Encrypt::new(key, &b"x"[..])).map(drop).map_err(|error| error.code)
}

/// R61: each algorithm that is taken, by a token over CANISP, TLS or not, and over HTTP: what the role gives, and no more.
#[test]
fn a_token_comes_in_at_every_door() {
    let keys: Vec<_> = ["RS256", "PS256", "ES256", "ES384", "EdDSA"]
        .into_iter()
        .map(|algorithm| SigningKey::new(algorithm, algorithm))
        .collect();
    let site = Site::new(&set(&keys.iter().collect::<Vec<_>>()));
    for key in &keys {
        let token = key.token(&claims("repo:org/app"));
        let mut config = site.deployment.config(&site.server);
        config.token = Some(Zeroizing::new(token.clone()));
        for mut client in [Client::connect(&config).unwrap(), site.by_socket(&token).unwrap()] {
            assert_eq!(encrypt(&mut client, "ci/build"), Ok(()), "{}", key.algorithm);
            assert_eq!(encrypt(&mut client, "other"), Err(ErrorCode::PermissionDenied));
        }
        assert_eq!(
            (site.by_http(&token, "ci/build"), site.by_http(&token, "other")),
            (200, 403),
            "{}",
            key.algorithm
        );
    }
    // An audience among several, a claim in a list, a type that access tokens have, times with fractions.
    let text = ROLE.replace("}\n", "  claims = { groups = [\"build\", \"x\"], level = \"3\" }\n}\n");
    site.role(&text);
    let good = with(with(claims("repo:org/app"), "groups", json!(["a", "build"])), "level", json!(3));
    let token = with(with(good.clone(), "aud", json!(["else", AUDIENCE])), "nbf", json!(now() as f64 - 0.5));
    let key = &keys[2];
    let header = json!({"alg": "ES256", "kid": "ES256", "typ": "at+JWT"});
    assert!(site.by_socket(&key.token_under(&header, &token)).is_ok());
    for wrong in [json!(["a"]), json!({"build": true}), Value::Null, json!("")] {
        assert!(site.by_socket(&key.token(&with(good.clone(), "groups", wrong.clone()))).is_err(), "{wrong}");
    }
}

/// R61: expired, not yet begun, for others, by others, unsigned, misread: refused alike at every door.
#[test]
fn a_bad_token_comes_in_nowhere() {
    let (key, rsa) = (SigningKey::new("a", "ES256"), SigningKey::new("rsa", "RS256"));
    let (stranger, other_type) = (SigningKey::new("a", "ES256"), SigningKey::new("a", "EdDSA"));
    let site = Site::new(&set(&[&key, &rsa]));
    let good = || claims("repo:org/app");
    let token = key.token(&good());
    assert!(site.by_socket(&token).is_ok());
    let [head, body, signature] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
    let header = |alg: &str, kid: &str| json!({"alg": alg, "kid": kid});
    let twice = format!("{{\"sub\":\"repo:x/y\",{}", &good().to_string()[1..]);
    let deep = format!("{{\"x\":{}1{},{}", "[".repeat(500), "]".repeat(500), &good().to_string()[1..]);
    let head_twice = r#"{"alg":"ES256","kid":"a","alg":"none"}"#;
    let mut bad = vec![
        ("expired", key.token(&with(good(), "exp", json!(now() - 31)))),
        ("without an end", key.token(&with(good(), "exp", Value::Null))),
        ("an end that is no number", key.token(&with(good(), "exp", json!("9999999999")))),
        ("not yet", key.token(&with(good(), "nbf", json!(now() + 3600)))),
        ("from a far future", key.token(&with(good(), "nbf", json!(1e300)))),
        ("made tomorrow", key.token(&with(good(), "iat", json!(now() + 86_400)))),
        ("nbf that is no number", key.token(&with(good(), "nbf", json!("0")))),
        ("another audience", key.token(&with(good(), "aud", json!("canis2")))),
        ("audience in other letters", key.token(&with(good(), "aud", json!("Canis")))),
        ("no audience", key.token(&with(good(), "aud", Value::Null))),
        ("an audience of a number", key.token(&with(good(), "aud", json!([AUDIENCE, 1])))),
        ("another issuer", key.token(&with(good(), "iss", json!("https://issuer.example/")))),
        ("no issuer", key.token(&with(good(), "iss", Value::Null))),
        ("another subject", key.token(&with(good(), "sub", json!("repo:orgs/app")))),
        ("no subject", key.token(&with(good(), "sub", Value::Null))),
        ("an empty subject", key.token(&with(good(), "sub", json!("")))),
        ("an unknown key", key.token_under(&header("ES256", "b"), &good())),
        ("no key, of which there are two of this kind", rsa.token_under(&json!({"alg": "none"}), &good())),
        ("a key id that is no text", key.token_under(&json!({"alg": "ES256", "kid": 1}), &good())),
        ("a stranger's key of the same id", stranger.token(&good())),
        (
            "a key that it brings along",
            stranger.token_under(&json!({"alg": "ES256", "kid": "a", "jwk": stranger.jwk()}), &good()),
        ),
        ("a key of another type", other_type.token(&good())),
        ("RSA's algorithm with EC's key", rsa.token_under(&header("RS256", "a"), &good())),
        ("PSS where the signature is PKCS #1's", rsa.token_under(&header("PS256", "rsa"), &good())),
        ("ES384 by a key for ES256", key.token_under(&header("ES384", "a"), &good())),
        (
            "what must be understood",
            key.token_under(&json!({"alg": "ES256", "kid": "a", "crit": ["b64"], "b64": false}), &good()),
        ),
        (
            "of another type",
            key.token_under(&json!({"alg": "ES256", "kid": "a", "typ": "logout+jwt"}), &good()),
        ),
        ("a claim that stands twice", key.signed(&format!("{head}.{}", part(&twice)))),
        ("a header that stands twice", key.signed(&format!("{}.{body}", part(head_twice)))),
        ("nested deeply", key.signed(&format!("{head}.{}", part(&deep)))),
        ("claims in a list", key.signed(&format!("{head}.{}", part("[]")))),
        ("padding", format!("{token}=")),
        ("another spelling of the signature", last_bit_changed(&token)),
        ("truncated", token[..token.len() - 4].to_owned()),
        ("without a signature", format!("{head}.{body}.")),
        ("nothing at all", "..".to_owned()),
        ("signature of DER", format!("{head}.{body}.{}", part("0\u{6}\u{2}\u{1}\u{1}\u{2}\u{1}\u{1}"))),
        ("a signature of zeros", format!("{head}.{body}.{}", part(&"\0".repeat(64)))),
        ("another's claims", format!("{head}.{}.{signature}", part(&claims("repo:org/root").to_string()))),
        ("five parts", format!("{token}.a.b")),
        ("too long", key.token(&with(good(), "x", json!("x".repeat(3000))))),
        ("too long for a header", key.token(&with(good(), "x", json!("x".repeat(6000))))),
    ];
    for none in ["none", "None", "NONE", "nOnE", ""] {
        bad.push(("unsigned", format!("{}.{body}.", part(&header(none, "a").to_string()))));
        bad.push((
            "unsigned with a signature",
            format!("{}.{body}.{signature}", part(&header(none, "a").to_string())),
        ));
    }
    // RFC 8725, section 2.1: a public key as the secret of a MAC, in every form that it is published in.
    let pem = canis_core::format::public::to_pem(rsa.spki());
    for secret in [
        rsa.spki().to_vec(),
        pem.clone().into_bytes(),
        pem.trim().as_bytes().to_vec(),
        rsa.jwk().to_string().into_bytes(),
    ] {
        for id in ["rsa", "a"] {
            let message = format!("{}.{body}", part(&header("HS256", id).to_string()));
            bad.push(("a MAC by a public key", format!("{message}.{}", hmac(&secret, message.as_bytes()))));
        }
    }
    for (what, token) in bad {
        let error = site.by_socket(&token).map(drop).unwrap_err();
        assert!(
            matches!(error.code, ErrorCode::Unauthenticated | ErrorCode::TooLarge | ErrorCode::ProtocolError),
            "{what}: {error}"
        );
        let status = site.by_http(&token, "ci/build");
        assert!(matches!(status, 401 | 431), "{what}: {status}");
    }
    assert!(site.by_socket(&token).is_ok(), "the good one is good after all that");
    assert!(!site.server.log().contains(signature), "no token stands in the log");
}

fn hmac(secret: &[u8], message: &[u8]) -> String {
    use base64ct::{Base64UrlUnpadded, Encoding};
    let digest = |bytes: &[u8]| {
        let mut out = [0; canis_core::crypto::MAX_DIGEST];
        let len = default_provider().digest.hash(Hash::Sha256, bytes, &mut out);
        out[..len].to_vec()
    };
    let mut key = if secret.len() > 64 { digest(secret) } else { secret.to_vec() };
    key.resize(64, 0);
    let padded = |pad: u8| key.iter().map(|byte| byte ^ pad).collect::<Vec<_>>();
    let inner = digest(&[&padded(0x36)[..], message].concat());
    Base64UrlUnpadded::encode_string(&digest(&[&padded(0x5c)[..], &inner].concat()))
}

/// The same signature with a bit set that base64url does not use, RFC 4648, section 3.5.
fn last_bit_changed(token: &str) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (rest, last) = token.split_at(token.len() - 1);
    let at = ALPHABET.iter().position(|letter| *letter == last.as_bytes()[0]).unwrap();
    format!("{rest}{}", char::from(ALPHABET[at ^ 1]))
}

/// R61, R69: the end of a role, and of an issuer's key, ends what came in by it, on open connections too.
#[test]
fn what_ends_ends_on_open_connections() {
    let (old, new) = (SigningKey::new("old", "EdDSA"), SigningKey::new("new", "EdDSA"));
    let site = Site::new(&set(&[&old]));
    let mut client = site.by_socket(&old.token(&claims("repo:org/app"))).unwrap();
    assert_eq!(encrypt(&mut client, "ci/build"), Ok(()));
    let mut admin = site.deployment.client(&site.server);
    let gone = DeleteRole { name: "ci".into(), tenant: "".into(), revision: None };
    admin.call(&gone).map(drop).unwrap();
    assert_eq!(encrypt(&mut client, "ci/build"), Err(ErrorCode::Unauthenticated));
    site.role(ROLE);
    assert_eq!(encrypt(&mut client, "ci/build"), Ok(()));
    // A set that cannot be read changes nothing; the next one counts, for who is connected, too.
    assert!(site.by_socket(&new.token(&claims("repo:org/app"))).is_err());
    fs::write(&site.set, "{\"keys\": []}").unwrap();
    site.server.signal("HUP");
    let began = Instant::now();
    while !site.server.log().contains("keys of issuers stay") {
        assert!(began.elapsed() < Duration::from_secs(30), "{}", site.server.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(encrypt(&mut client, "ci/build"), Ok(()));
    fs::write(&site.set, set(&[&new])).unwrap();
    site.server.signal("HUP");
    let began = Instant::now();
    while encrypt(&mut client, "ci/build") != Err(ErrorCode::Unauthenticated) {
        assert!(began.elapsed() < Duration::from_secs(30), "{}", site.server.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(site.by_socket(&new.token(&claims("repo:org/app"))).is_ok());
}

/// Sets that are none keep the server from starting, and it says why.
#[test]
fn a_set_that_is_none_is_refused() {
    let deployment = Deployment::with_keyfile();
    let key = SigningKey::new("a", "ES256");
    let file = deployment.folder.path().join("jwks");
    let secret = with(key.jwk(), "d", json!("AAAA"));
    let (half, even) = (
        with(key.jwk(), "y", Value::Null),
        with(key.jwk(), "x", json!(part("no point of the curve, 32 bytes!"))),
    );
    for (text, part) in [
        ("", "no JWK Set"),
        ("[]", "no JWK Set"),
        ("{\"keys\": []}", "no key in it"),
        ("{\"keys\": [{\"kty\": \"oct\", \"kid\": \"a\"}]}", "no key in it"),
        (&json!({"keys": [{"kty": "oct", "k": "AAAA"}]}).to_string(), "secret key"),
        (&json!({"keys": [secret]}).to_string(), "secret key"),
        (&json!({"keys": [half]}).to_string(), "`y` is missing"),
        (&json!({"keys": [even]}).to_string(), "key 1"),
        (&json!({"keys": [key.jwk(), key.jwk()]}).to_string(), "twice"),
        (&json!({"keys": [with(key.jwk(), "use", json!("enc"))]}).to_string(), "no key in it"),
        (&json!({"keys": [with(key.jwk(), "alg", json!("HS256"))]}).to_string(), "no key in it"),
    ] {
        fs::write(&file, text).unwrap();
        let mut command = deployment.server_command("127.0.0.1:0");
        let output = command.arg("--jwks").arg(format!("{ISSUER}={}", file.display())).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(part) && said.contains(ISSUER), "{text}: {said}");
    }
    let mut command = deployment.server_command("127.0.0.1:0");
    let output = command.args(["--jwks", &format!("{ISSUER}=/no/such/file")]).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("/no/such/file"));
}
