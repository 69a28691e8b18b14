//! `canis bench pkcs11`: any PKCS#11 module, or two against each other.

use super::args::Pkcs11;
use super::measure::{median, spread};
use super::operation::Op;
use super::plan::{Keep, Measured, Plan, Spread, Started, Target, Which};
use super::table;
use super::workplace::Workplace;
use crate::{files, show};
use canis_proto::{Error, Result};
use serde::Serialize;
use std::path::PathBuf;

/// The whole report.
#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    measured: Measured,
    starts: Vec<Starts>,
}

/// Cold starts on tokens with this many objects.
#[derive(Serialize)]
struct Starts {
    objects: usize,
    /// Medians of A.
    a: Started,
    /// Medians of B.
    b: Option<Started>,
    /// B's time divided by A's: how many times faster A is.
    ratio: Option<Spread>,
    /// The same without C_Login.
    ratio_without_login: Option<Spread>,
}

/// Runs the command.
pub(super) fn run(args: &Pkcs11, json: bool) -> Result<()> {
    let report = if args.setup { on_new_tokens(args)? } else { on_found_tokens(args)? };
    if json {
        let report = serde_json::to_value(&report).map_err(|e| Error::internal(e.to_string()))?;
        return show::json(&report);
    }
    let mut text = table::rows(&report.measured.names, &report.measured.rows);
    show_starts(&mut text, &report.starts);
    files::print(text.as_bytes())
}

/// Session keys on tokens with the first number of objects, token keys on tokens with each.
fn on_new_tokens(args: &Pkcs11) -> Result<Report> {
    let mut report = Report { measured: Measured::default(), starts: Vec::new() };
    for (at, objects) in args.objects.iter().copied().enumerate() {
        let place = Workplace::new()?;
        let mut targets = vec![place.make_token(&args.module, "bench-a", objects)?];
        if let Some(module) = &args.vs {
            targets.push(place.make_token(module, "bench-b", objects)?);
        }
        report.starts.extend(starts(&place, &targets, objects, args.starts)?);
        let keep = if at == 0 { vec![Keep::Session, Keep::Token] } else { vec![Keep::Token] };
        let effort = args.pace.effort(Op::ALL);
        let measured: Measured =
            place.child(&Plan::Measure { targets, keep, objects: Some(objects), effort })?;
        report.measured.names = measured.names;
        report.measured.rows.extend(measured.rows);
    }
    Ok(report)
}

fn on_found_tokens(args: &Pkcs11) -> Result<Report> {
    let which =
        |label: &Option<String>, slot| label.clone().map(Which::Label).or(Option::map(slot, Which::Slot));
    let missing = || Error::invalid("say which token: --label or --slot, and --pin-file");
    let token = which(&args.label, args.slot).ok_or_else(missing)?;
    let pin = args.pin_file.clone().ok_or_else(missing)?;
    let mut targets = vec![Target { module: args.module.clone(), token: token.clone(), pin: pin.clone() }];
    if let Some(module) = &args.vs {
        let token = which(&args.vs_label, args.vs_slot).unwrap_or(token);
        let pin: PathBuf = args.vs_pin_file.clone().unwrap_or(pin);
        targets.push(Target { module: module.clone(), token, pin });
    }
    let effort = args.pace.effort(Op::ALL);
    let plan = Plan::Measure { targets, keep: vec![Keep::Session], objects: None, effort };
    Ok(Report { measured: Workplace::found().child(&plan)?, starts: Vec::new() })
}

/// Starts every module some times, in turns, each time in a process of its own.
fn starts(place: &Workplace, targets: &[Target], objects: usize, times: usize) -> Result<Option<Starts>> {
    let mut all: Vec<Vec<Started>> = vec![Vec::new(); targets.len()];
    for _ in 0..times {
        for (target, started) in targets.iter().zip(&mut all) {
            started.push(place.child(&Plan::Start { target: target.clone() })?);
        }
    }
    let Some(a) = all.first().and_then(|a| middle(a)) else { return Ok(None) };
    let faster = |part: fn(&Started) -> f64| {
        let [a, b, ..] = &all[..] else { return None };
        let times = |starts: &[Started]| starts.iter().map(part).collect::<Vec<_>>();
        spread(&times(b), &times(a))
    };
    let b = all.get(1).and_then(|b| middle(b));
    let (ratio, ratio_without_login) = (faster(Started::total), faster(Started::without_login));
    Ok(Some(Starts { objects, a, b, ratio, ratio_without_login }))
}

fn middle(starts: &[Started]) -> Option<Started> {
    let part = |part: fn(&Started) -> f64| median(&starts.iter().map(part).collect::<Vec<_>>());
    Some(Started {
        initialize: part(|s| s.initialize)?,
        session: part(|s| s.session)?,
        login: part(|s| s.login)?,
        find: part(|s| s.find)?,
        sign: part(|s| s.sign)?,
    })
}

fn show_starts(text: &mut String, starts: &[Starts]) {
    if starts.is_empty() {
        return;
    }
    let head = ["initialize", "session", "login", "find", "sign", "total"];
    table::line(text, format_args!("\ncold start, milliseconds"));
    let head: String = head.iter().map(|name| format!("{name:>11}")).collect();
    table::line(text, format_args!("{:>8}    {head}", "objects"));
    for row in starts {
        for (letter, started) in [("A", Some(&row.a)), ("B", row.b.as_ref())] {
            let Some(s) = started else { continue };
            let parts = [s.initialize, s.session, s.login, s.find, s.sign, s.total()];
            let parts: String = parts.iter().map(|part| format!("{part:>11.2}")).collect();
            table::line(text, format_args!("{:>8} {letter}  {parts}", row.objects));
        }
        if row.ratio.is_some() {
            let (all, without) = (table::ratio(row.ratio), table::ratio(row.ratio_without_login));
            table::line(text, format_args!("{:>8} A is faster {all} times, without C_Login {without}", ""));
        }
    }
}
