//! sshd on another machine, whose host key is at a server that is restarted under it.

use crate::host::{Beside, PIN, again, command, configure, log, make_key, shown, site};
use crate::namespace::Namespace;
use canis_tests::{module, run};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::Command;

/// In a namespace of its own nobody else has it.
const PORT: u16 = 2222;

/// R93: sshd in a network namespace of its own proves itself by a host key at a server, through an agent that has loaded the
/// module once; clients that know no other key get in before and after the server was restarted.
#[test]
fn a_server_is_restarted_under_sshd() {
    let Some(space) = Namespace::new() else { return };
    let site = site();
    let server = site.start_at(&format!("{}:0", space.here)).unsealed();
    let addr = server.addr().to_owned();
    let configuration = configure(&site, &[&addr], "keep_pin = true\nretry_for = 20");
    make_key(&site, &configuration, "host");
    let path = |name: &str| shown(&site.file(name));
    let askpass = site.file("askpass");
    std::fs::write(&askpass, format!("#!/bin/sh\necho {PIN}\n")).unwrap();
    std::fs::set_permissions(&askpass, std::fs::Permissions::from_mode(0o700)).unwrap();
    let inside = |program: &str, arguments: &[&str]| {
        let mut command = command(&site, &configuration, program);
        command.env("SSH_ASKPASS", &askpass).env("SSH_ASKPASS_REQUIRE", "force");
        command.env("SSH_AUTH_SOCK", site.file("agent")).args(arguments);
        space.inside(&command)
    };

    let library = shown(&module());
    let agent = inside("ssh-agent", &["-D", "-a", &path("agent"), "-P", &library]);
    // Its socket is there a moment before it listens.
    let up = || UnixStream::connect(site.file("agent")).is_ok();
    let _agent = Beside::start(agent, site.file("agent.log"), up);
    run(&mut inside("ssh-add", &["-s", &library]), b"").ok();
    let host_key = run(&mut inside("ssh-add", &["-L"]), b"").ok().text();
    std::fs::write(site.file("host.pub"), &host_key).unwrap();
    run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &path("user")]), b"").ok();
    std::fs::copy(site.file("user.pub"), site.file("authorized")).unwrap();
    let text = format!(
        "ListenAddress 0.0.0.0:{PORT}\nHostKey {}\nHostKeyAgent {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\n\
         PidFile none\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n",
        path("host.pub"),
        path("agent"),
        path("authorized"),
    );
    std::fs::write(site.file("sshd_config"), text).unwrap();
    // sshd wants its directory for privilege separation, which a package's service would make.
    let _ = std::fs::create_dir_all("/run/sshd");
    let sshd = inside("/usr/sbin/sshd", &["-D", "-e", "-f", &path("sshd_config")]);
    let up = || TcpStream::connect((space.there.as_str(), PORT)).is_ok();
    let sshd = Beside::start(sshd, site.file("sshd.log"), up);

    let key = host_key.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    std::fs::write(site.file("known"), format!("[{}]:{PORT} {key}\n", space.there)).unwrap();
    let log_in = || {
        let mut ssh = Command::new("timeout");
        ssh.args(["60", "ssh", "-F", "none", "-p", &PORT.to_string(), "-i", &path("user")]);
        ssh.args(["-o", "StrictHostKeyChecking=yes", "-o", "IdentitiesOnly=yes", "-o"]);
        ssh.arg(format!("UserKnownHostsFile={}", path("known"))).env_remove("SSH_AUTH_SOCK");
        let finished = run(ssh.args([&space.there, "echo inside"]), b"");
        assert_eq!(finished.text(), "inside\n", "{finished:?}\n{}\n{}", sshd.said(), log(&site));
    };
    (0..2).for_each(|_| log_in());
    let mut running = server;
    for _ in 0..2 {
        running.stop();
        running = again(&site, &addr);
        (0..3).for_each(|_| log_in());
    }
}
