//! What the server says of its HTTP door is true: the document is one of OpenAPI 3.1, and a program that asks by it, in
//! ways that fit and in ways that do not, is answered as it says.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod harness;
mod web;

use std::fs;
use std::process::{Command, Output};
use web::Site;

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Requests made from the document: no answer is an error of the server, none has a status or a form that is not in it, what does
/// not fit is refused, and nothing is given without a token.
#[test]
fn answers_are_as_described() {
    let site = Site::new();
    let document = site.deployment.folder.path().join("openapi.json");
    fs::write(&document, site.curl("GET", "/v1/openapi.json", &[]).body).unwrap();
    let valid =
        Command::new(harness::client_of_python("openapi-spec-validator")).arg(&document).output().unwrap();
    assert!(valid.status.success(), "{}", said(&valid));
    let bearer = format!("Authorization: Bearer {}", site.deployment.token);
    let output = Command::new(harness::client_of_python("schemathesis"))
        .current_dir(site.deployment.folder.path())
        .args(["run", &format!("https://{}/v1/openapi.json", site.address), "--header", &bearer])
        .arg("--tls-verify")
        .arg(site.deployment.ca())
        .args([
            "--phases",
            "examples,coverage,fuzzing",
            "--max-examples",
            "8",
            "--seed",
            "1",
            "--warnings",
            "off",
            // A busy machine takes a while to make RSA keys of 8192 bits.
            "--request-timeout",
            "120",
            "--max-response-time",
            "120",
        ])
        // That arguments are of the right types does not say that they go together.
        // Who shows many wrong credentials is told to wait; that none is let in is shown elsewhere.
        .args(["--checks", "all", "--exclude-checks", "positive_data_acceptance,ignored_auth"])
        // It would end the others.
        .args(["--exclude-path", "/v1/sys/seal"])
        .args(["--continue-on-failure", "--no-color"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}\nserver: {}", said(&output), site.server.log());
    assert!(
        said(&output).contains("No issues found") || said(&output).contains("generated"),
        "{}",
        said(&output)
    );
}
