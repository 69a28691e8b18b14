//! `key.activate`, `key.disable`, `key.enable`: a key goes from one state to the next.

use crate::caller::Caller;
use crate::core::{Resource, Run};
use crate::keyring::Keyring;
use crate::keyring::key_record::KeyRecord;
use canis_proto::answer::KeyInfo;
use canis_proto::message::{ActivateKey, DisableKey, EnableKey};
use canis_proto::{Error, ErrorCode, KeyState, Result};

/// A step that a caller can ask for. Asked again when it is done already, it does nothing: whoever lost the connection
/// may ask twice.
struct Step {
    from: KeyState,
    to: KeyState,
    verb: &'static str,
}

const ACTIVATE: Step = Step { from: KeyState::Created, to: KeyState::Active, verb: "activated" };
const DISABLE: Step = Step { from: KeyState::Active, to: KeyState::Disabled, verb: "disabled" };
const ENABLE: Step = Step { from: KeyState::Disabled, to: KeyState::Active, verb: "enabled" };

impl Run for ActivateKey<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Key(&self.name)
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<KeyInfo> {
        keyring.step(caller, &self.name, &ACTIVATE)
    }
}

impl Run for DisableKey<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Key(&self.name)
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<KeyInfo> {
        keyring.step(caller, &self.name, &DISABLE)
    }
}

impl Run for EnableKey<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Key(&self.name)
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<KeyInfo> {
        keyring.step(caller, &self.name, &ENABLE)
    }
}

impl Keyring {
    fn step(&self, caller: &Caller, name: &str, step: &Step) -> Result<KeyInfo> {
        let tenant = self.tenant(caller.tenant()?)?;
        let key = self.change_key(
            &tenant,
            || self.key(&tenant, name),
            |key| Ok(stepped(&key.record, key.state, step, self.clock.now_micros())?.into()),
        )?;
        self.info(&tenant, &key)
    }
}

fn stepped(old: &KeyRecord, state: KeyState, step: &Step, now: i64) -> Result<KeyRecord> {
    if state == step.to {
        return Ok(old.clone());
    }
    if state != step.from || !state.may_become(step.to) {
        return Err(Error::new(
            ErrorCode::OperationNotAllowed,
            format!("key `{}` is {state}; only a key that is {} can be {}", old.name, step.from, step.verb),
        ));
    }
    if old.destroy_at.is_some() {
        return Err(Error::new(
            ErrorCode::OperationNotAllowed,
            format!("key `{}` is about to be destroyed; cancel that first", old.name),
        ));
    }
    let mut record = KeyRecord { state: step.to as u8, ..old.clone() };
    if step.from == KeyState::Created {
        record.rotated_at(now);
    }
    Ok(record)
}
