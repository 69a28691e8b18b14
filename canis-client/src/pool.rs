//! Several connections for all threads of a program, where one would be busy sealing and opening for too many.

use crate::{Config, Shared, Standing};
use canis_proto::Result;
use canis_proto::message::{WireAnswer, WireRequest};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// At most so many connections as it was made with; each is made when those before it are in use, looked at before it is
/// used after a pause, and made anew when it was lost.
pub struct Pool {
    members: Vec<Member>,
    answer_timeout: Duration,
}

struct Member {
    shared: Shared,
    /// Calls that are going on.
    calls: AtomicUsize,
}

impl Pool {
    /// Nothing is connected yet.
    ///
    /// # Errors
    /// `invalid_argument` for certificates or a key of no use.
    pub fn new(config: &Config, size: usize) -> Result<Pool> {
        let member = |_| Shared::new(config).map(|shared| Member { shared, calls: AtomicUsize::new(0) });
        let members = (0..size.max(1)).map(member).collect::<Result<_>>()?;
        Ok(Pool { members, answer_timeout: config.answer_timeout })
    }

    /// Asks for an operation over the connection with the fewest calls.
    ///
    /// # Errors
    /// As [`Shared::call`].
    pub fn call<'a, R>(&self, request: &R) -> Result<R::Answer>
    where
        R: WireRequest<'a>,
        R::Answer: WireAnswer,
    {
        self.call_within(self.answer_timeout, request)
    }

    /// The same with a time of its own.
    ///
    /// # Errors
    /// As [`Shared::call`].
    pub fn call_within<'a, R>(&self, limit: Duration, request: &R) -> Result<R::Answer>
    where
        R: WireRequest<'a>,
        R::Answer: WireAnswer,
    {
        // Of several the first: connections that are not needed are not made.
        let least = self.members.iter().min_by_key(|member| member.calls.load(Ordering::Relaxed));
        let member = least.unwrap_or(&self.members[0]);
        let _call = Count::of(&member.calls);
        member.shared.call_within(limit, request)
    }

    /// How often things began anew up to now, all connections together.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let both = |sum: Standing, one: Standing| Standing {
            connections: sum.connections + one.connections,
            applications: sum.applications + one.applications,
        };
        self.members.iter().map(|member| member.shared.standing()).fold(Standing::default(), both)
    }
}

/// A call that is counted as long as it lives.
pub(crate) struct Count<'a>(&'a AtomicUsize);

impl<'a> Count<'a> {
    pub(crate) fn of(calls: &'a AtomicUsize) -> Self {
        calls.fetch_add(1, Ordering::Relaxed);
        Count(calls)
    }
}

impl Drop for Count<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
