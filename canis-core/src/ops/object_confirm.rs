//! `object.confirm`: the PIN for one use of a key (CKA_ALWAYS_AUTHENTICATE; PKCS#11 v3.1, sections 4.9 and 5.6.8).
//!
//! What is confirmed is one handle, and one use takes the confirmation away: a handle that was opened for another
//! operation, or used before, signs nothing. Tries count as those of logins do, for it is the same PIN.

use crate::caller::Caller;
use crate::core::{Resource, Run};
use crate::keyring::Keyring;
use crate::object::{ConfirmUse, KeyHandle};
use crate::token::{Logout, Role};
use canis_proto::{Error, ErrorCode, Result};
use std::sync::atomic::Ordering;

impl Run for ConfirmUse<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Object(self.key.object)
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<()> {
        keyring.require_login(caller, true)?;
        if !self.key.wants_pin() {
            return Err(Error::new(ErrorCode::OperationNotAllowed, "the key needs no PIN now"));
        }
        let tenant = keyring.tenant_info(caller.tenant()?)?;
        let tried = keyring.try_pin(&tenant, Role::User, self.pin);
        if tried.as_ref().is_err_and(|refused| refused.code == ErrorCode::PinLocked) {
            // Section 4.9: who locks the PIN so is logged out.
            Logout.run(keyring, caller)?;
        }
        tried?;
        self.key.confirmed.store(true, Ordering::Release);
        Ok(())
    }
}

impl KeyHandle {
    /// Takes the confirmation for one use.
    ///
    /// # Errors
    /// `login_required` if the key wants a PIN and none was given since its last use.
    pub(super) fn take_confirmation(&self) -> Result<()> {
        if self.facts.always_authenticate && !self.confirmed.swap(false, Ordering::AcqRel) {
            return Err(Error::new(
                ErrorCode::LoginRequired,
                "the key has CKA_ALWAYS_AUTHENTICATE; give the user PIN before each use",
            ));
        }
        Ok(())
    }
}
