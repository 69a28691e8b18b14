//! What a server leaves behind when it is asked to stop.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_tests::{Server, Site};
use std::fs;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::{sleep, spawn};
use std::time::Duration;

/// Creates keys until the server refuses, and tells the names whose creation was answered.
fn create_until_refused(server: &Arc<Server>, round: usize, answered: &Sender<String>) {
    let names = (0..).map(|n| format!("r{round}/k{n}"));
    names
        .take_while(|name| server.canis(&["key", "create", name, "--type", "aes256-gcm"], b"").code == 0)
        .for_each(|name| answered.send(name).unwrap());
}

/// A stopped server's `canis.dat` is whole by itself, whatever went on when it stopped: copied alone it has everything that
/// was answered.
#[test]
fn one_file_is_the_whole_store() {
    let site = Site::with_keyfile();
    let data = site.data();
    for round in 0..5 {
        let server = Arc::new(site.start().unsealed());
        let own = Arc::clone(&server);
        let (tell, told) = channel();
        let creating = spawn(move || create_until_refused(&own, round, &tell));
        let mut answered = vec![told.recv().expect("no key was made")];
        sleep(Duration::from_millis(300));
        server.terminate();
        creating.join().unwrap();
        answered.extend(told);
        Arc::into_inner(server).unwrap().ended();
        assert!(!data.join("canis.dat-wal").exists(), "the log was left behind");
        let _ = fs::remove_file(data.join("canis.gen"));
        let moved = site.file("canis.dat");
        fs::copy(data.join("canis.dat"), &moved).unwrap();
        fs::rename(&moved, data.join("canis.dat")).unwrap();
        let server = site.start().unsealed();
        for name in answered {
            server.canis(&["key", "show", &name], b"").ok();
        }
        server.stop();
    }
}
