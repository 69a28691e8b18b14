//! Those who are nobody here: they are refused, they do not fill the audit log, and no way in leaves out its line or its
//! lock-out (R81, R87).
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod harness;
mod web;

use canis_client::{Client, Config};
use canis_proto::batch::item;
use canis_proto::message::{Batch, ListKeys};
use canis_proto::{Error, ErrorCode};
use canis_server::limits;
use serde_json::Value as Json;
use std::fs;
use std::time::{Duration, Instant};
use web::Site;

const PATIENCE: Duration = Duration::from_secs(30);

/// The lines of the log about this operation, whatever came of it.
fn lines(site: &Site, operation: &str) -> Vec<Json> {
    let Ok(files) = fs::read_dir(site.deployment.data().join("audit")) else { return Vec::new() };
    let text: String =
        files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap_or_default()).collect();
    let all = text.lines().filter_map(|line| serde_json::from_str::<Json>(line).ok());
    all.filter(|line| line["op"] == operation).collect()
}

fn stranger(site: &Site) -> Client {
    let config = site.deployment.config(&site.server);
    Client::connect(&Config { token: None, ..config }).unwrap()
}

fn all_keys() -> ListKeys<'static> {
    ListKeys { prefix: "".into(), after: "".into(), limit: 0, include_deleted: false }
}

/// A batch of a stranger is refused once, and each of many requests no oftener than a few times a second: what is refused
/// beyond that leaves no line.
#[test]
fn they_do_not_fill_the_log() {
    let site = Site::new();
    let mut nobody = stranger(&site);
    let asked = all_keys();
    let operations = vec![item(&asked); 10];
    let refused = nobody.call(&Batch { operations, atomic: false, preview: false }).map(drop).unwrap_err();
    assert_eq!(refused.code, ErrorCode::Unauthenticated);
    assert_eq!((lines(&site, "batch").len(), lines(&site, "key.list").len()), (1, 0));

    let began = Instant::now();
    let ask = |client: &mut Client| client.call(&all_keys()).map(drop).unwrap_err();
    let refusals: Vec<Error> = std::thread::scope(|scope| {
        let four: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    // A stranger's connection ends after a while (`limits::STRANGER`), however lively it is.
                    let fifty = |mut client| (0..50).map(move |_| ask(&mut client));
                    (0..8).flat_map(|_| fifty(stranger(&site))).collect::<Vec<_>>()
                })
            })
            .collect();
        four.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let told = |code| refusals.iter().filter(|error| error.code == code).count();
    let (unknown, late) = (told(ErrorCode::Unauthenticated), told(ErrorCode::RateLimited));
    assert_eq!(unknown + late, 1600);
    // What a second allows may be taken at once, and again for each second that it took.
    let most = limits::STRANGERS as usize * (usize::try_from(began.elapsed().as_secs()).unwrap() + 3);
    assert!(unknown <= most && unknown > 0, "{unknown} of at most {most}");
    assert_eq!(lines(&site, "key.list").len(), unknown);
    // Those who are known go on.
    assert_eq!(site.ask("GET", "/v1/kms/keys", "").status, 200);
}

/// What is asked of one's own credential finds out who it is as everything else does: a wrong one counts, and who is let in
/// has a line.
#[test]
fn every_path_lets_in_alike() {
    for path in ["/v1/sys/own-credential", "/v1/kms/keys"] {
        let site = Site::new();
        let wrong = ["--header", "Authorization: Bearer canis_wrong"];
        for _ in 0..limits::WRONG_FREE {
            assert_eq!(site.curl("GET", path, &wrong).problem(), (401, "unauthenticated".into()), "{path}");
        }
        // Where a slow machine has let the lock-out pass already, one more is wrong, which costs twice as long.
        assert!((0..5).any(|_| site.curl("GET", path, &wrong).status == 429), "{path}");
        let denied = lines(&site, "authenticate");
        assert!(denied.iter().filter(|line| line["result"] != "ok").count() >= 10, "{path}: {denied:?}");
    }
    for path in ["/v1/sys/own-credential", "/v1/sys/status", "/v1/kms/keys"] {
        let site = Site::new();
        assert_eq!(site.ask("GET", path, "").status, 200, "{path}");
        // Status is answered whatever the log does, and before its lines are there.
        let begun = Instant::now();
        let mut let_in = lines(&site, "authenticate");
        while let_in.is_empty() && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(20));
            let_in = lines(&site, "authenticate");
        }
        assert_eq!(let_in.len(), 1, "{path}: {let_in:?}");
        assert_eq!((&let_in[0]["result"], &let_in[0]["door"]), (&Json::from("ok"), &Json::from("http")));
    }
}
