//! Moving in: the objects of a SoftHSM2 token, made by other programs, are taken over and work through our module.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_tests::{Finished, Site, SoftHsm, module, run};
use std::fs;
use std::path::Path;
use std::process::Command;

const PIN: &str = "pin-of-the-user";

/// `pkcs11-tool` on the other token.
fn theirs(hsm: &SoftHsm, args: &[&str]) -> Finished {
    let mut tool = Command::new("pkcs11-tool");
    tool.args(["--module", SoftHsm::MODULE, "--token-label", &hsm.label, "--login", "--pin", SoftHsm::PIN]);
    run(tool.args(args).env("SOFTHSM2_CONF", hsm.config()), b"")
}

/// `pkcs11-tool` on ours.
fn ours(site: &Site, args: &[&str]) -> Finished {
    let mut tool = site.foreign("pkcs11-tool");
    tool.arg("--module").arg(module()).args(["--token-label", "default", "--login", "--pin", PIN]);
    run(tool.args(args), b"")
}

fn openssl(folder: &Path, script: &str) {
    run(Command::new("sh").args(["-euc", script]).current_dir(folder), b"").ok();
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Keys with their ids and labels, sensitive ones too, and certificates come along; what is not extractable is named.
#[test]
fn a_token_moves_in() {
    let hsm = SoftHsm::new("old token");
    let site = Site::with_keyfile();
    let file = |name: &str| site.file(name);
    openssl(
        &site.file(""),
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout k.pem -subj /CN=web -days 2 -out c.pem
         openssl x509 -in c.pem -outform DER -out c.der
         echo hello > message; openssl dgst -sha256 -binary message > digest",
    );
    for (kind, id, label) in
        [("rsa:2048", "01", "web"), ("EC:secp256r1", "02", "sign/ec"), ("EC:secp384r1", "03", "sign/ec384")]
    {
        let make = [
            "--keypairgen",
            "--key-type",
            kind,
            "--id",
            id,
            "--label",
            label,
            "--sensitive",
            "--extractable",
        ];
        theirs(&hsm, &make).ok();
    }
    let aes =
        ["--keygen", "--key-type", "AES:32", "--id", "04", "--label", "data", "--sensitive", "--extractable"];
    theirs(&hsm, &aes).ok();
    theirs(&hsm, &["--keypairgen", "--key-type", "EC:secp256r1", "--id", "05", "--label", "stays"]).ok();
    theirs(&hsm, &["--write-object", text(&file("c.der")), "--type", "cert", "--id", "01", "--label", "web"])
        .ok();
    theirs(
        &hsm,
        &["--read-object", "--type", "pubkey", "--id", "02", "--output-file", text(&file("ec.pub"))],
    )
    .ok();

    for (name, pin) in [("pin", SoftHsm::PIN), ("into-pin", PIN)] {
        fs::write(file(name), pin).unwrap();
    }
    let mut set_pin = site.command("canis");
    set_pin.args(["slot", "set-pin", "--token", "default", "--pin-file"]).arg(file("into-pin"));
    run(set_pin.arg("--data").arg(site.data()), b"").ok();
    let import = || {
        let mut import = site.command("canis");
        import.args(["import", "softhsm", "--token", "old token", "--pin-file"]).arg(file("pin"));
        import.arg("--tokens").arg(hsm.tokens()).arg("--data").arg(site.data());
        run(import.arg("--into-pin-file").arg(file("into-pin")), b"")
    };
    let report = import();
    let lines: Vec<String> = report.text().lines().map(str::to_owned).collect();
    assert_eq!(report.code, 1, "one key stays: {report:?}");
    let left: Vec<_> = lines.iter().filter(|line| line.starts_with("left")).collect();
    assert_eq!(left.len(), 1, "{lines:?}");
    assert!(
        left[0].contains("private key `stays` (id 05)") && left[0].contains("CKA_EXTRACTABLE"),
        "{}",
        left[0]
    );
    assert_eq!(lines.len(), 4 + 1 + 4 + 1, "{lines:?}");

    // They work here under their ids: our signature is right for the public key that the other token gave.
    let (signature, message) = (file("signature"), file("message"));
    let sign = ["--sign", "--mechanism", "ECDSA-SHA256", "--signature-format", "openssl", "--id", "02"];
    ours(&site, &[&sign[..], &["--input-file", text(&message), "--output-file", text(&signature)]].concat())
        .ok();
    openssl(&site.file(""), "openssl dgst -sha256 -keyform DER -verify ec.pub -signature signature message");
    let objects = ours(&site, &["--list-objects"]).ok().text();
    for label in ["web", "sign/ec", "sign/ec384", "data"] {
        assert!(objects.contains(&format!("label:      {label}\n")), "{objects}");
    }
    let certificate = file("back.der");
    ours(&site, &["--read-object", "--type", "cert", "--id", "01", "--output-file", text(&certificate)]).ok();
    assert_eq!(fs::read(certificate).unwrap(), fs::read(file("c.der")).unwrap());

    // Asked again, nothing stands twice.
    let again = import();
    assert!(again.code == 1 && !again.text().contains("taken"), "{again:?}");
    assert_eq!(ours(&site, &["--list-objects"]).ok().text(), objects);

    // At CANISP they are keys like others, and as closed as they were.
    let server = site.start().unsealed();
    let shown = server.canis(&["key", "show", "sign/ec"], b"").ok().text();
    assert!(shown.contains("ecdsa-p256"), "{shown}");
    let refused = server.canis(&["key", "export", "sign/ec", "--format", "jwk"], b"");
    assert!(refused.stderr.contains("key_sensitive"), "{refused:?}");
    server.stop();
}

/// R52: what is not exportable leaves neither over CANISP nor through PKCS#11; nor does the wrapping key, whose row is
/// watched like any other.
#[test]
fn what_is_not_exportable_leaves_by_no_door() {
    let site = Site::with_keyfile();
    let pin = site.file("pin");
    fs::write(&pin, PIN).unwrap();
    let server = site.start().unsealed();
    for kind in ["aes256-gcm", "ecdsa-p256", "rsa-2048", "ed25519"] {
        server.canis(&["key", "create", kind, "--type", kind], b"").ok();
        for format in ["jwk", "pkcs8", "raw"] {
            let refused = server.canis(&["key", "export", kind, "--format", format], b"");
            assert!(refused.code == 3 && refused.stdout.is_empty(), "{refused:?}");
            assert!(refused.stderr.contains("key_not_exportable"), "{refused:?}");
        }
    }
    let wrapper = ["key", "create", "wrapper", "--type", "aes256-gcm", "--usage", "wrap,unwrap"];
    server.canis(&wrapper, b"").ok();
    // The tenant's wrapping key is made now; the scan of the store must know it.
    server.canis(&["key", "wrapping-key"], b"").ok();
    server.stop();
    let mut set_pin = site.command("canis");
    set_pin.args(["slot", "set-pin", "--token", "default", "--pin-file"]).arg(&pin);
    run(set_pin.arg("--data").arg(site.data()), b"").ok();
    let out = site.file("stolen");
    let read = ["--read-object", "--type", "secrkey", "--label", "aes256-gcm", "--output-file", text(&out)];
    let refused = ours(&site, &read);
    assert!(refused.code != 0 && fs::read(&out).unwrap_or_default().is_empty(), "{refused:?}");
    let mut verify = site.command("canis");
    let whole = run(verify.args(["store", "verify", "--data"]).arg(site.data()), b"").ok();
    assert!(whole.text().starts_with("whole"), "{whole:?}");
    // A wrapping key that other hands changed is named, and wraps nothing.
    let store = rusqlite::Connection::open(site.data().join("canis.dat")).unwrap();
    let changed =
        store.execute("UPDATE meta SET body = zeroblob(length(body)) WHERE name LIKE 'wrapping-key/%'", ());
    assert_eq!(changed.unwrap(), 1);
    drop(store);
    let mut verify = site.command("canis");
    let broken = run(verify.args(["store", "verify", "--data"]).arg(site.data()), b"");
    assert!(broken.code == 1 && broken.text().contains("meta"), "{broken:?}");
    let server = site.start().unsealed();
    let refused = server.canis(&["key", "wrapping-key"], b"");
    assert!(refused.stderr.contains("store_tampered"), "{refused:?}");
    server.stop();
}
