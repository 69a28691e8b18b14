//! A real ssh-agent that holds keys of the module: logins, certificates, and commits signed through it.

use crate::home::{Home, library, succeed};
use crate::service::Service;
use crate::ssh::{ANY_HOST, home, log_in, public_key, with_pin};
use crate::sshd::Server;
use std::os::unix::net::UnixStream;
use std::process::Command;

/// A running agent; stopped with the value.
struct Agent<'a> {
    home: &'a Home,
    _service: Service,
}

impl<'a> Agent<'a> {
    /// Starts one that may load the module, and gives it the module's keys.
    fn with_the_module(home: &'a Home) -> Self {
        let mut agent = home.command("ssh-agent");
        agent.args(["-D", "-a", "agent", "-P"]).arg(library());
        let mut service = Service::start(home, "ssh-agent", agent);
        // Its socket is there a moment before it listens.
        let up = |_: &Service| UnixStream::connect(home.path("agent")).is_ok();
        assert!(service.waits_until(up), "{}", service.said());
        let agent = Agent { home, _service: service };
        succeed(agent.asks("ssh-add").arg("-s").arg(library()));
        agent
    }

    /// A program that finds the agent.
    fn asks(&self, program: &str) -> Command {
        let mut command = with_pin(self.home, program);
        command.env("SSH_AUTH_SOCK", self.home.path("agent"));
        command
    }
}

/// R93: `ssh-add -s` lends the keys to an agent, `ssh` logs in through it; `ssh-add -e` takes them back.
#[test]
fn an_agent_uses_the_keys_of_the_module() {
    for kind in ["rsa:2048", "EC:prime256v1"] {
        let home = home(kind);
        std::fs::write(home.path("authorized_keys"), public_key(&home)).unwrap();
        let server = Server::start(&home, "");
        let agent = Agent::with_the_module(&home);
        for _ in 0..3 {
            let (inside, text) = log_in(agent.asks("ssh").args(ANY_HOST), &server);
            assert!(inside, "{kind}: {text}\n--- sshd\n{}\n--- module\n{}", server.log(), home.log());
        }
        succeed(agent.asks("ssh-add").arg("-e").arg(library()));
        assert!(!log_in(agent.asks("ssh").args(ANY_HOST), &server).0);
    }
}

/// R93: an agent signs certificates with a key of the module.
#[test]
fn an_agent_certifies_keys() {
    let home = home("rsa:2048");
    std::fs::write(home.path("ca.pub"), public_key(&home)).unwrap();
    let agent = Agent::with_the_module(&home);
    succeed(home.command("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", "user"]));
    succeed(agent.asks("ssh-keygen").args(["-q", "-Us", "ca.pub", "-I", "somebody", "-n", "me", "user.pub"]));
    let shown = succeed(home.command("ssh-keygen").args(["-L", "-f", "user-cert.pub"]));
    assert!(shown.contains("Signing CA: RSA") && shown.contains("\"somebody\""), "{shown}");
}

/// R93: git signs a commit with a key of the module, through the agent, and tells it from one that was changed.
#[test]
fn git_signs_commits() {
    let home = home("EC:prime256v1");
    let public = public_key(&home);
    std::fs::write(home.path("key.pub"), &public).unwrap();
    std::fs::write(home.path("allowed"), format!("me@example.org {public}")).unwrap();
    let agent = Agent::with_the_module(&home);
    let git = |arguments: &[&str]| {
        let mut git = agent.asks("git");
        git.env("GIT_CONFIG_NOSYSTEM", "1").args(["-C", "repository"]);
        for setting in ["user.name=me", "user.email=me@example.org", "gpg.format=ssh"] {
            git.args(["-c", setting]);
        }
        for (setting, file) in [("user.signingKey", "key.pub"), ("gpg.ssh.allowedSignersFile", "allowed")] {
            git.args(["-c", &format!("{setting}={}", home.path(file).display())]);
        }
        git.args(arguments);
        git
    };
    std::fs::create_dir(home.path("repository")).unwrap();
    succeed(&mut git(&["init", "-q"]));
    succeed(&mut git(&["commit", "-q", "--allow-empty", "-S", "-m", "signed"]));
    let verified = succeed(&mut git(&["verify-commit", "HEAD"]));
    assert!(verified.contains("Good \"git\" signature for me@example.org with ECDSA key"), "{verified}");

    // The same signature under another message is not good.
    let signed = succeed(&mut git(&["cat-file", "commit", "HEAD"]));
    std::fs::write(home.path("forged"), signed.replace("\nsigned\n", "\nforged\n")).unwrap();
    let forged = home.path("forged").display().to_string();
    let id = succeed(&mut git(&["hash-object", "-t", "commit", "-w", &forged]));
    assert!(!git(&["verify-commit", id.trim()]).status().unwrap().success());
}
