//! Everything that there is to tell, told in one text.

use super::counts::STATUSES;
use super::exposition::{Exposition, Form, seconds};
use super::family::{self, Family};
use super::process;
use super::requests::BOUNDS;
use crate::limits;
use crate::listener::Server;
use canis_core::{CacheFigures, Door, DueFigures, Figures};
use std::sync::atomic::Ordering;

/// The whole text.
pub(crate) fn text(server: &Server, figures: &Figures, form: Form) -> String {
    let mut out = Exposition::new(form);
    state(&mut out, server, figures.sealed);
    requests(&mut out, server);
    connections(&mut out, server);
    keeper(&mut out, figures);
    audit(&mut out, server, figures);
    schedule(&mut out, server, figures.due);
    process::tell(&mut out, server.metrics.since);
    out.end()
}

/// What anybody may know: no more than `/v1/sys/health` says.
pub(crate) fn sealed(server: &Server, form: Form) -> String {
    let mut out = Exposition::new(form);
    state(&mut out, server, server.core.is_sealed());
    out.end()
}

fn state(out: &mut Exposition, server: &Server, sealed: bool) {
    let build = [("version", env!("CARGO_PKG_VERSION")), ("provider", server.core.provider().name)];
    out.family(family::BUILD).sample(&build, 1);
    out.family(family::SEALED).sample(&[], u8::from(sealed));
}

fn requests(out: &mut Exposition, server: &Server) {
    let requests = &server.metrics.requests;
    out.family(family::REQUESTS);
    for (operation, door, code, count) in requests.counted() {
        out.sample(&[("operation", operation), ("door", door), ("code", code)], count);
    }
    out.family(family::DURATION);
    for (operation, buckets, sum) in requests.times() {
        let mut below = 0;
        for ((bound, _), count) in BOUNDS.iter().zip(buckets) {
            below += count;
            out.part("_bucket", &[("operation", operation), ("le", bound)], below);
        }
        below += buckets[BOUNDS.len()];
        out.part("_bucket", &[("operation", operation), ("le", "+Inf")], below);
        out.part("_count", &[("operation", operation)], below);
        out.part("_sum", &[("operation", operation)], seconds(sum));
    }
    out.family(family::IN_FLIGHT).sample(&[], server.metrics.in_flight.now());
    let (large, small) = (server.large.available_permits(), server.small.available_permits());
    out.family(family::BYTES)
        .sample(&[("size", "large")], (limits::LARGE_BYTES as usize).saturating_sub(large))
        .sample(&[("size", "small")], (limits::SMALL_BYTES as usize).saturating_sub(small));
    let (short, long) = server.pool.busy();
    out.family(family::THREADS).sample(&[("lane", "short")], short).sample(&[("lane", "long")], long);
}

fn connections(out: &mut Exposition, server: &Server) {
    let doors = [Door::Canisp, Door::Socket, Door::Http];
    let links = || doors.into_iter().map(|door| (door.name(), server.metrics.link(door)));
    out.family(family::CONNECTIONS);
    for (door, link) in links() {
        out.sample(&[("door", door)], link.open.now());
    }
    out.family(family::ACCEPTED);
    for (door, link) in links() {
        out.sample(&[("door", door)], link.accepted.load(Ordering::Relaxed));
    }
    out.family(family::CERTIFICATE);
    if let Some(at) = server.tls.ends_at() {
        out.sample(&[], at);
    }
    out.family(family::HTTP);
    for (status, count) in (STATUSES.0..).zip(&server.metrics.statuses) {
        if count.now() > 0 {
            out.sample(&[("status", &status.to_string())], count.now());
        }
    }
    out.family(family::WRONG).sample(&[], server.metrics.wrong.now());
    out.family(family::LOCKED_OUT).sample(&[], server.metrics.locked_out.now());
}

fn keeper(out: &mut Exposition, figures: &Figures) {
    type Number = fn(&CacheFigures) -> u64;
    let numbers: [(Family, Number); 3] = [
        (family::CACHE_HITS, |cache| cache.hits),
        (family::CACHE_MISSES, |cache| cache.misses),
        (family::CACHE_ENTRIES, |cache| cache.len),
    ];
    for (family, number) in numbers {
        out.family(family);
        for cache in &figures.caches {
            out.sample(&[("cache", cache.name)], number(cache));
        }
    }
    let commits = figures.commits;
    out.family(family::COMMITS)
        .sample(&[("result", "done")], commits.done)
        .sample(&[("result", "failed")], commits.failed);
    out.family(family::COMMIT_SECONDS).part("_count", &[], commits.done + commits.failed).part(
        "_sum",
        &[],
        seconds(commits.micros.saturating_mul(1000)),
    );
    out.family(family::ROWS_CHANGED);
    if let Some(rows) = figures.rows {
        out.sample(&[], rows.changed);
    }
    out.family(family::ROWS_CHECKED);
    if let Some(rows) = figures.rows {
        out.sample(&[], seconds(u64::try_from(rows.at).unwrap_or(0).saturating_mul(1000)));
    }
    let hsm = figures.hsm;
    out.family(family::HSM_CALLS).part("_count", &[], hsm.calls).part(
        "_sum",
        &[],
        seconds(hsm.micros.saturating_mul(1000)),
    );
    out.family(family::HSM_ERRORS).sample(&[], hsm.errors);
    out.family(family::HSM_UP);
    if hsm.calls > 0 {
        out.sample(&[], u8::from(hsm.reached));
    }
}

fn audit(out: &mut Exposition, server: &Server, figures: &Figures) {
    out.family(family::AUDIT_WAITING);
    let Some(audit) = figures.audit else {
        for family in [family::AUDIT_WRITTEN, family::AUDIT_FAILING, family::AUDIT_FAILURES] {
            out.family(family);
        }
        out.family(family::AUDIT_UNWRITTEN).sample(&[], server.gate.refused());
        return;
    };
    out.sample(&[], audit.waiting);
    out.family(family::AUDIT_WRITTEN)
        .sample(&[], seconds(u64::try_from(audit.written_at).unwrap_or(0).saturating_mul(1000)));
    out.family(family::AUDIT_FAILING).sample(&[], u8::from(audit.failing));
    out.family(family::AUDIT_FAILURES).sample(&[], audit.failures);
    out.family(family::AUDIT_UNWRITTEN).sample(&[], server.gate.refused());
}

fn schedule(out: &mut Exposition, server: &Server, due: Option<DueFigures>) {
    out.family(family::DUE);
    if let Some(due) = due {
        out.sample(&[("what", "rotation"), ("when", "now")], due.rotations)
            .sample(&[("what", "rotation"), ("when", "soon")], due.rotations_soon)
            .sample(&[("what", "destruction"), ("when", "now")], due.destructions)
            .sample(&[("what", "destruction"), ("when", "soon")], due.destructions_soon);
    }
    out.family(family::SCHEDULED)
        .sample(&[("what", "rotation")], server.metrics.rotated.now())
        .sample(&[("what", "destruction")], server.metrics.destroyed.now());
    out.family(family::SCHEDULE_FAILED).sample(&[], server.metrics.failing.now());
}
