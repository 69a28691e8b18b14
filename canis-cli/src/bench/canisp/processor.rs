//! How long a process worked.

use canis_proto::{Error, Result};
use std::fs;

/// Seconds that the threads of a process have worked: the first number in `schedstat` (Linux, sched-stats.txt). Those of
/// threads that have ended are gone, so that this is for short spans only.
pub(super) fn worked(pid: u32) -> Result<f64> {
    let unknown = |_| Error::invalid(format!("process {pid} has ended"));
    let threads = fs::read_dir(format!("/proc/{pid}/task")).map_err(unknown)?;
    let of_thread = |path: std::path::PathBuf| -> Option<u64> {
        fs::read_to_string(path.join("schedstat")).ok()?.split(' ').next()?.parse().ok()
    };
    let nanoseconds: u64 = threads.flatten().filter_map(|thread| of_thread(thread.path())).sum();
    Ok(nanoseconds as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_seen() {
        let before = worked(std::process::id()).unwrap();
        let end = std::time::Instant::now() + std::time::Duration::from_millis(50);
        while std::time::Instant::now() < end {
            std::hint::spin_loop();
        }
        std::thread::yield_now();
        assert!(worked(std::process::id()).unwrap() > before);
        assert!(worked(u32::MAX).is_err());
    }
}
