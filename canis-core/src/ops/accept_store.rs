//! `store.accept`: takes the rows as they stand for right, whatever other hands did to them.

use crate::caller::Caller;
use crate::core::{Resource, Run};
use crate::keyring::Keyring;
use canis_proto::{Error, ErrorCode, Operation, OperationId, Result};

/// Counts all rows anew. What was changed by other hands before is not found any more; rows that do not open stay refused.
pub struct AcceptStore;

impl Operation for AcceptStore {
    const ID: OperationId = OperationId::AcceptStore;
    type Answer = ();
}

impl Run for AcceptStore {
    fn resource(&self) -> Resource<'_> {
        Resource::System
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<()> {
        if !caller.is_owner() {
            return Err(Error::new(
                ErrorCode::OperationNotAllowed,
                "only who opens the store with a root's credential accepts it as it stands",
            ));
        }
        keyring.accept_rows()
    }
}
