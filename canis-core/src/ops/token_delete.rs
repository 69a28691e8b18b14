//! `token.delete`: a token goes, with everything on it.

use super::token_init::kept_by;
use crate::caller::Caller;
use crate::core::{Resource, Run};
use crate::keyring::Keyring;
use crate::keyring::intent::Intent;
use crate::keyring::tenant::Protection;
use crate::store::{KeyRow, ObjectQuery};
use crate::token::{DeleteToken, Deleted};
use canis_proto::{Capability, Error, ErrorCode, Result};

impl Run for DeleteToken<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Token
    }

    fn intent(&self, _: &Keyring, caller: &Caller) -> Result<Option<Intent>> {
        let (caller, wanted) = (caller.tenant()?, !self.dry_run);
        Ok(wanted.then(|| {
            Intent::of_bytes(Capability::Admin, caller.0.to_vec()).telling("token", caller.to_string())
        }))
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<Deleted> {
        let token = keyring.tenant_info(caller.tenant()?)?;
        if token.protection == Protection::Root {
            return Err(Error::new(
                ErrorCode::OperationNotAllowed,
                format!(
                    "token `{}` belongs to the server; its keys go by `canis key destroy`, the whole by `canis tenant delete`",
                    token.record.name
                ),
            ));
        }
        let keys: Vec<KeyRow> =
            keyring.store.all_keys(token.id)?.into_iter().filter(|key| key.deleted_at.is_none()).collect();
        match &self.so_pin {
            Some(pin) => drop(keyring.check_with_so_pin(&token, pin)?),
            None if caller.is_owner() => {
                refuse_undeletable(&keys)?;
                keyring.refuse_guarded(token.id, &keys)?;
            }
            None => {
                return Err(Error::new(
                    ErrorCode::LoginRequired,
                    "a token goes by its security officer's PIN, or by the root of its store",
                ));
            }
        }
        let objects = keyring.store.objects(&ObjectQuery::all(token.id))?.len();
        if !self.dry_run {
            keyring.delete_tenant(&token)?;
        }
        Ok(Deleted { keys: keys.len(), objects })
    }
}

/// The root does not open what a PIN seals, so that the columns beside the sealed records must do. Who can change them
/// can delete the rows as well.
fn refuse_undeletable(keys: &[KeyRow]) -> Result<()> {
    keys.iter().find(|key| !key.deletion_allowed).map_or(Ok(()), |key| Err(kept_by(&key.name)))
}
