//! `tenant.rekey`: a new key for a tenant, under which all that it holds is sealed anew.

use crate::caller::Caller;
use crate::core::{Resource, Run};
use crate::keyring::Keyring;
use canis_proto::rekey::{RekeyTenant, TenantRekeyed};
use canis_proto::{Error, ErrorCode, Result, quote};

impl Run for RekeyTenant<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Token
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<TenantRekeyed> {
        keyring.root_keys()?;
        let tenant = keyring.token_labelled(caller, &self.name)?;
        // It holds up everybody who changes something, so that it is for who has the tenant's keys anyway.
        if !caller.is_owner() && caller.tenant()? != tenant.id {
            return Err(Error::new(
                ErrorCode::PermissionDenied,
                format!(
                    "`{}` is another tenant; its own administrator gives it a new key",
                    quote(&tenant.label)
                ),
            ));
        }
        let rows = keyring.rekey_tenant(tenant.id)?;
        Ok(TenantRekeyed { name: tenant.label, rows })
    }
}
