//! Rows: the middle of the rounds, and ratios of what was measured side by side.

use super::plan::Sample;
use super::rounds::Samples;
use super::{Asked, Shape};
use crate::bench::measure::{median, spread};
use crate::bench::plan::Spread;
use crate::bench::table::{line, rate, ratio};
use serde::Serialize;

/// One operation, asked in one way.
#[derive(Serialize)]
pub(super) struct Row {
    operation: Asked,
    shape: String,
    ceiling: Option<Numbers>,
    canis: Option<Numbers>,
    unaudited: Option<Numbers>,
    openbao: Option<Numbers>,
    /// Answers a second, to the ceiling's.
    of_ceiling: Option<Spread>,
    /// The 99th of 100 answers, to the ceiling's.
    p99_of_ceiling: Option<Spread>,
    /// Answers a second, to those of a server without an audit log.
    of_unaudited: Option<Spread>,
    /// Answers a second, to OpenBao's on as many connections.
    of_openbao: Option<Spread>,
    /// The 99th of 100 answers, to OpenBao's.
    p99_of_openbao: Option<Spread>,
    /// Signatures a second, to what the provider does on the processors that the client left.
    of_provider: Option<Spread>,
}

/// What one server did.
#[derive(Serialize)]
struct Numbers {
    rate: f64,
    p50: f64,
    p99: f64,
    /// Microseconds of the server's work for one answer, and of the client's.
    server: f64,
    client: f64,
}

impl Numbers {
    fn of(samples: &[Sample]) -> Option<Self> {
        let middle = |of: &dyn Fn(&Sample) -> f64| median(&samples.iter().map(of).collect::<Vec<_>>());
        Some(Numbers {
            rate: middle(&Sample::rate)?,
            p50: middle(&|s| s.p50)?,
            p99: middle(&|s| s.p99)?,
            server: middle(&|s| s.each(s.server))?,
            client: middle(&|s| s.each(s.client))?,
        })
    }
}

impl Row {
    /// The row of these samples.
    pub(super) fn of(operation: Asked, shape: Shape, samples: &Samples) -> Self {
        let all =
            |samples: &[Sample], of: &dyn Fn(&Sample) -> f64| samples.iter().map(of).collect::<Vec<_>>();
        let rates = all(&samples.canis, &Sample::rate);
        let processors = std::thread::available_parallelism().map_or(1.0, |n| n.get() as f64);
        let left = all(&samples.canis, &|s| processors - s.client / s.seconds);
        let possible: Vec<f64> = samples.provider.iter().zip(left).map(|(rate, left)| rate * left).collect();
        Row {
            operation,
            shape: shape.to_string(),
            ceiling: Numbers::of(&samples.ceiling),
            canis: Numbers::of(&samples.canis),
            unaudited: Numbers::of(&samples.unaudited),
            openbao: Numbers::of(&samples.openbao),
            of_ceiling: spread(&rates, &all(&samples.ceiling, &Sample::rate)),
            p99_of_ceiling: spread(&all(&samples.canis, &|s| s.p99), &all(&samples.ceiling, &|s| s.p99)),
            of_unaudited: spread(&rates, &all(&samples.unaudited, &Sample::rate)),
            of_openbao: spread(&rates, &all(&samples.openbao, &Sample::rate)),
            p99_of_openbao: spread(&all(&samples.canis, &|s| s.p99), &all(&samples.openbao, &|s| s.p99)),
            of_provider: spread(&rates, &possible),
        }
    }
}

/// A table for people.
pub(super) fn table(rows: &[Row]) -> String {
    let mut text = String::new();
    line(&mut text, format_args!("CONNECTIONSxDEPTH; µs of server and client are work for one answer"));
    let mut title = "";
    for row in rows {
        if title != row.operation.title() {
            title = row.operation.title();
            line(&mut text, format_args!("\n{title}"));
        }
        line(&mut text, format_args!("{:6} {}", row.shape, HEAD));
        let servers = [
            ("ceiling", &row.ceiling),
            ("CANIS", &row.canis),
            ("no audit log", &row.unaudited),
            ("OpenBao", &row.openbao),
        ];
        for (name, numbers) in servers {
            if let Some(n) = numbers {
                let of = [n.p50, n.p99, n.server, n.client].map(|number| format!("{number:>9.1}")).concat();
                line(&mut text, format_args!("  {name:12} {:>10} {of}", rate(Some(n.rate))));
            }
        }
        let ratios = [
            ("of the ceiling", &row.of_ceiling),
            ("p99 to the ceiling's", &row.p99_of_ceiling),
            ("of CANIS without an audit log", &row.of_unaudited),
            ("times OpenBao", &row.of_openbao),
            ("p99 to OpenBao's", &row.p99_of_openbao),
            ("of the provider on what the client left", &row.of_provider),
        ];
        let known = ratios.into_iter().filter(|(_, spread)| spread.is_some());
        let shown: Vec<_> = known.map(|(name, spread)| format!("{} {name}", ratio(*spread))).collect();
        line(&mut text, format_args!("  {}", shown.join("; ")));
    }
    text
}

const HEAD: &str = "        answers/s   p50 µs   p99 µs   server   client";
