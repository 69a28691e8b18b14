//! The command line of `canis tenant rekey`.

use crate::slot_args::Place;
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct RekeyTenant {
    #[command(flatten)]
    pub(crate) place: Place,
    /// The tenant's name.
    pub(crate) name: String,
    /// The file that holds the security officer's PIN, for a token that its PINs guard.
    #[arg(long, value_name = "F")]
    pub(crate) so_pin_file: Option<PathBuf>,
    /// The file that holds the user PIN of such a token, if the user has one.
    #[arg(long, value_name = "F")]
    pub(crate) pin_file: Option<PathBuf>,
}
