//! `canis bench instructions`: instructions of one call, counted by callgrind as those of a program that does it many
//! times, less those of one that does not. A count is the same on a busy machine, so a regression shows at once.
//!
//! Valgrind's processor has AES-NI and AVX2 but no AVX-512: the counts are not those of the code that runs on a
//! processor with it, and are good only for comparison with each other.

use super::args::Instructions;
use super::operation::Op;
use super::plan::Plan;
use super::table;
use super::worker::COUNTED_OBJECTS;
use super::workplace::Workplace;
use crate::files::{self, Readers};
use crate::show;
use canis_proto::{Error, Result};
use serde_json::json;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

/// What is counted: client and module together.
const OPS: &[(Op, &str)] = &[
    (Op::P256Sign, "C_SignInit, C_Sign: P-256"),
    (Op::Gcm1K, "C_EncryptInit, C_Encrypt: AES-256-GCM 1 KiB"),
    (Op::Sha256Of1K, "C_DigestInit, C_Digest: SHA-256 1 KiB"),
    (Op::Attribute, "C_GetAttributeValue"),
    (Op::Find, "C_FindObjects by label among 1,000"),
    (Op::Session, "C_OpenSession, C_CloseSession"),
];
/// How often an operation is done; the signatures' random numbers make single ones differ.
const TIMES: usize = 400;
/// How much more or less is told.
const TOLD: f64 = 0.02;

/// Runs the command.
pub(super) fn run(args: &Instructions, as_json: bool) -> Result<()> {
    let place = Workplace::new()?;
    let target = place.make_token(&args.module, "bench", COUNTED_OBJECTS)?;
    let valgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"].map(OsString::from);
    let counted = |op, times| -> Result<f64> {
        let plan = Plan::Count { target: target.clone(), op, times };
        let shown = place.child_under(&valgrind, &plan)?;
        collected(&shown).ok_or_else(|| Error::invalid(format!("callgrind counted nothing: {shown}")))
    };
    let kept = if args.write { String::new() } else { read(&args.kept)? };
    let mut counts = Vec::new();
    for (op, what) in OPS {
        let each = (counted(*op, TIMES)? - counted(*op, 0)?) / TIMES as f64;
        counts.push(Count { op: *op, what, now: each.round(), before: find(&kept, *op) });
    }
    if args.write {
        files::write(&args.kept, file(&counts).as_bytes(), Readers::Umask)?;
    }
    if as_json {
        let counts = counts.iter().map(|c| json!({"operation": c.op.name(), "now": c.now, "kept": c.before}));
        return show::json(&json!({"counts": counts.collect::<Vec<_>>()}));
    }
    files::print(text(&counts).as_bytes())
}

struct Count {
    op: Op,
    what: &'static str,
    now: f64,
    before: Option<f64>,
}

/// Callgrind's last word: `==1234== Collected : 56789`.
fn collected(shown: &str) -> Option<f64> {
    shown.lines().rev().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok())
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path)
        .map_err(|e| Error::invalid(format!("cannot read {}: {e}; make it with --write", path.display())))
}

/// Lines of the file: name, count, and what it is.
fn find(kept: &str, op: Op) -> Option<f64> {
    kept.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some(op.name())).then(|| words.next()?.parse().ok())?
    })
}

fn file(counts: &[Count]) -> String {
    let mut text = String::from(
        "# Instructions of one call, client and module together, counted by callgrind: docs/performance.md.\n\
         # Made by `scripts/bench instructions --write`.\n",
    );
    for count in counts {
        table::line(&mut text, format_args!("{:16} {:>9}  {}", count.op.name(), count.now, count.what));
    }
    text
}

fn text(counts: &[Count]) -> String {
    let mut text = String::new();
    for Count { what, now, before, .. } in counts {
        let change = match before {
            Some(before) if (now / before - 1.0).abs() > TOLD => {
                format!("  {:+.1} % ({before} before)", (now / before - 1.0) * 100.0)
            }
            Some(_) => "  as before".to_owned(),
            None => String::new(),
        };
        let line = format!("{now:>9}  {what:44}{change}");
        table::line(&mut text, format_args!("{}", line.trim_end()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callgrind_and_the_kept_file_are_read() {
        assert_eq!(collected("==9== Events    : Ir\n==9== Collected : 1234\n==9== \n"), Some(1234.0));
        assert_eq!(collected("nothing"), None);
        let count = Count { op: Op::Session, what: "C_OpenSession", now: 100.0, before: None };
        let kept = file(&[count]);
        assert_eq!(find(&kept, Op::Session), Some(100.0));
        assert_eq!(find(&kept, Op::Find), None);
    }

    #[test]
    fn a_change_is_told() {
        let count = |now| Count { op: Op::Session, what: "C_OpenSession", now, before: Some(100.0) };
        assert!(text(&[count(103.0)]).contains("+3.0 %"));
        assert!(text(&[count(101.0)]).contains("as before"));
    }
}
