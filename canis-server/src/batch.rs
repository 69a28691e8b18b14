//! `batch`: many operations in one request, each allowed, run and answered as if it had come alone.

use crate::dispatch::{handler, parse};
use crate::limits;
use crate::session::Session;
use canis_core::Core;
use canis_proto::batch::{self, MAX_BATCH};
use canis_proto::frame::MAX_PAYLOAD;
use canis_proto::message::Batch;
use canis_proto::value::{Map, Value};
use canis_proto::{Error, ErrorCode, OperationId, Result};
use std::time::Instant;
use zeroize::Zeroizing;

/// Room that must be left in the answer for an operation to begin: all but those that give much data back fit into it.
const ROOM: usize = 64 << 10;

/// Runs a batch.
pub(crate) fn run(core: &Core, session: &Session, args: Map<'_>) -> Result<Zeroizing<Vec<u8>>> {
    let Batch { operations, atomic, preview } = parse(args)?;
    if preview && !atomic {
        return Err(Error::invalid(
            "only an atomic batch has a preview: of others each part is done by itself",
        ));
    }
    if operations.is_empty() || operations.len() > MAX_BATCH {
        return Err(Error::new(
            ErrorCode::TooLarge,
            format!("a batch holds 1 to {MAX_BATCH} operations, not {}", operations.len()),
        ));
    }
    // Once for all: a stranger's batch is one refusal.
    let whom =
        session.authenticate(core).map_err(|error| session.refused(core, OperationId::Batch, error))?;
    session.count_more(operations.len() - 1);
    let answers: Result<Vec<_>> = match atomic {
        true => together(core, session, &operations, preview).map(|all| all.into_iter().map(Ok).collect()),
        false => Ok(one_by_one(core, session, operations)),
    };
    // Each operation has its own line; this one says that they came together.
    let came = answers.as_ref().map(drop).map_err(Clone::clone);
    core.note_operation(&whom, OperationId::Batch, &came)?;
    encode(&answers?)
}

type Answer = Zeroizing<Vec<u8>>;

/// Every operation by itself: what happens to one is nothing to the others.
fn one_by_one(core: &Core, session: &Session, operations: Vec<Map<'_>>) -> Vec<Result<Answer>> {
    let (began, mut room) = (Instant::now(), MAX_PAYLOAD as usize - operations.len() * EACH);
    let mut answers = Vec::with_capacity(operations.len());
    for item in operations {
        let answer = match room {
            _ if began.elapsed() > limits::BATCH => Err(not_begun("the batch took too long")),
            0..ROOM => Err(not_begun("the answers before it fill the frame")),
            _ => one(core, session, item).and_then(|answer| fits(answer, room)),
        };
        // Errors are as long as their share at most: what they quote is cut.
        let len = answer.as_ref().map_or(0, |answer| answer.len() + AROUND);
        room = room.saturating_sub(len.saturating_sub(EACH));
        answers.push(answer);
    }
    answers
}

/// Room that each operation has for itself, so that there is always some for its error.
const EACH: usize = 1024;

/// What stands around an answer in the batch's; generous.
const AROUND: usize = 64;

fn fits(answer: Answer, room: usize) -> Result<Answer> {
    if answer.len() + AROUND <= room + EACH {
        return Ok(answer);
    }
    Err(Error::new(
        ErrorCode::TooLarge,
        "this was done, but its answer does not fit into the frame with those before it; ask for less at a time",
    ))
}

fn not_begun(why: &str) -> Error {
    Error::new(ErrorCode::TooLarge, format!("{why}; this was not begun, ask for it again"))
}

fn one(core: &Core, session: &Session, item: Map<'_>) -> Result<Answer> {
    let (id, args) = batch::split(item)?;
    run_one(core, session, id, args)
}

fn run_one(core: &Core, session: &Session, id: OperationId, args: Map<'_>) -> Result<Answer> {
    let handler = handler(id).ok_or_else(|| Error::internal("a wire operation without its handler"))?;
    handler(core, session, args)
}

/// All or none. Only changes can be taken back by not making them.
fn together(core: &Core, session: &Session, operations: &[Map<'_>], preview: bool) -> Result<Vec<Answer>> {
    let named = operations.iter().enumerate().map(|(at, item)| {
        let (id, args) = batch::split(item.clone()).map_err(|error| undone(at, "?", error))?;
        if id.changes() {
            return Ok((id, args));
        }
        let refusal =
            Error::invalid("only changes of keys and entries can be done together; ask for it apart");
        Err(undone(at, id.row().name, refusal))
    });
    let operations: Vec<_> = named.collect::<Result<_>>()?;
    let began = Instant::now();
    let work = |draft: &Core| {
        let one = |(at, (id, args)): (usize, &(OperationId, Map<'_>))| {
            if began.elapsed() > limits::BATCH {
                return Err(undone(at, id.row().name, not_begun("the batch took too long")));
            }
            let done = run_one(draft, session, *id, args.clone());
            done.map_err(|error| undone(at, id.row().name, error))
        };
        operations.iter().enumerate().map(one).collect()
    };
    if preview { core.rehearse(work) } else { core.together(work) }
}

/// The error of one is the error of all.
fn undone(at: usize, name: &str, error: Error) -> Error {
    Error::new(error.code, format!("operation {at} ({name}): {}; nothing was done", error.message))
}

fn encode(answers: &[Result<Answer>]) -> Result<Answer> {
    let mut results = Vec::with_capacity(answers.len());
    for answer in answers {
        results.push(Value::Map(match answer {
            Ok(answer) => batch::answered(Map::decode(answer)?),
            Err(error) => batch::failed(error),
        }));
    }
    Ok(Zeroizing::new(Map::new().with("results", results).encode()))
}
