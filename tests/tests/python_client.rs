//! The Python client against a real server, in the environment that `scripts/setup` makes.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_tests::{Site, binary, run};
use std::path::{Path, PathBuf};
use std::process::Command;

const PACKAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../canis-client/python");

fn python() -> PathBuf {
    let python = binary("canis").ancestors().nth(2).unwrap().join("python/bin/python");
    assert!(python.exists(), "{} is not there; run scripts/setup", python.display());
    python
}

fn files(directory: &str) -> Vec<PathBuf> {
    let listed = std::fs::read_dir(Path::new(PACKAGE).join(directory)).unwrap();
    let paths = listed.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "py")).collect()
}

/// R79, R82, R85: the package's own tests and every example run; each example has ten lines of code at most.
#[test]
fn the_python_client_works() {
    let site = Site::with_keyfile();
    let server = site.start().unsealed();
    let python = || {
        let mut python = Command::new(python());
        python.arg("-B").current_dir(PACKAGE).env("PYTHONPATH", PACKAGE);
        python.env("CANIS_ADDR", server.addr()).env("CANIS_CACERT", server.ca());
        python.env("CANIS_TOKEN", &site.token).env("CANIS_DATA", site.data());
        let built = binary("canis").parent().unwrap().display().to_string();
        python.env("PATH", format!("{built}:{}", std::env::var("PATH").unwrap()));
        python
    };
    let tested = run(python().args(["-m", "pytest", "-q", "tests"]), b"").ok().text();
    assert!(tested.contains(" passed") && !tested.contains("skipped"), "{tested}");

    let examples = files("examples");
    assert_eq!(examples.len(), 4);
    for example in examples {
        let said = run(python().arg(&example), b"").ok().text();
        assert!(!said.is_empty(), "{} says nothing", example.display());
        let text = std::fs::read_to_string(&example).unwrap();
        let code = text.lines().skip(1).filter(|line| !line.trim().is_empty());
        assert!(code.count() <= 10, "{} is long", example.display());
    }
    // R85: the white paper's workflow: encrypted as it is produced, read by another role, a third role is refused, and the audit
    // log has all three.
    let said = run(python().arg("examples/pipeline/personal_data.py"), b"").ok().text();
    assert!(said.contains("analyst: born in 1878") && said.contains("intern: permission_denied"), "{said}");
    let audited = ["collector: encrypt, ok", "analyst: decrypt, ok", "intern: decrypt, permission_denied"];
    assert!(said.ends_with(&format!("the audit log says:\n  {}\n", audited.join("\n  "))), "{said}");
    server.stop();
}

/// The package is small, and its types hold.
#[test]
fn the_python_client_is_small_and_typed() {
    let lines: usize =
        files("canis").iter().map(|file| std::fs::read_to_string(file).unwrap().lines().count()).sum();
    assert!((100..400).contains(&lines), "{lines} lines");
    let cache = tempfile::tempdir().unwrap();
    let mut mypy = Command::new(python());
    mypy.args(["-B", "-m", "mypy", "--no-color-output", "--cache-dir"]).arg(cache.path());
    run(
        mypy.args(["canis", "canis_files", "examples", "tests"])
            .current_dir(PACKAGE)
            .env("MYPYPATH", PACKAGE),
        b"",
    )
    .ok();
}
