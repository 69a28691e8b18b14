//! What root finds in the server's memory: no key of those that were brought, used, shown and destroyed.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_tests::{Server, Site, run};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::process::Command;

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
    let holds = |needle: &[u8]| {
        parts
            .iter()
            .map(|part| part.windows(needle.len()).filter(|window| *window == needle).count())
            .sum::<usize>()
    };
    let found = needles.iter().map(|(name, needle)| (name, holds(needle)));
    found.filter(|(_, count)| *count > 0).map(|(name, count)| format!("{name}: {count} times")).collect()
}

#[test]
fn no_key_is_left_in_the_servers_memory() {
    let site = Site::with_keyfile();
    let server = site.start().unsealed();
    let canis = |args: &[&str], input: &[u8]| server.canis(args, input).ok();
    let file = |name: &str| site.file(name).display().to_string();

    let aes: Vec<u8> = (0..32).map(|n| n * 7 + 3).collect();
    std::fs::write(site.file("aes.bin"), &aes).unwrap();
    canis(
        &[
            "key",
            "import",
            "a",
            "--type",
            "aes256-gcm",
            "--format",
            "raw",
            "--in",
            &file("aes.bin"),
            "--exportable",
            "--allow-plaintext-backup",
        ],
        b"",
    );
    let mut needles = vec![("an AES key", aes[..16].to_vec())];
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
        let secret = match name {
            "p" => der[36..52].to_vec(),
            "r" => der[der.len() - 64..der.len() - 48].to_vec(),
            _ => der[16..32].to_vec(),
        };
        needles.push((kind, secret));
        canis(&["key", "import", name, "--in", &pem, "--exportable", "--allow-plaintext-backup"], b"");
    }
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
    assert_eq!(found(&server, &needles), [""; 0]);
    server.stop();
}
