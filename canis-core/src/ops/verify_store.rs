//! `store.verify`: opens every row and names those that do not open where they stand.

use crate::caller::Caller;
use crate::core::{Resource, Run};
use crate::keyring::Keyring;
use crate::keyring::approval::APPROVAL;
use crate::keyring::standing::STANDING;
use crate::keyring::tenant::OpenTenant;
use crate::store::ObjectQuery;
use crate::token::Role;
use canis_proto::{Error, ErrorCode, Id, Operation, OperationId, Result};

/// Opens every row of every tenant that is open or that the root opens. A tenant that only its PIN opens has its
/// public objects checked, as far as the store can.
pub struct VerifyStore;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreReport {
    /// How many rows were opened.
    pub rows: u64,
    /// One error for each row that was refused; it names the row.
    pub refused: Vec<Error>,
    /// The names of tenants that were locked, so that their sealed rows were not looked at.
    pub locked: Vec<String>,
}

impl Operation for VerifyStore {
    const ID: OperationId = OperationId::VerifyStore;
    type Answer = StoreReport;
}

impl Run for VerifyStore {
    fn resource(&self) -> Resource<'_> {
        Resource::System
    }

    fn run(self, keyring: &Keyring, _: &Caller) -> Result<StoreReport> {
        let mut report = StoreReport::default();
        keyring.verify_meta(&mut report)?;
        for row in keyring.store.tenants()? {
            let Some(info) = report.note(keyring.tenant_info(row.id))? else { continue };
            for role in [Role::User, Role::So] {
                report.note(keyring.pin_state(row.id, role))?;
            }
            for token in keyring.store.tokens(row.id)? {
                report.note(keyring.read_token(&token))?;
            }
            for policy in keyring.store.policies(row.id)? {
                match policy.kind {
                    APPROVAL => report.note(keyring.read_request(policy).map(drop))?,
                    STANDING => report.note(keyring.read_standing(&policy).map(drop))?,
                    _ => report.note(keyring.read_policy(&policy).map(drop))?,
                };
            }
            match keyring.tenant(row.id) {
                Ok(tenant) => keyring.verify_tenant(&tenant, &mut report)?,
                Err(e) if matches!(e.code, ErrorCode::TenantLocked | ErrorCode::TenantDisabled) => {
                    report.locked.push(info.record.name);
                    keyring.verify_objects(row.id, None, &mut report)?;
                }
                Err(e) => {
                    report.note::<()>(Err(e))?;
                }
            }
        }
        // Last: what names a row comes before what names a table.
        keyring.verify_counts(&mut report)?;
        Ok(report)
    }
}

impl StoreReport {
    /// Counts a row. A refused row is noted and the search goes on; any other error ends it.
    pub(crate) fn note<T>(&mut self, read: Result<T>) -> Result<Option<T>> {
        self.rows += 1;
        match read {
            Ok(value) => Ok(Some(value)),
            Err(e) if matches!(e.code, ErrorCode::StoreTampered | ErrorCode::StoreFormat) => {
                self.refused.push(e);
                Ok(None)
            }
            Err(e) => Err(e),
        }
    }
}

impl Keyring {
    fn verify_tenant(&self, tenant: &OpenTenant, report: &mut StoreReport) -> Result<()> {
        let generation = self.store.generation();
        for row in self.store.all_keys(tenant.id)? {
            let Some(key) = report.note(self.read_key(tenant, &row, generation))? else { continue };
            for version in self.store.versions(row.id)? {
                report.note(self.open_version(tenant, &key, &version))?;
            }
        }
        report.note(self.wrapping_keys(tenant))?;
        for row in self.store.roles(tenant.id)? {
            report.note(self.read_role(tenant, &row))?;
        }
        self.verify_entries(tenant, report)?;
        for row in self.store.receipts(tenant.id)? {
            report.note(self.read_receipt(tenant, &row))?;
        }
        self.verify_objects(tenant.id, Some(tenant), report)
    }

    fn verify_entries(&self, tenant: &OpenTenant, report: &mut StoreReport) -> Result<()> {
        const ROWS: usize = 256;
        let mut after = Id([0; 16]);
        loop {
            let rows = self.store.entries(tenant.id, after, ROWS)?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = last.lookup;
            for row in rows {
                let whole = self.read_entry(tenant, row).and_then(|entry| self.open_private(tenant, &entry));
                report.note(whole)?;
            }
        }
    }

    fn verify_objects(&self, tenant: Id, open: Option<&OpenTenant>, report: &mut StoreReport) -> Result<()> {
        for row in self.store.objects(&ObjectQuery::all(tenant))? {
            if open.is_some() || !row.private {
                report.note(self.read_object(&row, open))?;
            }
        }
        Ok(())
    }
}
