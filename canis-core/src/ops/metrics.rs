//! `metrics.read`: the keeper in numbers, for who may read `sys/metrics`.

use crate::caller::Caller;
use crate::core::{Resource, Run};
use crate::keyring::Keyring;
use crate::keyring::figures::Figures;
use canis_proto::{Operation, OperationId, Result};

/// Asks for the numbers.
pub struct ReadMetrics;

impl Operation for ReadMetrics {
    const ID: OperationId = OperationId::ReadMetrics;
    type Answer = Figures;
}

impl Run for ReadMetrics {
    fn resource(&self) -> Resource<'_> {
        Resource::Part("metrics")
    }

    fn run(self, keyring: &Keyring, _: &Caller) -> Result<Figures> {
        Ok(keyring.figures())
    }
}
