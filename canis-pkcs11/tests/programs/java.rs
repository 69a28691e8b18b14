//! Java's SunPKCS11: keytool makes keys and certificates in the module, jarsigner signs with them.

use crate::home::{Home, PIN, library, succeed};
use crate::service::bounded;
use std::process::Command;

/// A token, and the file by which Java finds it.
fn home() -> Home {
    let home = Home::with_token("java");
    let (module, slot) = (library(), home.slot(0));
    let configuration = format!("name = canis\nlibrary = {}\nslot = {slot}\n", module.display());
    std::fs::write(home.path("pkcs11.cfg"), configuration).unwrap();
    home
}

/// A program of the JDK whose key store is the token.
fn java(home: &Home, program: &str, arguments: &[&str]) -> Command {
    let mut command = bounded(home, program);
    command.args([
        "-J-XX:TieredStopAtLevel=1",
        "-keystore",
        "NONE",
        "-storetype",
        "PKCS11",
        "-storepass",
        PIN,
    ]);
    command.args(["-providerClass", "sun.security.pkcs11.SunPKCS11", "-providerArg", "pkcs11.cfg"]);
    command.args(arguments);
    command
}

/// R93: pairs with their certificates are made and listed; archives signed with them are verified without the module,
/// and one that was changed is not.
#[test]
fn keytool_makes_keys_and_jarsigner_signs() {
    let home = home();
    std::fs::write(home.path("contents"), "contents\n").unwrap();
    succeed(home.command("jar").args(["cf", "plain.jar", "contents"]));
    for (alias, kind) in [
        ("ec", ["-keyalg", "EC", "-groupname", "secp256r1"]),
        ("rsa", ["-keyalg", "RSA", "-keysize", "2048"]),
    ] {
        let make = ["-genkeypair", "-alias", alias, "-dname", &format!("CN={alias}"), "-validity", "5"];
        succeed(java(&home, "keytool", &make).args(kind));
        let signed = format!("{alias}.jar");
        succeed(&mut java(&home, "jarsigner", &["-signedjar", &signed, "plain.jar", alias]));
        let verified = succeed(bounded(&home, "jarsigner").args(["-verify", &signed]));
        assert!(verified.contains("jar verified"), "{verified}");
    }
    let listed = succeed(&mut java(&home, "keytool", &["-list"]));
    assert!(listed.contains("ec, PrivateKeyEntry") && listed.contains("rsa, PrivateKeyEntry"), "{listed}");

    std::fs::write(home.path("contents"), "other contents\n").unwrap();
    succeed(home.command("jar").args(["uf", "rsa.jar", "contents"]));
    let verified =
        crate::home::said(&bounded(&home, "jarsigner").args(["-verify", "rsa.jar"]).output().unwrap());
    assert!(!verified.contains("jar verified"), "{verified}");
}
