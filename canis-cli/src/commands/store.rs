//! `canis store …`: looking after the store itself.

use crate::args::Local;
use crate::local::Accepted;
use crate::{files, local, show};
use canis_core::token::ListTokens;
use canis_core::{AcceptStore, Caller, StoreReport, VerifyStore};
use canis_proto::{Error, Id, Result};
use serde_json::json;
use std::process::ExitCode;

/// What the program ends with when the store is not whole.
const NOT_WHOLE: u8 = 1;

pub(crate) fn verify(args: &Local, accept: bool, moved: bool, json: bool) -> Result<ExitCode> {
    let (core, credential) = local::open_accepting(args, Accepted { rollback: accept, moved })?;
    let tokens = core.call(&Caller::anonymous().from(local::origin()), ListTokens)?;
    // The whole store is looked at, whichever token its owner is asked to stand for.
    let owner = core.owner(tokens.first().map_or(Id::STORE, |token| token.id))?.from(local::origin());
    let report = core.call(&owner, VerifyStore)?;
    if accept {
        core.call(&core.operator().from(local::origin()), AcceptStore)?;
        if let Some(credential) = credential {
            // From here on the HSM remembers this store, and its commits count on from those that it remembered.
            core.anchor(&credential, true)?;
        }
    }
    if json {
        let refused: Vec<_> = report.refused.iter().map(error_json).collect();
        let whole = report.refused.is_empty();
        show::json(
            &json!({"whole": whole, "rows": report.rows, "refused": refused, "locked": report.locked}),
        )?;
    } else {
        files::print(text(&report).as_bytes())?;
    }
    Ok(if report.refused.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(NOT_WHOLE) })
}

fn error_json(error: &Error) -> serde_json::Value {
    json!({"code": error.code.name(), "message": error.message})
}

fn text(report: &StoreReport) -> String {
    let mut lines: Vec<String> = report.refused.iter().map(ToString::to_string).collect();
    let locked = |name: &String| {
        format!("token `{name}` opens with its PIN only; its private rows were not looked at")
    };
    lines.extend(report.locked.iter().map(locked));
    let verdict = if report.refused.is_empty() { "whole" } else { "not whole" };
    lines.push(format!("{verdict}: {} rows, {} refused", report.rows, report.refused.len()));
    lines.join("\n") + "\n"
}
