//! Locks between processes: `flock` on a file beside the store, given back by the kernel whatever ends the holder.

use canis_proto::{Error, ErrorCode, Result};
use std::fs::{File, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a process waits for another that holds a lock. Holders need milliseconds; one that was stopped with the
/// lock in its hand must not hang every other program on the machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A lock that is held.
pub(crate) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Said, not left to the closing of the file: a child that was forked meanwhile has the same open file. That it
        // fails is no more than that.
        drop(self.0.unlock());
    }
}

/// Takes the lock file at `place`; dropping it gives the lock back.
///
/// # Errors
/// `store_unavailable` if another process does not let go of it, `store_full`.
pub(super) fn take(place: &Path) -> Result<Lock> {
    let opened = File::options().create(true).truncate(false).write(true).mode(0o600).open(place);
    let file = opened.map_err(|e| failed(place, &e))?;
    let end = Instant::now() + PATIENCE;
    let mut pause = Duration::from_micros(50);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Lock(file)),
            Err(TryLockError::Error(e)) => return Err(failed(place, &e)),
            Err(TryLockError::WouldBlock) if Instant::now() > end => {
                return Err(Error::new(
                    ErrorCode::StoreUnavailable,
                    format!("another process has held {} for 30 s; is it stopped?", place.display()),
                ));
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(pause),
        }
        pause = (pause * 2).min(Duration::from_millis(2));
    }
}

fn failed(place: &Path, error: &std::io::Error) -> Error {
    let full = error.raw_os_error() == Some(libc::ENOSPC);
    let code = if full { ErrorCode::StoreFull } else { ErrorCode::StoreUnavailable };
    Error::new(code, format!("cannot lock {}: {error}", place.display()))
}
