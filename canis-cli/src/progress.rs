//! A bar on the terminal for what takes long. Where stderr is no terminal there is none.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// How often it is drawn at most.
const PAUSE: Duration = Duration::from_millis(100);

/// The bar's width in characters.
const WIDTH: u64 = 30;

/// How far a file has been read.
pub(crate) struct Progress {
    /// Bytes in all, where that is known.
    size: Option<u64>,
    read: u64,
    drawn: Option<Instant>,
    shown: bool,
}

impl Progress {
    pub(crate) fn new(size: Option<u64>) -> Self {
        Progress { size, read: 0, drawn: None, shown: std::io::stderr().is_terminal() }
    }

    /// So many bytes more were read.
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
        let _ = write!(std::io::stderr(), "\r{}", bar(self.read, self.size));
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
}
