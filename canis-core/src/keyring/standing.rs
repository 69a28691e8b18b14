//! How a tenant stands: its limits, and whether it was disabled. A row of the store as a whole, so that only who holds the
//! root writes one: nobody of the tenant raises its own limits.

use super::Keyring;
use super::record::record;
use super::seal::fresh_id;
use super::store_rows::{agree, place};
use crate::caller::Caller;
use crate::origin::Proof;
use crate::store::{Change, PolicyRow, Row};
use canis_proto::{Error, ErrorCode, Id, Result};
use wincode::{SchemaRead, SchemaWrite};

/// The kind of its row among those that say who may do what.
pub(crate) const STANDING: u8 = 3;

/// The name of its row; a tenant has one at most.
const NAME: &str = "standing";

record! {
    /// Limits of a tenant, and whether it was disabled.
    StoredStanding, Standing, "a tenant's limits", {
        /// When it was disabled, in microseconds since 1970-01-01 UTC.
        disabled_at: Option<i64>,
        /// How many keys it may have at a time.
        max_keys: Option<u64>,
        /// How many requests a second its callers may ask together.
        max_requests: Option<u32>,
        /// How many bytes one of its callers may bring in one request or stream.
        max_payload: Option<u64>,
    }
}

impl Standing {
    /// Of a tenant that nobody has limited or disabled.
    pub(crate) const FREE: Standing =
        Standing { disabled_at: None, max_keys: None, max_requests: None, max_payload: None };

    /// Refuses what is asked of a disabled tenant.
    ///
    /// # Errors
    /// `tenant_disabled`.
    pub(crate) fn refuse_disabled(&self) -> Result<()> {
        match self.disabled_at {
            None => Ok(()),
            Some(_) => Err(Error::new(
                ErrorCode::TenantDisabled,
                "this tenant was disabled by the store's operator, who can enable it again",
            )),
        }
    }
}

/// A standing that was read and authenticated, or that of a tenant without a row.
pub(crate) struct KeptStanding {
    row: Option<(Id, u64)>,
    pub(crate) standing: Standing,
}

impl Keyring {
    /// How a tenant stands.
    ///
    /// # Errors
    /// `store_tampered`.
    pub(crate) fn standing(&self, tenant: Id) -> Result<Standing> {
        self.kept_standing(tenant).map(|kept| kept.standing)
    }

    /// The same, to be changed.
    ///
    /// # Errors
    /// `store_tampered`.
    pub(crate) fn kept_standing(&self, tenant: Id) -> Result<KeptStanding> {
        match self.store.policy(tenant, STANDING, NAME)? {
            None => Ok(KeptStanding { row: None, standing: Standing::FREE }),
            Some(row) => self.read_standing(&row),
        }
    }

    /// Opens its row.
    pub(crate) fn read_standing(&self, row: &PolicyRow) -> Result<KeptStanding> {
        let place = place("policies", row.tenant_id, row.id, row.revision);
        let standing = Standing::decode(&self.open_store_row(&place, &row.sealed)?)?;
        agree(&place, "kind", &row.kind, &STANDING)?;
        agree(&place, "name", &row.name.as_str(), &NAME)?;
        Ok(KeptStanding { row: Some((row.id, row.revision)), standing })
    }

    /// What writes `standing` in place of `old`.
    pub(crate) fn standing_change(
        &self,
        tenant: Id,
        old: &KeptStanding,
        standing: &Standing,
    ) -> Result<Change> {
        let (id, revision) = match old.row {
            Some((id, revision)) => (id, revision + 1),
            None => (fresh_id(self.provider)?, 1),
        };
        let sealed = self.seal_store_row(&place("policies", tenant, id, revision), &standing.encode()?)?;
        let name = NAME.to_owned();
        Ok(Change::Put(Row::Policy(PolicyRow {
            id,
            tenant_id: tenant,
            kind: STANDING,
            name,
            revision,
            sealed,
        })))
    }

    /// What every transaction ends with that makes a key: fails it if the tenant has more then than it may.
    pub(crate) fn key_limit(&self, tenant: Id) -> Result<Option<Change>> {
        Ok(self.standing(tenant)?.max_keys.map(|most| Change::AtMostKeys(tenant, most)))
    }

    /// Whether the caller is the store's operator: of the tenant that `canis init` made, come from the store's own host, or
    /// the keeper itself.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) fn operates(&self, caller: &Caller) -> Result<bool> {
        if caller.is_on_host() || caller.proof() == Proof::Own {
            return Ok(true);
        }
        match (caller.tenant_if_known(), self.first_tenant()) {
            (Some(own), Ok(first)) => Ok(own == first),
            (None, _) => Ok(false),
            (_, Err(error)) if error.code == ErrorCode::TenantNotFound => Ok(false),
            (_, Err(error)) => Err(error),
        }
    }
}
