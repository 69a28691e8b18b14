//! `tenant.rekey`: a new key for a tenant, under which all that it holds is sealed anew.

use crate::caller::Caller;
use crate::core::{Resource, Run};
use crate::keyring::Keyring;
use crate::keyring::rekey::GuardingPins;
use crate::keyring::tenant::Protection;
use crate::secret::SecretBytes;
use canis_proto::rekey::{RekeyTenant, TenantRekeyed};
use canis_proto::{Error, ErrorCode, Result, quote};
use std::borrow::Cow;

impl Run for RekeyTenant<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Token
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<TenantRekeyed> {
        let tenant = keyring.token_labelled(caller, &self.name)?;
        let guarded = keyring.tenant_info(tenant.id)?.protection != Protection::Root;
        // It holds up everybody who changes something, so that it is for who has the tenant's keys anyway: its own
        // administrator, or who has its PINs.
        if !guarded && !caller.is_owner() && caller.tenant()? != tenant.id {
            return Err(Error::new(
                ErrorCode::PermissionDenied,
                format!(
                    "`{}` is another tenant; its own administrator gives it a new key",
                    quote(&tenant.label)
                ),
            ));
        }
        let pin = |pin: &Option<Cow<'_, [u8]>>| pin.as_deref().map(SecretBytes::copied_from);
        let pins = GuardingPins { so: pin(&self.so_pin), user: pin(&self.pin) };
        let rows = keyring.rekey_tenant(tenant.id, &pins)?;
        Ok(TenantRekeyed { name: tenant.label, rows })
    }
}
