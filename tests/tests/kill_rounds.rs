//! kill -9 at random moments: what was answered is there afterwards.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_tests::{Server, Site};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Creates keys until the server is gone; the names whose creation was answered.
fn create_until_killed(server: &Arc<Server>, who: usize, round: usize, stop: &AtomicBool) -> Vec<String> {
    let mut answered = Vec::new();
    for n in 0.. {
        let name = format!("r{round}/t{who}/k{n}");
        if stop.load(Ordering::Acquire)
            || server.canis(&["key", "create", &name, "--type", "aes256-gcm"], b"").code != 0
        {
            break;
        }
        answered.push(name);
    }
    answered
}

/// Every answered key is there, and what was encrypted decrypts.
fn check(server: &Server, answered: &[String], ciphertexts: &[(String, String)]) {
    for name in answered {
        let shown = server.canis(&["key", "show", name, "--json"], b"");
        assert_eq!(shown.code, 0, "{name} was answered and is gone: {}", shown.stderr);
    }
    for (name, ciphertext) in ciphertexts {
        let plaintext = server.canis(&["decrypt", name], ciphertext.as_bytes()).ok();
        assert_eq!(plaintext.text(), *name);
    }
}

/// What a worker was last told of its own key.
#[derive(Clone)]
struct Told {
    name: String,
    /// The highest version that a rotation answered, and one more if the last rotation was not answered.
    version: (u64, u64),
    /// The state that was answered, and the one that was asked for last.
    state: (&'static str, &'static str),
}

/// Rotates, disables and enables a key of its own until the server is gone.
fn change_until_killed(server: &Arc<Server>, mut told: Told, stop: &AtomicBool) -> Told {
    let steps = ["rotate", "rotate", "disable", "enable"];
    let disabled = told.state.1 == "disabled";
    let cycle = steps.iter().cycle().skip_while(|step| disabled && **step != "enable");
    for step in cycle {
        match *step {
            "rotate" => told.version.1 = told.version.0 + 1,
            "disable" => told.state.1 = "disabled",
            _ => told.state.1 = "active",
        }
        if stop.load(Ordering::Acquire) || server.canis(&["key", step, &told.name], b"").code != 0 {
            break;
        }
        (told.version.0, told.state.0) = (told.version.1, told.state.1);
    }
    told
}

/// What was answered is so; what was asked and not answered is so or not, and nothing else is.
fn check_changes(server: &Server, told: &mut Told) {
    let shown = server.canis(&["key", "show", &told.name, "--json"], b"").ok().text();
    let key: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let (version, state) = (key["current_version"].as_u64().unwrap(), key["state"].as_str().unwrap());
    assert!(
        (told.version.0..=told.version.1).contains(&version),
        "version {version}, told {:?}",
        told.version
    );
    assert!([told.state.0, told.state.1].contains(&state), "{state}, told {:?}", told.state);
    assert_eq!(key["versions"].as_array().unwrap().len() as u64, version.min(1000));
    let state = if state == "active" { "active" } else { "disabled" };
    (told.version, told.state) = ((version, version), (state, state));
}

fn kill(pid: u32) {
    drop(canis_tests::run(std::process::Command::new("kill").args(["-KILL", &pid.to_string()]), b"").ok());
}

/// R65, R23: no acknowledged key, rotation or state is lost, none is half there, and what was encrypted before decrypts.
#[test]
fn acknowledged_keys_survive_kill_9() {
    let rounds: usize = std::env::var("CANIS_KILL_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(5);
    let site = Site::with_keyfile();
    let mut answered: Vec<String> = Vec::new();
    let mut ciphertexts: Vec<(String, String)> = Vec::new();
    let mut told = Told { name: "changing".into(), version: (1, 1), state: ("active", "active") };
    // More of them where a slow machine has let nothing be answered yet.
    for round in 0..10 * rounds {
        if round >= rounds && !answered.is_empty() && told.version.0 > 1 {
            break;
        }
        let server = Arc::new(site.start().unsealed());
        // The youngest ones after each round; all of them at the end.
        check(
            &server,
            &answered[answered.len().saturating_sub(20)..],
            &ciphertexts[ciphertexts.len().saturating_sub(5)..],
        );
        if round == 0 {
            server.canis(&["key", "create", &told.name, "--type", "aes256-gcm"], b"").ok();
        }
        check_changes(&server, &mut told);
        if let Some(name) = answered.last() {
            let ciphertext = server.canis(&["encrypt", name], name.as_bytes()).ok().text();
            ciphertexts.push((name.clone(), ciphertext));
        }
        let stop = Arc::new(AtomicBool::new(false));
        let workers: Vec<_> = (0..2)
            .map(|who| {
                let (server, stop) = (Arc::clone(&server), Arc::clone(&stop));
                std::thread::spawn(move || create_until_killed(&server, who, round, &stop))
            })
            .collect();
        let changing = {
            let (server, stop, told) = (Arc::clone(&server), Arc::clone(&stop), told.clone());
            std::thread::spawn(move || change_until_killed(&server, told, &stop))
        };
        // Different moments of different rounds; the work itself is what makes them random.
        std::thread::sleep(Duration::from_millis(50 + 37 * (round as u64 % 7)));
        kill(server.pid());
        stop.store(true, Ordering::Release);
        for worker in workers {
            answered.extend(worker.join().unwrap());
        }
        told = changing.join().unwrap();
    }
    assert!(!answered.is_empty() && told.version.0 > 1);
    let server = site.start().unsealed();
    check(&server, &answered, &ciphertexts);
    check_changes(&server, &mut told);
}
