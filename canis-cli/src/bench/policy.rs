//! `canis bench policy`: decisions by policies with many rules.

use super::args::Policy as Arguments;
use crate::{files, show};
use canis_core::policy::{Asked, OfKey, Policy, Rules, Source};
use canis_proto::{Capability, KeyType, Result};
use serde_json::json;
use std::fmt::Write;
use std::time::{Duration, Instant};

/// How long each kind of request is asked.
const LONG: Duration = Duration::from_millis(500);

/// What was measured with so many rules.
struct Measured {
    rules: usize,
    /// Reading and indexing them.
    compiled: Duration,
    /// Nanoseconds of a decision, by what is asked.
    decisions: Vec<(&'static str, f64)>,
}

/// Runs the command.
pub(super) fn run(args: &Arguments, as_json: bool) -> Result<()> {
    let measured = args.rules.iter().map(|rules| measure(*rules)).collect::<Result<Vec<_>>>()?;
    if as_json {
        let row = |one: &Measured| {
            let decisions: serde_json::Map<_, _> =
                one.decisions.iter().map(|(asked, ns)| ((*asked).to_owned(), json!(ns.round()))).collect();
            json!({"rules": one.rules, "read_ms": one.compiled.as_millis() as u64, "decision_ns": decisions})
        };
        return show::json(&json!(measured.iter().map(row).collect::<Vec<_>>()));
    }
    let mut text = String::new();
    for one in &measured {
        let _ = writeln!(text, "{} rules, read in {} ms", one.rules, one.compiled.as_millis());
        for (asked, ns) in &one.decisions {
            let _ = writeln!(text, "  {asked:40} {ns:8.0} ns");
        }
    }
    files::print(text.as_bytes())
}

/// Rules as they come: most on keys of their own, some on many keys, some with conditions, some that deny.
fn text(rules: usize) -> String {
    let mut text = String::new();
    for at in 0..rules {
        let (path, rest) = match at % 10 {
            0 => (format!("kms/keys/team{at}/*"), "capabilities = [\"list\", \"read\"]"),
            1 => (format!("kms/keys/+/app{at}"), "capabilities = [\"verify\"]"),
            2 => (format!("kms/keys/team{at}/root-*"), "capabilities = [\"deny\"]"),
            3 => (
                format!("kms/keys/team{at}/key"),
                "capabilities = [\"encrypt\"]\n  key_types = [\"aes256-gcm\"]\n  max_payload = \"64KiB\"",
            ),
            _ => (format!("kms/keys/team{at}/key"), "capabilities = [\"encrypt\", \"decrypt\"]"),
        };
        let _ = writeln!(text, "path \"{path}\" {{\n  {rest}\n}}");
    }
    text
}

fn measure(rules: usize) -> Result<Measured> {
    let text = text(rules);
    let began = Instant::now();
    let policy = Policy::read(&text)?;
    let compiled = Rules::of([("bench", &policy)]);
    let read = began.elapsed();
    let last = |kind: usize| (0..rules).rev().find(|at| at % 10 == kind).unwrap_or_default();
    let kinds = [
        ("allowed by the path of one key", format!("kms/keys/team{}/key", last(4))),
        ("allowed under conditions", format!("kms/keys/team{}/key", last(3))),
        ("denied, no rule is about it", "kms/keys/nobody/key".to_owned()),
    ];
    let decisions =
        kinds.iter().map(|(what, path)| (*what, nanoseconds(&compiled, path.as_bytes()))).collect();
    Ok(Measured { rules, compiled: read, decisions })
}

fn nanoseconds(rules: &Rules, path: &[u8]) -> f64 {
    let asked = Asked {
        capability: Capability::Encrypt,
        path,
        key: OfKey::Type(KeyType::Aes256),
        payload: Some(1024),
        context: Some(b""),
        now_micros: 0,
        source: Source::Local,
    };
    const EACH: u32 = 1000;
    let (began, mut times) = (Instant::now(), 0u32);
    while began.elapsed() < LONG {
        for _ in 0..EACH {
            std::hint::black_box(rules.decide(std::hint::black_box(&asked)).allowed);
        }
        times += EACH;
    }
    began.elapsed().as_nanos() as f64 / f64::from(times)
}
