//! OpenSC's pkcs11-tool and GnuTLS's p11tool.

use crate::home::{Home, PIN, library, said, succeed};
use crate::service::Service;
use std::process::Command;

fn home_with_keys() -> Home {
    let home = Home::with_token("tools");
    for (kind, id) in [("rsa:2048", "01"), ("EC:prime256v1", "02"), ("EC:edwards25519", "03")] {
        let made = home.tool_as_user(&["--keypairgen", "--key-type", kind, "--label", kind, "--id", id]);
        assert!(
            made.contains("Key pair generated")
                && made.contains("always sensitive, never extractable, local")
        );
    }
    home
}

/// R93
#[test]
fn pkcs11_tool_makes_lists_tests_and_deletes() {
    let home = home_with_keys();
    let listed = home.tool(&["-O"]);
    assert_eq!(listed.matches("Public Key Object").count(), 3, "{listed}");
    assert!(!listed.contains("Private Key Object"));
    assert_eq!(home.tool_as_user(&["-O"]).matches("Private Key Object").count(), 3);
    let mechanisms = home.tool(&["-M"]);
    for mechanism in ["RSA-PKCS-OAEP", "ECDSA-SHA256", "EDDSA", "AES-GCM", "SHA384-RSA-PKCS-PSS", "SHA-1"] {
        assert!(mechanisms.contains(mechanism), "{mechanism} is missing from {mechanisms}");
    }
    assert!(home.tool_as_user(&["--test"]).contains("No errors"));
    let test_ec = ["--session-rw", "--test-ec", "--key-type", "EC:prime256v1", "--id", "77"];
    let tested = home.tool_as_user(&test_ec);
    assert!(!tested.to_lowercase().contains("error") && !tested.contains("failed"), "{tested}");

    home.tool_as_user(&["--delete-object", "--type", "privkey", "--id", "02"]);
    home.tool_as_user(&["--delete-object", "--type", "pubkey", "--id", "02"]);
    assert!(!home.tool_as_user(&["-O"]).contains("prime256v1"));
}

/// Writes a public key as PEM. By p11tool: pkcs11-tool 0.23 reads memory it has freed when it exports an EC key.
fn export_public(home: &Home, id: &str) {
    let mut tool = home.command("p11tool");
    tool.arg("--provider").arg(library()).args(["--batch", "--export-pubkey", "--outfile=public"]);
    succeed(tool.arg(format!("pkcs11:token=tools;id=%{id};type=public")).env("GNUTLS_PIN", PIN));
}

/// R93: what pkcs11-tool signs and decrypts, openssl verifies and encrypts.
#[test]
fn pkcs11_tool_agrees_with_openssl() {
    let home = home_with_keys();
    std::fs::write(home.path("message"), b"a message").unwrap();
    for (id, kind, mechanism, more) in [
        ("01", "rsa", "SHA256-RSA-PKCS", &[][..]),
        ("01", "pss", "SHA256-RSA-PKCS-PSS", &["--salt-len", "32"][..]),
        ("02", "ec", "ECDSA-SHA256", &["--signature-format", "openssl"][..]),
    ] {
        export_public(&home, id);
        let sign = ["--sign", "--id", id, "-m", mechanism, "-i", "message", "-o", "signature"];
        home.tool_as_user(&[&sign[..], more].concat());
        let mut openssl = home.command("openssl");
        openssl.args(["dgst", "-sha256", "-verify", "public", "-signature", "signature"]);
        if kind == "pss" {
            openssl.args(["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32"]);
        }
        assert!(succeed(openssl.arg("message")).contains("Verified OK"), "{mechanism}");
    }
    export_public(&home, "01");
    let mut openssl = home.command("openssl");
    openssl.args(["pkeyutl", "-encrypt", "-pubin", "-inkey", "public", "-in", "message"]);
    openssl.args(["-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha256", "-out", "sealed"]);
    succeed(&mut openssl);
    let oaep = ["-m", "RSA-PKCS-OAEP", "--hash-algorithm", "SHA256", "--mgf", "MGF1-SHA256"];
    home.tool_as_user(&[&["--decrypt", "--id", "01", "-i", "sealed", "-o", "opened"], &oaep[..]].concat());
    assert_eq!(std::fs::read(home.path("opened")).unwrap(), b"a message");
}

#[test]
fn pkcs11_tool_keeps_certificates_and_data() {
    let home = Home::with_token("objects");
    let mut openssl = home.command("openssl");
    openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=kept", "-outform", "DER"]);
    succeed(openssl.args(["-keyout", "key", "-out", "cert"]));
    home.tool_as_user(&["--write-object", "cert", "--type", "cert", "--label", "kept", "--id", "05"]);
    home.tool(&["--read-object", "--type", "cert", "--id", "05", "-o", "read"]);
    assert_eq!(std::fs::read(home.path("read")).unwrap(), std::fs::read(home.path("cert")).unwrap());
    let listed = home.tool(&["-O"]);
    assert!(listed.contains("Certificate Object") && listed.contains("CN=kept"), "{listed}");
    std::fs::write(home.path("notes"), b"notes").unwrap();
    home.tool_as_user(&["--write-object", "notes", "--type", "data", "--label", "notes", "--private"]);
    assert!(!home.tool(&["-O"]).contains("notes"));
    assert!(home.tool_as_user(&["-O"]).contains("notes"));
    home.tool_as_user(&["--delete-object", "--type", "cert", "--id", "05"]);
    assert!(!home.tool(&["-O"]).contains("Certificate Object"));
}

/// A wrong PIN is said to be one, and the next right one works.
#[test]
fn pkcs11_tool_is_told_about_wrong_pins() {
    let home = Home::with_token("pins");
    let output = home
        .command("pkcs11-tool")
        .arg("--module")
        .arg(library())
        .args(["--login", "--pin", "9999", "-O"])
        .output();
    let text = said(&output.unwrap());
    assert!(text.contains("CKR_PIN_INCORRECT"), "{text}");
    home.tool_as_user(&["--change-pin", "--new-pin", "567890"]);
    home.tool(&["--login", "--pin", "567890", "-O"]);
}

/// R93
#[test]
fn p11tool_lists_everything() {
    let home = home_with_keys();
    let mut tool = home.command("p11tool");
    tool.arg("--provider").arg(library()).args(["--batch", "--login", "--list-all"]).env("GNUTLS_PIN", PIN);
    let listed = succeed(&mut tool);
    for line in
        ["Private key (RSA-2048)", "Private key (EC/ECDSA-SECP256R1)", "Private key (EdDSA (Ed25519))"]
    {
        assert!(listed.contains(line), "{line} is missing from {listed}");
    }
    let generated = home
        .command("p11tool")
        .arg("--provider")
        .arg(library())
        .args(["--batch", "--login", "--generate-privkey=ecdsa", "--curve=secp384r1", "--label=gnutls"])
        .args(["--outfile=public", "pkcs11:token=tools"])
        .env("GNUTLS_PIN", PIN)
        .output()
        .unwrap();
    assert!(generated.status.success(), "{}", said(&generated));
    assert!(home.tool_as_user(&["-O"]).contains("gnutls"));
    let shown =
        succeed(Command::new("openssl").args(["pkey", "-pubin", "-text", "-in"]).arg(home.path("public")));
    assert!(shown.contains("secp384r1"), "{shown}");
}

/// R93: keys that openssl made come in by pkcs11-tool and sign; what may be read comes out again.
#[test]
fn pkcs11_tool_brings_keys_in() {
    let home = Home::with_token("tools");
    std::fs::write(home.path("message"), b"a message").unwrap();
    for (id, algorithm, option, mechanism, more) in [
        ("01", "rsa", "rsa_keygen_bits:2048", "SHA256-RSA-PKCS", &[][..]),
        ("02", "ec", "ec_paramgen_curve:P-256", "ECDSA-SHA256", &["--signature-format", "openssl"][..]),
        ("03", "ec", "ec_paramgen_curve:P-384", "ECDSA-SHA384", &["--signature-format", "openssl"][..]),
    ] {
        let mut openssl = home.command("openssl");
        succeed(openssl.args([
            "genpkey",
            "-algorithm",
            algorithm,
            "-pkeyopt",
            option,
            "-outform",
            "DER",
            "-out",
            "key",
        ]));
        succeed(
            home.command("openssl")
                .args(["pkey", "-inform", "DER", "-in", "key", "-pubout", "-out", "public"]),
        );
        home.tool_as_user(&["--write-object", "key", "--type", "privkey", "--id", id, "--label", algorithm]);
        let sign = ["--sign", "--id", id, "-m", mechanism, "-i", "message", "-o", "signature"];
        home.tool_as_user(&[&sign[..], more].concat());
        let hash = if mechanism.contains("384") { "-sha384" } else { "-sha256" };
        let mut verify = home.command("openssl");
        succeed(verify.args(["dgst", hash, "-verify", "public", "-signature", "signature", "message"]));
    }
    std::fs::write(home.path("secret"), [7; 32]).unwrap();
    let secret = [
        "--write-object",
        "secret",
        "--type",
        "secrkey",
        "--key-type",
        "AES:32",
        "--id",
        "04",
        "--extractable",
    ];
    let made = home.tool_as_user(&secret);
    assert!(made.contains("Secret Key Object; AES length 32"), "{made}");
}

/// R93: pkcs11-tool starts over in a child, and from several threads at once.
#[test]
fn pkcs11_tool_forks_and_threads() {
    let home = home_with_keys();
    let forked = home.tool(&["--test-fork", "-O"]);
    assert!(forked.contains("C_Initialize in forked child process") && !forked.contains("CKR_"), "{forked}");
    // Each thread initialises, lists slots and tokens; the program then waits half a minute, the test does not.
    let mut tool = home.command("pkcs11-tool");
    tool.arg("--module").arg(library());
    for _ in 0..4 {
        tool.args(["--test-threads", "ILGISLT0"]);
    }
    let mut service = Service::start(&home, "threads", tool);
    let done = |service: &Service| service.said().matches("returning rv = 0").count() == 4;
    assert!(service.waits_until(done) || done(&service), "{}", service.said());
}

/// The configuration decides how points of Ed25519 keys are given out; those of P-256 keep their form.
#[test]
fn points_are_given_out_as_configured() {
    let home = Home::with_token("points");
    for kind in ["EC:edwards25519", "EC:prime256v1"] {
        home.tool_as_user(&["--keypairgen", "--key-type", kind, "--label", kind]);
    }
    for (encoding, len) in [("der", 34), ("raw", 32)] {
        std::fs::write(home.path("p11.toml"), format!("ec_point_encoding = \"{encoding}\"\n")).unwrap();
        let mut tool = home.command("pkcs11-tool");
        tool.env("CANIS_PKCS11_CONF", home.path("p11.toml")).arg("--module").arg(library());
        let listed = succeed(tool.args(["-O", "--type", "pubkey"]));
        let points = listed.lines().filter_map(|line| line.trim().strip_prefix("EC_POINT:"));
        let mut lens: Vec<_> = points.map(|point| point.trim().len() / 2).collect();
        lens.sort_unstable();
        assert_eq!(lens, [len, 67], "{encoding}: {listed}");
    }
}
