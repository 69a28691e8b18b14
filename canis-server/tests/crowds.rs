//! Many connections at a time: each costs little, and one more is served as if there were none (R81).
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod harness;
mod raw;

use canis_proto::message::Status;
use harness::{Deployment, Shared};
use raw::Raw;

/// Idle connections, authenticated; memory of 30 KiB each, so that 10,000 need less than 300 MB. CANIS_CROWD asks for
/// another number.
#[test]
fn idle_connections_cost_little() {
    let crowd = std::env::var("CANIS_CROWD").map_or(1000, |crowd| crowd.parse().unwrap());
    let deployment = Deployment::with_keyfile();
    let server = deployment.start();
    let shared = Shared { deployment, server };
    let before = shared.server.resident();
    let mut idle: Vec<_> = (0..crowd).map(|_| Raw::greeted(&shared)).collect();
    let grown = shared.server.resident() - before;
    println!("{crowd} idle connections: {grown} KiB, {} KiB in all", shared.server.resident());
    assert!(grown < crowd * 30, "{grown} KiB for {crowd} connections");
    assert!(!shared.client().call(&Status).unwrap().sealed);
    idle.iter_mut().step_by(97).for_each(|raw| {
        raw.request(1, &Status);
        raw.read().unwrap();
    });
}
