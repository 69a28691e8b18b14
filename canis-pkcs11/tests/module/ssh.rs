//! OpenSSH: a real server, and a client whose key is in the module.

use crate::harness::{Home, PIN, library, said, succeed};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A running sshd; stopped with the value.
struct Server {
    process: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    fn start(home: &Home) -> Server {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let host_key = home.path("host_key");
        succeed(home.command("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&host_key));
        let configuration = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\n\
             PidFile none\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n\
             LogLevel VERBOSE\n",
            host_key.display(),
            home.path("authorized_keys").display(),
        );
        std::fs::write(home.path("sshd_config"), configuration).unwrap();
        // sshd wants its directory for privilege separation, which a package's service would make.
        let _ = std::fs::create_dir_all("/run/sshd");
        let process = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(home.path("sshd_config"))
            .stderr(std::fs::File::create(home.path("sshd.log")).unwrap())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        for _ in 0..100 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Server { process, port }
    }
}

/// Logs in with the keys of the module and runs a command there.
fn log_in(home: &Home, server: &Server) -> (bool, String) {
    let askpass = home.path("askpass");
    std::fs::write(&askpass, format!("#!/bin/sh\necho {PIN}\n")).unwrap();
    std::fs::set_permissions(&askpass, std::fs::Permissions::from_mode(0o700)).unwrap();
    let mut ssh = home.command("ssh");
    ssh.arg("-I").arg(library()).args(["-F", "none", "-p", &server.port.to_string()]);
    for option in
        ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "PreferredAuthentications=publickey"]
    {
        ssh.args(["-o", option]);
    }
    ssh.env("SSH_ASKPASS", askpass).env("SSH_ASKPASS_REQUIRE", "force").env_remove("SSH_AUTH_SOCK");
    let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
    let output = ssh.arg(format!("{}@127.0.0.1", user.trim())).arg("echo inside").output().unwrap();
    (output.status.success() && said(&output).contains("inside"), said(&output))
}

/// R93: `ssh -I` logs in with an RSA and with a P-256 key, and not with a key that the server does not know.
#[test]
fn ssh_logs_in_with_keys_of_the_module() {
    for kind in ["rsa:2048", "EC:prime256v1"] {
        let home = Home::with_token("ssh");
        home.tool_as_user(&["--keypairgen", "--key-type", kind, "--label", "ssh", "--id", "01"]);
        let public = succeed(home.command("ssh-keygen").arg("-D").arg(library()));
        assert!(public.contains("ssh-rsa ") || public.contains("ecdsa-sha2-nistp256 "), "{public}");
        std::fs::write(home.path("authorized_keys"), &public).unwrap();
        let server = Server::start(&home);
        let (inside, text) = log_in(&home, &server);
        let log = std::fs::read_to_string(home.path("sshd.log")).unwrap();
        assert!(inside, "{kind}: {text}\n--- sshd\n{log}\n--- module\n{}", home.log());
        assert!(log.contains("Accepted publickey"), "{log}");

        std::fs::write(home.path("authorized_keys"), "").unwrap();
        assert!(!log_in(&home, &server).0);
    }
}
