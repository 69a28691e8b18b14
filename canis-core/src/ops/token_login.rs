//! `token.login`, `token.logout`, `token.role`, `token.init-pin`, `token.change-pin`, `application.end`.

use crate::application::Application;
use crate::caller::Caller;
use crate::core::{Resource, Run};
use crate::keyring::Keyring;
use crate::keyring::tenant::{OpenTenant, Protection};
use crate::secret::SecretBytes;
use crate::store::Change;
use crate::token::{ChangePin, EndApplication, InitUserPin, Login, LoginState, Logout, Role, ShowLogin};
use canis_proto::{Error, ErrorCode, Id, Result};
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl Run for Login<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Token
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<()> {
        let (application, token) = (caller.application()?, caller.tenant()?);
        // One login of an application at a time: two that are tried at once must not both succeed.
        let _turn = application.login_turn();
        if keyring.logged_in(caller)?.is_some() {
            return Err(Error::new(
                ErrorCode::OperationNotAllowed,
                "somebody is logged in to this token already",
            ));
        }
        let tenant = keyring.open_by_pin(token, self.role, &self.pin)?;
        tenant.logins.fetch_add(1, Ordering::AcqRel);
        application.log_in(token, tenant.revision, self.role);
        if tenant.protection != Protection::Root {
            keyring.catch_up(token);
        }
        Ok(())
    }
}

impl Run for Logout {
    fn resource(&self) -> Resource<'_> {
        Resource::Token
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<()> {
        let (application, token) = (caller.application()?, caller.tenant()?);
        if application.log_out(token).is_none() {
            return Err(Error::new(ErrorCode::LoginRequired, "nobody is logged in to this token"));
        }
        keyring.leave(token);
        Ok(())
    }
}

impl Run for ShowLogin {
    fn resource(&self) -> Resource<'_> {
        Resource::Token
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<LoginState> {
        let role = keyring.logged_in(caller)?;
        Ok(LoginState { role, wiped: caller.application()?.was_wiped(caller.tenant()?) })
    }
}

impl Run for EndApplication {
    fn resource(&self) -> Resource<'_> {
        Resource::Token
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<()> {
        keyring.end_application(caller.application()?);
        Ok(())
    }
}

impl Run for InitUserPin<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Token
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<()> {
        let token = caller.tenant()?;
        if !caller.is_owner() && keyring.logged_in(caller)? != Some(Role::So) {
            return Err(Error::new(ErrorCode::LoginRequired, "the security officer must be logged in"));
        }
        keyring.set_pin(token, Role::User, &self.pin)
    }
}

impl Run for ChangePin<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Token
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<()> {
        let token = caller.tenant()?;
        // The old PIN proves the caller, whether or not somebody is logged in.
        let tenant = keyring.tenant_info(token)?;
        let proven = keyring.try_pin(&tenant, self.role, &self.old)?;
        let key = match &proven.key {
            Some(key) => key,
            None => &keyring.tenant(token)?.key,
        };
        // In place of the row that was tried: if the security officer set the PIN meanwhile, that stands.
        let row =
            keyring.new_pin_row(token, tenant.protection, self.role, &self.new, key, Some(proven.row))?;
        keyring.store.commit(&[Change::ExpectTenant(token, tenant.revision), Change::Put(row)])
    }
}

impl Keyring {
    /// Checks the PIN and opens the tenant by it, or by the root.
    fn open_by_pin(&self, token: Id, role: Role, pin: &SecretBytes) -> Result<Arc<OpenTenant>> {
        let tenant = self.tenant_info(token)?;
        match self.try_pin(&tenant, role, pin)?.key {
            Some(key) => self.admit(&tenant, key),
            None => self.tenant(token),
        }
    }

    /// Sets a PIN of an open tenant.
    pub(crate) fn set_pin(&self, token: Id, role: Role, pin: &SecretBytes) -> Result<()> {
        let info = self.tenant_info(token)?;
        let tenant = self.tenant(token)?;
        let (old, _turn) = self.pin_to_replace(token, role)?;
        let row = self.new_pin_row(token, info.protection, role, pin, &tenant.key, old)?;
        self.store.commit(&[tenant.expected(), Change::Put(row)])
    }

    /// Ends all that an application has.
    pub(crate) fn end_application(&self, application: &Application) {
        for token in application.end() {
            self.leave(token);
        }
    }

    /// One login less; a tenant that only PINs open closes with the last one.
    fn leave(&self, token: Id) {
        let Some(tenant) = self.tenant_if_open(token) else { return };
        let last = tenant.logins.fetch_sub(1, Ordering::AcqRel) == 1;
        if last && tenant.protection != Protection::Root {
            self.close_tenant(token);
        }
    }
}
