//! What is tested in the host's process and not at a server: the page and the tests name the same, for the same reasons.

use crate::PAGE;
use crate::table;
use std::path::Path;

/// Every test that says so of itself, with its reason.
fn said_by_tests() -> Vec<(String, String)> {
    let mut said = Vec::new();
    for target in ["module", "programs"] {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(target);
        for file in std::fs::read_dir(directory).unwrap().flatten().map(|entry| entry.path()) {
            if file.extension().is_some_and(|extension| extension == "rs") {
                let part = file.file_stem().unwrap().to_str().unwrap();
                let source = std::fs::read_to_string(&file).unwrap();
                said.extend(in_source(&source).map(|(test, why)| (format!("{target}: {part}::{test}"), why)));
            }
        }
    }
    said.sort();
    said
}

/// The calls of `embedded_only`, with the functions that they stand in.
fn in_source(source: &str) -> impl Iterator<Item = (String, String)> {
    source.match_indices("if embedded_only(").map(|(at, _)| {
        let function = source[..at].rsplit("\nfn ").next().unwrap();
        let reason = source[at..].split('"').nth(1).unwrap();
        (function.split('(').next().unwrap().to_owned(), reason.to_owned())
    })
}

/// R93: all that the module does in the host's process it does at a server, but for what the page says.
#[test]
fn the_page_names_what_is_not_tested_at_a_server() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let rows = table::part(&page, "embedded only").lines().skip(2).map(|line| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        (cells[1].trim_matches('`').to_owned(), cells[2].to_owned())
    });
    assert_eq!(rows.collect::<Vec<_>>(), said_by_tests());
}
