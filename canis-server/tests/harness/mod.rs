//! One real CANIS each: a data directory that `canis init` made in a temporary folder, a `canis-server` process on a
//! free port, the `canis` program with the environment to reach it. Every process is ended by its own id.
#![allow(dead_code)] // Each test file uses its own part of it.

use canis_client::{Client, Config};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use zeroize::Zeroizing;

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program of this workspace, as built beside this test.
pub(crate) fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().unwrap().parent().unwrap().join(name);
    assert!(path.exists(), "{} is not built; run `cargo build --workspace` first", path.display());
    path
}

/// A program of the Python environment that `scripts/setup` makes.
pub(crate) fn client_of_python(name: &str) -> PathBuf {
    let path = program("canis").parent().unwrap().parent().unwrap().join("python/bin").join(name);
    assert!(path.exists(), "{} is not installed; run `scripts/setup` first", path.display());
    path
}

/// A file for its owner alone, as those that hold a root's credential have to be.
pub(crate) fn write_private(path: &Path, text: &str) {
    let file = fs::File::options().create(true).truncate(true).write(true).mode(0o600).open(path);
    file.unwrap().write_all(text.as_bytes()).unwrap();
}

/// A data directory and the credentials that go with it.
pub(crate) struct Deployment {
    pub(crate) folder: TempDir,
    pub(crate) token: String,
    /// What every process of it gets in its environment.
    env: Vec<(&'static str, PathBuf)>,
}

/// Where Debian puts SoftHSM2.
const SOFTHSM: &str = "/usr/lib/softhsm/libsofthsm2.so";

impl Deployment {
    /// A store that opens with a key file; fast.
    pub(crate) fn with_keyfile() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("root.key").display().to_string();
        Self::made(folder, Vec::new(), &["--root", "keyfile", "--keyfile", &file])
    }

    /// A store that opens with a passphrase; Argon2 takes its second.
    pub(crate) fn with_passphrase() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("passphrase");
        write_private(&file, "correct horse battery staple\n");
        let file = file.display().to_string();
        Self::made(folder, Vec::new(), &["--root", "passphrase", "--passphrase-file", &file])
    }

    /// A store that opens with a key in a SoftHSM2 token of its own, kept in `tokens`.
    pub(crate) fn with_hsm() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (tokens, conf) = (folder.path().join("tokens"), folder.path().join("softhsm2.conf"));
        fs::create_dir(&tokens).unwrap();
        fs::write(&conf, format!("directories.tokendir = {}\n", tokens.display())).unwrap();
        let made = Command::new("softhsm2-util")
            .args(["--init-token", "--free", "--label", "canis", "--pin", "123456", "--so-pin", "654321"])
            .env("SOFTHSM2_CONF", &conf)
            .output()
            .unwrap();
        stdout(&made);
        let pin = folder.path().join("pin");
        write_private(&pin, "123456\n");
        let pin = pin.display().to_string();
        let root = ["--root", "hsm", "--module", SOFTHSM, "--token-label", "canis", "--pin-file", &pin];
        Self::made(folder, vec![("SOFTHSM2_CONF", conf)], &root)
    }

    fn made(folder: TempDir, env: Vec<(&'static str, PathBuf)>, root: &[&str]) -> Self {
        let output = Command::new(program("canis"))
            .args(["init", "--json", "--data"])
            .arg(folder.path().join("data"))
            .args(root)
            .envs(env.iter().cloned())
            .output()
            .unwrap();
        let answer: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
        Deployment { folder, token: answer["token"].as_str().unwrap().to_owned(), env }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.data().join("ca.pem")
    }

    /// A running, unsealed server.
    pub(crate) fn start(&self) -> Server {
        let server = self.start_with(&[]);
        assert_eq!(server.line(), "unsealed", "{}", server.log());
        server
    }

    /// A running, unsealed server that may open so many files.
    pub(crate) fn start_limited_to(&self, files: u32) -> Server {
        let server = self.server_command("127.0.0.1:0");
        let mut limited = Command::new("sh");
        limited
            .args(["-c", &format!("ulimit -n {files}; exec \"$0\" \"$@\"")])
            .arg(server.get_program())
            .args(server.get_args())
            .envs(self.env.iter().cloned());
        let server = self.spawn(limited);
        assert_eq!(server.line(), "unsealed", "{}", server.log());
        server
    }

    /// A running server; whether it is unsealed is in its next line.
    pub(crate) fn start_with(&self, args: &[&str]) -> Server {
        let mut command = self.server_command("127.0.0.1:0");
        command.args(args);
        self.spawn(command)
    }

    /// Starts what `command` makes of [`Self::server_command`].
    pub(crate) fn spawn(&self, mut command: Command) -> Server {
        let log =
            self.folder.path().join(format!("log-{}", fs::read_dir(self.folder.path()).unwrap().count()));
        let mut child =
            command.stdout(Stdio::piped()).stderr(fs::File::create(&log).unwrap()).spawn().unwrap();
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let mut server = Server { child, addr: String::new(), lines: Mutex::new(lines), log };
        let line = server.line();
        server.addr = line.strip_prefix("listening on ").unwrap_or_else(|| panic!("{line}")).to_owned();
        server
    }

    /// `canis-server` on this directory and address.
    pub(crate) fn server_command(&self, listen: &str) -> Command {
        let mut command = Command::new(program("canis-server"));
        command
            .arg("--data")
            .arg(self.data())
            .args(["--listen", listen])
            .env_remove("CANIS_LOG")
            .envs(self.env.iter().cloned());
        command
    }

    /// `canis` with the environment that reaches `server`.
    pub(crate) fn canis(&self, server: &Server) -> Command {
        let mut command = Command::new(program("canis"));
        command
            .env("CANIS_ADDR", &server.addr)
            .env("CANIS_CACERT", self.ca())
            .env("CANIS_TOKEN", &self.token)
            .stdin(Stdio::null());
        command
    }

    /// How a client connects to `server`.
    pub(crate) fn config(&self, server: &Server) -> Config {
        let mut config = Config::new(&server.addr, fs::read(self.ca()).unwrap(), "the test's CA");
        config.token = Some(Zeroizing::new(self.token.clone()));
        config
    }

    pub(crate) fn client(&self, server: &Server) -> Client {
        Client::connect(&self.config(server)).unwrap()
    }
}

/// A `canis-server` process; killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) addr: String,
    lines: Mutex<Receiver<String>>,
    log: PathBuf,
}

impl Server {
    /// The next line on its stdout.
    pub(crate) fn line(&self) -> String {
        self.lines
            .lock()
            .unwrap()
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|_| panic!("no line came; its log: {}", self.log()))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its resident memory in KiB.
    pub(crate) fn resident(&self) -> u64 {
        memory(self.pid(), "VmRSS:")
    }

    /// The most of it that there ever was.
    pub(crate) fn peak(&self) -> u64 {
        memory(self.pid(), "VmHWM:")
    }

    /// Sends the signal of this name, at once: to start a program for it takes its time on a busy machine.
    pub(crate) fn signal(&self, name: &str) {
        let signal = match name {
            "TERM" => Signal::TERM,
            "INT" => Signal::INT,
            "HUP" => Signal::HUP,
            other => panic!("SIG{other}"),
        };
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until it ends by itself.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("it does not end; its log: {}", self.log());
    }

    /// SIGTERM, and the exit it leads to.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A deployment with its server, shared by the tests of one file while one of them runs.
pub(crate) struct Shared {
    pub(crate) deployment: Deployment,
    pub(crate) server: Server,
}

static SHARED: Mutex<Weak<Shared>> = Mutex::new(Weak::new());

/// The shared server; started if no test holds one, ended with the last that does.
pub(crate) fn shared() -> Arc<Shared> {
    let mut slot = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(shared) = slot.upgrade() {
        return shared;
    }
    let deployment = Deployment::with_keyfile();
    let server = deployment.start();
    let shared = Arc::new(Shared { deployment, server });
    *slot = Arc::downgrade(&shared);
    shared
}

impl Shared {
    pub(crate) fn canis(&self, args: &[&str]) -> Output {
        self.deployment.canis(&self.server).args(args).output().unwrap()
    }

    pub(crate) fn canis_with_stdin(&self, args: &[&str], input: &[u8]) -> Output {
        let command = &mut self.deployment.canis(&self.server);
        let mut child = command
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        // A program that refuses its input early closes the pipe.
        let feeder = std::thread::spawn(move || drop(stdin.write_all(&input)));
        let output = child.wait_with_output().unwrap();
        feeder.join().unwrap();
        output
    }

    /// What a script of Python says, in the environment that `scripts/setup` makes, with this server's `canis` at hand.
    pub(crate) fn python(&self, script: &str) -> String {
        let canis = program("canis");
        let built = canis.parent().unwrap();
        let python = built.parent().unwrap().join("python/bin/python");
        assert!(python.exists(), "{} is not there; run scripts/setup", python.display());
        let mut command = Command::new(python);
        for (name, value) in self.deployment.canis(&self.server).get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        command.env("PATH", format!("{}:{}", built.display(), std::env::var("PATH").unwrap()));
        stdout(&command.arg("-B").arg(script).output().unwrap())
    }

    pub(crate) fn client(&self) -> Client {
        self.deployment.client(&self.server)
    }
}

/// One line of what the kernel says of a process' memory, in KiB.
pub(crate) fn memory(process: u32, line: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|text| text.strip_prefix(line)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Stdout of a command that must succeed.
pub(crate) fn stdout(output: &Output) -> String {
    assert!(
        output.status.success(),
        "exit {:?}: {}{}",
        output.status.code(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Stderr of a command that must end with `code`.
pub(crate) fn failure(output: &Output, code: i32) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{}{text}", String::from_utf8_lossy(&output.stdout));
    text
}

/// Reads until the end or an error, whichever comes first.
pub(crate) fn read_all(mut stream: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A reset after the last byte is an end, too.
    let _ = stream.read_to_end(&mut bytes);
    bytes
}
