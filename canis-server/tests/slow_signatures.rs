//! Signatures that take a second each: they stand before nobody who asks for something short.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod harness;
mod raw;

use canis_proto::KeyType;
use canis_proto::answer::Signed;
use canis_proto::frame::FrameType;
use canis_proto::message::{CreateKey, Sign, Verify, decode_answer};
use harness::shared;
use raw::Raw;
use std::thread::available_parallelism;

/// R95: what is short is answered while many slow signatures wait, by the same caller and by any, though it needs a thread
/// of the pool, too. Were they in one line, it would come when all but those at work are done.
#[test]
fn slow_signatures_stand_before_nothing_short() {
    let shared = shared();
    let mut client = shared.client();
    client.call(&CreateKey::new("slow/hashes", KeyType::SlhDsaSha2128s)).unwrap();
    client.call(&CreateKey::new("slow/rsa", KeyType::Rsa2048)).unwrap();
    // Three times as many as have room at once.
    let lane = (2 * available_parallelism().unwrap().get()).clamp(4, 32) as u32;
    let (many, short) = (3 * lane, 3 * lane + 1);
    let mut raw = Raw::greeted(&shared);
    for id in 1..=many {
        raw.request(id, &Sign::new("slow/hashes", &b"message"[..]));
    }
    let mut order: Vec<u32> = Vec::new();
    let mut signature = String::new();
    while order.len() < short as usize {
        let (header, payload) = raw.read().unwrap();
        assert_eq!(header.kind, FrameType::Response, "{payload:?}");
        // Now the others are at work, or stand in line.
        if order.is_empty() {
            raw.request(short, &Sign::new("slow/rsa", &b"message"[..]));
            signature = decode_answer::<Signed>(&payload).unwrap().signature;
        }
        order.push(header.request);
    }
    let before = order.iter().position(|id| *id == short).unwrap() as u32;
    assert!(before <= lane, "{before} of {many} slow signatures were answered before: {order:?}");
    assert!(client.call(&Verify::new("slow/hashes", &b"message"[..], &*signature)).unwrap().valid);
}
