//! A server with one key, and a host that works at it.

use canis_tests::{Server, Site, module, run};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) const PIN: &str = "1234";

/// A site whose own token has a PIN.
pub(crate) fn site() -> Site {
    with_pin(Site::with_keyfile())
}

/// The same of any site.
pub(crate) fn with_pin(site: Site) -> Site {
    let server = site.start().unsealed();
    let (pin, token) = (site.file("pin"), site.file("token"));
    std::fs::write(&pin, PIN).unwrap();
    std::fs::write(token, &site.token).unwrap();
    server.canis(&["slot", "set-pin", "--token", "default", "--pin-file", &shown(&pin)], b"").ok();
    server.stop();
    site
}

pub(crate) fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Writes the module's configuration: these servers, and further lines.
pub(crate) fn configure(site: &Site, servers: &[&str], more: &str) -> PathBuf {
    configure_as(site, "pkcs11.toml", servers, &site.data().join("ca.pem"), more)
}

/// The same into another file, with another authority.
pub(crate) fn configure_as(site: &Site, file: &str, servers: &[&str], ca: &Path, more: &str) -> PathBuf {
    let path = site.file(file);
    let text = format!(
        "servers = {servers:?}\nca = {ca:?}\nserver_name = \"localhost\"\ntoken_file = {:?}\nlog = {:?}\n{more}\n",
        site.file("token"),
        site.file("log"),
    );
    std::fs::write(&path, text).unwrap();
    path
}

/// A program that is configured so.
pub(crate) fn command(site: &Site, configuration: &Path, program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .env_remove("CANIS_DATA")
        .env("CANIS_PKCS11_CONF", configuration)
        .env("HOME", site.file(""))
        .env("LC_ALL", "C")
        .current_dir(site.file(""));
    command
}

/// Makes a P-256 key.
pub(crate) fn make_key(site: &Site, configuration: &Path, label: &str) {
    let mut tool = command(site, configuration, "pkcs11-tool");
    tool.arg("--module").arg(module()).args(["--login", "--pin", PIN, "--keypairgen"]);
    run(tool.args(["--key-type", "EC:prime256v1", "--label", label, "--id", "01"]), b"").ok();
}

/// A running host: c/host.c.
pub(crate) struct Host {
    child: Child,
    told: ChildStdin,
    said: BufReader<ChildStdout>,
}

impl Host {
    pub(crate) fn start(site: &Site, configuration: &Path) -> Self {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
        let program = site.file("host");
        if !program.exists() {
            let mut cc = Command::new("cc");
            cc.args(["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Werror", "-O1", "-pthread", "-I"]);
            cc.arg(tests.join("module/c")).arg("-o").arg(&program);
            run(cc.arg(tests.join("remote/c/host.c")).arg("-ldl"), b"").ok();
        }
        let mut host = command(site, configuration, &shown(&program));
        host.arg(module()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = host.spawn().unwrap();
        let (told, said) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Host { child, told, said: BufReader::new(said) }
    }

    /// One that is logged in and knows its key.
    pub(crate) fn at_work(site: &Site, configuration: &Path) -> Self {
        let mut host = Host::start(site, configuration);
        for (step, gave) in [("open", 0), ("login", 0), ("key", 1), ("sign", 0)] {
            assert_eq!(host.does(step), gave, "{step}: {}", log(site));
        }
        host
    }

    /// Begins a step, whose end [`Host::gave`] waits for.
    pub(crate) fn begin(&mut self, step: &str) {
        writeln!(self.told, "{step}").unwrap();
    }

    pub(crate) fn gave(&mut self) -> u64 {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        u64::from_str_radix(line.trim(), 16).unwrap_or_else(|_| panic!("the host ended; it said `{line}`"))
    }

    pub(crate) fn does(&mut self, step: &str) -> u64 {
        self.begin(step);
        self.gave()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the module wrote into its log.
pub(crate) fn log(site: &Site) -> String {
    std::fs::read_to_string(site.file("log")).unwrap_or_default()
}

/// A server at the address where another one has just been.
pub(crate) fn again(site: &Site, addr: &str) -> Server {
    site.start_at(addr).unsealed()
}

/// A program that runs beside a test, and ends with it.
pub(crate) struct Beside {
    child: Child,
    said: PathBuf,
}

impl Beside {
    /// Starts one and waits until `up`.
    pub(crate) fn start(mut command: Command, said: PathBuf, up: impl Fn() -> bool) -> Self {
        let file = std::fs::File::create(&said).unwrap();
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        let child = command.spawn().unwrap();
        let mut beside = Beside { child, said };
        let end = Instant::now() + Duration::from_secs(60);
        while !up() {
            assert!(beside.child.try_wait().unwrap().is_none() && Instant::now() < end, "{}", beside.said());
            std::thread::sleep(Duration::from_millis(20));
        }
        beside
    }

    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.said).unwrap_or_default()
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // By SIGTERM first, so that a program with children takes them along.
        let _ = Command::new("kill").arg(self.child.id().to_string()).stderr(Stdio::null()).status();
        let end = Instant::now() + Duration::from_secs(5);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
