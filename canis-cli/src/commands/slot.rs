//! `canis slot …`: tokens as PKCS#11 programs see them, at a server and in a data directory alike. What holds objects
//! is in `slot_transfer`.

use super::slot_transfer;
use crate::args::Connection;
use crate::door::{Company, Door, Missing};
use crate::slot_args::{DeleteToken, InitSlot, Place, SetPin, SlotCommand, Unlock};
use crate::{files, pin, show};
use canis_core::secret::SecretBytes;
use canis_proto::slot::{self, ListSlots, PinInfo, SetSlotPin, SlotDeleted, SlotInfo, SlotToken, UnlockSlot};
use canis_proto::{Error, ErrorCode, Result, quote};
use serde_json::{Value, json};
use std::fmt::Write;

pub(crate) fn run(connection: &Connection, command: &SlotCommand, json: bool) -> Result<()> {
    match command {
        SlotCommand::List(args) => list(connection, args, json),
        SlotCommand::Init(args) => init(connection, args, json),
        SlotCommand::SetPin(args) => set_pin(connection, args, json),
        SlotCommand::Unlock(args) => unlock(connection, args, json),
        SlotCommand::Import(args) => slot_transfer::import(connection, args, json),
        SlotCommand::Export(args) => slot_transfer::export(connection, args, json),
        SlotCommand::Delete(args) => delete(connection, args, json),
    }
}

/// The door to the tokens of `place`, where others may be at work.
pub(super) fn open(connection: &Connection, place: &Place) -> Result<Door> {
    Door::open(connection, place, Company::Others, Missing::Refuse)
}

fn list(connection: &Connection, args: &Place, json: bool) -> Result<()> {
    let slots = open(connection, args)?.call(ListSlots)?.slots;
    if json {
        return show::json(&json!({"slots": slots.iter().map(slot_json).collect::<Vec<Value>>()}));
    }
    files::print(table(&slots).as_bytes())
}

fn init(connection: &Connection, args: &InitSlot, json: bool) -> Result<()> {
    let so_pin = pin::new(pin::SO, args.so_pin_file.as_ref())?;
    let user_pin = args.pin_file.as_ref().map(|file| pin::new(pin::USER, Some(file))).transpose()?;
    let mut door = Door::open(connection, &args.place, Company::Others, Missing::Make)?;
    let made = door.call(slot::InitSlot {
        token: args.label.as_str().into(),
        so_pin: so_pin.expose().into(),
        pin: user_pin.as_ref().map(|pin| pin.expose().into()),
    })?;
    if json {
        return done(&made, true);
    }
    files::print(format!("{}\n", made.slot).as_bytes())
}

fn set_pin(connection: &Connection, args: &SetPin, json: bool) -> Result<()> {
    let pin = pin::new(pin::USER, args.pin_file.as_ref())?;
    let mut door = open(connection, &args.token.place)?;
    let request = SetSlotPin { token: args.token.token.as_str().into(), pin: pin.expose().into() };
    done(&door.call(request)?, json)
}

fn unlock(connection: &Connection, args: &Unlock, json: bool) -> Result<()> {
    let so_pin = pin::known(pin::SO, args.so_pin_file.as_ref())?;
    let user_pin = pin::new(pin::USER, args.pin_file.as_ref())?;
    let mut door = open(connection, &args.token.place)?;
    let answer = door.call(UnlockSlot {
        token: args.token.token.as_str().into(),
        so_pin: so_pin.expose().into(),
        pin: user_pin.expose().into(),
    })?;
    done(&answer, json)
}

fn delete(connection: &Connection, args: &DeleteToken, json: bool) -> Result<()> {
    let mut door = Door::open(connection, &args.token.place, Company::Nobody, Missing::Refuse)?;
    let asks = args.so_pin_file.is_some() || !door.has_root();
    let so_pin = asks.then(|| pin::known(pin::SO, args.so_pin_file.as_ref())).transpose()?;
    let gone = door.call(slot::DeleteSlot {
        token: args.token.token.as_str().into(),
        so_pin: so_pin.as_ref().map(SecretBytes::expose).map(Into::into),
        preview: !args.yes,
    })?;
    let SlotDeleted { slot, token, keys, objects, preview } = gone;
    if preview {
        return Err(Error::new(
            ErrorCode::OperationNotAllowed,
            format!(
                "token `{}` holds {}, in all {}, which would be lost for ever; nothing was changed. \
                 Say --yes to delete it",
                quote(&token),
                show::count(keys, "key"),
                show::count(objects, "object")
            ),
        ));
    }
    if json {
        return show::json(&json!({"slot": slot, "token": token, "keys": keys, "objects": objects}));
    }
    Ok(())
}

fn done(token: &SlotToken, json: bool) -> Result<()> {
    if json { show::json(&json!({"slot": token.slot, "token": token.token})) } else { Ok(()) }
}

fn slot_json(slot: &SlotInfo) -> Value {
    let pin = |pin: &PinInfo| json!({"set": pin.set, "tries_left": pin.tries_left});
    json!({
        "slot": slot.slot,
        "label": slot.token,
        "id": slot.id,
        "user_pin": pin(&slot.pin),
        "so_pin": pin(&slot.so_pin),
    })
}

fn table(slots: &[SlotInfo]) -> String {
    let width = slots.iter().map(|slot| slot.token.chars().count()).chain([5]).max().unwrap_or(5);
    let mut text = format!("SLOT  {:width$}  USER PIN  SO PIN\n", "LABEL");
    for slot in slots {
        // Writing into a String cannot fail.
        let _ = writeln!(
            text,
            "{:>4}  {:width$}  {:8}  {}",
            slot.slot,
            slot.token,
            state(&slot.pin),
            state(&slot.so_pin)
        );
    }
    text
}

fn state(pin: &PinInfo) -> &'static str {
    match pin {
        PinInfo { set: false, .. } => "not set",
        PinInfo { tries_left: 0, .. } => "locked",
        PinInfo { .. } => "set",
    }
}
