//! A role narrows what a PIN opens (R60): the same through the module in its host's own process and at a server.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_tests::{Site, module, run};
use std::fs;

const PIN: &str = "pin-of-the-user";

/// Signs through the module with the key of this CKA_ID (of labels pkcs11-tool takes no notice); whether it could.
fn signs(site: &Site, id: &str) -> bool {
    let (input, output) = (site.file("input"), site.file("output"));
    fs::write(&input, b"message").unwrap();
    let mut tool = site.foreign("pkcs11-tool");
    tool.args(["--module", &module().display().to_string(), "--login", "--pin", PIN, "--id", id]);
    tool.args(["--sign", "--mechanism", "ECDSA-SHA256", "--input-file"]).arg(&input);
    tool.arg("--output-file").arg(&output).env("CANIS_DATA", site.data());
    run(&mut tool, b"").code == 0
}

/// The labels that the module shows.
fn shown(site: &Site) -> String {
    let mut tool = site.foreign("pkcs11-tool");
    tool.args(["--module", &module().display().to_string(), "--login", "--pin", PIN, "--list-objects"]);
    run(tool.env("CANIS_DATA", site.data()), b"").ok().text()
}

/// The CKA_ID of the key of this label.
fn id_of(shown: &str, label: &str) -> String {
    let (_, after) = shown.split_once(&format!("{label}\n")).unwrap_or_else(|| panic!("{label}: {shown}"));
    let (_, id) = after.split_once("ID:").unwrap();
    id.lines().next().unwrap().trim().to_owned()
}

#[test]
fn a_role_narrows_what_a_pin_opens() {
    let site = Site::with_keyfile();
    let server = site.start().unsealed();
    let (policy, role) = (site.file("policy.hcl"), site.file("role.hcl"));
    fs::write(&policy, "path \"kms/keys/open/*\" {\n  capabilities = [\"read\", \"sign\"]\n}\n").unwrap();
    fs::write(&role, "policies = [\"open\"]\n\npin {}\n").unwrap();
    for key in ["open/key", "shut/key"] {
        server.canis(&["key", "create", key, "--type", "ecdsa-p256"], b"").ok();
    }
    let pin_file = site.file("pin");
    fs::write(&pin_file, PIN).unwrap();
    server
        .canis(&["slot", "set-pin", "--token", "default", "--pin-file", pin_file.to_str().unwrap()], b"")
        .ok();
    server.canis(&["policy", "put", "open", policy.to_str().unwrap()], b"").ok();
    let all = shown(&site);
    let (open_id, shut_id) = (id_of(&all, "open/key"), id_of(&all, "shut/key"));
    let can = |open: bool, shut: bool, when: &str| {
        assert_eq!((signs(&site, &open_id), signs(&site, &shut_id)), (open, shut), "{when}");
        let labels = shown(&site);
        assert_eq!(
            (labels.contains("open/key"), labels.contains("shut/key")),
            (open, shut),
            "{when}: {labels}"
        );
    };
    can(true, true, "without a role, at the server");
    let put = server.canis(&["role", "put", "hosts", role.to_str().unwrap()], b"").ok().text();
    assert!(put.contains("revision 1"), "{put}");
    can(true, false, "with one, at the server");
    // Who comes by another door with another credential is not an application with a PIN.
    server.canis(&["sign", "shut/key"], b"message").ok();
    server.stop();
    can(true, false, "with one, in the host's process");
    let server = site.start().unsealed();
    let listed = server.canis(&["role", "list"], b"").ok().text();
    assert!(listed.starts_with("hosts\t1\tpin\topen\t"), "{listed}");
    assert_eq!(server.canis(&["role", "get", "hosts"], b"").ok().text(), fs::read_to_string(&role).unwrap());
    server.canis(&["role", "delete", "hosts", "--revision", "1"], b"").ok();
    can(true, true, "when it is gone, at the server");
    server.stop();
    can(true, true, "when it is gone, in the host's process");
}
