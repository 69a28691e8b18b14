//! `canis slot …`: tenants as the tokens that PKCS#11 programs see. What holds objects is in `slot_transfer`.

use super::slot_transfer;
use crate::args::Local;
use crate::slot_args::{DeleteToken, InitSlot, OneToken, SetPin, SlotCommand, Unlock};
use crate::{files, local, pin, show};
use canis_core::datadir::{DataDir, DirLock};
use canis_core::secret::SecretBytes;
use canis_core::token::{self, InitToken, InitUserPin, ListTokens, Login, PinState, Role, TokenInfo};
use canis_core::{Caller, Core};
use canis_proto::{Error, ErrorCode, Result, quote};
use serde_json::{Value, json};
use std::fmt::Write;
use std::sync::Arc;

pub(crate) fn run(command: &SlotCommand, json: bool) -> Result<()> {
    match command {
        SlotCommand::List(args) => list(args, json),
        SlotCommand::Init(args) => init(args, json),
        SlotCommand::SetPin(args) => set_pin(args, json),
        SlotCommand::Unlock(args) => unlock(args, json),
        SlotCommand::Import(args) => slot_transfer::import(args, json),
        SlotCommand::Export(args) => slot_transfer::export(args, json),
        SlotCommand::Delete(args) => delete(args, json),
    }
}

/// A token of a store that no server is running on.
pub(super) struct OpenToken {
    pub(super) core: Core,
    pub(super) info: TokenInfo,
    /// A running server owns the directory; two owners would not know of each other's changes.
    _lock: DirLock,
}

impl OpenToken {
    pub(super) fn open(args: &OneToken) -> Result<Self> {
        Self::under(DataDir::new(&args.local.data).share()?, args)
    }

    fn under(lock: DirLock, args: &OneToken) -> Result<Self> {
        let core = local::open(&args.local)?;
        let tokens = tokens(&core)?;
        let mut labelled = tokens.iter().filter(|token| token.label == args.token);
        if let (Some(info), None) = (labelled.next(), labelled.next()) {
            return Ok(OpenToken { info: info.clone(), core, _lock: lock });
        }
        let labels: Vec<_> = tokens.iter().map(|token| token.label.as_str()).collect();
        Err(Error::new(
            ErrorCode::TenantNotFound,
            format!(
                "there is not exactly one token labelled `{}`; the labels are: {}",
                quote(&args.token),
                labels.join(", ")
            ),
        ))
    }

    /// A new application that is not logged in.
    pub(super) fn visitor(&self) -> Caller {
        Caller::pkcs11(&self.core.application(), self.info.id)
    }

    /// One that is. A wrong PIN counts as it does in C_Login.
    pub(super) fn log_in(&self, role: Role, pin: &SecretBytes) -> Result<Caller> {
        let caller = self.visitor();
        self.core.call(&caller, Login { role, pin })?;
        Ok(caller)
    }

    fn done(&self, json: bool) -> Result<()> {
        if json { show::json(&json!({"slot": self.info.slot, "token": self.info.label})) } else { Ok(()) }
    }
}

fn list(args: &Local, json: bool) -> Result<()> {
    let tokens = tokens(&local::open(args)?)?;
    if json {
        return show::json(&json!({"slots": tokens.iter().map(token_json).collect::<Vec<Value>>()}));
    }
    files::print(table(&tokens).as_bytes())
}

fn init(args: &InitSlot, json: bool) -> Result<()> {
    let so_pin = pin::new(pin::SO, args.so_pin_file.as_ref())?;
    let user_pin = args.pin_file.as_ref().map(|file| pin::new(pin::USER, Some(file))).transpose()?;
    let dir = DataDir::new(&args.local.data);
    if !dir.store_exists() {
        drop(dir.open_or_create_store()?);
    }
    let _lock = dir.share()?;
    let core = local::open(&args.local)?;
    let tokens = tokens(&core)?;
    if tokens.iter().any(|token| token.label == args.label) {
        return Err(Error::new(
            ErrorCode::TenantExists,
            format!("a token labelled `{}` is there already; it was left as it is", quote(&args.label)),
        ));
    }
    // The empty slot that the module shows.
    let slot = tokens.iter().map(|token| token.slot + 1).max().unwrap_or(0);
    let application = core.application();
    let request = InitToken { slot, label: &args.label, so_pin: &so_pin };
    let id = core.call(&Caller::pkcs11_slots(&application), request)?;
    if let Some(pin) = &user_pin {
        let caller = Caller::pkcs11(&application, id);
        core.call(&caller, Login { role: Role::So, pin: &so_pin })?;
        core.call(&caller, InitUserPin { pin })?;
    }
    if json {
        return show::json(&json!({"slot": slot, "token": args.label}));
    }
    files::print(format!("{slot}\n").as_bytes())
}

fn set_pin(args: &SetPin, json: bool) -> Result<()> {
    let pin = pin::new(pin::USER, args.pin_file.as_ref())?;
    let token = OpenToken::open(&args.token)?;
    token.core.call(&token.core.owner(token.info.id)?, InitUserPin { pin: &pin })?;
    token.done(json)
}

fn unlock(args: &Unlock, json: bool) -> Result<()> {
    let so_pin = pin::known(pin::SO, args.so_pin_file.as_ref())?;
    let user_pin = pin::new(pin::USER, args.pin_file.as_ref())?;
    let token = OpenToken::open(&args.token)?;
    let officer = token.log_in(Role::So, &so_pin)?;
    token.core.call(&officer, InitUserPin { pin: &user_pin })?;
    token.done(json)
}

fn delete(args: &DeleteToken, json: bool) -> Result<()> {
    // Alone: a program that has the module loaded may be using the token.
    let lock = DataDir::new(&args.token.local.data).lock()?;
    let token = OpenToken::under(lock, &args.token)?;
    let asks = args.so_pin_file.is_some() || !token.core.has_root();
    let so_pin = asks.then(|| pin::known(pin::SO, args.so_pin_file.as_ref())).transpose()?;
    let caller = if asks { token.visitor() } else { token.core.owner(token.info.id)? };
    let request = token::DeleteToken { so_pin: so_pin.as_ref(), dry_run: !args.yes };
    let gone = token.core.call(&caller, request)?;
    if !args.yes {
        return Err(Error::new(
            ErrorCode::OperationNotAllowed,
            format!(
                "token `{}` holds {} keys, in all {} objects, which would be lost for ever; nothing was changed. \
                 Say --yes to delete it",
                quote(&token.info.label),
                gone.keys,
                gone.objects
            ),
        ));
    }
    if json {
        return show::json(&json!({
            "slot": token.info.slot,
            "token": token.info.label,
            "keys": gone.keys,
            "objects": gone.objects,
        }));
    }
    Ok(())
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
