//! The Unix socket of the data directory: the same frames without TLS, for the server's own user and root alone.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod harness;

use canis_client::{Client, Config};
use canis_proto::message::{CreateKey, Encrypt, ShowKey, Status};
use canis_proto::role::PutRole;
use canis_proto::stream::HashStream;
use canis_proto::{ErrorCode, HashName, KeyType};
use harness::{Deployment, stdout};
use std::fs::{self, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use zeroize::Zeroizing;

fn config(deployment: &Deployment) -> Config {
    Config::new(format!("unix:{}", deployment.data().display()), Vec::new(), "")
}

/// Whoever may open the socket needs no token and no certificate, and works in the tenant that the token is for.
#[test]
fn administrators_need_no_token() {
    let deployment = Deployment::with_keyfile();
    let server = deployment.start();
    let socket = deployment.data().join("canis.sock");
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let mut client = Client::connect(&config(&deployment)).unwrap();
    client.call(&CreateKey::new("local", KeyType::Aes256)).map(|_| ()).unwrap();
    client.call(&Encrypt::new("local", &b"x"[..])).map(|_| ()).unwrap();
    let hash = HashStream { hash: HashName::Sha256 };
    client.stream(&hash, &mut io::repeat(7).take(3 << 20), &mut io::sink()).map(|_| ()).unwrap();
    let show = ShowKey { name: "local".into(), before_version: 0 };
    assert!(deployment.client(&server).call(&show).is_ok());
    // The program says it by its address, of the directory or of the socket itself.
    for path in [deployment.data(), socket.clone()] {
        let mut canis = Command::new(harness::program("canis"));
        canis.env_remove("CANIS_TOKEN").env_remove("CANIS_CACERT");
        let said = canis.arg("--addr").arg(format!("unix:{}", path.display())).args(["key", "list"]);
        assert!(stdout(&said.output().unwrap()).contains("local"));
    }
    // A token counts more than the socket: a wrong one is refused here, too.
    let mut wrong = config(&deployment);
    wrong.token = Some(Zeroizing::new("canis_wrong".to_owned()));
    let refused = Client::connect(&wrong).map(|_| ()).unwrap_err();
    assert_eq!(refused.code, ErrorCode::Unauthenticated);
    drop(client);
    server.stop();
    assert!(!socket.exists(), "a stopped server leaves no socket");
    let error = Client::connect(&config(&deployment)).map(|_| ()).unwrap_err();
    assert!(error.code == ErrorCode::Unavailable && error.message.contains("is canis-server running"));
}

/// A socket that a killed server has left is in nobody's way.
#[test]
fn a_stale_socket_is_replaced() {
    let deployment = Deployment::with_keyfile();
    deployment.start().kill();
    assert!(deployment.data().join("canis.sock").exists());
    let _server = deployment.start();
    assert!(!Client::connect(&config(&deployment)).unwrap().call(&Status).unwrap().sealed);
}

/// A sealed store lets nobody do anything, by the socket neither.
#[test]
fn sealed_is_sealed_here_too() {
    let deployment = Deployment::with_keyfile();
    fs::write(deployment.folder.path().join("root.key"), [7; 32]).unwrap();
    let server = deployment.start_with(&[]);
    assert!(server.line().starts_with("sealed"));
    let mut client = Client::connect(&config(&deployment)).unwrap();
    assert!(client.call(&Status).unwrap().sealed);
    let refused = client.call(&CreateKey::new("k", KeyType::Aes256)).map(|_| ()).unwrap_err();
    assert_eq!(refused.code, ErrorCode::Sealed);
}

/// Says HELLO at `socket` as the user of this number, and gives the answer's kind and content.
fn hello_as(user: &str, socket: &Path) -> Output {
    const HELLO: &str = r#"
my $s = IO::Socket::UNIX->new(Peer => shift) or die "no way in: $!";
my $hello = "\xa1fclientax";
$s->syswrite(pack("CCCCNN", 0xca, 1, 1, 0, 0, length $hello) . $hello);
$s->sysread(my $answer, 4096);
print ord(substr $answer, 2, 1), " ", substr $answer, 12;"#;
    let mut perl = Command::new("setpriv");
    perl.args([&format!("--reuid={user}"), &format!("--regid={user}"), "--clear-groups"]);
    perl.args(["perl", "-MIO::Socket::UNIX", "-e", HELLO]).arg(socket);
    perl.current_dir("/").output().unwrap()
}

/// Another user gets nothing, even where the permissions of socket and directories were opened by mistake.
#[test]
fn other_users_are_refused() {
    let deployment = Deployment::with_keyfile();
    let _server = deployment.start();
    let socket = deployment.data().join("canis.sock");
    fs::set_permissions(deployment.folder.path(), Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(deployment.data(), Permissions::from_mode(0o755)).unwrap();
    let output = hello_as("4711", &socket);
    assert!(String::from_utf8_lossy(&output.stderr).contains("no way in"), "{output:?}");
    fs::set_permissions(&socket, Permissions::from_mode(0o666)).unwrap();
    let said = String::from_utf8_lossy(&hello_as("4711", &socket).stdout).into_owned();
    assert!(said.starts_with("4 ") && said.contains("unauthenticated"), "{said}");
}

/// The number that the kernel gives to every user whom a namespace does not know is nobody's, whatever a role says.
#[test]
fn users_without_a_number_of_their_own_are_refused() {
    let deployment = Deployment::with_keyfile();
    let socket = deployment.folder.path().join("all.sock");
    fs::set_permissions(deployment.folder.path(), Permissions::from_mode(0o755)).unwrap();
    let server = deployment.start_with(&["--socket", socket.to_str().unwrap()]);
    assert_eq!(server.line(), "unsealed");
    let mut administrator = deployment.client(&server);
    for (name, uid) in [("unknown", 65534), ("known", 4711)] {
        let text = format!("capabilities = [\"list\"]\nunix {{\n  uid = {uid}\n}}");
        let put =
            PutRole { name: name.into(), text: text.as_str().into(), tenant: "".into(), revision: None };
        administrator.call(&put).map(drop).unwrap();
    }
    let said = |user| String::from_utf8_lossy(&hello_as(user, &socket).stdout).into_owned();
    let (unknown, known) = (said("65534"), said("4711"));
    assert!(unknown.starts_with("4 ") && unknown.contains("overflowuid"), "{unknown}");
    assert!(known.starts_with("1 "), "{known}");
}
