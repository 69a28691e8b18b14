//! `canis root probe`: what a token can do, without writing to it.

use crate::hsm_args::whole;
use crate::root_args::Probe;
use crate::{files, local, secret_file, show};
use canis_core::root::{self, Verdict};
use canis_proto::Result;
use serde_json::{Value, json};
use std::fmt::Write as _;

pub(crate) fn run(args: &Probe, json: bool) -> Result<()> {
    let name = args.token.is_given().then(|| args.token.name()).transpose()?;
    let of_uri = name.as_ref();
    let module = args.module.as_deref().or(of_uri.and_then(|name| name.module.as_deref()));
    let module = whole("--module", module)?;
    let pin_file = args.pin_file.as_deref().or(of_uri.and_then(|name| name.pin_file.as_deref()));
    let pin = pin_file.map(|file| secret_file::read_line(file, "PIN")).transpose()?;
    let found = root::probe(&local::hsm_helper(), &module, of_uri, pin)?;
    let chosen = found.chosen().map(|mechanism| mechanism.name());
    if json {
        let tokens: Vec<Value> = found
            .tokens
            .iter()
            .map(|[label, serial, manufacturer, model]| {
                json!({"label": label, "serial": serial, "manufacturer": manufacturer, "model": model})
            })
            .collect();
        let mechanisms: Vec<Value> = found.mechanisms.iter().map(verdict_json).collect();
        return show::json(&json!({"tokens": tokens, "mechanisms": mechanisms, "chosen": chosen}));
    }
    let mut text = format!("{:32}  {:16}  {:32}  MODEL\n", "TOKEN", "SERIAL", "MANUFACTURER");
    for [label, serial, manufacturer, model] in &found.tokens {
        // Writing into a String cannot fail.
        let _ = writeln!(text, "{label:32}  {serial:16}  {manufacturer:32}  {model}");
    }
    if name.is_some() {
        let _ = writeln!(text, "\n{:17}  {:7}  WORKS", "MECHANISM", "OFFERED");
        for verdict in &found.mechanisms {
            let offered = if verdict.offered { "yes" } else { "no" };
            let _ = writeln!(text, "{:17}  {offered:7}  {}", verdict.mechanism.name(), works(verdict));
        }
        let _ =
            writeln!(text, "\nCANIS would choose {}.", chosen.unwrap_or("none: it cannot use this token"));
    }
    files::print(text.as_bytes())
}

fn works(verdict: &Verdict) -> String {
    match verdict.works {
        Some(true) => "yes".to_owned(),
        Some(false) => format!("no: {}", verdict.why),
        None => verdict.why.clone(),
    }
}

fn verdict_json(verdict: &Verdict) -> Value {
    json!({
        "mechanism": verdict.mechanism.name(),
        "offered": verdict.offered,
        "works": verdict.works,
        "why": verdict.why,
    })
}
