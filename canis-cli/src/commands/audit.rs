//! `canis audit …`: what was asked of CANIS, at a server and in a data directory alike.

use crate::args::Connection;
use crate::audit_args::{AuditCommand, Search, Tail};
use crate::door::{Company, Door, Missing};
use crate::slot_args::Place;
use crate::{files, show};
use canis_proto::Result;
use canis_proto::audit::{AuditLines, AuditVerified, SearchAudit, VerifyAudit};
use serde_json::json;
use std::process::ExitCode;
use std::time::Duration;

/// What the program ends with when the log is not what was written.
const NOT_WHOLE: u8 = 1;

/// How many lines are asked for at a time.
const PAGE: u32 = 1000;

/// How long `tail -f` waits before it asks again.
const PAUSE: Duration = Duration::from_secs(1);

pub(crate) fn run(connection: &Connection, command: &AuditCommand, json: bool) -> Result<ExitCode> {
    match command {
        AuditCommand::Verify(place) => return verify(&mut open(connection, place)?, json),
        AuditCommand::Tail(args) => tail(connection, args)?,
        AuditCommand::Search(args) | AuditCommand::Export(args) => {
            follow(&mut open(connection, &args.place)?, args, String::new())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn open(connection: &Connection, place: &Place) -> Result<Door> {
    Door::open(connection, place, Company::Others, Missing::Refuse)
}

fn verify(door: &mut Door, json: bool) -> Result<ExitCode> {
    let AuditVerified { files, lines, broken, notes } = door.call(VerifyAudit)?;
    let whole = broken.is_empty();
    if json {
        show::json(
            &json!({"whole": whole, "files": files, "lines": lines, "broken": broken, "notes": notes}),
        )?;
    } else {
        let verdict = if whole { "whole" } else { "not whole" };
        let counts = format!("{} in {}", show::count(lines, "line"), show::count(files, "file"));
        let told = broken.iter().chain(&notes).map(|line| format!("{line}\n"));
        files::print((told.collect::<String>() + &format!("{verdict}: {counts}\n")).as_bytes())?;
    }
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::from(NOT_WHOLE) })
}

fn tail(connection: &Connection, args: &Tail) -> Result<()> {
    let mut door = open(connection, &args.what.place)?;
    let last = door.call(SearchAudit { last: true, limit: args.lines, ..request(&args.what, "") })?;
    let mut next = print(last)?;
    if !args.follow {
        return Ok(());
    }
    loop {
        std::thread::sleep(PAUSE);
        next = follow(&mut door, &args.what, next)?;
    }
}

/// Prints what is found after `next`; says where the next look goes on.
fn follow(door: &mut Door, what: &Search, mut next: String) -> Result<String> {
    loop {
        let found = door.call(request(what, &next))?;
        let more = found.more;
        next = print(found)?;
        if !more {
            return Ok(next);
        }
    }
}

fn print(found: AuditLines) -> Result<String> {
    let text: String = found.lines.iter().map(|line| format!("{line}\n")).collect();
    files::print(text.as_bytes())?;
    Ok(found.next)
}

fn request<'a>(what: &'a Search, after: &'a str) -> SearchAudit<'a> {
    SearchAudit {
        on: path(&what.key).into(),
        who: what.who.as_str().into(),
        operation: what.op.as_str().into(),
        result: what.result.as_str().into(),
        since: what.since,
        until: what.until,
        after: after.into(),
        last: false,
        limit: PAGE,
    }
}

/// A key's name as policies name it; other paths and entries as they are.
fn path(key: &str) -> String {
    let is_path = ["", "kv:", "kms/", "sys/"]
        .iter()
        .any(|start| key == *start || (!start.is_empty() && key.starts_with(start)));
    if is_path { key.to_owned() } else { format!("kms/keys/{key}") }
}
