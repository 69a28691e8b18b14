//! One key, three doors: made by the program, used over CANISP, and used through PKCS#11 by programs that know
//! nothing of CANIS.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_tests::{Site, SoftHsm, Sshd, module, run};
use std::process::Command;

const PIN: &str = "pin-of-the-user";

/// R93, R90: a key made over CANISP on an HSM-rooted store logs in by ssh through the module.
#[test]
fn a_key_made_over_canisp_logs_in_by_ssh() {
    let hsm = SoftHsm::new("canis-hsm");
    let site = Site::with_hsm(&hsm);
    let server = site.start().unsealed();
    server.canis(&["key", "create", "login/demo", "--type", "ecdsa-p256"], b"").ok();
    // A key of a type that OpenSSH does not know stands in nobody's way.
    server.canis(&["key", "create", "login/later", "--type", "ml-dsa-65"], b"").ok();
    let signature = server.canis(&["sign", "login/demo"], b"message").ok().text();
    let public = server.canis(&["key", "public", "login/demo"], b"").ok().text();
    let line = server.canis(&["key", "public", "login/demo", "--format", "openssh"], b"").ok().text();

    // While the server runs, the module works through its socket.
    let log = site.file("module.log");
    let mut list = site.foreign("pkcs11-tool");
    list.args(["--module", &module().display().to_string(), "--list-slots"]).env("CANIS_PKCS11_LOG", &log);
    let shown = run(&mut list, b"").ok().text();
    assert!(shown.contains("default"), "{shown}");
    let said = std::fs::read_to_string(&log).unwrap();
    assert!(said.contains("working at the server"), "{said}");
    server.stop();

    let pin_file = site.file("pin");
    std::fs::write(&pin_file, PIN).unwrap();
    let mut set_pin = site.command("canis");
    set_pin
        .args(["slot", "set-pin", "--token", "default", "--pin-file"])
        .arg(&pin_file)
        .arg("--data")
        .arg(site.data());
    run(&mut set_pin, b"").ok();

    let mut keygen = site.foreign("ssh-keygen");
    let authorized = run(keygen.arg("-D").arg(module()), b"").ok().text();
    assert!(
        authorized.starts_with("ecdsa-sha2-nistp256 ") && authorized.contains("login/demo"),
        "{authorized}"
    );
    assert!(!authorized.contains("login/later"), "{authorized}");
    // What CANISP gave goes into authorized_keys as it is, and is what the module shows.
    assert_eq!(line.trim_end(), authorized.lines().next().unwrap_or_default());
    let sshd = Sshd::start(&line);
    let log_in = || {
        let mut ssh = sshd.ssh(PIN, &["-I", &module().display().to_string()], "echo logged in as $(whoami)");
        ssh.env("CANIS_DATA", site.data()).env("SOFTHSM2_CONF", hsm.config());
        let session = run(&mut ssh, b"").ok();
        assert!(session.text().starts_with("logged in as "), "{session:?}\n{}", sshd.log());
    };
    log_in();

    // The public key that PKCS#11 shows is the one CANISP gave, and the signature made over CANISP is still right.
    let public_file = site.file("public.pem");
    std::fs::write(&public_file, &public).unwrap();
    let mut convert = Command::new("ssh-keygen");
    let converted = run(convert.args(["-i", "-m", "PKCS8", "-f"]).arg(&public_file), b"").ok().text();
    let base64 = |line: &str| line.split_whitespace().nth(1).map(str::to_owned);
    assert_eq!(base64(&converted), base64(&authorized));
    let server = site.start().unsealed();
    let verified =
        server.canis(&["verify", "login/demo", "--signature", signature.trim()], b"message").ok().text();
    assert_eq!(verified.trim(), "valid");
    // The same command with the same key, which now stays in the server.
    log_in();
    server.stop();
}

/// A key made or brought in through the API signs through the module what is hashed and padded, and nothing that another protocol could
/// take for its own: no bare bytes, no unpadded numbers; and it decrypts by OAEP only.
#[test]
fn a_key_made_over_canisp_keeps_its_schemes_in_the_module() {
    let hsm = SoftHsm::new("canis-hsm");
    let site = Site::with_hsm(&hsm);
    let server = site.start().unsealed();
    server.canis(&["key", "create", "made", "--type", "rsa-2048"], b"").ok();
    let mut genpkey = Command::new("openssl");
    let pem =
        run(genpkey.args(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]), b"").ok();
    server.canis(&["key", "import", "brought", "--type", "rsa-2048"], pem.text().as_bytes()).ok();
    server.stop();
    let (pin_file, input, output) = (site.file("pin"), site.file("input"), site.file("output"));
    std::fs::write(&pin_file, PIN).unwrap();
    let mut set_pin = site.command("canis");
    set_pin.args(["slot", "set-pin", "--token", "default", "--pin-file"]).arg(&pin_file);
    run(set_pin.arg("--data").arg(site.data()), b"").ok();

    let works = |key: &str, what: &str, mechanism: &str, data: &[u8]| {
        std::fs::write(&input, data).unwrap();
        let mut tool = site.foreign("pkcs11-tool");
        tool.args(["--module", &module().display().to_string(), "--login", "--pin", PIN, "--label", key]);
        tool.args([what, "--mechanism", mechanism, "--input-file"])
            .arg(&input)
            .arg("--output-file")
            .arg(&output);
        tool.env("SOFTHSM2_CONF", hsm.config()).env("CANIS_DATA", site.data());
        run(&mut tool, b"").code == 0
    };
    for key in ["made", "brought"] {
        assert!(works(key, "--sign", "SHA256-RSA-PKCS", b"message"));
        assert!(works(key, "--sign", "SHA256-RSA-PKCS-PSS", b"message"));
        for (what, mechanism, data) in [
            ("--sign", "RSA-PKCS", &b"bare bytes"[..]),
            ("--sign", "RSA-X-509", &[7; 256]),
            ("--decrypt", "RSA-PKCS", &[7; 256]),
            ("--decrypt", "RSA-X-509", &[7; 256]),
        ] {
            assert!(!works(key, what, mechanism, data), "{key} {what} {mechanism}");
        }
    }
}

/// A key that the module's host limited to one mechanism signs by no other one over CANISP.
#[test]
fn a_key_limited_in_the_module_is_limited_over_canisp() {
    let hsm = SoftHsm::new("canis-hsm");
    let site = Site::with_hsm(&hsm);
    let pin_file = site.file("pin");
    std::fs::write(&pin_file, PIN).unwrap();
    let mut set_pin = site.command("canis");
    set_pin.args(["slot", "set-pin", "--token", "default", "--pin-file"]).arg(&pin_file);
    run(set_pin.arg("--data").arg(site.data()), b"").ok();
    let mut keygen = site.foreign("pkcs11-tool");
    keygen.args(["--module", &module().display().to_string(), "--login", "--pin", PIN, "--keypairgen"]);
    keygen.args(["--key-type", "EC:prime256v1", "--label", "narrow", "--id", "01"]);
    keygen.args(["--allowed-mechanisms", "ECDSA-SHA256"]);
    run(keygen.env("SOFTHSM2_CONF", hsm.config()).env("CANIS_DATA", site.data()), b"").ok();

    let server = site.start().unsealed();
    server.canis(&["sign", "narrow"], b"message").ok();
    let refused = server.canis(&["sign", "narrow", "--prehashed"], &[7; 32]);
    assert_ne!(refused.code, 0);
    assert!(format!("{refused:?}").contains("mechanism_not_allowed"), "{refused:?}");
    server.stop();
}
