//! A real sshd on a free port of the loopback, with keys and configuration of its own.

use crate::run::run;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A running sshd; killed when dropped.
pub struct Sshd {
    dir: Arc<tempfile::TempDir>,
    child: Child,
    port: u16,
}

impl Sshd {
    /// Starts one that lets `authorized` (a line as in `authorized_keys`) in as the current user.
    ///
    /// # Panics
    /// If openssh-server is not installed; `scripts/test` installs it.
    #[must_use]
    pub fn start(authorized: &str) -> Self {
        let dir = tempfile::tempdir().unwrap_or_else(|e| panic!("no temporary directory: {e}"));
        let path = |name: &str| dir.path().join(name);
        let mut keygen = Command::new("ssh-keygen");
        run(keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path("host_key")), b"").ok();
        write(&path("authorized_keys"), authorized);
        // sshd as root wants its privilege separation directory.
        drop(std::fs::create_dir_all("/run/sshd"));
        let dir = Arc::new(dir);
        let mut said = String::new();
        for _ in 0..5 {
            let mut started = Self::at(free_port(), &dir);
            if started.listens() {
                return started;
            }
            // Somebody else took the port meanwhile.
            said = started.log();
        }
        panic!("sshd does not listen: {said}");
    }

    /// Started there; it may not come to listen.
    fn at(port: u16, dir: &Arc<tempfile::TempDir>) -> Self {
        let path = |name: &str| dir.path().join(name);
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\n\
             UsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\nLogLevel VERBOSE\n",
            path("host_key").display(),
            path("authorized_keys").display()
        );
        write(&path("sshd_config"), &config);
        let log =
            std::fs::File::create(path("sshd.log")).unwrap_or_else(|e| panic!("cannot make sshd's log: {e}"));
        let mut sshd = Command::new("/usr/sbin/sshd");
        sshd.args(["-D", "-e", "-f"])
            .arg(path("sshd_config"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let child = sshd.spawn().unwrap_or_else(|e| panic!("cannot start sshd: {e}"));
        Sshd { dir: Arc::clone(dir), child, port }
    }

    /// Waits until it listens; `false` if it ended instead.
    fn listens(&mut self) -> bool {
        let end = Instant::now() + Duration::from_secs(60);
        while matches!(self.child.try_wait(), Ok(None)) {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return true;
            }
            assert!(Instant::now() < end, "sshd does not listen: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    /// What it logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("sshd.log")).unwrap_or_default()
    }

    /// An `ssh` command that logs in to it and runs `remote`; add `-I MODULE` or `-i KEY`. `pin` answers the prompt.
    ///
    /// # Panics
    /// If the askpass script cannot be written.
    #[must_use]
    pub fn ssh(&self, pin: &str, options: &[&str], remote: &str) -> Command {
        use std::os::unix::fs::PermissionsExt;
        let askpass = self.dir.path().join("askpass");
        write(&askpass, &format!("#!/bin/sh\necho '{pin}'\n"));
        let executable = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(&askpass, executable)
            .unwrap_or_else(|e| panic!("cannot set askpass's mode: {e}"));
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none", "-p", &self.port.to_string()]);
        for option in [
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "IdentitiesOnly=no",
            "PreferredAuthentications=publickey",
            "IdentityFile=none",
            "LogLevel=ERROR",
        ] {
            ssh.args(["-o", option]);
        }
        ssh.args(options).args(["127.0.0.1", remote]);
        ssh.env("SSH_ASKPASS", askpass).env("SSH_ASKPASS_REQUIRE", "force").env_remove("SSH_AUTH_SOCK");
        ssh
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A port that was free a moment ago, for what cannot choose one by itself.
pub(crate) fn free_port() -> u16 {
    let bound = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    bound.unwrap_or_else(|e| panic!("no free port: {e}")).port()
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap_or_else(|e| panic!("cannot write {}: {e}", path.display()));
}
