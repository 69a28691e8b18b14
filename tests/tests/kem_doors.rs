//! ML-KEM at three doors: made by the program over CANISP or by python-pkcs11 through the module, and what one closes the other opens.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_tests::{Server, Site, module, python, run};

const PIN: &str = "pin-of-the-user";

/// CKR_KEY_FUNCTION_NOT_PERMITTED, which python-pkcs11 has no name for.
const NOT_PERMITTED: &str = "0x68";

/// `kem_doors.py` on the server's own token.
fn script(site: &Site, arguments: &[&str]) -> String {
    let mut script = site.foreign(python());
    script.arg("-B").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kem_doors.py"));
    script.arg(module()).arg(PIN).args(arguments).env("CANIS_DATA", site.data());
    run(&mut script, b"").ok().text().trim().to_owned()
}

fn json(server: &Server, args: &[&str]) -> serde_json::Value {
    let said = server.canis(&[args, &["--print", "--json"]].concat(), b"").ok().text();
    serde_json::from_str(&said).unwrap()
}

fn text(value: &serde_json::Value, name: &str) -> String {
    value[name].as_str().unwrap().to_owned()
}

/// R93, R90: an independent client of PKCS#11 and the program share secrets, in both directions, with keys made at either door; a
/// disabled key opens and closes no more.
#[test]
fn secrets_cross_between_canisp_and_an_independent_client() {
    let site = Site::with_keyfile();
    let server = site.start().unsealed();
    let pin = site.file("pin");
    std::fs::write(&pin, PIN).unwrap();
    server.canis(&["slot", "set-pin", "--token", "default", "--pin-file", pin.to_str().unwrap()], b"").ok();
    server.canis(&["key", "create", "made-over-canisp", "--type", "ml-kem-768"], b"").ok();
    script(&site, &["make", "made-through-pkcs11"]);
    for name in ["made-over-canisp", "made-through-pkcs11"] {
        let ours = json(&server, &["encapsulate", name]);
        let bare = text(&ours, "ciphertext").rsplit(':').next().unwrap().to_owned();
        assert_eq!(script(&site, &["decapsulate", name, &bare]), text(&ours, "secret_base64"));

        let theirs: serde_json::Value = serde_json::from_str(&script(&site, &["encapsulate", name])).unwrap();
        let ciphertext = format!("canis:v1:{name}:1:{}", text(&theirs, "ciphertext"));
        let opened = json(&server, &["decapsulate", name, "--ciphertext", &ciphertext]);
        assert_eq!(text(&opened, "secret_base64"), text(&theirs, "secret"));

        server.canis(&["key", "disable", name], b"").ok();
        let refused = script(&site, &["encapsulate", name]);
        assert!(refused.starts_with("PKCS11Error") && refused.contains(NOT_PERMITTED), "{refused}");
        assert_eq!(
            script(&site, &["decapsulate", name, &text(&theirs, "ciphertext")]),
            text(&theirs, "secret")
        );
    }
    server.stop();
}
