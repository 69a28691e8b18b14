//! A bar on the terminal for what takes long. Where stderr is no terminal there is none.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// How often it is drawn at most.
const PAUSE: Duration = Duration::from_millis(100);

/// The bar's width in characters.
const WIDTH: u64 = 30;

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Bytes,
    Rows,
}

/// How far a file has been read.
pub(crate) struct Progress {
    unit: Unit,
    /// How much there is in all, where that is known.
    size: Option<u64>,
    read: u64,
    begun: Instant,
    drawn: Option<Instant>,
    shown: bool,
}

impl Progress {
    pub(crate) fn new(size: Option<u64>) -> Self {
        Progress::of(Unit::Bytes, size)
    }

    /// The same of rows.
    pub(crate) fn of_rows() -> Self {
        Progress::of(Unit::Rows, None)
    }

    fn of(unit: Unit, size: Option<u64>) -> Self {
        let shown = std::io::stderr().is_terminal();
        Progress { unit, size, read: 0, begun: Instant::now(), drawn: None, shown }
    }

    /// So many of so many are done.
    pub(crate) fn at(&mut self, done: u64, of: u64) {
        if of != self.size.unwrap_or(of) || done < self.read {
            self.done();
            *self = Progress::of(self.unit, None);
        }
        self.size = Some(of);
        self.read(usize::try_from(done - self.read).unwrap_or(usize::MAX));
    }

    /// So many more were read.
    pub(crate) fn read(&mut self, bytes: usize) {
        self.read += bytes as u64;
        if self.shown && self.drawn.is_none_or(|at| at.elapsed() >= PAUSE) {
            self.draw();
            self.drawn = Some(Instant::now());
        }
    }

    /// All was done.
    pub(crate) fn done(&mut self) {
        if self.shown && self.drawn.is_some() {
            self.draw();
            eprintln!();
        }
    }

    fn draw(&self) {
        // A terminal that cannot be written to misses nothing.
        let _ = write!(
            std::io::stderr(),
            "\r{}{}\x1b[K",
            bar(self.read, self.size),
            pace(self.unit, self.read, self.size, self.begun.elapsed())
        );
    }
}

fn bar(read: u64, size: Option<u64>) -> String {
    match size {
        Some(size) if size > 0 => {
            let part = read.min(size);
            let full = usize::try_from(part * WIDTH / size).unwrap_or(0);
            let (done, rest) = ("#".repeat(full), ".".repeat(WIDTH as usize - full));
            format!("[{done}{rest}] {:3} %", part * 100 / size)
        }
        _ => format!("{} KiB", read / 1024),
    }
}

/// How fast it goes, and how long it will take at that pace; nothing before there is a pace.
fn pace(unit: Unit, read: u64, size: Option<u64>, passed: Duration) -> String {
    let seconds = passed.as_secs_f64();
    if seconds < 0.2 || read == 0 {
        return String::new();
    }
    let rate = read as f64 / seconds;
    let left = size.filter(|size| *size > read).map(|size| ((size - read) as f64 / rate).ceil() as u64);
    let left = left.map_or(String::new(), |left| format!(", {} left", clock(left)));
    match unit {
        Unit::Bytes => format!("  {:.1} MiB/s{left}", rate / f64::from(1 << 20)),
        Unit::Rows => format!("  {rate:.0} rows/s{left}"),
    }
}

fn clock(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, minutes, seconds) => format!("{minutes}:{seconds:02}"),
        (hours, minutes, seconds) => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars() {
        assert_eq!(bar(0, Some(100)), format!("[{}]   0 %", ".".repeat(30)));
        assert_eq!(bar(50, Some(100)), format!("[{}{}]  50 %", "#".repeat(15), ".".repeat(15)));
        assert_eq!(bar(500, Some(100)), format!("[{}] 100 %", "#".repeat(30)));
        assert_eq!(bar(2048, None), "2 KiB");
    }

    #[test]
    fn paces() {
        let second = Duration::from_secs(1);
        assert_eq!(pace(Unit::Bytes, 0, None, second), "");
        assert_eq!(pace(Unit::Bytes, 100, Some(200), Duration::from_millis(10)), "", "too early to tell");
        assert_eq!(pace(Unit::Bytes, 3 << 20, None, second * 2), "  1.5 MiB/s");
        assert_eq!(pace(Unit::Bytes, 1 << 20, Some(91 << 20), second), "  1.0 MiB/s, 1:30 left");
        assert_eq!(pace(Unit::Bytes, 1 << 20, Some(3601 << 20), second), "  1.0 MiB/s, 1:00:00 left");
        assert_eq!(pace(Unit::Rows, 5000, Some(10_000), second), "  5000 rows/s, 0:01 left");
        assert_eq!(pace(Unit::Bytes, 5 << 20, Some(5 << 20), second), "  5.0 MiB/s");
    }
}
