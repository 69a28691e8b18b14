//! The command line of `canis tenant rekey`.

use crate::slot_args::Place;
use clap::{Args, Subcommand};

#[derive(Subcommand)]
pub(crate) enum TenantCommand {
    /// Give a tenant a new key: all that it holds is sealed anew, whole or not at all. One that PINs guard keeps its key.
    Rekey(RekeyTenant),
}

#[derive(Args)]
pub(crate) struct RekeyTenant {
    #[command(flatten)]
    pub(crate) place: Place,
    /// The tenant's name.
    pub(crate) name: String,
}
