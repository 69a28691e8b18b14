//! The examples of the Rust client run against a real server.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_tests::{Site, binary, run};
use std::process::Command;

/// Each says something and ends well; the longest has fifteen lines.
#[test]
fn every_example_runs() {
    let site = Site::with_keyfile();
    let server = site.start().unsealed();
    let examples =
        std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../canis-client/examples")).unwrap();
    let mut count = 0;
    for example in examples.map(|entry| entry.unwrap().path()) {
        let name = example.file_stem().unwrap().to_str().unwrap();
        let mut program = Command::new(binary(&format!("examples/{name}")));
        program.env("CANIS_ADDR", server.addr()).env("CANIS_CACERT", server.ca());
        program.env("CANIS_TOKEN", &site.token);
        assert!(!run(&mut program, b"").ok().text().is_empty(), "{name} says nothing");
        let text = std::fs::read_to_string(&example).unwrap();
        let body = text.lines().skip_while(|line| !line.contains("fn main")).skip(1);
        assert!(body.count() <= 15, "{name} is long");
        count += 1;
    }
    assert_eq!(count, 9);
    server.stop();
}
