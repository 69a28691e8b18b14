//! A real PgBouncer before a database, pooling by transactions, on a socket in a directory of its own.

use crate::postgres::{Postgres, as_user, give};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// A pooler; killed when dropped.
pub struct PgBouncer {
    folder: tempfile::TempDir,
    process: Child,
}

impl PgBouncer {
    /// Starts one that has so many connections to `database`, whoever comes.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn before(database: &Postgres, connections: usize) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let (here, there) = (folder.path().display(), database.folder().display());
        let config = format!(
            "[databases]\npostgres = host={there} port=5432 user=canis\n[pgbouncer]\nlisten_port = 6432\n\
             unix_socket_dir = {here}\nlogfile = {here}/log\nauth_type = any\npool_mode = transaction\n\
             default_pool_size = {connections}\n"
        );
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, config).expect("a file");
        give(folder.path());
        give(&file);
        let program = ["/usr/sbin/pgbouncer", &file.display().to_string()].map(str::to_owned);
        let process =
            as_user(&program).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let pooler =
            PgBouncer { folder, process: process.expect("pgbouncer runs; scripts/setup installs it") };
        let end = Instant::now() + PATIENCE;
        while !pooler.socket().exists() {
            let log = std::fs::read_to_string(pooler.folder.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < end, "PgBouncer did not start: {log}");
            std::thread::sleep(Duration::from_millis(10));
        }
        pooler
    }

    /// The database's URL through it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://canis@/postgres?host={}&port=6432", self.folder.path().display())
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join(".s.PGSQL.6432")
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = (self.process.kill(), self.process.wait());
    }
}
