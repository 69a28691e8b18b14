//! Knot DNS: the keys of a zone are made in the module and sign it there.

use crate::home::{Home, PIN, library, succeed};
use crate::service::bounded;

const ZONE: &str = "$ORIGIN example.org.\n$TTL 3600\n@ SOA ns hostmaster 1 3600 600 86400 300\n@ NS ns\n\
                    ns A 127.0.0.1\nwww A 127.0.0.2\n";

/// R93: keymgr makes both keys, kzonesign signs the zone, and it is verified without the module; a record that was
/// changed is noticed.
#[test]
fn a_zone_is_signed() {
    for algorithm in ["ECDSAP256SHA256", "RSASHA256"] {
        let home = Home::with_token("knot");
        let directory = home.path("").display().to_string();
        let configuration = format!(
            "keystore:\n  - id: canis\n    backend: pkcs11\n    config: \"pkcs11:token=knot;pin-value={PIN} {}\"\n\
             policy:\n  - id: signed\n    keystore: canis\n    algorithm: {algorithm}\n\
             database:\n    storage: {directory}\n\
             zone:\n  - domain: example.org\n    dnssec-signing: on\n    dnssec-policy: signed\n    file: {directory}zone\n",
            library().display()
        );
        std::fs::write(home.path("knot.conf"), configuration).unwrap();
        std::fs::write(home.path("zone"), ZONE).unwrap();
        std::fs::create_dir(home.path("signed")).unwrap();
        for (key, other) in [("ksk=yes", "zsk=no"), ("ksk=no", "zsk=yes")] {
            let generate = ["-c", "knot.conf", "example.org", "generate", key, other];
            let mut keymgr = bounded(&home, "/usr/sbin/keymgr");
            succeed(keymgr.args(generate).arg(format!("algorithm={algorithm}")));
        }
        assert_eq!(home.tool_as_user(&["-O"]).matches("Private Key Object").count(), 2);
        succeed(bounded(&home, "kzonesign").args(["-c", "knot.conf", "-o", "signed", "example.org"]));

        let signed = home.path("signed/zone");
        let check = |zone: &std::path::Path| {
            let mut check = home.command("kzonecheck");
            check.args(["-d", "on", "-o", "example.org"]).arg(zone).output().unwrap().status.success()
        };
        let text = std::fs::read_to_string(&signed).unwrap();
        assert!(text.contains("RRSIG") && check(&signed), "{algorithm}: {text}");
        let forged = text.replace("127.0.0.2", "127.0.0.3");
        assert_ne!(forged, text);
        std::fs::write(&signed, forged).unwrap();
        assert!(!check(&signed));
    }
}
