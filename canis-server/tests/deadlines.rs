//! Requests that say by when they must have begun, at a server that is busy (R81).
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod harness;
mod raw;

use canis_proto::frame::FrameType;
use canis_proto::message::{CreateKey, ShowKey, Status, Terms, decode_error, encode_request_on};
use canis_proto::{Error, ErrorCode, KeyType};
use harness::{Deployment, Shared};
use raw::Raw;
use std::collections::HashMap;

fn within(deadline: u32) -> Terms<'static> {
    Terms { deadline: Some(deadline), ..Terms::default() }
}

fn show(name: &str) -> ShowKey<'_> {
    ShowKey { name: name.into(), before_version: 0 }
}

/// The answers that come until there are so many, by id: an error, or none.
fn answers(raw: &mut Raw, many: usize) -> HashMap<u32, Option<Error>> {
    let mut answers = HashMap::new();
    while answers.len() < many {
        let (header, payload) = raw.read().unwrap();
        let error = (header.kind == FrameType::Error).then(|| decode_error(&payload));
        assert!(answers.insert(header.request, error).is_none(), "{} was answered twice", header.request);
    }
    answers
}

/// While every thread for long work makes RSA keys, what cannot wait is answered in time and has not happened; what can
/// wait is done.
#[test]
fn what_has_not_begun_in_time_is_not_begun() {
    let deployment = Deployment::with_keyfile();
    let server = deployment.start();
    let shared = Shared { deployment, server };
    let mut busy = Raw::greeted(&shared);
    let mut hurried = Raw::greeted(&shared);
    // As many as a lane has threads on any machine, and then some, so that there is a queue.
    const SLOW: u32 = 60;
    for id in 1..=SLOW {
        busy.request(id, &CreateKey::new(format!("slow-{id}"), KeyType::Rsa4096));
    }
    // A PONG shows that all before it have been read.
    busy.frame(FrameType::Ping, 100, b"");
    while busy.read().unwrap().0.kind != FrameType::Pong {}
    let late = CreateKey::new("late", KeyType::Ed25519);
    hurried.frame(FrameType::Request, 1, &encode_request_on(&late, within(50)));
    hurried.frame(FrameType::Request, 2, &encode_request_on(&show("late"), within(0)));
    // The status needs no thread, so it has begun at once.
    hurried.frame(FrameType::Request, 3, &encode_request_on(&Status, within(10_000)));
    let early = answers(&mut hurried, 3);
    for id in [1, 2] {
        let error = early[&id].as_ref().unwrap();
        assert_eq!(error.code, ErrorCode::DeadlineExceeded, "{error}");
    }
    assert_eq!(early[&3], None);
    // The rest is taken back, so that the test need not wait for it; what had begun is finished.
    (1..=SLOW).for_each(|id| busy.frame(FrameType::Cancel, id, b""));
    hurried.frame(FrameType::Request, 4, &encode_request_on(&late, within(300_000)));
    assert_eq!(answers(&mut hurried, 1)[&4], None, "the late key was not there before");
}
