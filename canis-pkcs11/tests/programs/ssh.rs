//! OpenSSH's client with its key in the module, and certificates that a key in the module signs.

use crate::home::{Home, PIN, library, said, succeed};
use crate::service::bounded;
use crate::sshd::Server;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// A token `ssh` with one key.
pub(crate) fn home(kind: &str) -> Home {
    let home = Home::with_token("ssh");
    home.tool_as_user(&["--keypairgen", "--key-type", kind, "--label", "ssh", "--id", "01"]);
    home
}

/// The public key in the module, as a line of `authorized_keys`.
pub(crate) fn public_key(home: &Home) -> String {
    succeed(home.command("ssh-keygen").arg("-D").arg(library()))
}

/// A program of OpenSSH to which the PIN is typed by a helper, since it has no terminal.
pub(crate) fn with_pin(home: &Home, program: &str) -> Command {
    let askpass = home.path("askpass");
    std::fs::write(&askpass, format!("#!/bin/sh\necho {PIN}\n")).unwrap();
    std::fs::set_permissions(&askpass, std::fs::Permissions::from_mode(0o700)).unwrap();
    let mut command = bounded(home, program);
    command.env("SSH_ASKPASS", askpass).env("SSH_ASKPASS_REQUIRE", "force").env_remove("SSH_AUTH_SOCK");
    command
}

/// Logs in with what `ssh` was given and runs a command there.
pub(crate) fn log_in(ssh: &mut Command, server: &Server) -> (bool, String) {
    ssh.args(["-F", "none", "-p", &server.port.to_string(), "-o", "PreferredAuthentications=publickey"]);
    let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
    let output = ssh.args(["-l", user.trim(), "127.0.0.1", "echo inside"]).output().unwrap();
    (output.status.success() && said(&output).contains("inside"), said(&output))
}

/// Does not ask whether the server's key is known.
pub(crate) const ANY_HOST: [&str; 4] =
    ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"];

fn by_module(home: &Home) -> Command {
    let mut ssh = with_pin(home, "ssh");
    ssh.arg("-I").arg(library()).args(ANY_HOST);
    ssh
}

/// R93: `ssh -I` logs in with an RSA and with a P-256 key, and not with a key that the server does not know.
#[test]
fn ssh_logs_in_with_keys_of_the_module() {
    for kind in ["rsa:2048", "EC:prime256v1"] {
        let home = home(kind);
        let public = public_key(&home);
        assert!(public.contains("ssh-rsa ") || public.contains("ecdsa-sha2-nistp256 "), "{public}");
        std::fs::write(home.path("authorized_keys"), &public).unwrap();
        let server = Server::start(&home, "");
        let (inside, text) = log_in(&mut by_module(&home), &server);
        let log = server.log();
        assert!(inside, "{kind}: {text}\n--- sshd\n{log}\n--- module\n{}", home.log());
        assert!(log.contains("Accepted publickey"), "{log}");

        std::fs::write(home.path("authorized_keys"), "").unwrap();
        assert!(!log_in(&mut by_module(&home), &server).0);
    }
}

/// R93: a key in the module certifies a user's key and the server's; either side then trusts the other by the
/// certificate alone.
#[test]
fn certificates_of_users_and_hosts_are_signed_in_the_module() {
    let home = home("EC:prime256v1");
    std::fs::write(home.path("ca.pub"), public_key(&home)).unwrap();
    std::fs::write(home.path("authorized_keys"), "").unwrap();
    let certify = |arguments: &[&str]| {
        let mut keygen = with_pin(&home, "ssh-keygen");
        succeed(keygen.args(["-q", "-s", "ca.pub", "-V", "+1h", "-D"]).arg(library()).args(arguments));
    };
    let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
    for name in ["user", "host"] {
        succeed(home.command("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", name]));
    }
    certify(&["-I", "a user", "-n", user.trim(), "user.pub"]);
    certify(&["-I", "a host", "-h", "-n", "127.0.0.1", "host.pub"]);

    let path = |name: &str| home.path(name).display().to_string();
    let trust = format!(
        "HostKey {}\nHostCertificate {}\nTrustedUserCAKeys {}\n",
        path("host"),
        path("host-cert.pub"),
        path("ca.pub")
    );
    let server = Server::start(&home, &trust);
    let known = format!("@cert-authority * {}", std::fs::read_to_string(home.path("ca.pub")).unwrap());
    std::fs::write(home.path("known_hosts"), known).unwrap();
    let with_key = |key: &str| {
        let mut ssh = with_pin(&home, "ssh");
        ssh.args([
            "-o",
            "StrictHostKeyChecking=yes",
            "-o",
            "HostKeyAlgorithms=ssh-ed25519-cert-v01@openssh.com",
        ]);
        ssh.args(["-o", &format!("UserKnownHostsFile={}", path("known_hosts")), "-i", key]);
        log_in(&mut ssh, &server)
    };
    let (inside, text) = with_key("user");
    assert!(inside, "{text}\n--- sshd\n{}", server.log());
    // Another key has no certificate.
    succeed(home.command("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", "other"]));
    assert!(!with_key("other").0);
}
