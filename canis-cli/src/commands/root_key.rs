//! `canis root rotate-key`: a new root key for a store.

use super::root::slot_json;
use crate::args::Connection;
use crate::configured_root::warn_if_it_opens_nothing;
use crate::door::{Company, Door, Missing};
use crate::new_root::Made;
use crate::root_args::RotateKey;
use crate::{secret_file, show};
use canis_core::secret::SecretBytes;
use canis_proto::message::WireRequest;
use canis_proto::root::{ListRoots, RootList, RootSlotInfo, RotateRootKey};
use canis_proto::{Error, ErrorCode, Result, quote};
use serde_json::{Value, json};
use std::path::Path;

pub(crate) fn rotate(connection: &Connection, args: &RotateKey, json: bool) -> Result<()> {
    let mut door = Door::open(connection, &args.place, Company::Nobody, Missing::Refuse)?;
    let listed = door.call(ListRoots)?;
    let kept = args.keep.iter().map(|keep| kept(&listed, keep, args)).collect::<Result<Vec<_>>>()?;
    let others = listed
        .slots
        .iter()
        .filter(|slot| slot.kind != "recipient" && !kept.iter().any(|(id, _)| *id == slot.slot))
        .collect::<Vec<_>>();
    if !args.drop_others && !others.is_empty() {
        let others: Vec<String> =
            others.iter().map(|slot| format!("{} ({})", slot.slot, slot.kind)).collect();
        return Err(Error::new(
            ErrorCode::OperationNotAllowed,
            format!(
                "these root slots would go: {}; nothing was changed. Name them with --keep, or say --drop-others",
                others.join(", ")
            ),
        ));
    }
    // Before the store knows the new shares, so that no moment leaves it with shares that nobody has.
    kept.iter()
        .filter(|(_, made)| made.kind == "shares")
        .try_for_each(|(_, made)| made.hand_out(args.out_dir.as_deref(), json))?;
    let keep: Vec<_> = kept.iter().map(|(slot, made)| made.to_rotate(slot)).collect();
    let answer = door.call(RotateRootKey {
        keep: keep.iter().map(WireRequest::to_map).collect(),
        drop: others.iter().map(|slot| slot.slot.as_str().into()).collect(),
    })?;
    warn_if_it_opens_nothing(connection, args.place.data.as_ref(), &mut door);
    if json {
        let slots: Vec<Value> = answer.slots.iter().map(slot_json).collect();
        return show::json(&json!({"root_key": answer.root_key, "slots": slots}));
    }
    eprintln!(
        "canis: the store has root key {}; {} go with the old one",
        answer.root_key,
        show::count(others.len() as u64, "slot")
    );
    Ok(())
}

/// The slot that `keep` names, and the root that it is to have.
fn kept(listed: &RootList, keep: &str, args: &RotateKey) -> Result<(String, Made)> {
    let (name, file) = match keep.split_once('=') {
        Some((name, file)) => (name, Some(Path::new(file))),
        None => (keep, None),
    };
    let slot = named(&listed.slots, name)?;
    let file = || {
        file.ok_or_else(|| {
            Error::invalid(format!("--keep {name} needs the file of its credential: --keep {name}=F"))
        })
    };
    let made = match slot.kind.as_str() {
        "shares" => {
            let number = |number: u32| u8::try_from(number).unwrap_or(u8::MAX);
            Made::shares(&listed.store, number(slot.threshold), number(slot.shares))?
        }
        "recipient" => Made::of("recipient", SecretBytes::zeroed(0)),
        "keyfile" => Made::of("keyfile", secret_file::read_keyfile(file()?)?),
        "passphrase" => Made::of("passphrase", secret_file::read_root_line(file()?, "passphrase")?),
        "hsm" => {
            let module = args
                .keep_module
                .as_deref()
                .ok_or_else(|| Error::invalid("an HSM's slot is kept with its module; give --keep-module"))?;
            let module =
                std::path::absolute(module).map_err(|e| Error::invalid(format!("--keep-module: {e}")))?;
            Made {
                module: module.display().to_string(),
                ..Made::of("hsm", secret_file::read_root_line(file()?, "PIN")?)
            }
        }
        other => {
            return Err(Error::invalid(format!(
                "slots of kind `{}` are unknown to this program",
                quote(other)
            )));
        }
    };
    Ok((slot.slot.clone(), made))
}

fn named<'a>(slots: &'a [RootSlotInfo], name: &str) -> Result<&'a RootSlotInfo> {
    let mut found = slots.iter().filter(|slot| slot.kind == name || slot.slot.starts_with(name));
    match (found.next(), found.next()) {
        (Some(slot), None) if !name.is_empty() => Ok(slot),
        _ => Err(Error::invalid(format!(
            "`{}` names no root slot, or several; `canis root list` shows them",
            quote(name)
        ))),
    }
}
