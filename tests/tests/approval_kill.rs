//! kill -9 while something is done that others have approved: it is done and its approvals are used up, or neither.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_tests::{KillAt, Site};
use rusqlite::Connection;
use serde_json::Value;

/// Whether the tenant is there, and how often the request was written: when it was asked, when it was approved, when it was
/// done.
fn state(site: &Site, request: &str) -> (bool, i64) {
    let store = Connection::open(site.data().join("canis.dat")).unwrap();
    let there =
        store.query_row("SELECT count(*) FROM tenants WHERE name = 'doomed'", [], |row| row.get(0)).unwrap();
    let written = "SELECT revision FROM policies WHERE kind = 4 AND name = ?1";
    (there, store.query_row(written, [request], |row| row.get(0)).unwrap())
}

/// Has somebody approve that the tenant goes, at a server; the tenant is made anew if it is gone. Gives the request.
fn approved(site: &Site) -> String {
    drop(site.canis("tenant create doomed"));
    let refused = site.canis("tenant delete doomed --yes --json");
    assert!(refused.stderr.contains("approval_required"), "{}", refused.stderr);
    let (_, rest) = refused.stderr.split_once("request ").unwrap();
    let request = rest.split(' ').next().unwrap().to_owned();
    let server = site.start().unsealed();
    let shown = server.canis(&["approval", "approve", &request, "--json"], b"").ok();
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown["state"], "approved");
    server.stop();
    request
}

/// Killed before each single write, sync or truncation, on a stopped store, which asks for approvals as a server does.
#[test]
fn what_is_approved_happens_once() {
    let site = Site::with_keyfile();
    let policy = site.file("policy.hcl");
    std::fs::write(&policy, "path \"sys/tenants/*\" {\n  capabilities = [\"admin\"]\n  approvals = 1\n}\n")
        .unwrap();
    let server = site.start().unsealed();
    server.canis(&["policy", "put", "guard", &policy.display().to_string()], b"").ok();
    server.stop();
    let killer = KillAt::built(&site);
    let (mut stayed, mut went, mut call) = (0, 0, 1);
    loop {
        let request = approved(&site);
        assert_eq!(state(&site, &request), (true, 2));
        let code = loop {
            let ended = killer.canis(&site, "tenant delete doomed --yes", call);
            call += 1;
            match state(&site, &request) {
                (true, 2) => stayed += 1,
                (false, 3) => break ended.code,
                half => panic!("{half:?} after a kill at {call}: {}", ended.stderr),
            }
            assert_eq!(ended.code, -1, "{}", ended.stderr);
        };
        assert_eq!(site.canis("store verify").code, 0);
        if code == 0 {
            break;
        }
        went += 1;
    }
    assert!(stayed > 3 && went > 0, "{stayed} kills before the commit, {went} after it");
    let asked = site.canis("tenant delete doomed --yes");
    assert!(asked.stderr.contains("tenant_not_found"), "{}", asked.stderr);
}
