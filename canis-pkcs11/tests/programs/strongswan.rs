//! strongSwan's `pki` with its pkcs11 plugin. It asks for the PIN on a terminal, so it gets one.

use crate::home::{Home, PIN, library, succeed};
use crate::service::bounded;

/// Runs a program on a terminal of its own and answers its question for a PIN; what it says comes out.
const TYPED: &str = r#"
import os, pty, sys
child, terminal = pty.fork()
if child == 0:
    os.execvp(sys.argv[2], sys.argv[2:])
said, asked = b"", False
while True:
    try:
        part = os.read(terminal, 4096)
    except OSError:  # The program has closed its terminal.
        break
    if not part:
        break
    said += part
    if b"PIN" in said and not asked:
        asked = True
        os.write(terminal, sys.argv[1].encode() + b"\n")
sys.stdout.buffer.write(said)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"#;

/// R93: certificates signed by an RSA and an EC key of the module; OpenSSL verifies them.
#[test]
fn pki_signs_certificates() {
    let home = Home::with_token("strongswan");
    let configuration = format!(
        "pki {{\n load = pkcs11 random nonce x509 pubkey pkcs1 pkcs8 pem openssl\n}}\n\
         libstrongswan {{\n plugins {{\n pkcs11 {{\n modules {{\n canis {{\n path = {}\n}}\n}}\n}}\n}}\n}}\n",
        library().display()
    );
    std::fs::write(home.path("strongswan.conf"), configuration).unwrap();
    for (kind, id) in [("rsa:2048", "01"), ("EC:prime256v1", "02")] {
        home.tool_as_user(&["--keypairgen", "--key-type", kind, "--label", kind, "--id", id]);
        let mut pki = bounded(&home, "python3");
        pki.env("STRONGSWAN_CONF", home.path("strongswan.conf")).args(["-c", TYPED, PIN]);
        pki.args([
            "pki",
            "--self",
            "--ca",
            "--keyid",
            id,
            "--type",
            "priv",
            "--dn",
            "CN=strongswan",
            "--outform",
            "pem",
        ]);
        let said = succeed(&mut pki);
        let certificate = said.find("-----BEGIN").map(|at| &said[at..]).unwrap_or_else(|| panic!("{said}"));
        std::fs::write(home.path("cert.pem"), certificate.replace('\r', "")).unwrap();
        let verified = succeed(home.command("openssl").args(["verify", "-CAfile", "cert.pem", "cert.pem"]));
        assert!(verified.contains("cert.pem: OK"), "{verified}");
        // The self-signature is by the key in the module, as its public half says.
        let public = succeed(home.command("openssl").args(["x509", "-in", "cert.pem", "-noout", "-pubkey"]));
        let mut tool = home.command("p11tool");
        tool.env("GNUTLS_PIN", PIN).arg("--provider").arg(library()).args(["--batch", "--export-pubkey"]);
        let exported = succeed(tool.arg(format!("pkcs11:token=strongswan;id=%{id};type=public")));
        let body = |text: &str| text.lines().filter(|line| !line.contains("--")).collect::<String>();
        assert!(exported.replace('\n', "").contains(&body(&public)), "{exported}\n{public}");
    }
}
