//! `canis policy fmt` and `canis policy test`, on files.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_tests::{binary, run};
use std::process::Command;

const POLICY: &str = r#"path "kms/keys/production/*" {
capabilities=["encrypt","decrypt"]
max_payload = "1KiB"
}
"#;

#[test]
fn policies_are_tried_and_laid_out() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("billing.hcl");
    std::fs::write(&file, POLICY).unwrap();
    let file_arg = file.display().to_string();
    let canis = |args: &[&str]| run(Command::new(binary("canis")).arg("policy").args(args), b"");
    let test =
        |args: &[&str]| canis(&[&["test", &file_arg, "--path", "kms/keys/production/db"], args].concat());

    let allowed = test(&["--capability", "encrypt", "--payload", "1024"]).ok();
    let rule = "policy `billing`, line 1: path \"kms/keys/production/*\"";
    assert_eq!(allowed.text().trim(), format!("allowed by {rule}"));
    let denied = test(&["--capability", "encrypt", "--payload", "1025"]);
    assert_eq!(denied.code, 1);
    assert_eq!(denied.text().trim(), format!("denied: `max_payload` does not hold in {rule}"));
    let denied = test(&["--capability", "sign", "--json"]);
    assert_eq!(denied.code, 1);
    assert!(denied.text().contains(r#""allowed":false"#), "{}", denied.text());
    let unknown = test(&["--capability", "sing"]);
    assert!(unknown.code == 3 && unknown.stderr.contains("no capability `sing`"), "{}", unknown.stderr);

    assert_eq!(canis(&["fmt", "--check", &file_arg]).code, 1);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), POLICY);
    canis(&["fmt", &file_arg]).ok();
    canis(&["fmt", "--check", &file_arg]).ok();
    assert!(std::fs::read_to_string(&file).unwrap().contains("\n  max_payload  = \"1KiB\"\n"));

    std::fs::write(&file, "path \"kms/keys/a\" {\n  capabilities = [\"reed\"]\n}\n").unwrap();
    let broken = canis(&["fmt", &file_arg]);
    assert!(broken.code == 3 && broken.stderr.contains("line 2, column 19: there is no capability `reed`"));
}
