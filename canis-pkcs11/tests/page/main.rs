//! docs/pkcs11.md says of functions, mechanisms and attributes what the built library says of itself through its C
//! interface, next to what SoftHSM2 says.
//!
//! `scripts/pkcs11-tables` writes these tables anew; the test compares.
#![allow(unsafe_code)] // Calls the modules as a C program does.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod attributes;
mod differences;
mod functions;
#[allow(dead_code)] // Shared with the other tests of the module; this one starts few programs.
#[path = "../module/home.rs"]
mod home;
mod mechanisms;
mod names;
mod provider;
mod table;

use attributes::{CLASSES, Workshop};
use home::{Home, library, succeed};
use mechanisms::Described;
use pkcs11_sys::CKR_OK;
use provider::{Provider, call};
use std::path::Path;
use std::ptr::null_mut;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/pkcs11.md");
const SOFTHSM: &str = "/usr/lib/softhsm/libsofthsm2.so";

/// R93: the tables of the page are true. Where SoftHSM2 2.6 is not installed its column is not looked at.
#[test]
fn the_page_says_what_the_modules_say() {
    let home = Home::new();
    let tokens = home.path("tokens");
    std::fs::create_dir(&tokens).unwrap();
    let configuration = format!("directories.tokendir = {}\nlog.level = ERROR\n", tokens.display());
    std::fs::write(home.path("softhsm2.conf"), configuration).unwrap();
    // SAFETY: the only test of this process, before the modules start.
    unsafe {
        std::env::set_var("CANIS_DATA", home.path("data"));
        std::env::set_var("SOFTHSM2_CONF", home.path("softhsm2.conf"));
    }
    let ours = Provider::load(&library()).expect("the module under test");
    let theirs = Provider::load(Path::new(SOFTHSM)).filter(|other| other.version() == (2, 6));
    let old = under_legacy(&home, &ours);
    let tables = tables(&home, &ours, &old, theirs.as_ref());
    for provider in [Some(&ours), theirs.as_ref()].into_iter().flatten() {
        assert_eq!(call!(provider, C_Finalize(null_mut())), CKR_OK);
    }

    let page = std::fs::read_to_string(PAGE).unwrap();
    if std::env::var_os("CANIS_WRITE_PAGE").is_some() {
        assert!(theirs.is_some(), "SoftHSM2 2.6 is needed to write its column");
        let written = tables.iter().fold(page, |page, (part, table)| table::replaced(&page, part, table));
        return std::fs::write(PAGE, written).unwrap();
    }
    for (part, wanted) in tables {
        let found = table::part(&page, part);
        let same = match theirs {
            Some(_) => found == wanted.trim_end(),
            None => table::of_canis_only(found) == table::of_canis_only(&wanted),
        };
        assert!(
            same,
            "docs/pkcs11.md is not true any more; run scripts/pkcs11-tables. {part} should be:\n{wanted}"
        );
    }
}

/// What the module says of its mechanisms under the policy `legacy`, which it is told when it starts.
fn under_legacy(home: &Home, ours: &Provider) -> Described {
    std::fs::write(home.path("conf"), "legacy = true\n").unwrap();
    let again = || {
        assert_eq!(call!(ours, C_Finalize(null_mut())), CKR_OK);
        assert_eq!(call!(ours, C_Initialize(null_mut())), CKR_OK);
    };
    // SAFETY: the only test of this process, and the modules start no thread.
    unsafe { std::env::set_var("CANIS_PKCS11_CONF", home.path("conf")) };
    again();
    let described = mechanisms::described(ours, ours.empty_slot());
    // SAFETY: as above.
    unsafe { std::env::remove_var("CANIS_PKCS11_CONF") };
    again();
    described
}

/// Every table, with the name of its part of the page.
fn tables(
    home: &Home,
    ours: &Provider,
    old: &Described,
    theirs: Option<&Provider>,
) -> Vec<(&'static str, String)> {
    let (slot, other) = (ours.token(), theirs.map(|theirs| (theirs, theirs.token())));
    let functions = functions::rows((ours, slot), other);
    let mechanisms = mechanisms::rows((ours, slot), old, other);
    let mut tables = vec![
        ("functions", table::written("function", &functions)),
        ("mechanisms", table::written("mechanism", &mechanisms)),
    ];

    let certificate = certificate(home);
    let shop = Workshop::new(ours, ours.user_session(slot), &certificate);
    let other = other.map(|(theirs, slot)| Workshop::new(theirs, theirs.user_session(slot), &certificate));
    for (class, part) in CLASSES {
        let rows = attributes::rows(*class, &shop, other.as_ref());
        tables.push((part, table::written("attribute", &rows)));
    }
    tables
}

fn certificate(home: &Home) -> Vec<u8> {
    let mut openssl = home.command("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
    succeed(openssl.args(["-subj", "/CN=page", "-keyout", "key", "-outform", "DER", "-out", "cert"]));
    std::fs::read(home.path("cert")).unwrap()
}
