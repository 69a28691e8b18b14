//! `canis backup …`: the whole store in one encrypted file, and a store from one.

use super::store_move::to_be_named;
use crate::args::Connection;
use crate::backup_args::{BackupCommand, Create, Restore, Verify};
use crate::door::{Company, Door, Missing};
use crate::files::{self, Readers, Sink};
use crate::{local, root_credential, show};
use canis_core::backup::{self, BackupFacts, RestoreBackup};
use canis_core::datadir::DataDir;
use canis_core::default_provider;
use canis_core::moving::Place;
use canis_proto::backup::{CreateBackup, ReadBackup};
use canis_proto::{Error, Result};
use serde_json::json;
use std::fs::File;
use std::io::{BufReader, Write};
use std::path::Path;

pub(crate) fn run(connection: &Connection, command: &BackupCommand, json: bool) -> Result<()> {
    match command {
        BackupCommand::Create(args) => create(connection, args, json),
        BackupCommand::Verify(args) => verify(args, json),
        BackupCommand::Restore(args) => restore(args, json),
    }
}

fn create(connection: &Connection, args: &Create, json: bool) -> Result<()> {
    let public_key = args.recipient.as_deref().map(root_credential::recipient).transpose()?;
    let mut door = Door::open(connection, &args.place, Company::Others, Missing::Refuse)?;
    let made = door.call(CreateBackup {
        slot: args.slot.as_deref().unwrap_or_default().into(),
        public_key: public_key.as_deref().unwrap_or_default().into(),
    })?;
    let mut sink = Sink::open(Some(&args.to), Readers::Owner)?;
    let mut offset = 0;
    loop {
        let piece = door.call(ReadBackup { backup: made.backup.as_str().into(), offset })?;
        let failed = |e| Error::invalid(format!("cannot write {}: {e}", args.to.display()));
        sink.write_all(&piece.data).map_err(failed)?;
        offset += piece.data.len() as u64;
        if piece.last {
            break;
        }
    }
    sink.publish()?;
    if json {
        return show::json(&json!({
            "store": made.store, "rows": made.rows, "bytes": made.bytes, "sequence": made.sequence,
            "made_at": made.made_at, "opens_by": made.opens_by,
        }));
    }
    let text = format!(
        "{}: {} rows of store {}, {} bytes; opens by {}\n",
        args.to.display(),
        made.rows,
        made.store,
        made.bytes,
        made.opens_by
    );
    files::print(text.as_bytes())
}

fn verify(args: &Verify, json: bool) -> Result<()> {
    // Without a flag, the configuration beside the file says where the credential is.
    let beside = args.file.parent().unwrap_or(Path::new("."));
    let credential = local::credential(&DataDir::new(beside), &args.root)?;
    let facts = backup::verify(default_provider(), open(&args.file)?, &credential)?;
    told("whole", &facts, json)
}

fn restore(args: &Restore, json: bool) -> Result<()> {
    let dir = DataDir::new(&args.place.data);
    let configured = dir.read_config()?.store;
    let database = args.database.over(configured.clone())?;
    let place = Place::with(&dir, database.clone())?;
    local::make(&dir)?;
    let _lock = dir.lock()?;
    if !place.is_taken()? {
        let credential = local::credential(&dir, &args.place.root)?;
        let facts = backup::restore(default_provider(), &place, open(&args.file)?, &credential)?;
        told("restored", &facts, json)?;
        return match database.filter(|database| configured.as_ref() != Some(database) && !json) {
            Some(database) => files::print(to_be_named(&database)?.as_bytes()),
            None => Ok(()),
        };
    }
    let core = local::open_in(&dir, database.as_ref(), &args.place.root)?;
    let mut file = open(&args.file)?;
    let request = RestoreBackup { file: &mut file, resurrect: args.resurrect };
    let merged = core.call(&core.operator().from(local::origin()), request)?;
    if json {
        return show::json(&json!({
            "store": merged.backup.store.to_string(), "rows": merged.backup.rows,
            "restored": merged.restored, "left_out": merged.left_out,
        }));
    }
    let text = format!(
        "{} of {} rows came back; {} keys, versions, credentials, entries or tenants were destroyed since and stay so\n",
        merged.restored, merged.backup.rows, merged.left_out
    );
    files::print(text.as_bytes())
}

fn open(path: &Path) -> Result<BufReader<File>> {
    let file = File::open(path);
    file.map(BufReader::new).map_err(|e| Error::invalid(format!("cannot read {}: {e}", path.display())))
}

fn told(what: &str, facts: &BackupFacts, json: bool) -> Result<()> {
    if json {
        return show::json(&json!({
            "store": facts.store.to_string(), "rows": facts.rows, "sequence": facts.sequence,
            "made_at": facts.made_at, "slot_kind": facts.kind,
        }));
    }
    let made = show::time(facts.made_at);
    files::print(format!("{what}: {} rows of store {}, made {made}\n", facts.rows, facts.store).as_bytes())
}
