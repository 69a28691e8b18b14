//! Stores as earlier releases left them, in a file, in PostgreSQL and in a backup: they open, work, move and are restored. Newer ones
//! are refused.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

mod moving;

use canis_tests::{Postgres, Server, Site, run};
use moving::{Kept, at_desk, filled, in_database, migrate, name_database, places};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The releases whose stores are kept; the last one is what this CANIS makes.
const RELEASES: &[&str] = &["0.1.0"];
/// The schema of each in PostgreSQL, which is its last step.
const SCHEMAS: &[&str] = &["3"];
const FILES: [&str; 4] = ["canis.dat", "canis.dat-wal", "canis.dat-shm", "canis.gen"];
const MESSAGE: &[u8] = b"what was signed";

fn folder(release: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(release)
}

/// A store that was kept.
struct Release {
    folder: PathBuf,
    kept: Kept,
    signature: String,
}

impl Release {
    fn of(release: &str) -> Self {
        let folder = folder(release);
        let text = |name: &str| fs::read(folder.join(name)).unwrap();
        let kept = Kept::of(text("a-1.txt"), text("a-2.txt"));
        Release { kept, signature: String::from_utf8(text("signature.txt")).unwrap(), folder }
    }

    /// A file as it was before it was packed.
    fn unpacked(&self, name: &str) -> Vec<u8> {
        run(Command::new("gzip").arg("-dc").arg(self.folder.join(format!("{name}.gz"))), b"").ok().stdout
    }

    /// A host with the release's root key and token, and without a store.
    fn host(&self) -> Site {
        let mut site = Site::with_keyfile();
        FILES.iter().for_each(|name| drop(fs::remove_file(site.data().join(name))));
        fs::write(site.file("root.key"), fs::read(self.folder.join("root.key")).unwrap()).unwrap();
        site.token = fs::read_to_string(self.folder.join("token.txt")).unwrap();
        site
    }

    fn in_file(&self) -> Site {
        let site = self.host();
        fs::write(site.data().join("canis.dat"), self.unpacked("canis.dat")).unwrap();
        site
    }

    fn in_database(&self, postgres: &Postgres) -> Site {
        let site = self.host();
        let dump = site.file("dump.sql");
        fs::write(&dump, self.unpacked("postgres.sql")).unwrap();
        postgres.load(&dump);
        name_database(&site, Some(&postgres.url()));
        site
    }

    /// All of it is there and works, and takes part in what is done now.
    fn works(&self, server: &Server) {
        self.kept.is_there(server);
        let verify = ["verify", "signer", "--signature", self.signature.trim()];
        server.canis(&verify, MESSAGE).ok();
        server.canis(&["key", "rotate", "a"], b"").ok();
        let newest = server.canis(&["encrypt", "a"], b"newest").ok().stdout;
        assert_eq!(server.canis(&["decrypt", "a"], &newest).ok().stdout, b"newest");
        server.canis(&["sign", "signer"], MESSAGE).ok();
        self.kept.is_there(server);
    }
}

/// Starts, works and stops; then every row is looked at.
fn used(release: &Release, site: &Site) {
    let server = site.start().unsealed();
    release.works(&server);
    server.stop();
    site.canis("store verify").ok();
}

/// R65: a `canis.dat`, with keys, entries, policies, tenants and a token behind its PIN.
#[test]
fn files() {
    for release in RELEASES.iter().map(|release| Release::of(release)) {
        let site = release.in_file();
        site.canis("store verify").ok();
        used(&release, &site);
        let listed = at_desk(&site, "--list-objects --type privkey");
        assert!(listed.contains("of-the-desk"), "{listed}");
    }
}

/// R62, R65: a database; the steps that it lacks are made when it is opened, and then it has the tables of a new one.
#[test]
fn databases() {
    let tables = |postgres: &Postgres| {
        postgres.shows(
            "SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns
             WHERE table_schema = 'public' ORDER BY 1, 2",
        )
    };
    let fresh = Postgres::start();
    let _made = Site::in_database(&fresh);
    let newest = fresh.shows("SELECT step, needs FROM canis_schema ORDER BY step");
    for (release, schema) in RELEASES.iter().map(|release| Release::of(release)).zip(SCHEMAS) {
        let postgres = Postgres::start();
        let site = release.in_database(&postgres);
        assert_eq!(postgres.shows("SELECT max(step) FROM public.canis_schema").trim(), *schema);
        used(&release, &site);
        assert_eq!(postgres.shows("SELECT step, needs FROM canis_schema ORDER BY step"), newest);
        assert_eq!(tables(&postgres), tables(&fresh));
    }
}

/// R62: a file moves into a database, and a database into a file.
#[test]
fn they_move() {
    for release in RELEASES.iter().map(|release| Release::of(release)) {
        let (site, postgres) = (release.in_file(), Postgres::start());
        let (file, url) = places(&site, &postgres);
        migrate(&site, &file, &url).ok();
        used(&release, &in_database(&site, &url));
        let postgres = Postgres::start();
        let site = release.in_database(&postgres);
        let (file, url) = places(&site, &postgres);
        migrate(&site, &url, &file).ok();
        name_database(&site, None);
        used(&release, &site);
    }
}

/// R65: a backup is restored, into a file and into a database.
#[test]
fn backups() {
    for release in RELEASES.iter().map(|release| Release::of(release)) {
        let postgres = Postgres::start();
        for url in [None, Some(postgres.url())] {
            let site = release.host();
            let file = site.file("canis.backup");
            fs::write(&file, release.unpacked("canis.backup")).unwrap();
            name_database(&site, url.as_deref());
            site.canis(&format!("backup restore {}", file.display())).ok();
            used(&release, &site);
        }
    }
}

/// R65: a file of a newer format and a database that needs a newer CANIS are refused by number, with what to do, and are left as they
/// are.
#[test]
fn newer_ones_are_refused() {
    let release = Release::of(RELEASES[0]);
    let site = release.in_file();
    let path = site.data().join("canis.dat");
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 2).unwrap();
    let before = fs::read(&path).unwrap();
    let refused = site.canis("store verify");
    for words in ["store_format", "format 2", "or a newer one"] {
        assert!(refused.stderr.contains(words), "{}", refused.stderr);
    }
    assert!(fs::read(&path).unwrap() == before, "a store that was refused has changed");
    let postgres = Postgres::start();
    let site = release.in_database(&postgres);
    let steps = || postgres.shows("SELECT count(*) FROM public.canis_schema").trim().parse::<u32>().unwrap();
    drop(postgres.shows(
        "SET search_path = public; ALTER TABLE canis_schema ADD COLUMN IF NOT EXISTS needs INT;
         INSERT INTO canis_schema VALUES (77, now(), 76)",
    ));
    let before = steps();
    let refused = site.canis("store verify");
    for words in ["store_format", "schema 77", "schema 76", "or a newer one"] {
        assert!(refused.stderr.contains(words), "{}", refused.stderr);
    }
    assert_eq!(steps(), before, "a store that was refused has changed");
}

/// Makes what is kept of this CANIS: run it when a version is released, with the folder's name in KEEP_RELEASE, and add that to
/// `RELEASES`.
#[test]
#[ignore = "writes tests/fixtures; run by hand at a release"]
fn keep_a_release() {
    let folder = folder(&std::env::var("KEEP_RELEASE").unwrap());
    fs::create_dir_all(&folder).unwrap();
    let (site, postgres) = (Site::with_keyfile(), Postgres::start());
    let kept = filled(&site);
    let server = site.start().unsealed();
    let signature = server.canis(&["sign", "signer"], MESSAGE).ok().stdout;
    let backup = site.file("canis.backup").display().to_string();
    server.canis(&["backup", "create", "--to", &backup, "--slot", "keyfile"], b"").ok();
    server.stop();
    fs::copy(site.file("root.key"), folder.join("root.key")).unwrap();
    let [old, new] = kept.ciphertexts();
    let texts: [(&str, &[u8]); 4] = [
        ("a-1.txt", old),
        ("a-2.txt", new),
        ("signature.txt", &signature),
        ("token.txt", site.token.as_bytes()),
    ];
    for (name, text) in texts {
        fs::write(folder.join(name), text).unwrap();
    }
    let pack = |name: &str, bytes: &[u8]| {
        let packed = run(Command::new("gzip").args(["-9nc"]), bytes).ok().stdout;
        fs::write(folder.join(format!("{name}.gz")), packed).unwrap();
    };
    pack("canis.dat", &fs::read(site.data().join("canis.dat")).unwrap());
    pack("canis.backup", &fs::read(&backup).unwrap());
    let (file, url) = places(&site, &postgres);
    migrate(&site, &file, &url).ok();
    let mut dump = Command::new("pg_dump");
    dump.args(["--no-owner", "--no-privileges", "-U", "canis", "-h"]).arg(postgres.folder()).arg("postgres");
    // What keeps psql's own commands out of a dump is of newer programs only.
    let dumped = run(&mut dump, b"").ok().text();
    let lines: Vec<&str> = dumped
        .lines()
        .filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"))
        .collect();
    pack("postgres.sql", (lines.join("\n") + "\n").as_bytes());
}
