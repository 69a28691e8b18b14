//! CKA_ALLOWED_MECHANISMS, and templates for shared secrets, at doors that know operations and not mechanisms.

use crate::keyring::Keyring;
use crate::keyring::key::Key;
use crate::keyring::tenant::OpenTenant;
use crate::object::Class;
use crate::store::ObjectQuery;
use canis_proto::{Error, ErrorCode, Result, Usage};

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
        self.require_by_unless(tenant, key, (usage, verb), (mechanisms, None))
    }

    /// The same for an operation whose answer is in plain what `template` of the half that is used would say the attributes of.
    ///
    /// # Errors
    /// As there; `operation_not_allowed` if the half has such a template.
    pub(super) fn require_by_unless(
        &self,
        tenant: &OpenTenant,
        key: &Key,
        (usage, verb): (Usage, &str),
        (mechanisms, template): (&[u64], Option<u64>),
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
                let content = self.read_object(&row, Some(tenant))?.content;
                content.allow_mechanism(mechanisms)?;
                if template.is_some_and(|template| content.kept(template).is_some()) {
                    return Err(Error::new(
                        ErrorCode::OperationNotAllowed,
                        format!(
                            "key `{}` says by a template what attributes a secret shared by it has, so that none is given in \
                             plain; {verb} through PKCS#11",
                            key.record.name
                        ),
                    ));
                }
            }
        }
        Ok(())
    }
}
