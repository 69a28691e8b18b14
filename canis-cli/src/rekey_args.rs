//! The command line of `canis tenant rekey`.

use crate::slot_args::Place;
use clap::Args;

#[derive(Args)]
pub(crate) struct RekeyTenant {
    #[command(flatten)]
    pub(crate) place: Place,
    /// The tenant's name.
    pub(crate) name: String,
}
