//! Connections for all tasks of a program, made anew when they were lost.

use crate::connector::Connector;
use crate::frames::Payload;
use crate::inbox::Unanswered;
use crate::line::Limit;
use crate::pool::Count;
use crate::{AsyncClient, Config, failure, once};
use canis_proto::Result;
use canis_proto::message::{WireAnswer, WireRequest, decode_answer};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};

/// At most so many connections as it was made with, to the first of the configured servers that answers; each is made when
/// those before it are in use, and anew when it was lost. A clone is the same pool.
#[derive(Clone)]
pub struct AsyncPool(Arc<Members>);

struct Members {
    connector: Connector,
    members: Vec<Member>,
}

#[derive(Default)]
struct Member {
    /// Locked by whoever connects; the others wait for him.
    client: Mutex<Option<AsyncClient>>,
    /// Calls that are going on.
    calls: AtomicUsize,
}

impl AsyncPool {
    /// Nothing is connected yet.
    ///
    /// # Errors
    /// `invalid_argument` for certificates or a key of no use.
    pub fn new(config: &Config, size: usize) -> Result<AsyncPool> {
        let members = std::iter::repeat_with(Member::default).take(size.max(1)).collect();
        Ok(AsyncPool(Arc::new(Members { connector: Connector::new(config)?, members })))
    }

    /// Asks for an operation over the connection with the fewest calls, and waits for its answer as long as the
    /// configuration says.
    ///
    /// # Errors
    /// As [`crate::Shared::call`].
    pub async fn call<'a, R>(&self, request: &R) -> Result<R::Answer>
    where
        R: WireRequest<'a>,
        R::Answer: WireAnswer,
    {
        self.call_within(self.0.connector.config().answer_timeout, request).await
    }

    /// The same with a time of its own, for all that it takes.
    ///
    /// # Errors
    /// As [`crate::Shared::call`].
    pub async fn call_within<'a, R>(&self, limit: Duration, request: &R) -> Result<R::Answer>
    where
        R: WireRequest<'a>,
        R::Answer: WireAnswer,
    {
        let asked = once::Asked::new(request, limit)?;
        decode_answer(&self.ask(&asked, Limit::of(limit)).await?)
    }

    async fn ask(&self, asked: &once::Asked, limit: Limit) -> Result<Payload> {
        let least = self.0.members.iter().min_by_key(|member| member.calls.load(Ordering::Relaxed));
        let member = least.unwrap_or(&self.0.members[0]);
        let _call = Count::of(&member.calls);
        let patience = limit.patience(self.0.connector.config().retry_for);
        loop {
            match self.ask_once(member, &asked.payload, limit).await {
                Ok(answer) => return Ok(answer),
                Err(unanswered) => asked.again(unanswered, patience)?,
            }
            sleep(once::PAUSE).await;
        }
    }

    async fn ask_once(&self, member: &Member, payload: &[u8], limit: Limit) -> Result<Payload, Unanswered> {
        let left = || limit.deadline.saturating_duration_since(Instant::now());
        let late = |_| failure::late(&self.0.connector.config().addr, limit.whole, false);
        let client = timeout(left(), self.client(member)).await.map_err(late).and_then(|client| client);
        client.map_err(Unanswered::NotSent)?.exchange(payload, left()).await
    }

    async fn client(&self, member: &Member) -> Result<AsyncClient> {
        let mut place = member.client.lock().await;
        match &*place {
            Some(client) if client.is_usable() => Ok(client.clone()),
            _ => Ok(place.insert(AsyncClient::through(&self.0.connector).await?).clone()),
        }
    }
}
