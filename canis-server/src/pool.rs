//! Where calls run: threads that may wait for disk and root, and only so many of them.

use crate::asked_as::asked_as;
use crate::share::Share;
use canis_core::for_request;
use canis_proto::{Cost, Error, Result};
use tokio::sync::{AcquireError, Semaphore};

/// Two bounded lanes, so that a crowd of key generations does not stand before a decryption. In each, a tenant goes no
/// further than its [`Share`], so that its crowd does not stand before another tenant either.
pub(crate) struct Pool {
    width: usize,
    short: Semaphore,
    long: Semaphore,
}

/// The most threads that one lane may use.
const LANE: usize = 32;

impl Pool {
    /// Twice as many threads as there are processors in each lane, within reason.
    pub(crate) fn new(processors: usize) -> Self {
        let width = (2 * processors).clamp(4, LANE);
        Pool { width, short: Semaphore::new(width), long: Semaphore::new(width) }
    }

    /// How many threads each lane has.
    pub(crate) fn lane_width(&self) -> usize {
        self.width
    }

    /// How many threads are at work in the short lane and in the long one.
    pub(crate) fn busy(&self) -> (usize, usize) {
        let busy = |lane: &Semaphore| self.width.saturating_sub(lane.available_permits());
        (busy(&self.short), busy(&self.long))
    }

    /// Threads that the runtime must allow: both lanes, and some for unsealing.
    pub(crate) const fn threads() -> usize {
        2 * LANE + 4
    }

    /// Runs `work` on a thread of its own when one is free for whose part this is.
    pub(crate) async fn run<T, F>(&self, share: &Share, cost: Cost, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T> + Send + 'static,
    {
        self.run_unless(std::future::pending(), share, cost, work).await
    }

    /// The same, unless `reason` comes first; work that has begun is finished.
    pub(crate) async fn run_unless<T, F>(
        &self,
        reason: impl Future<Output = Error>,
        share: &Share,
        cost: Cost,
        work: F,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T> + Send + 'static,
    {
        let lane = match cost {
            Cost::Short => &self.short,
            Cost::Long => &self.long,
        };
        // The tenant's own turn first: a crowd waits there, and only so much of it in the line of all.
        let turn = async {
            let part = share.lane(cost).acquire().await?;
            Ok::<_, AcquireError>((part, lane.acquire().await?))
        };
        let _permits = tokio::select! {
            biased;
            reason = reason => return Err(reason),
            permits = turn => permits.map_err(|_| Error::internal("the pool of threads is closed"))?,
        };
        let request = asked_as();
        match tokio::task::spawn_blocking(move || for_request(request, work)).await {
            Ok(result) => result,
            Err(_) => Err(failed_unexpectedly()),
        }
    }
}

/// The work panicked.
pub(crate) fn failed_unexpectedly() -> Error {
    Error::internal("the operation failed unexpectedly; the server's log says more")
}

#[cfg(test)]
mod tests {
    use super::*;
    use canis_proto::ErrorCode;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    /// Work that waits for a thread can be taken back; work that has begun cannot.
    #[tokio::test]
    async fn work_that_has_not_begun_is_taken_back() {
        let (pool, share) = (Pool::new(1), Share::new(4));
        let taken_back = || Error::new(ErrorCode::Cancelled, "on purpose");
        let refused = pool.run_unless(async { taken_back() }, &share, Cost::Long, || Ok(7)).await;
        assert_eq!(refused.map_err(|e| e.code), Err(ErrorCode::Cancelled));
        let (begin, begun) = tokio::sync::oneshot::channel();
        let later = async { begun.await.map_or_else(|_| Error::internal("dropped"), |()| taken_back()) };
        let work = || Ok(begin.send(()).is_ok());
        let heard = pool.run_unless(later, &share, Cost::Long, work).await;
        assert_eq!(heard, Ok(false), "nobody listens any more");
    }

    /// A tenant that fills its lane and has a thousand more waiting stands before another one with a lane's width at most.
    #[tokio::test]
    async fn a_crowd_does_not_stand_before_another_tenant() {
        let pool = Arc::new(Pool::new(1));
        let (crowd, other) = (Arc::new(Share::new(pool.lane_width())), Share::new(pool.lane_width()));
        let done = Arc::new(AtomicUsize::new(0));
        for _ in 0..1000 {
            let (pool, share, done) = (Arc::clone(&pool), Arc::clone(&crowd), Arc::clone(&done));
            let work = move || {
                std::thread::sleep(Duration::from_millis(2));
                done.fetch_add(1, Ordering::Relaxed);
                Ok(())
            };
            tokio::spawn(async move { pool.run(&share, Cost::Long, work).await });
        }
        while done.load(Ordering::Relaxed) < 10 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let before = done.load(Ordering::Relaxed);
        let counted = Arc::clone(&done);
        let when = pool.run(&other, Cost::Long, move || Ok(counted.load(Ordering::Relaxed))).await.unwrap();
        assert!(when - before <= 4 * pool.lane_width(), "{} stood before it", when - before);
    }

    #[tokio::test]
    async fn a_panic_stays_in_its_request() {
        let (pool, share) = (Pool::new(1), Share::new(4));
        let failed = pool.run(&share, Cost::Short, || -> Result<()> { panic!("on purpose") }).await;
        assert_eq!(failed.map_err(|e| e.code), Err(ErrorCode::Internal));
        assert_eq!(pool.run(&share, Cost::Short, || Ok(7)).await, Ok(7));
    }
}
