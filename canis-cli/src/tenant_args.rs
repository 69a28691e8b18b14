//! The command line of `canis tenant`.

use crate::rekey_args::RekeyTenant;
use crate::slot_args::Place;
use clap::{Args, Subcommand};

#[derive(Subcommand)]
pub(crate) enum TenantCommand {
    /// Make a tenant, and a token that may do anything in it, which is shown this once.
    Create(CreateTenant),
    /// List the tenants, those that PKCS#11 programs made as tokens among them.
    List(Place),
    /// Show one tenant: its limits, and how many keys it has.
    Show(OneTenant),
    /// Say how much a tenant may have and ask for; what is not said stays.
    Limits(LimitTenant),
    /// Let nobody of a tenant do anything, from the next request on.
    Disable(OneTenant),
    /// Let a disabled tenant be used again.
    Enable(OneTenant),
    /// Destroy a tenant's key, and with it all that the tenant has.
    Delete(DeleteTenant),
    /// Give a tenant a new key: all that it holds is sealed anew, whole or not at all. One that PINs guard keeps its key.
    Rekey(RekeyTenant),
}

#[derive(Args)]
pub(crate) struct OneTenant {
    /// Its name, or its id.
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Args)]
pub(crate) struct CreateTenant {
    #[command(flatten)]
    pub(crate) tenant: OneTenant,
    #[command(flatten)]
    pub(crate) limits: Limits,
}

#[derive(Args)]
pub(crate) struct LimitTenant {
    #[command(flatten)]
    pub(crate) tenant: OneTenant,
    #[command(flatten)]
    pub(crate) limits: Limits,
}

/// What a tenant may have and ask for.
#[derive(Args)]
pub(crate) struct Limits {
    /// How many keys it may have at a time; 0 for any number.
    #[arg(long, value_name = "N")]
    pub(crate) max_keys: Option<u64>,
    /// How many requests a second all its callers may ask together; 0 for any number.
    #[arg(long, value_name = "N")]
    pub(crate) max_requests: Option<u32>,
    /// How many bytes one of its callers may bring in one request or stream; 0 for any number.
    #[arg(long, value_name = "BYTES")]
    pub(crate) max_payload: Option<u64>,
}

#[derive(Args)]
pub(crate) struct DeleteTenant {
    #[command(flatten)]
    pub(crate) tenant: OneTenant,
    /// Even if it has keys that must not be destroyed.
    #[arg(long)]
    pub(crate) force: bool,
    /// Delete it. Otherwise it is only said what would go.
    #[arg(long)]
    pub(crate) yes: bool,
}
