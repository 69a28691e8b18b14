//! The connections of one process: a writer, idle readers, and the gate that closes them all around a fork.
//!
//! SQLite forbids carrying a connection across fork, and closing any file descriptor of the database drops the
//! process's POSIX locks on it. So before a fork every connection is closed, and both sides open anew when they next
//! need one.

use super::connection::{explain, open};
use canis_proto::Result;
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// As many idle readers are kept; more are opened when needed and closed after use.
const IDLE_READERS: usize = 8;

pub(super) struct Pool {
    path: PathBuf,
    writer: Mutex<Option<Connection>>,
    readers: Mutex<Readers>,
    settled: Condvar,
}

#[derive(Default)]
struct Readers {
    idle: Vec<Connection>,
    /// Calls that hold a connection or wait for the writer's.
    in_flight: usize,
    paused: bool,
}

impl Pool {
    pub(super) fn new(path: &Path) -> Self {
        Pool {
            path: path.to_owned(),
            writer: Mutex::new(None),
            readers: Mutex::new(Readers::default()),
            settled: Condvar::new(),
        }
    }

    /// Runs `work` on an idle or new reader. No lock is held while it runs.
    pub(super) fn read<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        let entry = self.enter();
        // Bound first, so that the lock is not held while a connection is opened.
        let idle = self.lock().idle.pop();
        let connection = match idle {
            Some(connection) => connection,
            None => open(&self.path)?,
        };
        let result = work(&connection).map_err(|e| explain(&self.path, &e));
        let mut readers = self.lock();
        if readers.idle.len() < IDLE_READERS {
            readers.idle.push(connection);
        }
        drop(readers);
        drop(entry);
        result
    }

    /// Runs `work` on the writer, alone among this process's threads.
    pub(super) fn write<T>(&self, work: impl FnOnce(&mut Connection) -> Result<T>) -> Result<T> {
        let _entry = self.enter();
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = match writer.as_mut() {
            Some(connection) => connection,
            None => writer.insert(open(&self.path)?),
        };
        work(connection)
    }

    /// Waits for calls in flight, closes every connection and blocks new calls.
    pub(super) fn pause(&self) {
        let mut readers = self.lock();
        readers.paused = true;
        while readers.in_flight > 0 {
            readers = self.settled.wait(readers).unwrap_or_else(PoisonError::into_inner);
        }
        readers.idle.clear();
        *self.writer.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn resume(&self) {
        self.lock().paused = false;
        self.settled.notify_all();
    }

    fn enter(&self) -> Entry<'_> {
        let mut readers = self.lock();
        while readers.paused {
            readers = self.settled.wait(readers).unwrap_or_else(PoisonError::into_inner);
        }
        readers.in_flight += 1;
        Entry(self)
    }

    fn lock(&self) -> MutexGuard<'_, Readers> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call in flight; leaving it lets a waiting fork go on, even when the call panicked.
struct Entry<'a>(&'a Pool);

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        let mut readers = self.0.lock();
        readers.in_flight -= 1;
        if readers.in_flight == 0 {
            self.0.settled.notify_all();
        }
    }
}
