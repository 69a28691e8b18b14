//! What schedules ask for: looks every second for keys whose rotation or planned destruction is due; and every few
//! seconds the counts of uses are written.

use crate::applications::Applications;
use crate::limits;
use crate::metrics::Metrics;
use canis_core::{Core, DueReport};
use canis_proto::{Error, ErrorCode, Result};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{error, info, warn};

/// Runs until it is aborted. While the store is sealed it waits.
pub(crate) async fn run(core: Arc<Core>, metrics: Arc<Metrics>) {
    let mut ticks = tokio::time::interval(limits::DUE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = Told::default();
    loop {
        ticks.tick().await;
        if core.is_sealed() {
            core.forget_late_shares();
            continue;
        }
        match look(Arc::clone(&core)).await {
            Ok(report) => {
                metrics.looked(&report);
                told.report(report);
            }
            Err(error) => told.failure(error),
        }
    }
}

/// Writes the counts of uses, again and again. What cannot be written stays counted.
pub(crate) async fn count(core: Arc<Core>) {
    let mut ticks = tokio::time::interval(limits::USES);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let core = Arc::clone(&core);
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || core.write_uses()).await {
            warn!(%error, "the counts of uses wait in memory");
        }
    }
}

/// Compares all rows with their accumulators every so often, and says what was changed by other hands.
pub(crate) async fn check_rows(core: Arc<Core>, every: Duration) {
    let mut ticks = tokio::time::interval_at(Instant::now() + limits::ROWS.0.min(every), every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if core.is_sealed() {
            continue;
        }
        let core = Arc::clone(&core);
        match tokio::task::spawn_blocking(move || core.check_rows()).await {
            Ok(Ok(found)) => {
                found.iter().for_each(|error| error!(%error, "the store was changed by other hands"))
            }
            Ok(Err(error)) => error!(%error, "the store's rows cannot be checked"),
            Err(_) => error!("checking the store's rows failed unexpectedly"),
        }
    }
}

/// Ends the PKCS#11 applications that nobody came back to.
pub(crate) async fn end_applications(core: Arc<Core>, applications: Arc<Applications>) {
    let mut ticks = tokio::time::interval(limits::DUE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let (core, applications) = (Arc::clone(&core), Arc::clone(&applications));
        // One that panics has said so; the next second looks again.
        let _ = tokio::task::spawn_blocking(move || applications.end_left(&core, std::time::Instant::now()))
            .await;
    }
}

async fn look(core: Arc<Core>) -> Result<DueReport> {
    match tokio::task::spawn_blocking(move || core.run_due()).await {
        Ok(result) => result,
        Err(_) => Err(Error::new(ErrorCode::Internal, "looking for keys that are due failed unexpectedly")),
    }
}

/// What went wrong the last time: it is logged once, not every second.
#[derive(Default)]
struct Told {
    failed: Vec<(String, Error)>,
    failure: Option<Error>,
}

impl Told {
    fn report(&mut self, report: DueReport) {
        for (key, version) in &report.rotated {
            info!(key, version, "rotated by its schedule");
        }
        for key in &report.destroyed {
            info!(key, "destroyed as planned");
        }
        for (key, error) in report.failed.iter().filter(|failed| !self.failed.contains(failed)) {
            error!(key, %error, "what is due for this key failed");
        }
        *self = Told { failed: report.failed, failure: None };
    }

    fn failure(&mut self, error: Error) {
        if self.failure.as_ref() != Some(&error) {
            error!(%error, "cannot look for keys that are due");
            self.failure = Some(error);
        }
    }
}
