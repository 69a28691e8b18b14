//! Has the HSM remember how far the store has come: every so many commits, when the server has opened the store, and when
//! it stops. No request waits for it.

use crate::limits;
use canis_core::Core;
use canis_core::datadir::RootSource;
use canis_core::root::HsmHelper;
use canis_proto::{Error, ErrorCode, Result};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{error, warn};

/// How many commits may be forgotten by the HSM unless `canis.toml` says it.
const EVERY: u32 = 100;

/// The anchors of one store.
pub(crate) struct Anchors {
    core: Arc<Core>,
    source: RootSource,
    every: u64,
    known: Mutex<Known>,
}

/// What has failed.
#[derive(Default)]
struct Known {
    /// What failed the last time; it is told once.
    failure: Option<Error>,
    /// When it may be tried again after that.
    not_before: Option<Instant>,
    /// The PIN was refused: it is not tried again until the store was opened anew.
    refused: bool,
}

impl Anchors {
    /// Those of a store that is opened by what `source` leads to; `None` unless that is an HSM.
    pub(crate) fn of(
        core: &Arc<Core>,
        source: Option<&RootSource>,
        every: Option<NonZeroU32>,
    ) -> Option<Arc<Self>> {
        let source = source.filter(|source| matches!(source, RootSource::Hsm { .. }))?.clone();
        let every = every.map_or(EVERY, NonZeroU32::get).into();
        Some(Arc::new(Anchors { core: Arc::clone(core), source, every, known: Mutex::default() }))
    }

    /// Looks again and again, until it is aborted.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(limits::ANCHOR);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let anchors = Arc::clone(&self);
            // One that panics has said so; the next second looks again.
            let _ = tokio::task::spawn_blocking(move || anchors.look(false)).await;
        }
    }

    /// Looks once more, when nothing is written any more. An HSM that hangs is not waited for.
    pub(crate) async fn last(self: Arc<Self>) {
        let work = tokio::task::spawn_blocking(move || self.look(true));
        if tokio::time::timeout(limits::ROOT_END, work).await.is_err() {
            warn!("the HSM did not take note of the store's last commits in time");
        }
    }

    fn look(&self, at_end: bool) {
        // Held while the HSM is asked: who stops the server waits for who asks already. No request does.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if self.core.is_sealed() {
            *known = Known::default();
            return;
        }
        let waits = known.not_before.is_some_and(|time| Instant::now() < time);
        if known.refused || (waits && !at_end) {
            return;
        }
        match self.core.commits() {
            Ok(commits) if !self.is_due(commits, at_end) => {}
            Ok(_) => known.note(self.write()),
            Err(error) => known.note(Err(error)),
        }
    }

    fn is_due(&self, commits: u64, at_end: bool) -> bool {
        match self.core.anchored() {
            None => true,
            Some(last) => commits < last || commits - last >= self.every || (at_end && commits != last),
        }
    }

    fn write(&self) -> Result<()> {
        let credential = self.source.credential(&HsmHelper::this_program())?;
        match self.core.anchor(&credential, false)? {
            Some(_) => Ok(()),
            None => {
                Err(Error::new(ErrorCode::RootUnavailable, "the store has no root slot of an HSM any more"))
            }
        }
    }
}

impl Known {
    fn note(&mut self, written: Result<()>) {
        let Err(failure) = written else {
            *self = Known::default();
            return;
        };
        self.refused = failure.code == ErrorCode::RootCredentialWrong;
        self.not_before = Some(Instant::now() + limits::ANCHOR_RETRY);
        if self.failure.as_ref() == Some(&failure) {
            return;
        }
        match failure.code {
            ErrorCode::StoreTampered => {
                error!(error = %failure, "the HSM remembers another store than this one")
            }
            _ => {
                warn!(error = %failure, "the HSM does not take note of the store's commits; a rollback to now would stay unseen")
            }
        }
        self.failure = Some(failure);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What failed is tried again after a while, a refused PIN is not.
    #[test]
    fn a_refused_pin_is_not_tried_again() {
        let mut known = Known::default();
        known.note(Err(Error::new(ErrorCode::RootUnavailable, "full")));
        assert!(known.not_before.is_some() && !known.refused);
        known.note(Err(Error::new(ErrorCode::RootCredentialWrong, "no")));
        assert!(known.refused);
        known.note(Ok(()));
        assert!(known.not_before.is_none() && !known.refused);
    }
}
