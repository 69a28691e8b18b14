//! Data of any length over HTTP: in constant memory, the same as CANISP's streams, and never half of them for the whole.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod harness;
mod web;

use canis_proto::HashName;
use canis_proto::message::{Mac, Verify};
use canis_proto::stream::{DecryptStream, EncryptStream};
use canis_server::limits;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use web::peer::Peer;
use web::{Came, Site};

const OCTETS: [&str; 4] =
    ["--header", "Content-Type: application/octet-stream", "--header", "Accept: application/octet-stream"];
const LONG: usize = limits::HTTP_WHOLE as usize + 1000;
const ENCRYPT: &str = "/v1/kms/encrypt/aes";
const DECRYPT: &str = "/v1/kms/decrypt/aes";

fn site() -> Site {
    let site = Site::new();
    site.ask("POST", "/v1/kms/keys/aes", r#"{"kind": "aes256-gcm"}"#).with(201);
    site
}

fn data(len: usize) -> Vec<u8> {
    (0..len as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

/// Sends these bytes from a file, whose length is said.
fn send(site: &Site, path: &str, bytes: &[u8]) -> Came {
    let file = file(site, bytes);
    let body = format!("@{}", file.display());
    site.ask_with("POST", path, &[&OCTETS[..], &["--data-binary", &body]].concat())
}

/// The same without saying how long they are.
fn send_chunked(site: &Site, path: &str, bytes: &[u8], version: &str) -> Came {
    let file = file(site, bytes);
    // HTTP/2 has no chunks to announce (RFC 9113, section 8.2.2): the length is left out.
    let unsaid = if version == "--http2" { "Content-Length:" } else { "Transfer-Encoding: chunked" };
    let body = format!("@{}", file.display());
    let more = ["--header", unsaid, version, "--data-binary", &body];
    site.ask_with("POST", path, &[&OCTETS[..], &more].concat())
}

fn file(site: &Site, bytes: &[u8]) -> PathBuf {
    let file = site.deployment.folder.path().join("data.bin");
    fs::write(&file, bytes).unwrap();
    file
}

/// How many uses of keys ended this way, as the metrics tell.
fn told(site: &Site, operation: &str, result: &str) -> u64 {
    let text = String::from_utf8(site.ask("GET", "/metrics", "").body).unwrap();
    let labels =
        format!("canis_requests_total{{operation=\"{operation}\",door=\"http\",code=\"{result}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&labels)?.parse().ok()).unwrap_or_default()
}

/// R85: what is longer than one piece, or does not say how long it is, is a stream of `canis:s1`, over HTTP/1.1 and HTTP/2,
/// which CANISP reads, too; and the other way round.
#[test]
fn long_data_are_streams() {
    let site = site();
    let mut client = site.deployment.client(&site.server);
    let context = format!("{ENCRYPT}?context=cm93");
    for (length, version) in [(0, "--http1.1"), (5, "--http2"), (LONG, "--http1.1"), (LONG, "--http2")] {
        let data = data(length);
        let sealed = send_chunked(&site, &context, &data, version);
        assert_eq!(
            (sealed.status, sealed.body.starts_with(b"canis:s1:aes:1:")),
            (200, true),
            "{}",
            sealed.head
        );
        let opened = send_chunked(&site, &format!("{DECRYPT}?context=cm93"), &sealed.body, version);
        assert!(opened.status == 200 && opened.body == data, "{length} {version} {}", opened.head);
        let line = sealed.body.iter().position(|byte| *byte == b'\n').unwrap();
        let header = std::str::from_utf8(&sealed.body[..line]).unwrap();
        let mut plain = Vec::new();
        let request = DecryptStream { name: "aes".into(), header: header.into(), context: b"row"[..].into() };
        client.stream(&request, &mut &sealed.body[line + 1..], &mut plain).unwrap();
        assert!(plain == data);
    }
    let data = data(LONG);
    let announced = send(&site, ENCRYPT, &data);
    assert!(announced.body.starts_with(b"canis:s1:aes:1:"), "{}", announced.head);
    let mut sealed = Vec::new();
    let request = EncryptStream { name: "aes".into(), context: b""[..].into(), version: 0 };
    client.stream(&request, &mut &data[..], &mut sealed).unwrap();
    assert!(send(&site, DECRYPT, &sealed).body == data);
    assert!(told(&site, "encrypt", "ok") == 5 && told(&site, "decrypt", "ok") == 5);
}

/// R85: long messages are signed, verified, authenticated and hashed; the same as in one piece.
#[test]
fn long_messages() {
    let site = site();
    let mut client = site.deployment.client(&site.server);
    for (name, kind) in [("ec", "ecdsa-p256"), ("mac", "generic"), ("ed", "ed25519")] {
        site.ask("POST", &format!("/v1/kms/keys/{name}"), &format!(r#"{{"kind": "{kind}"}}"#)).with(201);
    }
    let data = data(LONG);
    let signature = String::from_utf8(send(&site, "/v1/kms/sign/ec", &data).body).unwrap();
    assert!(client.call(&Verify::new("ec", data.clone(), signature.as_str())).unwrap().valid);
    let query = |signature: &str| format!("/v1/kms/verify/ec?signature={}", signature.replace('+', "%2B"));
    assert_eq!(send(&site, &query(&signature), &data).with(200)["valid"], true);
    assert_eq!(send(&site, &query(&signature), &data[1..]).with(200)["valid"], false);
    let mac = String::from_utf8(send_chunked(&site, "/v1/kms/mac/mac", &data, "--http1.1").body).unwrap();
    let whole = Mac { name: "mac".into(), message: data.clone().into(), hash: HashName::Sha256 };
    assert_eq!(client.call(&whole).unwrap().mac, mac);
    let sums = Command::new("sha256sum").arg(file(&site, &data)).output().unwrap().stdout;
    let digest = send_chunked(&site, "/v1/kms/hash?hash=sha256", &data, "--http2").body;
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(sums.starts_with(digest.as_bytes()), "{digest}");
    let refused = send(&site, "/v1/kms/sign/ed", &data);
    assert_eq!(refused.problem(), (400, "operation_not_supported".into()));
}

/// R81: 100 MiB pass through a server whose memory grows by a few, over either version, encrypted and decrypted.
#[test]
fn streams_hold_little_memory() {
    let site = site();
    let before = site.server.peak();
    for version in ["--http1.1", "--http2"] {
        let curl = |path: &str| {
            format!(
                "curl --silent --show-error --fail {version} --cacert '{}' -H 'Content-Type: application/octet-stream' \
                 -H 'Accept: application/octet-stream' -H \"$BEARER\" -X POST -T - https://{}{path}",
                site.deployment.ca().display(),
                site.address
            )
        };
        let script = format!(
            "set -o pipefail; head -c 104857600 /dev/zero | {} | {} | sha256sum; head -c 104857600 /dev/zero | sha256sum",
            curl(ENCRYPT),
            curl(DECRYPT)
        );
        let output =
            Command::new("bash").args(["-c", &script]).env("BEARER", site.bearer()).output().unwrap();
        let text = harness::stdout(&output);
        let sums: Vec<_> = text.lines().collect();
        assert_eq!(sums[0], sums[1], "{version}");
    }
    let grown = site.server.peak() - before;
    assert!(grown < 32 << 10, "{grown} KiB");
}

/// What is wrong before the first piece is a problem as of any other request, and nothing has happened.
#[test]
fn refused_before_they_begin() {
    let site = site();
    let data = data(LONG);
    let sealed = send(&site, ENCRYPT, &data).body;
    let absent = send(&site, "/v1/kms/encrypt/absent", &data);
    assert_eq!(absent.problem(), (404, "key_not_found".into()));
    let other = send(&site, &format!("{DECRYPT}?context=cm93"), &sealed);
    assert_eq!(other.problem(), (400, "decryption_failed".into()));
    for path in
        [format!("{ENCRYPT}?plaintext=aGk%3D"), format!("{ENCRYPT}?surprise=1"), format!("{ENCRYPT}?name=b")]
    {
        assert_eq!(send(&site, &path, &data).problem(), (400, "invalid_argument".into()), "{path}");
    }
    let line = "canis:s1:".to_owned() + &"x".repeat(100_000);
    assert_eq!(send(&site, DECRYPT, line.as_bytes()).problem(), (400, "invalid_argument".into()));
    assert_eq!(
        send(&site, DECRYPT, b"canis:s1:aes:1:AAAA\nrest").problem(),
        (400, "invalid_argument".into())
    );
    let nobody = site.curl(
        "POST",
        ENCRYPT,
        &[&OCTETS[..], &["--http1.1", "--data-binary", "x", "-H", "Transfer-Encoding: chunked"]].concat(),
    );
    assert_eq!(nobody.problem(), (401, "unauthenticated".into()));
    let once = [
        "--header",
        "Idempotency-Key: 1",
        "--http1.1",
        "-H",
        "Transfer-Encoding: chunked",
        "--data-binary",
        "x",
    ];
    let once = site.ask_with("POST", ENCRYPT, &[&OCTETS[..], &once].concat());
    assert_eq!(once.problem(), (400, "invalid_argument".into()));
    // A body of HTTP/1.0 would end with its connection, broken or not.
    let old = site.ask_with(
        "POST",
        DECRYPT,
        &[
            &OCTETS[..],
            &["--http1.0", "--no-alpn", "--data-binary", &format!("@{}", file(&site, &sealed).display())],
        ]
        .concat(),
    );
    assert_eq!(old.problem(), (400, "operation_not_supported".into()));
    assert_eq!(told(&site, "decrypt", "ok"), 0);
}

/// What came of a decryption that curl did not take for whole.
fn decrypted_in_part(site: &Site, sealed: &[u8], more: &[&str]) -> Vec<u8> {
    let (file, out) = (file(site, sealed), site.deployment.folder.path().join("out.bin"));
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--cacert"])
        .arg(site.deployment.ca())
        .args(OCTETS)
        .args(more)
        .args(["--header", &site.bearer(), "--request", "POST", "--upload-file"])
        .args([&file, &"--output".into(), &out])
        .arg(format!("https://{}{DECRYPT}", site.address))
        .output()
        .unwrap();
    assert!(!output.status.success(), "{more:?}");
    fs::read(&out).unwrap()
}

/// R84: a ciphertext that was changed, cut at a chunk's edge, reordered or prolonged never ends as a whole answer: what was
/// authenticated before is broken off, and curl fails.
#[test]
fn changed_ciphertexts_break_off() {
    let site = site();
    let data = data(LONG);
    let sealed = send(&site, ENCRYPT, &data).body;
    let line = sealed.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let chunk = (64 << 10) + 16;
    let (mut flipped, mut swapped) = (sealed.clone(), sealed.clone());
    flipped[line + 100 * chunk + 7] ^= 1;
    swapped[line + 100 * chunk..line + 102 * chunk].rotate_left(chunk);
    let cut = sealed[..line + 100 * chunk].to_vec();
    let twice = [&sealed[..], &sealed[line..]].concat();
    for (what, bytes) in [("flipped", flipped), ("swapped", swapped), ("cut", cut), ("twice", twice)] {
        for version in ["--http1.1", "--http2"] {
            let got = decrypted_in_part(&site, &bytes, &[version]);
            assert!(got.len() <= data.len() && got == data[..got.len()], "{what} {version}: {}", got.len());
            assert!(!got.is_empty(), "{what} {version}");
        }
    }
    let short = send(&site, DECRYPT, &sealed[..line + chunk]);
    assert_eq!(short.problem(), (400, "decryption_failed".into()));
    assert_eq!(told(&site, "decrypt", "ok"), 0);
    assert_eq!(told(&site, "decrypt", "decryption_failed"), 9);
}

/// R81: bodies that break off, lie about their length or are cut with their connection are no whole data, and what they
/// held is free again: more of them than there are places leave room for others.
#[test]
fn cut_bodies_are_forgotten() {
    let site = site();
    let sealed = send(&site, ENCRYPT, &data(LONG)).body;
    for round in 0..2 * limits::TENANT_STREAMS {
        let mut peer = Peer::of(&site);
        match round % 4 {
            0 => {
                peer.begin(&site, ENCRYPT, &["Content-Length: 100000000"]);
                peer.send(&[7; 300_000]).unwrap();
            }
            1 => {
                peer.begin(&site, ENCRYPT, &["Transfer-Encoding: chunked"]);
                peer.chunk(&[7; 100_000]).unwrap();
                let _ = peer.send(b"no length\r\n");
            }
            2 => {
                peer.begin(&site, DECRYPT, &["Content-Length: 100000000"]);
                peer.send(&sealed[..400_000]).unwrap();
                peer.0.conn.send_close_notify();
                let _ = peer.send(b"");
            }
            _ => {
                // Nothing of what comes back is read.
                peer.begin(&site, ENCRYPT, &["Transfer-Encoding: chunked"]);
                peer.chunk(&[7; 300_000]).unwrap();
                peer.until("\r\n\r\n");
            }
        }
        if round % 4 == 1 {
            let answer = String::from_utf8_lossy(&peer.rest()).into_owned();
            assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("protocol_error"), "{answer}");
        }
    }
    let plain = send(&site, DECRYPT, &sealed);
    assert_eq!(plain.status, 200, "{}", plain.head);
    assert_eq!((told(&site, "encrypt", "ok"), told(&site, "decrypt", "ok")), (1, 1));
    // A body shorter than it was is what was said of it, so that only the ciphertext can tell.
    let said = format!("Content-Length: {}", sealed.len() - 1000);
    let came = decrypted_in_part(&site, &sealed, &["--http1.1", "--header", &said]);
    assert!(came.len() < LONG, "{}", came.len());
    assert_eq!((told(&site, "decrypt", "ok"), told(&site, "decrypt", "decryption_failed")), (1, 1));
}

/// R81: those who take nothing of what is made for them hold a few buffers each, and others are served meanwhile.
#[test]
fn who_does_not_read_holds_little() {
    let site = site();
    let before = site.server.peak();
    let mut idle: Vec<_> = (0..24).map(|_| Peer::of(&site)).collect();
    for peer in &mut idle {
        peer.begin(&site, ENCRYPT, &["Transfer-Encoding: chunked"]);
        peer.0.sock.set_write_timeout(Some(std::time::Duration::from_millis(200))).unwrap();
        // Until the server takes no more.
        while peer.chunk(&[7; 256 << 10]).is_ok() {}
    }
    site.ask("POST", ENCRYPT, r#"{"plaintext": "aGVsbG8="}"#).with(200);
    let grown = site.server.peak() - before;
    assert!(grown < 24 * 4 * (limits::STREAM_WINDOW as u64 >> 10), "{grown} KiB");
    let mut reader = idle.pop().unwrap();
    let begun = reader.until("\r\n\r\n");
    assert!(begun.starts_with("HTTP/1.1 200 "), "{begun}");
}

/// A store that is sealed takes its streams with it: the answer is broken off.
#[test]
fn sealing_ends_streams() {
    let site = site();
    let mut peer = Peer::of(&site);
    peer.begin(&site, ENCRYPT, &["Transfer-Encoding: chunked"]);
    peer.chunk(&[7; 300_000]).unwrap();
    peer.until("\r\n\r\n");
    site.ask("POST", "/v1/sys/seal", "{}");
    let rest = peer.rest();
    assert!(!rest.is_empty() && !rest.ends_with(b"0\r\n\r\n"), "{}", rest.len());
    assert!(site.server.log().contains("sealed"));
}
