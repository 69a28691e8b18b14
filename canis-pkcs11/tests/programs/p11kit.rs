//! p11-kit: programs find the module by its proxy, and another process reaches it through `p11-kit server`.
//!
//! p11-kit reads no configuration of root's own, so these programs run as an ordinary user.

use crate::home::{Home, PIN, embedded_only, is_remote, library, succeed};
use crate::service::Service;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A directory that belongs to an ordinary user, with a token, a key and a copy of the module.
pub(crate) struct Guest {
    pub(crate) home: Home,
    root: bool,
}

impl Guest {
    pub(crate) fn new() -> Guest {
        let home = Home::with_token("kit");
        for (kind, label, id) in [("rsa:2048", "rsa", "01"), ("EC:prime256v1", "ec", "02")] {
            home.tool_as_user(&["--keypairgen", "--key-type", kind, "--label", label, "--id", id]);
        }
        std::fs::copy(library(), home.path("module.so")).unwrap();
        std::fs::write(home.path("message"), "a message").unwrap();
        // A server's socket is for its own user.
        let root = !is_remote() && succeed(Command::new("id").arg("-u")).trim() == "0";
        let guest = Guest { root, home };
        guest.give();
        guest
    }

    /// Makes the ordinary user the owner of all.
    pub(crate) fn give(&self) {
        if self.root {
            succeed(Command::new("chown").args(["-R", "65534:65534"]).arg(self.home.path("")));
        }
    }

    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = self.home.command("timeout");
        command.args(["--kill-after=5", "60"]);
        if self.root {
            command.args(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]);
        }
        command.arg(program);
        command
    }

    fn sign_by(&self, module: &Path, setting: (&str, &str)) {
        let mut tool = self.command("pkcs11-tool");
        tool.env(setting.0, setting.1).arg("--module").arg(module).args(["--token-label", "kit", "--login"]);
        tool.args(["--pin", PIN, "--sign", "--id", "01", "-m", "SHA256-RSA-PKCS", "-i", "message"]);
        succeed(tool.args(["-o", "signature"]));
        let mut public = self.command("p11tool");
        public.env("GNUTLS_PIN", PIN).arg("--provider").arg(self.home.path("module.so"));
        succeed(public.args([
            "--batch",
            "--export-pubkey",
            "--outfile=public",
            "pkcs11:token=kit;object=rsa;type=public",
        ]));
        let verify = ["dgst", "-sha256", "-verify", "public", "-signature", "signature", "message"];
        assert!(succeed(self.home.command("openssl").args(verify)).contains("Verified OK"));
    }
}

/// A library of p11-kit, in Debian's directory for this machine's architecture.
fn in_libraries(name: &str) -> PathBuf {
    let places = std::fs::read_dir("/usr/lib").unwrap().flatten().map(|entry| entry.path().join(name));
    places
        .into_iter()
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("no {name}; scripts/setup installs it"))
}

/// R93: a `.module` file is all that p11-kit needs; every program that loads its proxy then has the keys.
#[test]
fn the_proxy_shows_the_module() {
    if embedded_only(
        "about a user's own settings, which p11-kit does not read as root, while the socket is for the server's user",
    ) {
        return;
    }
    let guest = Guest::new();
    let modules = guest.home.path("config/pkcs11/modules");
    std::fs::create_dir_all(&modules).unwrap();
    std::fs::write(guest.home.path("config/pkcs11/pkcs11.conf"), "user-config: only\n").unwrap();
    let file = format!("module: {}\n", guest.home.path("module.so").display());
    std::fs::write(modules.join("canis.module"), file).unwrap();
    guest.give();
    let listed = succeed(guest.command("p11-kit").arg("list-modules"));
    assert!(listed.contains("library-manufacturer: CANIS") && listed.contains("token: kit"), "{listed}");
    guest.sign_by(&in_libraries("p11-kit-proxy.so"), ("P11_KIT_STRICT", "1"));
}

/// R93: `p11-kit server` has the module, another process the keys.
#[test]
fn a_server_lends_the_module_to_another_process() {
    let guest = Guest::new();
    let socket = guest.home.path("socket");
    let mut server = guest.command("/usr/libexec/p11-kit/p11-kit-server");
    server.arg("-f").arg("-n").arg(&socket).arg("--provider").arg(guest.home.path("module.so"));
    let mut service = Service::start(&guest.home, "p11-kit-server", {
        server.arg("pkcs11:token=kit");
        server
    });
    assert!(service.waits_until(|_| UnixStream::connect(&socket).is_ok()), "{}", service.said());
    let address = format!("unix:path={}", socket.display());
    // Only the server may open the store.
    let client = in_libraries("pkcs11/p11-kit-client.so");
    guest.sign_by(&client, ("P11_KIT_SERVER_ADDRESS", &address));
}
