//! `canis policy fmt`, `canis policy test`: policy files on this machine, before anybody depends on them. What is asked of
//! a store stands in `kept_policy`.

use super::kept_policy;
use crate::args::Connection;
use crate::files::{Readers, Sink};
use crate::policy_args::{FormatPolicies, PolicyCommand, TestPolicies};
use crate::show;
use canis_core::clock::{Clock, SystemClock};
use canis_core::policy::{Asked, OfKey, Policy, PolicyError, Rules, Source, context_of};
use canis_proto::{Capability, Error, Result};
use serde_json::json;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

pub(crate) fn run(connection: &Connection, command: &PolicyCommand, json: bool) -> Result<ExitCode> {
    match command {
        PolicyCommand::Put(args) => kept_policy::put(connection, args, json)?,
        PolicyCommand::Get(args) => kept_policy::get(connection, args, json)?,
        PolicyCommand::List(args) => kept_policy::list(connection, args, json)?,
        PolicyCommand::Delete(args) => kept_policy::delete(connection, args, json)?,
        PolicyCommand::Explain(args) => return kept_policy::explain(connection, args, json),
        PolicyCommand::Fmt(args) => return format(args),
        PolicyCommand::Test(args) => return test(args, json),
    }
    Ok(ExitCode::SUCCESS)
}

fn format(args: &FormatPolicies) -> Result<ExitCode> {
    let mut other = false;
    for file in &args.files {
        let text = read(file)?;
        let neat = Policy::lay_out(&text).map_err(|error| refused(file, &error))?;
        if neat == text {
            continue;
        }
        other = true;
        println!("{}", file.display());
        if !args.check {
            let mut sink = Sink::open(Some(file), Readers::Umask)?;
            sink.write_all(neat.as_bytes())
                .map_err(|error| Error::invalid(format!("cannot write {}: {error}", file.display())))?;
            sink.publish()?;
        }
    }
    Ok(if other && args.check { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn test(args: &TestPolicies, json: bool) -> Result<ExitCode> {
    let mut policies = Vec::new();
    for file in &args.files {
        let policy = Policy::read(&read(file)?).map_err(|error| refused(file, &error))?;
        policies.push((file.file_stem().unwrap_or_default().to_string_lossy().into_owned(), policy));
    }
    let known = Capability::ALL.into_iter().find(|capability| capability.name() == args.capability);
    let capability = known.ok_or_else(|| {
        let all = Capability::ALL.map(Capability::name).join(", ");
        Error::invalid(format!("there is no capability `{}`; there are {all}", args.capability))
    })?;
    let rules = Rules::of(policies.iter().map(|(name, policy)| (name.as_str(), policy)));
    let key = args.key_type.map_or(OfKey::None, OfKey::Type);
    let decision = rules.decide(&Asked {
        capability,
        path: args.path.as_bytes(),
        key,
        payload: args.payload,
        context: context_of(capability, key, args.context.as_deref().map(str::as_bytes)),
        now_micros: time(args.time.as_deref())?,
        source: args.source.map_or(Source::Local, Source::Network),
    });
    if json {
        let rule =
            decision.rule.map(|rule| json!({"policy": rule.policy, "line": rule.line, "path": rule.path}));
        show::json(&json!({"allowed": decision.allowed, "rule": rule, "why": decision.to_string()}))?;
    } else {
        println!("{decision}");
    }
    Ok(if decision.allowed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Microseconds since some midnight.
fn time(text: Option<&str>) -> Result<i64> {
    let Some(text) = text else { return Ok(SystemClock.now_micros()) };
    let minutes = text.split_once(':').and_then(|(hour, minute)| {
        let (hour, minute) = (hour.parse::<i64>().ok()?, minute.parse::<i64>().ok()?);
        ((0..24).contains(&hour) && (0..60).contains(&minute)).then_some(hour * 60 + minute)
    });
    let minutes = minutes.ok_or_else(|| Error::invalid(format!("`{text}` is no time of day like 17:30")))?;
    Ok(minutes * 60_000_000)
}

pub(super) fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file)
        .map_err(|error| Error::invalid(format!("cannot read {}: {error}", file.display())))
}

fn refused(file: &Path, error: &PolicyError) -> Error {
    Error::invalid(format!("{}: {error}", file.display()))
}
