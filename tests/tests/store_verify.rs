//! `canis store verify` on a store that somebody edited.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_tests::{Site, run};

/// R64, R67: an edited column is found and named; an untouched store is whole.
#[test]
fn an_edited_row_is_named() {
    let site = Site::with_keyfile();
    let server = site.start().unsealed();
    server.canis(&["key", "create", "k", "--type", "aes256-gcm"], b"").ok();
    let verify =
        || run(site.command("canis").args(["store", "verify", "--json", "--data"]).arg(site.data()), b"");
    server.stop();
    let whole = verify().ok().text();
    assert!(whole.contains("\"whole\": true") || whole.contains("\"whole\":true"), "{whole}");
    let store = rusqlite::Connection::open(site.data().join("canis.dat")).unwrap();
    store.execute("UPDATE kms_keys SET exportable = 1", []).unwrap();
    drop(store);
    let spoilt = verify();
    assert_eq!(spoilt.code, 1, "{spoilt:?}");
    assert!(spoilt.text().contains("exportable") && spoilt.text().contains("store_tampered"), "{spoilt:?}");
    // Taking it as it stands does not make the row good, which stays refused by itself.
    let accepted = run(
        site.command("canis").args(["store", "verify", "--accept-rollback", "--data"]).arg(site.data()),
        b"",
    );
    assert!(accepted.code == 1 && accepted.text().contains("2 refused"), "{accepted:?}");
    let again = verify();
    assert!(again.code == 1 && !again.text().contains("older copy"), "{again:?}");
    // The server serves the others and refuses that one by name.
    let server = site.start().unsealed();
    let refused = server.canis(&["encrypt", "k"], b"x");
    assert!(refused.code == 3 && refused.stderr.contains("exportable"), "{refused:?}");
    server.canis(&["key", "create", "other", "--type", "ed25519"], b"").ok();
    server.stop();
}
