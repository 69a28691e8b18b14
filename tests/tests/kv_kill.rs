//! kill -9 while entries are written: what was answered is there, whole, and a counter in an entry never goes back.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_tests::{Server, Site, run};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

/// Writes a growing number into one entry until the server is gone; the last that was answered, and one more if the
/// last was not. Tells of each that was answered.
fn count_until_killed(
    server: &Server,
    id: &str,
    mut last: u64,
    stop: &AtomicBool,
    answered: &Sender<String>,
) -> (u64, u64) {
    loop {
        let name = (last + 1).to_string();
        let half = "/dev/stdin";
        let args = ["kv", "put", id, "--name", &name, "--private-key-file", half];
        let done = server.canis(&args, name.as_bytes()).code == 0;
        if done {
            answered.send(id.to_owned()).unwrap();
        }
        match (done, stop.load(Ordering::Acquire)) {
            (false, _) => return (last, last + 1),
            (true, true) => return (last + 1, last + 1),
            (true, false) => last += 1,
        }
    }
}

/// R65, R75: after each kill the entry holds what was answered last, or what was asked for after that.
#[test]
fn answered_entries_survive_kill_9() {
    let site = Site::with_keyfile();
    let mut told = [0; 3];
    for round in 0..4 {
        let server = Arc::new(site.start().unsealed());
        let stop = Arc::new(AtomicBool::new(false));
        let (answered, answers) = channel();
        let workers: Vec<_> = told
            .into_iter()
            .enumerate()
            .map(|(who, last)| {
                let (server, stop, answered) = (Arc::clone(&server), Arc::clone(&stop), answered.clone());
                std::thread::spawn(move || {
                    count_until_killed(&server, &format!("kill/{who}"), last, &stop, &answered)
                })
            })
            .collect();
        let mut silent: BTreeSet<_> = (0..told.len()).map(|who| format!("kill/{who}")).collect();
        let end = Instant::now() + Duration::from_secs(60);
        while !silent.is_empty() {
            assert!(Instant::now() < end, "nothing was written into {silent:?}");
            silent.remove(&answers.recv_timeout(Duration::from_secs(60)).unwrap());
        }
        std::thread::sleep(Duration::from_millis(400 + 37 * round));
        let killed = std::process::Command::new("kill").args(["-9", &server.pid().to_string()]).status();
        assert!(killed.unwrap().success());
        stop.store(true, Ordering::Release);
        let bounds: Vec<_> = workers.into_iter().map(|worker| worker.join().unwrap()).collect();
        drop(server);
        let server = site.start().unsealed();
        for (who, (least, most)) in bounds.into_iter().enumerate() {
            told[who] = held(&server, &format!("kill/{who}"));
            assert!((least..=most).contains(&told[who]), "{least}..={most} and not {}", told[who]);
        }
        server.stop();
        let verified = run(site.command("canis").args(["store", "verify", "--data"]).arg(site.data()), b"");
        assert_eq!(verified.code, 0, "{}", verified.stderr);
    }
    assert!(told.iter().all(|last| *last > 0), "nothing was written at all");
}

/// The number in an entry; name and private half belong to one write.
fn held(server: &Server, id: &str) -> u64 {
    let shown = server.canis(&["kv", "get", id, "--private", "--json"], b"");
    if shown.code != 0 {
        return 0;
    }
    let entry: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(entry["name"], entry["private_key"], "two writes are mixed");
    entry["name"].as_str().unwrap().parse().unwrap()
}
