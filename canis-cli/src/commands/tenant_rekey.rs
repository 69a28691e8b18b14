//! `canis tenant rekey`: a new key for a tenant.

use crate::args::Connection;
use crate::door::{Company, Door, Missing};
use crate::rekey_args::RekeyTenant;
use crate::{pin, show};
use canis_core::secret::SecretBytes;
use canis_proto::rekey;
use canis_proto::{Result, quote};
use serde_json::json;

pub(crate) fn run(connection: &Connection, args: &RekeyTenant, json: bool) -> Result<()> {
    let mut door = Door::open(connection, &args.place, Company::Nobody, Missing::Refuse)?;
    let given = |whose, file: &Option<_>| file.as_ref().map(|file| pin::known(whose, Some(file))).transpose();
    let (so_pin, pin) = (given(pin::SO, &args.so_pin_file)?, given(pin::USER, &args.pin_file)?);
    let done = door.call(rekey::RekeyTenant {
        name: args.name.as_str().into(),
        so_pin: so_pin.as_ref().map(SecretBytes::expose).map(Into::into),
        pin: pin.as_ref().map(SecretBytes::expose).map(Into::into),
    })?;
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
