//! What the server counts itself.

use super::requests::Requests;
use canis_core::{Door, DueReport};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::SystemTime;

/// A number that goes up and down.
#[derive(Default)]
pub(crate) struct Gauge(AtomicI64);

impl Gauge {
    /// One more, as long as what it gives is held.
    pub(crate) fn enter(&self) -> Entered<'_> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Entered(self)
    }

    pub(super) fn now(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One of those that a gauge counts.
pub(crate) struct Entered<'a>(&'a Gauge);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Connections of one door.
#[derive(Default)]
pub(crate) struct Link {
    pub(super) accepted: AtomicU64,
    pub(super) open: Gauge,
}

impl Link {
    /// A connection was accepted; it is open as long as what this gives is held.
    pub(crate) fn accept(&self) -> Entered<'_> {
        self.accepted.fetch_add(1, Ordering::Relaxed);
        self.open.enter()
    }
}

/// Numbers that something outside the hot path leaves here.
#[derive(Default)]
pub(crate) struct Told(AtomicU64);

impl Told {
    /// Adds to it.
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    fn set(&self, to: u64) {
        self.0.store(to, Ordering::Relaxed);
    }

    pub(super) fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Everything that the server counts.
pub(crate) struct Metrics {
    /// What was asked, and what came of it.
    pub(crate) requests: Requests,
    /// Requests and streams that do not run where they were read.
    pub(crate) in_flight: Gauge,
    pub(super) canisp: Link,
    pub(super) socket: Link,
    pub(super) http: Link,
    /// Answers of HTTP by status, from 100 on.
    pub(super) statuses: Box<[Told]>,
    /// Wrong credentials.
    pub(crate) wrong: Told,
    /// Credentials that were not looked at.
    pub(crate) locked_out: Told,
    pub(super) rotated: Told,
    pub(super) destroyed: Told,
    pub(super) failing: Told,
    pub(super) since: SystemTime,
}

/// The first and the last status of HTTP, RFC 9110, section 15.
pub(super) const STATUSES: (u16, u16) = (100, 599);

impl Metrics {
    /// Nothing counted yet.
    pub(crate) fn new(processors: usize) -> Self {
        Metrics {
            requests: Requests::new(processors),
            in_flight: Gauge::default(),
            canisp: Link::default(),
            socket: Link::default(),
            http: Link::default(),
            statuses: (STATUSES.0..=STATUSES.1).map(|_| Told::default()).collect(),
            wrong: Told::default(),
            locked_out: Told::default(),
            rotated: Told::default(),
            destroyed: Told::default(),
            failing: Told::default(),
            since: SystemTime::now(),
        }
    }

    /// The connections of a door.
    pub(crate) fn link(&self, door: Door) -> &Link {
        match door {
            Door::Socket => &self.socket,
            Door::Http => &self.http,
            _ => &self.canisp,
        }
    }

    /// HTTP answered with this status.
    pub(crate) fn answered(&self, status: u16) {
        let at = usize::from(status.wrapping_sub(STATUSES.0));
        if let Some(count) = self.statuses.get(at) {
            count.add(1);
        }
    }

    /// It was looked for what is due.
    pub(crate) fn looked(&self, report: &DueReport) {
        self.rotated.add(report.rotated.len() as u64);
        self.destroyed.add(report.destroyed.len() as u64);
        self.failing.set(report.failed.len() as u64);
    }
}
