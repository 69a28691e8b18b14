//! One damaged row in the store.

use crate::home::{Home, PIN, library, said};
use std::process::Command;

/// R64: an object whose row was changed by other hands is refused, and named in the log; the others are found and used.
#[test]
fn one_damaged_object_hides_no_others() {
    let home = Home::with_token("damage");
    for id in ["01", "02"] {
        home.tool_as_user(&["--keypairgen", "--key-type", "EC:prime256v1", "--label", id, "--id", id]);
    }
    let sql =
        "UPDATE objects SET body = CAST(x'00' || substr(body, 2) AS BLOB) WHERE cka_id = x'01' AND class = 3";
    let store = rusqlite::Connection::open(home.path("data/canis.dat")).unwrap();
    assert_eq!(store.execute(sql, ()).unwrap(), 1);
    drop(store);
    let listed = home.tool_as_user(&["-O", "--type", "privkey"]);
    assert!(listed.contains("label:      02") && !listed.contains("label:      01"), "{listed}");
    assert!(home.log().contains("leaves an object out"), "{}", home.log());
    std::fs::write(home.path("message"), b"a message").unwrap();
    let sign = |id: &str| -> Command {
        let mut tool = home.command("pkcs11-tool");
        tool.arg("--module").arg(library()).args(["--login", "--pin", PIN, "--sign", "-m", "ECDSA-SHA256"]);
        tool.args(["--id", id, "-i", "message", "-o", "signature"]);
        tool
    };
    assert!(sign("02").output().unwrap().status.success());
    let refused = sign("01").output().unwrap();
    assert!(!refused.status.success(), "{}", said(&refused));
}
