//! Approvals from the request to what is done, by the program, through the PKCS#11 module, and at two servers on one store.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_tests::{Finished, Postgres, Server, Site, module, run};
use serde_json::Value;

const PIN: &str = "pin-of-the-user";

/// CKR_ACTION_PROHIBITED, which pkcs11-tool has no name for.
const PROHIBITED: &str = "(0x1b)";

/// Makes somebody who may approve and no more, on the server's own host; gives the token.
fn friend(site: &Site, server: &Server) -> String {
    let mut host = site.command("canis");
    host.env_remove("CANIS_TOKEN")
        .env_remove("CANIS_CACERT")
        .env("CANIS_ADDR", format!("unix:{}", site.data().display()));
    let made = run(host.args(["token", "create", "--capability", "approve", "--json"]), b"").ok().text();
    let made: Value = serde_json::from_str(&made).unwrap();
    assert!(server.log().contains("unsealed"));
    made["token"].as_str().unwrap().to_owned()
}

/// The request that a refusal names.
fn request_of(refused: &Finished) -> String {
    assert!(refused.stderr.contains("approval_required"), "{}", refused.stderr);
    let (_, rest) = refused.stderr.split_once("request ").unwrap();
    rest.split(' ').next().unwrap().to_owned()
}

fn guarded(server: &Server, name: &str, more: &[&str]) {
    server.canis(&[&["key", "create", name, "--type", "aes256-gcm"], more].concat(), b"").ok();
    server.canis(&["key", "update", name, "--approvals", "1"], b"").ok();
}

fn json(done: Finished) -> Value {
    serde_json::from_slice(&done.ok().stdout).unwrap()
}

/// The refused call is the request: it can be found, looked at, approved by others only, and is then done by the same call, once.
#[test]
fn the_refused_call_is_the_request() {
    let site = Site::with_keyfile();
    let server = site.start().unsealed();
    let friend = friend(&site, &server);
    guarded(&server, "a", &[]);
    server.canis(&["key", "disable", "a"], b"").ok();
    let destroy = ["key", "destroy", "a"];
    let request = request_of(&server.canis(&destroy, b""));
    let waiting = json(server.canis_as(&friend, &["approval", "list", "--waiting", "--json"], b""));
    let ids: Vec<_> = waiting.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(ids, [request.as_str()]);
    let shown = json(server.canis_as(&friend, &["approval", "show", &request, "--json"], b""));
    assert_eq!((&shown["operation"], &shown["on"]), (&"key.destroy".into(), &"kms/keys/a".into()), "{shown}");
    assert_ne!(server.canis(&["approval", "approve", &request], b"").code, 0, "nobody approves his own");
    assert_eq!(request_of(&server.canis(&destroy, b"")), request, "asking again is the same request");
    server.canis_as(&friend, &["approval", "approve", &request], b"").ok();
    server.canis(&destroy, b"").ok();
    assert!(server.canis(&["encrypt", "a"], b"x").stderr.contains("key_destroyed"));
    // What is denied or taken back is not done either, and asking again is another request.
    guarded(&server, "b", &[]);
    server.canis(&["key", "disable", "b"], b"").ok();
    let destroy = ["key", "destroy", "b"];
    let denied = request_of(&server.canis(&destroy, b""));
    server.canis_as(&friend, &["approval", "deny", &denied, "--reason", "it is needed"], b"").ok();
    let again = request_of(&server.canis(&destroy, b""));
    assert_ne!(again, denied);
    server.canis(&["approval", "cancel", &again], b"").ok();
    assert_ne!(server.canis_as(&friend, &["approval", "approve", &again], b"").code, 0);
    server.canis(&["key", "show", "b"], b"").ok();
    server.stop();
}

/// Through the real library: the call is refused by the code of the standard, nothing leaves, and the same call succeeds when it was
/// approved.
#[test]
fn the_module_waits_for_approvals() {
    let site = Site::with_keyfile();
    let server = site.start().unsealed();
    // The module comes by the socket as this host's own user, whose friends are his.
    let made = json(server.canis(&["token", "create", "--capability", "approve", "--json"], b""));
    let friend = made["token"].as_str().unwrap().to_owned();
    let known = *b"the value of a key that is known";
    let import = ["key", "import", "guarded", "--type", "aes256-gcm", "--format", "raw", "--exportable"];
    server.canis(&[&import[..], &["--allow-plaintext-backup"]].concat(), &known).ok();
    server.canis(&["key", "update", "guarded", "--approvals", "1"], b"").ok();
    let pin = site.file("pin");
    std::fs::write(&pin, PIN).unwrap();
    server
        .canis(&["slot", "set-pin", "--token", "default", "--pin-file", &pin.display().to_string()], b"")
        .ok();
    let out = site.file("value");
    let tool = |args: &[&str]| {
        let mut tool = site.foreign("pkcs11-tool");
        tool.args(["--module", &module().display().to_string(), "--login", "--pin", PIN]);
        tool.env("CANIS_DATA", site.data());
        run(tool.args(args), b"")
    };
    let value = out.display().to_string();
    let read = ["--read-object", "--type", "secrkey", "--label", "guarded", "--output-file", &value];
    // All that waits, as often as it takes.
    let approve = || {
        let listed = json(server.canis_as(&friend, &["approval", "list", "--waiting", "--json"], b""));
        let open = listed.as_array().unwrap().iter().filter(|one| one["state"] == "waiting");
        let open: Vec<_> = open.map(|one| one["id"].as_str().unwrap().to_owned()).collect();
        assert!(!open.is_empty(), "nothing waits: {listed}");
        open.iter().for_each(|id| drop(server.canis_as(&friend, &["approval", "approve", id], b"").ok()));
    };
    let refused = tool(&read);
    assert!(refused.stderr.contains(PROHIBITED), "{refused:?}");
    assert!(!std::fs::read(&out).is_ok_and(|value| !value.is_empty()), "the value has left");
    approve();
    // pkcs11-tool asks for the length first, which uses up nothing.
    tool(&read).ok();
    assert_eq!(std::fs::read(&out).unwrap(), known);
    std::fs::remove_file(&out).unwrap();
    tool(&read);
    assert!(!std::fs::read(&out).is_ok_and(|value| !value.is_empty()), "an approval is good for once");
    let delete = ["--delete-object", "--type", "secrkey", "--label", "guarded"];
    let refused = tool(&delete);
    assert!(refused.code != 0 && refused.stderr.contains(PROHIBITED), "{refused:?}");
    server.canis(&["encrypt", "guarded"], b"x").ok();
    approve();
    tool(&delete).ok();
    assert!(server.canis(&["encrypt", "guarded"], b"x").stderr.contains("key_destroyed"));
    server.stop();
}

/// Asked at one server, approved at the other, and done once although both are asked at once.
#[test]
fn two_servers_do_it_once() {
    let postgres = Postgres::start();
    let first = Site::in_database(&postgres);
    let second = first.beside();
    let servers = [first.start().unsealed(), second.start().unsealed()];
    let [a, b] = &servers;
    let friend = friend(&first, a);
    guarded(a, "shared", &["--exportable", "--allow-plaintext-backup"]);
    let export = ["key", "export", "shared", "--format", "raw"];
    for _ in 0..3 {
        let request = request_of(&a.canis(&export, b""));
        let elsewhere = b.canis_as(&friend, &["approval", "approve", &request], b"");
        elsewhere.ok();
        let done: Vec<Finished> = std::thread::scope(|scope| {
            let asked: Vec<_> =
                servers.iter().map(|server| scope.spawn(|| server.canis(&export, b""))).collect();
            asked.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let given: Vec<_> = done.iter().filter(|one| one.code == 0).collect();
        assert_eq!(given.len(), 1, "{done:?}");
        let refused = done.iter().find(|one| one.code != 0).unwrap();
        // Where both were at it at the same moment, who lost is told that and no more.
        assert!(refused.stderr.contains("approval_required"), "{refused:?}");
        let again = request_of(&a.canis(&export, b""));
        assert_ne!(again, request, "what was used up is not asked for again");
        a.canis(&["approval", "cancel", &again], b"").ok();
    }
    servers.into_iter().for_each(|server| drop(server.stop()));
}
