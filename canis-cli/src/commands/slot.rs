//! `canis slot …`: tenants as the tokens that PKCS#11 programs see.

use crate::args::{Local, SetPin};
use crate::{files, local, secret_file, show};
use canis_core::datadir::DataDir;
use canis_core::token::{InitUserPin, ListTokens, PinState, TokenInfo};
use canis_core::{Caller, Core};
use canis_proto::{Error, ErrorCode, Result, quote};
use serde_json::{Value, json};
use std::fmt::Write;
use std::sync::Arc;

pub(crate) fn list(args: &Local, json: bool) -> Result<()> {
    let tokens = tokens(&local::open(args)?)?;
    if json {
        return show::json(&json!({"slots": tokens.iter().map(token_json).collect::<Vec<Value>>()}));
    }
    files::print(table(&tokens).as_bytes())
}

pub(crate) fn set_pin(args: &SetPin, json: bool) -> Result<()> {
    let pin = secret_file::read_line(&args.pin_file, "PIN")?;
    // A running server owns the directory; two owners would not know of each other's changes.
    let _share = DataDir::new(&args.local.data).share()?;
    let core = local::open(&args.local)?;
    let tokens = tokens(&core)?;
    let labelled: Vec<_> = tokens.iter().filter(|token| token.label == args.token).collect();
    let [token] = labelled[..] else {
        let labels: Vec<_> = tokens.iter().map(|token| token.label.as_str()).collect();
        return Err(Error::new(
            ErrorCode::TenantNotFound,
            format!(
                "{} tokens are labelled `{}`; the labels are: {}",
                labelled.len(),
                quote(&args.token),
                labels.join(", ")
            ),
        ));
    };
    core.call(&core.owner(token.id)?, InitUserPin { pin: &pin })?;
    if json { show::json(&json!({"slot": token.slot, "token": token.label})) } else { Ok(()) }
}

fn tokens(core: &Core) -> Result<Arc<Vec<TokenInfo>>> {
    core.call(&Caller::anonymous(), ListTokens)
}

fn token_json(token: &TokenInfo) -> Value {
    let pin = |pin: &PinState| json!({"set": pin.set, "tries_left": pin.tries_left});
    json!({
        "slot": token.slot,
        "label": token.label,
        "id": token.id.to_string(),
        "user_pin": pin(&token.user_pin),
        "so_pin": pin(&token.so_pin),
    })
}

fn table(tokens: &[TokenInfo]) -> String {
    let width = tokens.iter().map(|t| t.label.chars().count()).chain([5]).max().unwrap_or(5);
    let mut text = format!("SLOT  {:width$}  USER PIN  SO PIN\n", "LABEL");
    for token in tokens {
        // Writing into a String cannot fail.
        let _ = writeln!(
            text,
            "{:>4}  {:width$}  {:8}  {}",
            token.slot,
            token.label,
            state(&token.user_pin),
            state(&token.so_pin)
        );
    }
    text
}

fn state(pin: &PinState) -> &'static str {
    match pin {
        PinState { set: false, .. } => "not set",
        PinState { tries_left: 0, .. } => "locked",
        PinState { .. } => "set",
    }
}
