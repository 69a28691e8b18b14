//! Where calls run: threads that may wait for disk and root, and only so many of them.

use canis_proto::{Cost, Error, Result};
use tokio::sync::Semaphore;

/// Two bounded lanes, so that a crowd of key generations does not stand before a decryption.
pub(crate) struct Pool {
    short: Semaphore,
    long: Semaphore,
}

/// The most threads that one lane may use.
const LANE: usize = 32;

impl Pool {
    /// Twice as many threads as there are processors in each lane, within reason.
    pub(crate) fn new(processors: usize) -> Self {
        let width = (2 * processors).clamp(4, LANE);
        Pool { short: Semaphore::new(width), long: Semaphore::new(width) }
    }

    /// Threads that the runtime must allow: both lanes, and some for unsealing.
    pub(crate) const fn threads() -> usize {
        2 * LANE + 4
    }

    /// Runs `work` on a thread of its own when one is free.
    pub(crate) async fn run<T, F>(&self, cost: Cost, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T> + Send + 'static,
    {
        self.run_unless(std::future::pending(), cost, work).await
    }

    /// The same, unless `reason` comes first; work that has begun is finished.
    pub(crate) async fn run_unless<T, F>(
        &self,
        reason: impl Future<Output = Error>,
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
        let _permit = tokio::select! {
            biased;
            reason = reason => return Err(reason),
            permit = lane.acquire() => permit.map_err(|_| Error::internal("the pool of threads is closed"))?,
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(result) => result,
            Err(_) => Err(Error::internal("the operation failed unexpectedly; the server's log says more")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use canis_proto::ErrorCode;

    /// Work that waits for a thread can be taken back; work that has begun cannot.
    #[tokio::test]
    async fn work_that_has_not_begun_is_taken_back() {
        let pool = Pool::new(1);
        let taken_back = || Error::new(ErrorCode::Cancelled, "on purpose");
        let refused = pool.run_unless(async { taken_back() }, Cost::Long, || Ok(7)).await;
        assert_eq!(refused.map_err(|e| e.code), Err(ErrorCode::Cancelled));
        let (begin, begun) = tokio::sync::oneshot::channel();
        let later = async { begun.await.map_or_else(|_| Error::internal("dropped"), |()| taken_back()) };
        let work = || Ok(begin.send(()).is_ok());
        assert_eq!(pool.run_unless(later, Cost::Long, work).await, Ok(false), "nobody listens any more");
    }

    #[tokio::test]
    async fn a_panic_stays_in_its_request() {
        let pool = Pool::new(1);
        let failed = pool.run(Cost::Short, || -> Result<()> { panic!("on purpose") }).await;
        assert_eq!(failed.map_err(|e| e.code), Err(ErrorCode::Internal));
        assert_eq!(pool.run(Cost::Short, || Ok(7)).await, Ok(7));
    }
}
