//! Who may use a directory at the same time, and what its configuration says.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_core::datadir::{Config, DataDir, RootFlags, RootSource};
use canis_proto::ErrorCode;

/// One server alone, or any number of programs with the module.
#[test]
fn a_server_is_alone() {
    let dir = tempfile::tempdir().unwrap();
    let dir = DataDir::new(dir.path());
    let server = dir.lock().unwrap();
    assert!(dir.is_locked());
    for refused in [dir.lock(), dir.share()] {
        assert_eq!(refused.map(|_| ()).unwrap_err().code, ErrorCode::StoreLocked);
    }
    drop(server);
    let (one, two) = (dir.share().unwrap(), dir.share().unwrap());
    assert!(!dir.is_locked());
    let refused = dir.lock().map(|_| ()).unwrap_err();
    assert!(
        refused.code == ErrorCode::StoreLocked && refused.message.contains("PKCS#11 module"),
        "{refused}"
    );
    drop((one, two));
    dir.lock().unwrap();
}

/// A PIN goes to the HSM's module that a flag or canis.toml names, and to none that a store might name.
#[test]
fn where_the_credential_is() {
    let dir = tempfile::tempdir().unwrap();
    let dir = DataDir::new(dir.path());
    assert_eq!(dir.read_config().unwrap(), Config::default());
    let configured =
        RootSource::Hsm { module: "/lib/hsm.so".into(), file: "/etc/pin".into(), deadline: None };
    dir.write_config(&Config { root: Some(configured.clone()), ..Config::default() }).unwrap();
    let config = dir.read_config().unwrap();
    let pin = RootFlags { pin_file: Some("/other/pin".into()), ..RootFlags::default() };
    let both = RootFlags { module: Some("/other.so".into()), ..pin.clone() };
    let source = |flags: &RootFlags| config.clone().root_source(flags.clone()).unwrap();
    assert_eq!(source(&RootFlags::default()), Some(configured));
    let expected =
        RootSource::Hsm { module: "/lib/hsm.so".into(), file: "/other/pin".into(), deadline: None };
    assert_eq!(source(&pin), Some(expected));
    let expected = RootSource::Hsm { module: "/other.so".into(), file: "/other/pin".into(), deadline: None };
    assert_eq!(source(&both), Some(expected));
    let refused = Config::default().root_source(pin).unwrap_err();
    assert!(refused.message.contains("--module"), "{refused}");
}

#[test]
fn a_typing_error_in_the_configuration_is_named() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("canis.toml"), "[root]\nkind = \"keyfile\"\nflie = \"/x\"\n").unwrap();
    let refused = DataDir::new(dir.path()).read_config().unwrap_err();
    assert!(refused.message.contains("canis.toml") && refused.message.contains("file"), "{refused}");
}
