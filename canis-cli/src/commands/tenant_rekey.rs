//! `canis tenant rekey`: a new key for a tenant.

use crate::args::Connection;
use crate::door::{Company, Door, Missing};
use crate::rekey_args::RekeyTenant;
use crate::show;
use canis_proto::rekey;
use canis_proto::{Result, quote};
use serde_json::json;

pub(crate) fn run(connection: &Connection, args: &RekeyTenant, json: bool) -> Result<()> {
    let mut door = Door::open(connection, &args.place, Company::Nobody, Missing::Refuse)?;
    let done = door.call(rekey::RekeyTenant { name: args.name.as_str().into() })?;
    if json {
        return show::json(&json!({"name": done.name, "rows": done.rows}));
    }
    eprintln!(
        "canis: tenant `{}` has a new key; {} sealed anew. Copies and backups of before still hold the old one",
        quote(&done.name),
        show::count(done.rows, "row")
    );
    Ok(())
}
