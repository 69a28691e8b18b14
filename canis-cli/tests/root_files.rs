//! The files that hold a root's credential, by every name that they can have, and with readers that they may not have.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_tests::{Finished, Site, SoftHsm, binary, run, write_private};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const PASSPHRASE: &str = "correct horse battery staple";
const KEY: &str = "thirty-two bytes make a key file";

/// A kind of root: its flags but for the one that names the credential, that one, and what the credential is.
struct Kind {
    flags: Vec<String>,
    flag: &'static str,
    secret: &'static str,
}

fn kinds() -> [Kind; 3] {
    let flags = |text: &str| text.split(' ').map(str::to_owned).collect();
    let hsm = format!("--root hsm --token-label named --module {}", SoftHsm::MODULE);
    [
        Kind { flags: flags("--root passphrase"), flag: "--passphrase-file", secret: PASSPHRASE },
        Kind { flags: flags("--root keyfile"), flag: "--keyfile", secret: KEY },
        Kind { flags: flags(&hsm), flag: "--pin-file", secret: SoftHsm::PIN },
    ]
}

/// A place for one store and the credential of its root.
struct Desk {
    site: Site,
    hsm: SoftHsm,
}

impl Desk {
    fn new() -> Self {
        let desk = Desk { site: Site::without_store(), hsm: SoftHsm::new("named") };
        for folder in ["here", "credentials"] {
            fs::create_dir(desk.site.file(folder)).unwrap();
        }
        desk
    }

    /// What every process of it gets in its environment.
    fn environment(&self, secret: &str) -> Vec<String> {
        vec![
            format!("SOFTHSM2_CONF={}", self.hsm.config().display()),
            format!("CREDENTIALS_DIRECTORY={}", self.site.file("credentials").display()),
            format!("CANIS_TEST_ROOT={secret}"),
        ]
    }

    fn init(&self, kind: &Kind, name: &str) -> Finished {
        let mut canis = Command::new("env");
        canis.args(self.environment(kind.secret)).arg(binary("canis")).args(["init", "--data"]);
        canis.arg(self.site.data()).args(&kind.flags).args([kind.flag, name]);
        run(canis.current_dir(self.here()), b"")
    }

    /// The directory that programs run in.
    fn here(&self) -> PathBuf {
        self.site.file("here")
    }

    fn configured(&self) -> String {
        fs::read_to_string(self.site.data().join("canis.toml")).unwrap()
    }

    /// Starts a server in the same environment.
    fn start(&self, kind: &Kind) -> canis_tests::Server {
        let environment = self.environment(kind.secret);
        let by: Vec<&str> = ["env"].into_iter().chain(environment.iter().map(String::as_str)).collect();
        self.site.start_by(&by, &[])
    }
}

fn entries(path: &Path) -> usize {
    fs::read_dir(path).unwrap().count()
}

/// `canis init` takes a credential of systemd's or a variable by its name, and writes that name down: a server opens the
/// store by it, and no file of that name appears.
#[test]
fn a_store_is_made_by_names_that_are_no_paths() {
    for name in ["credential:root", "env:CANIS_TEST_ROOT"] {
        for kind in kinds() {
            let desk = Desk::new();
            write_private(&desk.site.file("credentials").join("root"), kind.secret);
            desk.init(&kind, name).ok();
            assert!(desk.configured().contains(&format!("file = \"{name}\"")), "{}", desk.configured());
            assert_eq!(entries(&desk.here()), 0, "{name} became a file");
            desk.start(&kind).unsealed().stop();
        }
    }
}

/// A name that leads nowhere is refused: no key is drawn for it, and nothing is left behind.
#[test]
fn a_name_that_leads_nowhere_makes_nothing() {
    for name in ["credential:absent", "credential:../root", "env:CANIS_TEST_NOT_SET"] {
        for kind in kinds() {
            let desk = Desk::new();
            let refused = desk.init(&kind, name);
            assert!(refused.code == 3 && refused.stderr.contains(name), "{}", refused.stderr);
            assert!(entries(&desk.here()) == 0 && !desk.site.data().exists(), "{name} left something");
        }
    }
    let (site, here) = (Site::with_keyfile(), tempfile::tempdir().unwrap());
    for name in ["credential:other", "env:CANIS_TEST_NOT_SET"] {
        let mut add = site.local(&format!("root add keyfile --new-keyfile {name}"));
        assert_eq!(run(add.current_dir(here.path()), b"").code, 3);
        assert_eq!(entries(here.path()), 0, "{name} became a file");
    }
}

/// A file that others can read makes and opens no store, whatever the root; the message names file and remedy, and so does
/// `--check-config`. What is mounted for everybody in a container is taken from its directory.
#[test]
fn files_that_others_read_open_nothing() {
    for kind in kinds() {
        let desk = Desk::new();
        let file = desk.site.file("credential");
        let shown = file.display().to_string();
        write_private(&file, kind.secret);
        let mode = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        mode(0o640);
        let refused = desk.init(&kind, &shown);
        assert!(
            refused.code == 3 && refused.stderr.contains(&format!("chmod 600 {shown}")),
            "{}",
            refused.stderr
        );
        mode(0o600);
        desk.init(&kind, &shown).ok();
        mode(0o604);
        let check = || {
            let mut server = desk.site.command("canis-server");
            run(server.arg("--check-config").arg("--data").arg(desk.site.data()), b"")
        };
        let checked = check();
        let told = checked.text() + &checked.stderr;
        assert!(checked.code == 3 && told.contains(&format!("chmod 600 {shown}")), "{told}");
        let server = desk.start(&kind);
        server.wait_for(&format!("sealed: {shown} can be read by others"));
        mode(0o400);
        server.wait_for("unsealed");
        server.stop();
        check().ok();
        let mounted = desk.site.file("credentials").join("root");
        fs::rename(&file, &mounted).unwrap();
        fs::set_permissions(&mounted, fs::Permissions::from_mode(0o444)).unwrap();
        let config = desk.configured().replace(&shown, "credential:root");
        fs::write(desk.site.data().join("canis.toml"), config).unwrap();
        desk.start(&kind).unsealed().stop();
    }
}

/// The password of a database is held to the same.
#[test]
fn a_databases_password_is_its_owners() {
    let site = Site::with_keyfile();
    let file = site.file("password");
    write_private(&file, "secret of the database\n");
    let config = site.data().join("canis.toml");
    let root = fs::read_to_string(&config).unwrap();
    let store = format!("[store]\nurl = \"postgres://canis@localhost/canis\"\npassword_file = {file:?}\n");
    fs::write(&config, root + &store).unwrap();
    let told = |mode| {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let mut server = site.command("canis-server");
        let checked = run(server.arg("--check-config").arg("--data").arg(site.data()), b"");
        checked.text() + &checked.stderr
    };
    let remedy = format!("chmod 600 {}", file.display());
    assert!(told(0o644).contains(&remedy) && !told(0o600).contains(&remedy));
    assert!(!told(0o644).contains("secret of the database"));
}
