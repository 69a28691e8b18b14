//! CKA_ALLOWED_MECHANISMS at doors that know operations and not mechanisms.

use crate::keyring::Keyring;
use crate::keyring::key::Key;
use crate::keyring::tenant::OpenTenant;
use crate::object::Class;
use crate::store::ObjectQuery;
use canis_proto::{Result, Usage};

impl Keyring {
    /// [`Key::require`] for an operation that uses the key as one of these mechanisms does. All versions of a key have the
    /// limits of the first.
    ///
    /// # Errors
    /// As there; `mechanism_not_allowed`.
    pub(super) fn require_by(
        &self,
        tenant: &OpenTenant,
        key: &Key,
        (usage, verb): (Usage, &str),
        mechanisms: &[u64],
    ) -> Result<()> {
        key.require_within_limits(usage, verb)?;
        if !key.record.limited {
            return Ok(());
        }
        let public = usage.intersect(Usage::PUBLIC) != Usage::NONE;
        for row in self.store.objects(&ObjectQuery::of_key(tenant.id, key.id))? {
            let half = match Class::from_number(row.class) {
                Some(Class::PublicKey) => public,
                Some(Class::PrivateKey) => !public,
                _ => true,
            };
            if half && row.version == key.record.current_version {
                self.read_object(&row, Some(tenant))?.content.allow_mechanism(mechanisms)?;
            }
        }
        Ok(())
    }
}
