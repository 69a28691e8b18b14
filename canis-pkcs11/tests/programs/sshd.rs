//! A real sshd.

use crate::home::{Home, succeed};
use crate::service::Service;

/// A running sshd; stopped with the value.
pub(crate) struct Server {
    service: Service,
    pub(crate) port: u16,
}

impl Server {
    /// Starts one that lets in whom `authorized_keys` of this directory names; `more` are lines of its configuration.
    pub(crate) fn start(home: &Home, more: &str) -> Server {
        let host_key = home.path("host_key");
        succeed(home.command("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&host_key));
        // sshd wants its directory for privilege separation, which a package's service would make.
        let _ = std::fs::create_dir_all("/run/sshd");
        let service = Service::listening(home, "sshd", |port| {
            let configuration = format!(
                "ListenAddress 127.0.0.1:{port}\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\n\
                 PidFile none\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n\
                 LogLevel VERBOSE\n{more}",
                host_key.display(),
                home.path("authorized_keys").display(),
            );
            std::fs::write(home.path("sshd_config"), configuration).unwrap();
            let mut sshd = home.command("/usr/sbin/sshd");
            sshd.args(["-D", "-e", "-f"]).arg(home.path("sshd_config"));
            sshd
        });
        Server { port: service.port, service }
    }

    pub(crate) fn log(&self) -> String {
        self.service.said()
    }
}
