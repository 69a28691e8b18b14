//! `canis root …`: what opens a store, at a server and in a data directory alike.

use super::{recipient_key, root_key, root_probe};
use crate::args::Connection;
use crate::configured_root::warn_if_it_opens_nothing;
use crate::door::{Company, Door, Missing};
use crate::hsm_args::whole;
use crate::new_root::Made;
use crate::root_args::{At, Data, NewRoot, Remove, RootCommand, Test};
use crate::{files, prompt, root_credential, secret_file, show};
use canis_core::secret::SecretBytes;
use canis_proto::Result;
use canis_proto::root::{ListRoots, RemoveRoot, RootSlotInfo, TestRoot};
use serde_json::{Value, json};
use std::fmt::Write as _;

pub(crate) fn run(connection: &Connection, command: &RootCommand, json: bool) -> Result<()> {
    match command {
        RootCommand::List(args) => list(connection, args, json),
        RootCommand::Add { root } => {
            let (mut door, made) = make(connection, root, json)?;
            let slot = door.call(made.to_add())?;
            done(&slot, json)
        }
        RootCommand::Rotate { root } => {
            let (mut door, made) = make(connection, root, json)?;
            let name = at(root).slot.clone().unwrap_or_else(|| made.kind.to_owned());
            let slot = door.call(made.to_rotate(&name))?;
            eprintln!("canis: {OLD_COPIES}");
            warn_if_it_opens_nothing(connection, at(root).place.data.as_ref(), &mut door);
            done(&slot, json)
        }
        RootCommand::RotateKey(args) => root_key::rotate(connection, args, json),
        RootCommand::Remove(args) => remove(connection, args, json),
        RootCommand::RecipientKey(args) => recipient_key::run(args, json),
        RootCommand::Probe(args) => root_probe::run(args, json),
        RootCommand::Test(args) => test(connection, args, json),
    }
}

/// What nobody can take back by changing the file that is there.
const OLD_COPIES: &str = "copies of the store that were made before still open with what is gone here; \
     `canis root rotate-key` gives the store a root key that they do not hold";

fn list(connection: &Connection, args: &Data, json: bool) -> Result<()> {
    let listed = Door::open_sealed(connection, args.data.as_ref())?.call(ListRoots)?;
    if json {
        let slots: Vec<Value> = listed.slots.iter().map(slot_json).collect();
        return show::json(&json!({
            "store": listed.store,
            "root_key": listed.root_key,
            "root_key_at": listed.root_key_at,
            "slots": slots,
        }));
    }
    let mut text = format!("{:36}  {:10}  {:24}  DETAIL\n", "SLOT", "KIND", "MADE");
    for slot in &listed.slots {
        let made = if slot.created_at == 0 { "-".to_owned() } else { show::time(slot.created_at) };
        // Writing into a String cannot fail.
        let _ = writeln!(text, "{}  {:10}  {made:24}  {}", slot.slot, slot.kind, slot.detail);
    }
    files::print(text.as_bytes())
}

fn remove(connection: &Connection, args: &Remove, json: bool) -> Result<()> {
    let mut door = Door::open(connection, &args.place, Company::Nobody, Missing::Refuse)?;
    let gone = door.call(RemoveRoot { slot: args.slot.as_str().into() })?;
    eprintln!("canis: {OLD_COPIES}");
    warn_if_it_opens_nothing(connection, args.place.data.as_ref(), &mut door);
    if json {
        return show::json(
            &json!({"slot": gone.slot, "kind": gone.kind, "detail": gone.detail, "left": gone.left}),
        );
    }
    Ok(())
}

fn test(connection: &Connection, args: &Test, json: bool) -> Result<()> {
    let given = root_credential::carried(&args.credential)?;
    let slot = Door::open_sealed(connection, args.data.data.as_ref())?.call(TestRoot {
        slot: args.slot.as_deref().map(Into::into),
        kind: given.kind.into(),
        secret: given.secret.expose().into(),
        module: given.module.as_str().into(),
    })?;
    if json {
        return show::json(&slot_json(&slot));
    }
    files::print(format!("opens {} ({}, {})\n", slot.slot, slot.kind, slot.detail).as_bytes())
}

/// Opens the door and makes what the new root needs, so that a mistake in a credential is found before the store is asked.
fn make(connection: &Connection, root: &NewRoot, json: bool) -> Result<(Door, Made)> {
    let made = match root {
        NewRoot::Passphrase(args) => {
            Made::of("passphrase", root_credential::new_passphrase(args.new_passphrase_file.as_ref())?)
        }
        NewRoot::Keyfile(args) => Made::of("keyfile", root_credential::new_keyfile(&args.new_keyfile)?.0),
        NewRoot::Recipient(args) => Made {
            public_key: root_credential::recipient(&args.public_key)?,
            ..Made::of("recipient", SecretBytes::zeroed(0))
        },
        NewRoot::Hsm(args) => {
            let name = args.token.name()?;
            let module = args.new_module.as_deref().or(name.module.as_deref());
            let module = whole("--new-module", module)?;
            let pin = match args.new_pin_file.as_deref().or(name.pin_file.as_deref()) {
                Some(file) => secret_file::read_root_line(file, "PIN")?,
                None => prompt::ask("the token's user PIN", "--new-pin-file")?,
            };
            Made {
                module: module.display().to_string(),
                token: name.to_uri(),
                mechanism: args.wrap.wrap_mechanism.map(|wrap| wrap.name().to_owned()).unwrap_or_default(),
                ..Made::of("hsm", pin)
            }
        }
        NewRoot::Shares(_) => Made::of("shares", SecretBytes::zeroed(0)),
    };
    let mut door = Door::open(connection, &at(root).place, Company::Nobody, Missing::Refuse)?;
    match root {
        NewRoot::Shares(args) => {
            let store = door.call(ListRoots)?.store;
            let made = Made::shares(&store, args.threshold, args.shares)?;
            made.hand_out(args.out_dir.as_deref(), json)?;
            Ok((door, made))
        }
        _ => Ok((door, made)),
    }
}

fn at(root: &NewRoot) -> &At {
    match root {
        NewRoot::Passphrase(args) => &args.at,
        NewRoot::Keyfile(args) => &args.at,
        NewRoot::Shares(args) => &args.at,
        NewRoot::Recipient(args) => &args.at,
        NewRoot::Hsm(args) => &args.at,
    }
}

fn done(slot: &RootSlotInfo, json: bool) -> Result<()> {
    if json {
        return show::json(&slot_json(slot));
    }
    eprintln!("canis: root slot {} ({}, {})", slot.slot, slot.kind, slot.detail);
    Ok(())
}

pub(super) fn slot_json(slot: &RootSlotInfo) -> Value {
    json!({
        "slot": slot.slot,
        "kind": slot.kind,
        "created_at": slot.created_at,
        "detail": slot.detail,
        "opens": slot.opens,
        "threshold": slot.threshold,
        "shares": slot.shares,
    })
}
