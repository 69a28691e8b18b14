//! A real `canis-server` on a free port, and the `canis` program pointed at it.

use crate::built::binary;
use crate::postgres::Postgres;
use crate::run::{Finished, run};
use crate::softhsm::SoftHsm;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A port that the kernel chooses.
const FREE_PORT: &str = "127.0.0.1:0";

/// A data directory made by `canis init`.
pub struct Site {
    dir: tempfile::TempDir,
    /// The first token.
    pub token: String,
    /// Where the HSM's tokens are, if it has an HSM root.
    softhsm: Option<PathBuf>,
}

impl Site {
    /// A site whose root is an HSM.
    #[must_use]
    pub fn with_hsm(hsm: &SoftHsm) -> Self {
        Site::with_token(hsm, SoftHsm::MODULE)
    }

    /// A site whose store is in a database, opened by an HSM.
    #[must_use]
    pub fn with_hsm_in_database(hsm: &SoftHsm, database: &Postgres) -> Self {
        Site::with_token_and(hsm, SoftHsm::MODULE, &["--store", &database.url()])
    }

    fn with_token(hsm: &SoftHsm, module: &str) -> Self {
        Site::with_token_and(hsm, module, &[])
    }

    fn with_token_and(hsm: &SoftHsm, module: &str, more: &[&str]) -> Self {
        let dir = temporary();
        let pin = dir.path().join("hsm.pin");
        write_private(&pin, SoftHsm::PIN);
        let hsm_args = ["--root", "hsm", "--module", module, "--token-label", &hsm.label, "--pin-file"];
        let mut site = Site { dir, token: String::new(), softhsm: Some(hsm.config()) };
        site.init(&[&hsm_args[..], &[&pin.display().to_string()], more].concat());
        site
    }

    /// A site whose root is an HSM that is reached through another library.
    #[must_use]
    pub fn with_hsm_through(hsm: &SoftHsm, module: &Path) -> Self {
        Site::with_token(hsm, &module.display().to_string())
    }

    /// A site whose root is a key file.
    #[must_use]
    pub fn with_keyfile() -> Self {
        let dir = temporary();
        let keyfile = dir.path().join("root.key").display().to_string();
        let mut site = Site { dir, token: String::new(), softhsm: None };
        site.init(&["--root", "keyfile", "--keyfile", &keyfile]);
        site
    }

    /// A site without a store: `canis slot init` makes one without a root.
    #[must_use]
    pub fn without_store() -> Self {
        Site { dir: temporary(), token: String::new(), softhsm: None }
    }

    /// A site whose store is in a database, opened by a key file.
    #[must_use]
    pub fn in_database(database: &Postgres) -> Self {
        Site::in_database_at(&database.url(), &[])
    }

    /// The same by a URL, with lines for the section `[store]` of canis.toml.
    #[must_use]
    pub fn in_database_at(url: &str, lines: &[&str]) -> Self {
        let dir = temporary();
        let keyfile = dir.path().join("root.key").display().to_string();
        let mut site = Site { dir, token: String::new(), softhsm: None };
        site.init(&["--root", "keyfile", "--keyfile", &keyfile, "--store", url]);
        let (path, line) = (site.data().join("canis.toml"), format!("[store]\n{}\n", lines.join("\n")));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("no canis.toml: {e}"));
        write_private(&path, text.replacen("[store]\n", &line, 1));
        site
    }

    /// Another host of the same store, as docs/operations.md sets one up: the configuration and the TLS files.
    #[must_use]
    pub fn beside(&self) -> Site {
        let site = Site { dir: temporary(), token: self.token.clone(), softhsm: self.softhsm.clone() };
        std::fs::create_dir(site.data()).unwrap_or_else(|e| panic!("cannot make a directory: {e}"));
        for file in ["canis.toml", "ca.pem", "server.pem", "server.key"] {
            let copied = std::fs::copy(self.data().join(file), site.data().join(file));
            assert!(copied.is_ok(), "{file} cannot be copied");
        }
        site
    }

    fn init(&mut self, root: &[&str]) {
        let mut command = self.command("canis");
        command.args(["init", "--json", "--data"]).arg(self.data()).args(root);
        let shown = run(&mut command, b"").ok();
        let json: serde_json::Value =
            serde_json::from_slice(&shown.stdout).unwrap_or_else(|e| panic!("init printed no JSON: {e}"));
        self.token = json["token"].as_str().unwrap_or_default().to_owned();
    }

    /// The data directory.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// A place for a test's own files.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A program of the workspace, with the HSM in its environment.
    #[must_use]
    pub fn command(&self, name: &str) -> Command {
        self.foreign(binary(name))
    }

    /// `canis` on the data directory, to be run.
    #[must_use]
    pub fn local(&self, arguments: &str) -> Command {
        let mut command = self.command("canis");
        command.args(arguments.split_whitespace()).arg("--data").arg(self.data());
        command
    }

    /// `canis` on the data directory.
    pub fn canis(&self, arguments: &str) -> Finished {
        run(&mut self.local(arguments), b"")
    }

    /// Another program, with the HSM in its environment and this data directory for the PKCS#11 module.
    #[must_use]
    pub fn foreign(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env("CANIS_DATA", self.data());
        if let Some(config) = &self.softhsm {
            command.env("SOFTHSM2_CONF", config);
        }
        command
    }

    /// Starts the server where another one of this site has just listened. Somebody else may be there for a while.
    ///
    /// # Panics
    /// If the address does not become free.
    #[must_use]
    pub fn start_at(&self, addr: &str) -> Server {
        let end = Instant::now() + PATIENCE;
        loop {
            let mut server = Server::spawn(self, &[], addr, &[]);
            if server.listens() {
                return server;
            }
            let log = server.log();
            assert!(log.contains("cannot listen on") && Instant::now() < end, "it does not listen:\n{log}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Starts the server with more flags and waits until it listens.
    #[must_use]
    pub fn start_with(&self, flags: &[&str]) -> Server {
        Server::start(self, &[], FREE_PORT, flags)
    }

    /// Starts the server by another program, which becomes it, with more flags, and waits until it listens.
    #[must_use]
    pub fn start_by(&self, program: &[&str], flags: &[&str]) -> Server {
        Server::start(self, program, FREE_PORT, flags)
    }

    /// Starts the server and waits until it listens.
    #[must_use]
    pub fn start(&self) -> Server {
        Server::start(self, &[], FREE_PORT, &[])
    }
}

/// A running server; killed when dropped.
pub struct Server {
    child: Child,
    addr: String,
    lines: Arc<Mutex<Vec<String>>>,
    /// The threads that read its stdout and stderr; they end with it.
    readers: Vec<JoinHandle<()>>,
    token: String,
    ca: PathBuf,
}

impl Server {
    fn start(site: &Site, by: &[&str], listen: &str, flags: &[&str]) -> Self {
        let mut server = Server::spawn(site, by, listen, flags);
        let listens = server.listens();
        assert!(listens, "it ended; the server wrote:\n{}", server.log());
        server
    }

    fn spawn(site: &Site, by: &[&str], listen: &str, flags: &[&str]) -> Self {
        let server = binary("canis-server");
        let mut command = match by {
            [] => site.foreign(server),
            [program, args @ ..] => {
                let mut command = site.foreign(program);
                command.args(args).arg(server);
                command
            }
        };
        command.arg("--data").arg(site.data()).args(["--listen", listen, "--log", "debug"]);
        command.args(flags);
        let piped = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap_or_else(|e| panic!("cannot start canis-server: {e}"));
        let lines = Arc::default();
        let readers = vec![collect(child.stdout.take(), &lines), collect(child.stderr.take(), &lines)];
        Server {
            child,
            addr: String::new(),
            lines,
            readers,
            token: site.token.clone(),
            ca: site.data().join("ca.pem"),
        }
    }

    /// Waits until it listens; `false` if it ended instead.
    fn listens(&mut self) -> bool {
        const SAYS: &str = "listening on ";
        let end = Instant::now() + PATIENCE;
        loop {
            let ended = matches!(self.child.try_wait(), Ok(Some(_)));
            if ended {
                self.read_to_the_end();
            }
            if let Some(addr) = self.log().lines().find_map(|line| line.strip_prefix(SAYS)) {
                addr.clone_into(&mut self.addr);
                return true;
            }
            if ended {
                return false;
            }
            assert!(Instant::now() < end, "it does not listen; the server wrote:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until all that it wrote before it ended has been read.
    fn read_to_the_end(&mut self) {
        for reader in std::mem::take(&mut self.readers) {
            reader.join().unwrap_or_else(|_| panic!("what the server wrote cannot be read"));
        }
    }

    /// Starts it and waits until it is unsealed.
    #[must_use]
    pub fn unsealed(self) -> Self {
        self.wait_for("unsealed");
        self
    }

    /// Waits for a line that starts with `prefix`.
    ///
    /// # Panics
    /// If none comes.
    pub fn wait_for(&self, prefix: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let seen = self.log();
            if let Some(line) = seen.lines().find(|line| line.starts_with(prefix)) {
                return line.to_owned();
            }
            assert!(Instant::now() < end, "no line `{prefix}…` came; the server wrote:\n{seen}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Everything it wrote so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).join("\n")
    }

    /// Runs `canis` against it; what is lost is not sent again.
    pub fn canis(&self, args: &[&str], input: &[u8]) -> Finished {
        self.canis_as(&self.token, args, input)
    }

    /// The same with another token.
    pub fn canis_as(&self, token: &str, args: &[&str], input: &[u8]) -> Finished {
        let mut command = Command::new(binary("canis"));
        self.reached_by(command.args(args)).env("CANIS_TOKEN", token);
        run(&mut command, input)
    }

    /// Puts into a program's environment how `canis` gets here, and the first token.
    pub fn reached_by<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("CANIS_ADDR", &self.addr).env("CANIS_CACERT", &self.ca).env("CANIS_TOKEN", &self.token);
        // One that was killed does not come back at this address.
        command.env("CANIS_RETRY_FOR", "never")
    }

    /// Its address.
    #[must_use]
    pub fn addr(&self) -> &str {
        &self.addr
    }

    /// The CA's certificate.
    #[must_use]
    pub fn ca(&self) -> &Path {
        &self.ca
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it as a power cut would.
    pub fn kill(mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }

    /// Asks it to stop, waits, and gives all that it wrote.
    ///
    /// # Panics
    /// If it does not stop well.
    pub fn stop(self) -> String {
        self.terminate();
        self.ended()
    }

    /// Asks it to stop.
    pub fn terminate(&self) {
        let pid = self.child.id().to_string();
        run(Command::new("kill").args(["-TERM", &pid]), b"").ok();
    }

    /// Waits until it has stopped, and gives all that it wrote.
    ///
    /// # Panics
    /// If it does not stop well.
    pub fn ended(mut self) -> String {
        let status = self.child.wait().unwrap_or_else(|e| panic!("cannot wait for the server: {e}"));
        assert!(status.success(), "the server ended with {status}:\n{}", self.log());
        self.read_to_the_end();
        self.log()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn collect(from: Option<impl Read + Send + 'static>, lines: &Arc<Mutex<Vec<String>>>) -> JoinHandle<()> {
    let (from, lines) = (from.unwrap_or_else(|| panic!("no pipe")), Arc::clone(lines));
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    })
}

fn temporary() -> tempfile::TempDir {
    tempfile::tempdir().unwrap_or_else(|e| panic!("no temporary directory: {e}"))
}

/// A file for its owner alone, as those that hold a root's credential have to be.
///
/// # Panics
/// If it cannot be written.
pub fn write_private(path: &Path, bytes: impl AsRef<[u8]>) {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let file = std::fs::File::options().create(true).truncate(true).write(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| file.write_all(bytes.as_ref()));
    written.unwrap_or_else(|e| panic!("cannot write {}: {e}", path.display()));
}
