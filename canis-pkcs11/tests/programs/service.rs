//! Programs that run beside a test, or wait for such: they listen on a free port, and end with the value that stands for them.

use crate::home::Home;
use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a program may take for what it is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program that may wait for another one: it is ended after a minute.
pub(crate) fn bounded(home: &Home, program: &str) -> Command {
    let mut command = home.command("timeout");
    command.args(["--kill-after=5", "60", program]);
    command
}

/// A running program; stopped with the value.
pub(crate) struct Service {
    process: Child,
    output: PathBuf,
    /// Where it listens on 127.0.0.1; 0 if it does not.
    pub(crate) port: u16,
}

impl Drop for Service {
    fn drop(&mut self) {
        // By SIGTERM first, so that a program with children takes them along.
        let pid = self.process.id().to_string();
        let _ = Command::new("kill").arg(&pid).stderr(Stdio::null()).status();
        let end = Instant::now() + Duration::from_secs(5);
        while matches!(self.process.try_wait(), Ok(None)) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Service {
    /// Starts a program; what it says goes into the file `<name>.log`.
    pub(crate) fn start(home: &Home, name: &str, mut command: Command) -> Service {
        let output = home.path(&format!("{name}.log"));
        let file = File::create(&output).unwrap();
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        let process = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        Service { process, output, port: 0 }
    }

    /// Starts a program that is told its port, and waits until it listens there. Another port is tried if it ends,
    /// since somebody else may have taken the first meanwhile.
    pub(crate) fn listening(home: &Home, name: &str, command: impl Fn(u16) -> Command) -> Service {
        let mut said = String::new();
        for _ in 0..3 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut service = Service::start(home, name, command(port));
            service.port = port;
            let up = |_: &Service| TcpStream::connect(("127.0.0.1", port)).is_ok();
            if service.waits_until(up) {
                return service;
            }
            said = service.said();
        }
        panic!("{name} does not listen:\n{said}");
    }

    /// What it has said so far.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.output).unwrap_or_default()
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Waits for something; says whether it came while the program was running.
    pub(crate) fn waits_until(&mut self, come: impl Fn(&Service) -> bool) -> bool {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if self.process.try_wait().unwrap().is_some() {
                return false;
            }
            if come(self) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }
}
