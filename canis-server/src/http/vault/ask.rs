//! What answers a request of Vault's surface asks the core for: single operations, or as many as a batch has items.

use super::params::Params;
use super::routes::Route;
use crate::http::answer::Asker;
use crate::session::Session;
use crate::wiped::Wiped;
use canis_proto::batch::{self, MAX_BATCH};
use canis_proto::message::{Batch, WireAnswer, WireRequest, decode_answer, encode_request};
use canis_proto::{Error, OperationId, Result};
use serde_json::{Value as Json, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use tokio::time::Instant;
use zeroize::Zeroizing;

/// One request: who asks, and where.
pub(super) struct Ask<'a> {
    asker: &'a Asker,
    pub(super) session: Arc<Session>,
    route: &'static Route,
    /// The token it was asked with, if one was.
    pub(super) token: Option<&'a [u8]>,
    arrived: Instant,
    /// The status of an answer that says of some items of a batch that they failed; 0 if none did.
    failed: AtomicU16,
}

/// What is said of a batch of which some failed, unless `partial_failure_response_code` says otherwise.
const SOME_FAILED: u32 = 400;

impl<'a> Ask<'a> {
    pub(super) fn new(
        asker: &'a Asker,
        session: Arc<Session>,
        route: &'static Route,
        token: Option<&'a [u8]>,
        arrived: Instant,
    ) -> Self {
        Ask { asker, session, route, token, arrived, failed: AtomicU16::new(0) }
    }

    /// Asks the core.
    ///
    /// # Errors
    /// What it answers.
    pub(super) async fn call<'r, R>(&self, request: &R) -> Result<R::Answer>
    where
        R: WireRequest<'r>,
        R::Answer: WireAnswer,
    {
        // So that nobody reads the table and is misled.
        debug_assert!(
            R::ID == OperationId::Batch || self.route.operations.contains(&R::ID),
            "{:?}",
            self.route
        );
        let payload = Wiped::from(Zeroizing::new(encode_request(request)));
        decode_answer(&self.asker.ask_in(&self.session, payload, self.arrived).await?)
    }

    /// Asks for each of these, in as few requests as it takes.
    pub(super) async fn each<'r, R>(&self, requests: &[Result<R>]) -> Result<Vec<Result<R::Answer>>>
    where
        R: WireRequest<'r>,
        R::Answer: WireAnswer,
    {
        if let [Ok(only)] = requests {
            return Ok(vec![self.call(only).await]);
        }
        let mut answers = Vec::with_capacity(requests.len());
        for part in requests.chunks(MAX_BATCH) {
            let operations: Vec<_> = part.iter().flatten().map(batch::item).collect();
            let results = match operations.is_empty() {
                true => Vec::new(),
                false => self.call(&Batch { operations, atomic: false, preview: false }).await?.results,
            };
            let mut results = results.into_iter();
            let unanswered = || Error::internal("a batch with too few results");
            answers.extend(part.iter().map(|request| match request {
                Ok(_) => results.next().ok_or_else(unanswered)?.and_then(|map| batch::read(&map)),
                Err(error) => Err(error.clone()),
            }));
        }
        Ok(answers)
    }

    /// The items of a request: those of its batch, or itself. What all share stays in `params`.
    pub(super) fn items(params: &mut Params) -> Result<Items> {
        match params.batch()? {
            Some(items) => {
                let partial = params.number("partial_failure_response_code")?.unwrap_or(SOME_FAILED);
                let partial = u16::try_from(partial)
                    .ok()
                    .filter(|code| matches!(code, 200..=203 | 206..=299 | 400..=599));
                let partial = partial
                    .ok_or_else(|| Error::invalid("`partial_failure_response_code` must be a status"))?;
                Ok(Items { each: items, partial: Some(partial) })
            }
            None => Ok(Items { each: vec![std::mem::take(params)], partial: None }),
        }
    }

    /// What is answered for the items: of a batch all their results, else the one.
    pub(super) fn told(&self, items: Items, results: Vec<Result<Json>>) -> Result<Json> {
        let Some(partial) = items.partial else {
            return results
                .into_iter()
                .next()
                .unwrap_or_else(|| Err(Error::internal("an item without a result")));
        };
        let all = results.len();
        let failed = results.iter().filter(|result| result.is_err()).count();
        if failed > 0 {
            let status = if failed == all { SOME_FAILED as u16 } else { partial };
            self.failed.store(status, Ordering::Relaxed);
        }
        let mut told = Vec::with_capacity(all);
        for (mut item, result) in items.each.into_iter().zip(results) {
            let mut one = result.unwrap_or_else(|error| json!({"error": error.message}));
            if let Some(reference) = item.text("reference")? {
                one["reference"] = json!(reference);
            }
            told.push(one);
        }
        Ok(json!({"batch_results": told}))
    }

    /// The status that a batch of which some failed asks for.
    pub(super) fn partial_failure(&self) -> Option<u16> {
        Some(self.failed.load(Ordering::Relaxed)).filter(|status| *status != 0)
    }
}

/// The items of a request.
pub(super) struct Items {
    pub(super) each: Vec<Params>,
    /// Of a batch: the status if some fail.
    partial: Option<u16>,
}
