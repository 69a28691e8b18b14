//! Requests by operation, door and result, and how long they took: plain counters, several of each, so that threads on
//! different processors do not write to the same memory.

use canis_core::Door;
use canis_proto::operation::TABLE;
use canis_proto::{ErrorCode, OperationId};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// The doors of a server.
pub(super) const DOORS: [Door; 4] = [Door::Canisp, Door::Socket, Door::Http, Door::Pkcs11Remote];

/// Operations, and what could not be read as any.
const OPERATIONS: usize = TABLE.len() + 1;

/// Codes, and success.
const CODES: usize = ErrorCode::ALL.len() + 1;

/// The upper bounds of the histogram: as they are written, and in nanoseconds.
pub(super) const BOUNDS: [(&str, u64); 15] = [
    ("1e-05", 10_000),
    ("2.5e-05", 25_000),
    ("5e-05", 50_000),
    ("0.0001", 100_000),
    ("0.00025", 250_000),
    ("0.0005", 500_000),
    ("0.001", 1_000_000),
    ("0.0025", 2_500_000),
    ("0.005", 5_000_000),
    ("0.01", 10_000_000),
    ("0.025", 25_000_000),
    ("0.1", 100_000_000),
    ("0.5", 500_000_000),
    ("2.0", 2_000_000_000),
    ("10.0", 10_000_000_000),
];

/// Where a number of the table stands in it, so that no request looks for it.
const fn places() -> [u8; 512] {
    let mut places = [0; 512];
    let mut at = 0;
    while at < TABLE.len() {
        places[TABLE[at].id as usize] = at as u8 + 1;
        at += 1;
    }
    places
}

static OPERATION_PLACES: [u8; 512] = places();

const fn code_places() -> [u8; 256] {
    let mut places = [0; 256];
    let mut at = 0;
    while at < ErrorCode::ALL.len() {
        places[ErrorCode::ALL[at] as usize] = at as u8 + 1;
        at += 1;
    }
    places
}

static CODE_PLACES: [u8; 256] = code_places();

/// What the threads of one part count.
struct Part {
    /// By operation, door and code.
    counts: Box<[AtomicU64]>,
    /// By operation: one for each bound, one for what lies above, and the sum in nanoseconds.
    times: Box<[AtomicU64]>,
}

/// Numbers of one operation in [`Part::times`].
const TIMES: usize = BOUNDS.len() + 2;

/// All of them.
pub(crate) struct Requests(Box<[Part]>);

/// How many parts there are at most.
const PARTS: usize = 16;

/// Threads that have counted something.
static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static THREAD: Cell<usize> = const { Cell::new(usize::MAX) };
}

fn thread() -> usize {
    THREAD.with(|thread| {
        if thread.get() == usize::MAX {
            thread.set(THREADS.fetch_add(1, Ordering::Relaxed));
        }
        thread.get()
    })
}

impl Requests {
    /// Nothing counted yet.
    pub(super) fn new(processors: usize) -> Self {
        let zeros = |len: usize| (0..len).map(|_| AtomicU64::new(0)).collect();
        let part =
            || Part { counts: zeros(OPERATIONS * DOORS.len() * CODES), times: zeros(OPERATIONS * TIMES) };
        Requests((0..processors.clamp(1, PARTS)).map(|_| part()).collect())
    }

    /// Counts a request that was answered.
    pub(crate) fn count(
        &self,
        operation: Option<OperationId>,
        door: Door,
        code: Option<ErrorCode>,
        took: Duration,
    ) {
        let part = &self.0[thread() % self.0.len()];
        let operation = operation.map_or(0, |id| usize::from(OPERATION_PLACES[id as usize]));
        let door = DOORS.iter().position(|known| *known == door).unwrap_or(0);
        let code = code.map_or(0, |code| usize::from(CODE_PLACES[code as usize]));
        part.counts[(operation * DOORS.len() + door) * CODES + code].fetch_add(1, Ordering::Relaxed);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.iter().position(|(_, bound)| nanos <= *bound).unwrap_or(BOUNDS.len());
        let times = &part.times[operation * TIMES..][..TIMES];
        times[bucket].fetch_add(1, Ordering::Relaxed);
        times[TIMES - 1].fetch_add(nanos, Ordering::Relaxed);
    }

    /// Every combination that there was: operation, door, code, and how often.
    pub(super) fn counted(&self) -> impl Iterator<Item = (&'static str, &'static str, &'static str, u64)> {
        (0..OPERATIONS * DOORS.len() * CODES).filter_map(|at| {
            let count: u64 = self.0.iter().map(|part| part.counts[at].load(Ordering::Relaxed)).sum();
            let (rest, code) = (at / CODES, at % CODES);
            let code = code.checked_sub(1).map_or("ok", |code| ErrorCode::ALL[code].name());
            (count > 0).then(|| (name(rest / DOORS.len()), DOORS[rest % DOORS.len()].name(), code, count))
        })
    }

    /// Every operation that was asked for: its histogram, not yet cumulative, and the sum in nanoseconds.
    pub(super) fn times(&self) -> impl Iterator<Item = (&'static str, [u64; BOUNDS.len() + 1], u64)> {
        (0..OPERATIONS).filter_map(|operation| {
            let number = |at: usize| {
                let parts = self.0.iter();
                parts.map(|part| part.times[operation * TIMES + at].load(Ordering::Relaxed)).sum()
            };
            let buckets: [u64; BOUNDS.len() + 1] = std::array::from_fn(number);
            let sum = number(TIMES - 1);
            buckets.iter().any(|count| *count > 0).then_some((name(operation), buckets, sum))
        })
    }
}

/// The operation at this place; what could not be read as any is `unknown`.
fn name(place: usize) -> &'static str {
    place.checked_sub(1).map_or("unknown", |at| TABLE[at].name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every operation at every door with every code has a counter of its own, and the bounds are what they are called.
    #[test]
    fn each_has_its_own() {
        let requests = Requests::new(2);
        let codes = || ErrorCode::ALL.iter().copied().map(Some).chain([None]);
        let operations = || TABLE.iter().map(|row| Some(row.id)).chain([None]);
        for operation in operations() {
            for door in DOORS {
                codes().for_each(|code| requests.count(operation, door, code, Duration::from_millis(1)));
            }
        }
        assert_eq!(requests.counted().count(), operations().count() * DOORS.len() * codes().count());
        assert!(requests.counted().all(|(.., count)| count == 1));
        assert_eq!(requests.times().count(), operations().count());
        for (text, nanos) in BOUNDS {
            assert!((text.parse::<f64>().unwrap() * 1e9 - nanos as f64).abs() < 1.0, "{text}");
        }
    }

    /// A time that lies on a bound is within it; one above all of them is counted, too.
    #[test]
    fn times_fall_where_they_belong() {
        let requests = Requests::new(1);
        for nanos in [10_000, 10_001, u64::MAX] {
            requests.count(Some(OperationId::Encrypt), Door::Http, None, Duration::from_nanos(nanos));
        }
        let (name, buckets, _) = requests.times().next().unwrap();
        assert_eq!((name, buckets[0], buckets[1], buckets[BOUNDS.len()]), ("encrypt", 1, 1, 1));
    }
}
