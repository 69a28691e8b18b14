//! Many operations in one request.

use crate::answer::answer;
use crate::fields::Fields;
use crate::message::{WireAnswer, WireRequest, error_map, request};
use crate::value::{Map, Value};
use crate::{Error, OperationId, Result};
use std::borrow::Cow;

/// How many operations a batch may hold.
pub const MAX_BATCH: usize = 1000;

/// Where an item says what to do.
const OP: &str = "op";
/// What an item may call `name`.
const KEY: &str = "key";
const NAME: &str = "name";

request! {
    /// Runs operations one after the other; each has its own answer or error.
    Batch => BatchAnswer {
        /// The operations: `op` and its arguments in one map each.
        operations: Vec<Map<'a>>, maps, |v| Value::Array(v.iter().cloned().map(Value::Map).collect());
        /// Whether all are done or none is; for changes only.
        atomic: bool, default, |v| *v;
        /// Only tells whether all could be done, and what they would answer; for atomic ones only.
        preview: bool, default, |v| *v;
    }
}

answer! {
    /// The result of `batch`.
    BatchAnswer {
        /// In the order of the request: `{"result": the answer}` or `{"error": as the payload of ERROR}`.
        results: Vec<Result<Map<'static>>>, results, |v| Value::Array(v.iter().map(outcome).collect());
    }
}

fn outcome<'a>(item: &'a Result<Map<'static>>) -> Value<'a> {
    Value::Map(match item {
        Ok(answer) => answered(answer.clone()),
        Err(error) => failed(error),
    })
}

/// An item's result.
#[must_use]
pub fn answered(answer: Map<'_>) -> Map<'_> {
    Map::new().with("result", answer)
}

/// An item's error.
#[must_use]
pub fn failed(error: &Error) -> Map<'_> {
    Map::new().with("error", error_map(error))
}

/// A request as an item of a batch.
#[must_use]
pub fn item<'a, 'b: 'a, R: WireRequest<'b>>(request: &'a R) -> Map<'a> {
    request.to_map().with(OP, R::ID.row().name)
}

/// An item's answer as what its operation answers.
///
/// # Errors
/// `invalid_argument` if it is another operation's.
pub fn read<A: WireAnswer>(answer: &Map<'static>) -> Result<A> {
    let mut fields = Fields::new("an answer", answer.clone());
    let read = A::from_fields(&mut fields)?;
    fields.ignore_rest();
    Ok(read)
}

/// Splits an item into operation and arguments.
///
/// # Errors
/// `invalid_argument` or `unknown_operation`.
pub fn split(mut item: Map<'_>) -> Result<(OperationId, Map<'_>)> {
    let Some(Value::Text(op)) = item.take(OP) else {
        return Err(Error::invalid("an operation of a batch must say in `op` what to do"));
    };
    let id = crate::message::wire_operation(&op)?;
    if id == OperationId::Batch {
        return Err(Error::invalid("a batch holds no batch"));
    }
    Ok((id, named(item)?))
}

/// `key` is another word for `name`, in batches only.
fn named(mut item: Map<'_>) -> Result<Map<'_>> {
    let Some(key) = item.take(KEY) else { return Ok(item) };
    if item.take(NAME).is_some() {
        return Err(Error::invalid("an operation of a batch names its key once: `name` or `key`"));
    }
    Ok(item.with(Cow::Borrowed(NAME), key))
}
