//! `status`: the state of server and store.

use crate::caller::Caller;
use crate::core::{Resource, Run};
use crate::keyring::Keyring;
use canis_proto::Result;
use canis_proto::answer::StatusInfo;
use canis_proto::message::Status;

impl Run for Status {
    fn resource(&self) -> Resource<'_> {
        Resource::System
    }

    fn run(self, keyring: &Keyring, _: &Caller) -> Result<StatusInfo> {
        let sealed = keyring.is_sealed();
        Ok(StatusInfo {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            store: keyring.store_id().to_string(),
            sealed,
            reason: if sealed { keyring.sealed_reason() } else { String::new() },
            provider: keyring.provider.name.to_owned(),
            audit: keyring.log.as_ref().map_or_else(String::new, |log| log.why()),
            audit_copies: keyring.log.as_ref().map_or_else(String::new, |log| log.copies_why()),
            rows: keyring.rows_why(),
        })
    }
}
