//! What root finds in the server's memory: no key of those that were brought, used, shown and destroyed.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_tests::{Server, Site, run, write_private};
use memchr::memmem;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::process::Command;
use std::time::{Duration, Instant};

/// What the process can read or write, but for what the kernel gives nobody.
fn image(pid: u32) -> Vec<Vec<u8>> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mut memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut parts = Vec::new();
    for line in
        maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|flags| flags.starts_with("rw")))
    {
        let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let bound = |text| u64::from_str_radix(text, 16).unwrap();
        let mut part = vec![0; usize::try_from(bound(to) - bound(from)).unwrap()];
        memory.seek(SeekFrom::Start(bound(from))).unwrap();
        if memory.read_exact(&mut part).is_ok() {
            parts.push(part);
        }
    }
    parts
}

fn found(server: &Server, needles: &[(&str, Vec<u8>)]) -> Vec<String> {
    let parts = image(server.pid());
    let holds =
        |needle: &[u8]| parts.iter().map(|part| memmem::find_iter(part, needle).count()).sum::<usize>();
    let found = needles.iter().map(|(name, needle)| (name, holds(needle)));
    found.filter(|(_, count)| *count > 0).map(|(name, count)| format!("{name}: {count} times")).collect()
}

/// A private or secret key on its way into the server, and a part of it that is found nowhere by chance.
struct Brought {
    name: &'static str,
    import: Vec<String>,
    part: Vec<u8>,
}

/// Keys of each family, made by other programs in files of `site`.
fn keys(site: &Site) -> Vec<Brought> {
    let file = |name: &str| site.file(name).display().to_string();
    let aes: Vec<u8> = (0..32).map(|n| n * 7 + 3).collect();
    std::fs::write(site.file("aes.bin"), &aes).unwrap();
    let words = |text: String| text.split_whitespace().map(str::to_owned).collect();
    let exportable = "--exportable --allow-plaintext-backup";
    let import = words(format!("--type aes256-gcm --format raw --in {} {exportable}", file("aes.bin")));
    let mut keys = vec![Brought { name: "a", import, part: aes[..16].to_vec() }];
    for (name, kind) in [
        ("p", "EC -pkeyopt ec_paramgen_curve:P-256"),
        ("r", "RSA -pkeyopt rsa_keygen_bits:2048"),
        ("e", "ED25519"),
    ] {
        let pem = file(&format!("{name}.pem"));
        let make = format!(
            "openssl genpkey -quiet -algorithm {kind} -out {pem} && openssl pkcs8 -topk8 -nocrypt -in {pem} -outform DER -out {pem}.der"
        );
        run(Command::new("sh").args(["-c", &make]), b"").ok();
        let der = std::fs::read(format!("{pem}.der")).unwrap();
        // The private number of RFC 5915; the second prime's end; the seed of RFC 8410.
        let part = match name {
            "p" => der[36..52].to_vec(),
            "r" => der[der.len() - 64..der.len() - 48].to_vec(),
            _ => der[16..32].to_vec(),
        };
        keys.push(Brought { name, import: words(format!("--in {pem} {exportable}")), part });
    }
    keys
}

/// Brings them in, and gives what is not to be found afterwards.
fn brought(server: &Server, keys: &[Brought]) -> Vec<(&'static str, Vec<u8>)> {
    for key in keys {
        let arguments = ["key", "import", key.name].into_iter().chain(key.import.iter().map(String::as_str));
        server.canis(&arguments.collect::<Vec<_>>(), b"").ok();
    }
    keys.iter().map(|key| (key.name, key.part.clone())).collect()
}

#[test]
fn no_key_is_left_in_the_servers_memory() {
    let site = Site::with_keyfile();
    let server = site.start().unsealed();
    let canis = |args: &[&str], input: &[u8]| server.canis(args, input).ok();
    let file = |name: &str| site.file(name).display().to_string();
    let mut needles = brought(&server, &keys(&site));
    let plaintext = b"a user's plaintext that nobody else may see".to_vec();
    let sealed = canis(&["encrypt", "a"], &plaintext).text();
    canis(&["decrypt", "a"], sealed.trim().as_bytes());
    for name in ["p", "r", "e"] {
        canis(&["sign", name], b"m");
        canis(&["key", "export", name, "--format", "pkcs8", "--out", &file(&format!("{name}.out"))], b"");
    }
    needles.push(("a plaintext", plaintext[..20].to_vec()));
    assert!(!found(&server, &needles).is_empty(), "this looks where keys are: ready keys have them");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.pid())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    for name in ["a", "p", "r", "e"] {
        canis(&["key", "disable", name], b"");
        canis(&["key", "destroy", name], b"");
    }
    // The thread that answered may hold the last key for a moment longer.
    let end = Instant::now() + Duration::from_secs(30);
    let mut left = found(&server, &needles);
    while !left.is_empty() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(100));
        left = found(&server, &needles);
    }
    assert_eq!(left, [""; 0]);
    server.stop();
}

/// R96: after `canis seal` nothing is left of keys that were in use a moment ago, of credentials that opened the store, nor
/// of the shares that were brought; unsealed, keys are there again.
#[test]
fn a_sealed_servers_memory_holds_no_key() {
    let site = Site::with_keyfile();
    let server = site.start().unsealed();
    let canis = |args: &[&str], input: &[u8]| server.canis(args, input).ok();
    let mut needles = brought(&server, &keys(&site));
    let shares = site.file("shares");
    std::fs::create_dir(&shares).unwrap();
    let dealt = shares.display().to_string();
    canis(&["root", "add", "shares", "--shares", "3", "--threshold", "2", "--out-dir", &dealt], b"");
    write_private(&site.file("phrase"), "a passphrase that nobody guesses");
    let phrase = site.file("phrase").display().to_string();
    canis(&["root", "add", "passphrase", "--new-passphrase-file", &phrase], b"");
    needles.push(("a passphrase", b"a passphrase that nobody guesses".to_vec()));
    needles.push(("the key file", std::fs::read(site.file("root.key")).unwrap()));
    let share = |number: usize| shares.join(format!("share-{number}.txt"));
    for number in 1..=3 {
        let text = std::fs::read_to_string(share(number)).unwrap();
        let value = text.trim().split(':').nth(5).unwrap();
        let hex = value.replace('-', "");
        let bytes = (0..32).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect();
        needles.extend([("a share", bytes), ("a share's text", value.as_bytes()[..40].to_vec())]);
    }
    let work = || {
        canis(&["encrypt", "a"], b"x");
        ["p", "r", "e"].into_iter().for_each(|name| drop(canis(&["sign", name], b"m")));
    };
    for round in 0..2 {
        work();
        assert!(!found(&server, &needles).is_empty(), "ready keys are in memory");
        assert!(canis(&["seal", "--json"], b"").text().contains("\"wiped\":true"));
        assert_eq!(found(&server, &needles), [""; 0], "round {round}");
        canis(&["unseal", "--share-file", &share(1).display().to_string()], b"");
        assert!(found(&server, &needles).iter().all(|found| found.starts_with("a share")));
        canis(&["unseal", "--share-file", &share(3).display().to_string()], b"");
    }
    work();
    server.stop();
}

/// R96: a core of the working server, which root alone could have made, holds no key that is not in use.
#[test]
fn a_core_holds_no_key_at_rest() {
    if Command::new("gcore").arg("-h").output().is_err() {
        eprintln!("skipped: there is no gcore here (gdb; scripts/setup installs it)");
        return;
    }
    let site = Site::with_keyfile();
    let server = site.start().unsealed();
    let needles = brought(&server, &keys(&site));
    server.stop();
    let server = site.start().unsealed();
    server.canis(&["key", "create", "other", "--type", "aes256-gcm"], b"").ok();
    server.canis(&["encrypt", "other"], b"a plaintext").ok();
    server.canis(&["key", "list"], b"").ok();
    let core = site.file("core");
    let dumped = run(Command::new("gcore").arg("-o").arg(&core).arg(server.pid().to_string()), b"");
    let Ok(core) = std::fs::read(format!("{}.{}", core.display(), server.pid())) else {
        eprintln!("skipped: gcore may not look at the server here: {}", dumped.stderr);
        return;
    };
    let holds = |needle: &[u8]| memmem::find(&core, needle).is_some();
    assert!(holds(b"canis-server"), "a core of the server");
    let root = ("the key file", std::fs::read(site.file("root.key")).unwrap());
    for (name, needle) in needles.iter().chain([&root]) {
        assert!(!holds(needle), "{name}");
    }
    server.stop();
}
