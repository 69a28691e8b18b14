//! The process in numbers, under the names that every Prometheus client gives them.

use super::exposition::{Exposition, seconds};
use super::family;
use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

/// Tells them. What the kernel does not say is left out.
pub(super) fn tell(out: &mut Exposition, since: SystemTime) {
    let started = since.duration_since(UNIX_EPOCH).unwrap_or_default();
    out.family(family::STARTED).sample(&[], started.as_secs());
    let stat = Stat::read().unwrap_or_default();
    out.family(family::PROCESSOR).sample(&[], seconds(stat.nanos));
    out.family(family::RESIDENT).sample(&[], stat.resident);
    out.family(family::VIRTUAL).sample(&[], stat.virtual_size);
    let files = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    out.family(family::FILES).sample(&[], files);
    let most = getrlimit(Resource::Nofile).current;
    out.family(family::MOST_FILES).sample(&[], most.map_or("+Inf".to_owned(), |most| most.to_string()));
}

/// What proc(5) says in `/proc/self/stat`.
#[derive(Default)]
struct Stat {
    /// Processor time.
    nanos: u64,
    virtual_size: u64,
    resident: u64,
}

impl Stat {
    fn read() -> Option<Self> {
        let text = fs::read_to_string("/proc/self/stat").ok()?;
        // The name before, in parentheses, may hold anything; from here on the third field is the first.
        let (_, rest) = text.rsplit_once(") ")?;
        let number = |field: usize| rest.split(' ').nth(field - 3)?.parse::<u64>().ok();
        let ticks = number(14)? + number(15)?;
        Some(Stat {
            nanos: ticks.saturating_mul(1_000_000_000 / clock_ticks_per_second().max(1)),
            virtual_size: number(23)?,
            resident: number(24)?.saturating_mul(page_size() as u64),
        })
    }
}
