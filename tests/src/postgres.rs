//! A real PostgreSQL on a socket in a directory of its own. It refuses to be root, so that where the tests are, it is
//! the user `postgres` of its package.

use crate::built::target;
use crate::sshd::free_port;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server with one empty database, whose names sort as English does: not in the order of bytes.
pub struct Postgres {
    folder: tempfile::TempDir,
    settings: Vec<String>,
    /// In the socket's name, which is in a directory of its own, and of TCP, where it listens there.
    port: u16,
    server: Option<Child>,
}

impl Postgres {
    /// Starts one.
    #[must_use]
    pub fn start() -> Self {
        Postgres::with(&[])
    }

    /// Starts one with settings, `name=value`.
    #[must_use]
    pub fn with(settings: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        give(folder.path());
        let copied = Command::new("cp").arg("-a").arg(template()).arg(folder.path().join("data")).status();
        assert!(copied.is_ok_and(|status| status.success()), "the empty database cannot be copied");
        let settings = settings.iter().map(|setting| format!("-c{setting}")).collect();
        let mut postgres = Postgres { folder, settings, port: 5432, server: None };
        postgres.go_on();
        postgres
    }

    /// The same on a port of this machine, by TLS with this certificate and key (PEM) too.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn with_tls(certificate: &Path, key: &Path) -> Self {
        let mut postgres = Postgres::start();
        postgres.stop(false);
        for (from, name) in [(certificate, "server.crt"), (key, "server.key")] {
            let to = postgres.data().join(name);
            fs::copy(from, &to).expect("a file");
            give_file(&to);
        }
        for _ in 0..5 {
            postgres.port = free_port();
            let settings = ["ssl=on", "listen_addresses=127.0.0.1", &format!("port={}", postgres.port)];
            postgres.settings = settings.map(|word| format!("-c{word}")).into();
            if postgres.starts() {
                return postgres;
            }
            // Somebody else took the port meanwhile.
        }
        panic!("PostgreSQL does not listen: {}", postgres.log());
    }

    /// A standby of `primary`, which from now on acknowledges nothing that the standby has not.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn standby_of(primary: &Postgres) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        give(folder.path());
        let (from, data) = (primary.folder().display().to_string(), folder.path().join("data"));
        let words = ["pg_basebackup", "-h", &from, "-U", "canis", "-R", "-X", "stream", "-c", "fast", "-D"];
        let copied =
            as_owner(&[&words[..], &[&data.display().to_string()]].concat()).output().expect("it runs");
        assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
        let mut standby = Postgres { folder, settings: Vec::new(), port: 5432, server: None };
        standby.go_on();
        let _ = primary.shows("ALTER SYSTEM SET synchronous_standby_names = '*'");
        let _ = primary.shows("SELECT pg_reload_conf()");
        standby
    }

    /// Makes a standby the primary.
    pub fn promote(&self) {
        assert_eq!(self.shows("SELECT pg_promote()"), "t\n");
    }

    /// Its port of this machine, where it listens on one.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Starts it again.
    ///
    /// # Panics
    /// If it does not start.
    pub fn go_on(&mut self) {
        assert!(self.starts(), "PostgreSQL ended at its start: {}", self.log());
    }

    /// Starts it, and waits until it answers; `false` if it ended instead.
    fn starts(&mut self) -> bool {
        let (folder, data) = (self.folder.path().display().to_string(), self.data().display().to_string());
        let mut args =
            vec!["postgres", "-D", &data, "-k", &folder, "-c", "listen_addresses=", "-c", "fsync=off"];
        args.extend(self.settings.iter().map(String::as_str));
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("log"))
            .expect("a log");
        let mut command = as_owner(&args);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let end = Instant::now() + PATIENCE;
        self.server = Some(command.spawn().expect("postgres runs"));
        let runs = |server: &mut Child| matches!(server.try_wait(), Ok(None));
        while self.server.as_mut().is_some_and(runs) {
            if self.psql("SELECT 1").status.success() {
                return true;
            }
            assert!(Instant::now() < end, "PostgreSQL did not start: {}", self.log());
            std::thread::sleep(Duration::from_millis(30));
        }
        false
    }

    /// Ends it as `kill -9` of all of it does, or with its connections closed in order.
    pub fn stop(&mut self, hard: bool) {
        let Some(mut server) = self.server.take() else { return };
        // SIGQUIT is its immediate end, without a checkpoint: what was committed is in the log.
        let signal = if hard { "-QUIT" } else { "-INT" };
        let _ = Command::new("kill").args([signal, &server.id().to_string()]).status();
        let _ = server.wait();
    }

    /// The URL of its database.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// The URL of another database of it.
    #[must_use]
    pub fn url_of(&self, database: &str) -> String {
        format!("postgres://canis@/{database}?host={}", self.folder.path().display())
    }

    /// Its directory, for files of a test.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What `psql` shows for commands; rows without headings, unless it describes something (`\\d`).
    #[must_use]
    pub fn shows(&self, sql: &str) -> String {
        let done = self.psql(sql);
        assert!(done.status.success(), "{sql}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).expect("text")
    }

    /// Lets it work in a directory of a test's own, and nobody else who is not root.
    pub fn give(&self, folder: &Path) {
        give(folder);
    }

    /// Runs the commands in a file, as `pg_dump` writes them.
    pub fn load(&self, file: &Path) {
        let done = self.psql_with(&["-f", &file.display().to_string()]);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn psql(&self, sql: &str) -> std::process::Output {
        // What describes something has footers only with headings.
        self.psql_with(&[if sql.starts_with('\\') { "-qA" } else { "-qAt" }, "-c", sql])
    }

    fn psql_with(&self, more: &[&str]) -> std::process::Output {
        let folder = self.folder.path().display().to_string();
        Command::new("psql")
            .args(["-X", "-v", "ON_ERROR_STOP=1", "-h", &folder, "-U", "canis", "-d", "postgres"])
            .args(["-p", &self.port.to_string()])
            .args(more)
            .env("LC_ALL", "C")
            .output()
            .expect("psql runs")
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop(true);
    }
}

/// Where the programs of the server are; only some of them are on the path.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let found = versions.map(|version| version.path().join("bin")).filter(|bin| bin.join("initdb").exists());
    found.max().expect("PostgreSQL is not there; scripts/setup installs it")
}

/// The directory of an empty server, made once: that takes a second.
fn template() -> PathBuf {
    let initdb = programs().join("initdb");
    let version = initdb.iter().rev().nth(2).unwrap_or_default().to_string_lossy().into_owned();
    let place = target().join(format!("postgres-{version}"));
    let lock = fs::File::create(place.with_extension("lock")).expect("a lock file");
    lock.lock().expect("a lock");
    if !place.exists() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        give(folder.path());
        let made = folder.path().join("data");
        let options = [
            "initdb",
            "--no-sync",
            "-U",
            "canis",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "--locale-provider=icu",
            "--icu-locale=en",
            "-D",
        ];
        let done =
            as_owner(&[&options[..], &[&made.display().to_string()]].concat()).output().expect("initdb runs");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let draft = place.with_extension("new");
        let moved = Command::new("sh")
            .args(["-c", "rm -rf \"$2\" && cp -a \"$1\" \"$2\" && mv \"$2\" \"$3\"", "sh"])
            .args([&made, &draft, &place])
            .status();
        assert!(moved.is_ok_and(|status| status.success()), "the empty database cannot be kept");
    }
    place
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| std::os::unix::fs::MetadataExt::uid(&process) == 0)
}

/// A program of the server as a user that it accepts; it ends when the test does.
fn as_owner(words: &[&str]) -> Command {
    let mut all = vec![programs().join(words[0]).display().to_string()];
    all.extend(words[1..].iter().map(|&word| word.to_owned()));
    as_user(&all)
}

/// Any program as that user.
pub(crate) fn as_user(words: &[String]) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "QUIT"]);
    if is_root() {
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
    }
    command.args(words).current_dir("/");
    command
}

/// Lets that user read a file, and nobody else.
fn give_file(file: &Path) {
    if is_root() {
        let given = Command::new("chown").args(["postgres:postgres"]).arg(file).status();
        assert!(given.is_ok_and(|status| status.success()), "{} cannot be given away", file.display());
    }
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).expect("a mode");
}

/// Lets that user work in a directory, and nobody else who is not root.
pub(crate) fn give(folder: &Path) {
    if is_root() {
        let given = Command::new("chown").args(["postgres:postgres"]).arg(folder).status();
        assert!(
            given.is_ok_and(|status| status.success()),
            "there is no user `postgres`; scripts/setup installs it"
        );
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).expect("a mode");
}
