//! Slices of time, taken in turns, so that whatever else the machine does meets both sides alike.

use super::operation::Op;
use super::plan::{Effort, Keep, Row, Spread, Time};
use canis_proto::{Error, Result};
use std::sync::Barrier;
use std::time::{Duration, Instant};

/// An operation made ready: every call does it once.
pub(super) type Step<'a> = Box<dyn FnMut() -> Result<()> + 'a>;

/// What can be measured.
pub(super) trait Subject: Sync {
    /// Makes an operation ready for the calling thread. An error says why it cannot be done.
    fn step(&self, op: Op) -> Result<Step<'_>>;
}

/// How long a batch between two looks at the clock is.
const BATCH: Duration = Duration::from_micros(200);
/// The most operations of a batch.
const LARGEST_BATCH: u32 = 1 << 16;

/// Where a row belongs.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) keys: Option<Keep>,
    pub(super) objects: Option<usize>,
}

/// Measures an operation on A, and in turns with it on B: a row for each number of threads.
pub(super) fn compare(
    a: &dyn Subject,
    b: Option<&dyn Subject>,
    op: Op,
    place: Place,
    effort: &Effort,
) -> Vec<Row> {
    let (a_can, b_can) = (probe(a, op), b.map(|b| probe(b, op)));
    let mut notes = Vec::new();
    notes.extend(a_can.as_ref().err().map(|why| format!("A: {}", why.message)));
    notes.extend(b_can.as_ref().and_then(|can| can.as_ref().err()).map(|why| format!("B: {}", why.message)));
    let b = b.filter(|_| matches!(b_can, Some(Ok(()))));
    let a = a_can.is_ok().then_some(a);
    let mut rates = Rates::new(effort);
    if let Err(error) = rates.collect(a, b, op, effort) {
        notes.push(error.message);
    }
    let note = (!notes.is_empty()).then(|| notes.join("; "));
    rates.rows(op, place, &effort.threads, note.as_deref())
}

fn probe(subject: &dyn Subject, op: Op) -> Result<()> {
    subject.step(op)?()
}

/// Operations a second, by number of threads and round.
struct Rates {
    a: Vec<Vec<f64>>,
    b: Vec<Vec<f64>>,
}

impl Rates {
    fn new(effort: &Effort) -> Self {
        Rates { a: vec![Vec::new(); effort.threads.len()], b: vec![Vec::new(); effort.threads.len()] }
    }

    /// A and B take turns, and take turns at being first.
    fn collect(
        &mut self,
        a: Option<&dyn Subject>,
        b: Option<&dyn Subject>,
        op: Op,
        effort: &Effort,
    ) -> Result<()> {
        for round in 0..effort.rounds {
            for (at, threads) in effort.threads.iter().enumerate() {
                for first in [round % 2 == 0, round % 2 != 0] {
                    let (subject, rates) = if first { (a, &mut self.a[at]) } else { (b, &mut self.b[at]) };
                    if let Some(subject) = subject {
                        rates.push(rate(subject, op, *threads, effort)?);
                    }
                }
            }
        }
        Ok(())
    }

    fn rows(&self, op: Op, place: Place, threads: &[usize], note: Option<&str>) -> Vec<Row> {
        let one = threads.iter().position(|threads| *threads == 1);
        let gain = |rates: &[Vec<f64>], at: usize| {
            one.filter(|one| *one != at).and_then(|one| spread(&rates[at], &rates[one])).map(|s| s.median)
        };
        let row = |(at, threads): (usize, &usize)| Row {
            operation: op,
            keys: place.keys,
            objects: place.objects,
            threads: *threads,
            a: median(&self.a[at]),
            b: median(&self.b[at]),
            ratio: spread(&self.a[at], &self.b[at]),
            a_gain: gain(&self.a, at),
            b_gain: gain(&self.b, at),
            note: note.map(str::to_owned),
        };
        threads.iter().enumerate().map(row).collect()
    }
}

/// Operations a second of all threads together.
fn rate(subject: &dyn Subject, op: Op, threads: usize, effort: &Effort) -> Result<f64> {
    // A disk has moods that are longer than a slice.
    let (slice, time) =
        if op.waits() { (effort.slice * 4, Time::Clock) } else { (effort.slice, effort.time) };
    if threads == 1 {
        return run(&mut *warm(subject, op)?, op, slice, time);
    }
    let together = Barrier::new(threads);
    let one = || {
        let step = warm(subject, op);
        together.wait();
        run(&mut *step?, op, slice, time)
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        let ended = running.into_iter().map(|thread| {
            thread.join().unwrap_or_else(|_| Err(Error::internal("a measuring thread ended early")))
        });
        ended.sum()
    })
}

/// A step whose first call, which fills caches, is over.
fn warm(subject: &dyn Subject, op: Op) -> Result<Step<'_>> {
    let mut step = subject.step(op)?;
    step()?;
    Ok(step)
}

fn run(step: &mut (dyn FnMut() -> Result<()> + '_), op: Op, slice: Duration, time: Time) -> Result<f64> {
    let begin = Instant::now();
    step()?;
    let once = begin.elapsed().max(Duration::from_nanos(20));
    let batch = (BATCH.as_nanos() / once.as_nanos()).clamp(1, u128::from(LARGEST_BATCH)) as u32;
    let worked = processor_time(time)?;
    let (begin, mut done) = (Instant::now(), 0.0);
    loop {
        for _ in 0..batch {
            step()?;
        }
        done += f64::from(batch);
        let passed = begin.elapsed();
        if passed >= slice || done >= op.most() {
            let worked = processor_time(time)?.zip(worked).map(|(now, then)| now.saturating_sub(then));
            return Ok(done / worked.unwrap_or(passed).as_secs_f64());
        }
    }
}

/// The time that the calling thread worked, if that is wanted: the first number in `schedstat` (Linux, sched-stats.txt).
fn processor_time(time: Time) -> Result<Option<Duration>> {
    if time == Time::Clock {
        return Ok(None);
    }
    // The kernel brings the number up to date when a thread gives way.
    std::thread::yield_now();
    let shown = std::fs::read_to_string("/proc/thread-self/schedstat");
    let worked = shown.ok().and_then(|shown| shown.split(' ').next()?.parse().ok());
    let worked =
        worked.ok_or_else(|| Error::invalid("this kernel does not tell a thread's processor time"))?;
    Ok(Some(Duration::from_nanos(worked)))
}

/// The middle value.
pub(super) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match (sorted.get(sorted.len() / 2), sorted.len() % 2) {
        (Some(upper), 0) => Some((upper + sorted[sorted.len() / 2 - 1]) / 2.0),
        (upper, _) => upper.copied(),
    }
}

/// The ratios of what was measured side by side.
pub(super) fn spread(over: &[f64], under: &[f64]) -> Option<Spread> {
    let ratios: Vec<f64> = over.iter().zip(under).map(|(over, under)| over / under).collect();
    Some(Spread {
        median: median(&ratios)?,
        min: ratios.iter().copied().min_by(f64::total_cmp)?,
        max: ratios.iter().copied().max_by(f64::total_cmp)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counts;

    impl Subject for Counts {
        fn step(&self, op: Op) -> Result<Step<'_>> {
            if op == Op::Random { Ok(Box::new(|| Ok(()))) } else { Err(Error::invalid("not here")) }
        }
    }

    #[test]
    fn medians_and_ratios() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        let ratio = spread(&[2.0, 6.0, 4.0], &[1.0, 2.0, 1.0]).unwrap();
        assert_eq!((ratio.min, ratio.median, ratio.max), (2.0, 3.0, 4.0));
        assert!(spread(&[1.0], &[]).is_none());
    }

    #[test]
    fn a_lacking_side_leaves_a_gap_that_is_explained() {
        let effort = Effort {
            ops: vec![],
            threads: vec![1, 2],
            rounds: 2,
            slice: Duration::from_micros(50),
            time: Time::Clock,
        };
        let place = Place { keys: None, objects: None };
        let rows = compare(&Counts, Some(&Counts), Op::Random, place, &effort);
        assert!(rows.iter().all(|row| row.a.is_some() && row.ratio.is_some() && row.note.is_none()));
        assert!(rows[0].a_gain.is_none() && rows[1].a_gain.is_some());
        let rows = compare(&Counts, None, Op::Find, place, &effort);
        assert_eq!(rows.len(), 2);
        assert!(rows.iter().all(|row| row.a.is_none() && row.note.as_deref() == Some("A: not here")));
    }
}
