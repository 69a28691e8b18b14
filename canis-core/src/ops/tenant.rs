//! `tenant.…`: the operator makes tenants, limits, disables and destroys them. What a tenant has it does not get to see.

use super::authenticate::NewCredential;
use super::token_init::kept_by;
use crate::audit::{note_number, note_text};
use crate::caller::Caller;
use crate::core::{Facts, Resource, Run};
use crate::keyring::Keyring;
use crate::keyring::intent::Intent;
use crate::keyring::standing::Standing;
use crate::keyring::tenant::{Protection, TenantInfo as Kept, new_tenant};
use crate::setup::DEFAULT_TENANT;
use crate::store::{Change, KeyRow, ObjectQuery, Row};
use crate::token::Role;
use canis_proto::tenant::{
    CreateTenant, DeleteTenant, DisableTenant, EnableTenant, LimitTenant, ListTenants, ShowTenant,
    TenantDeleted, TenantInfo, TenantList, TenantMade,
};
use canis_proto::{Capabilities, Capability, Error, ErrorCode, Id, Result, quote};
use sha2::{Digest, Sha256};

/// The longest name, in bytes: CK_TOKEN_INFO.label.
const MAX_NAME: usize = 32;

/// The most tenants, as many as there are slots.
const MOST: u32 = 4096;

impl Run for CreateTenant<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Tenant(&self.name)
    }

    fn run(self, keyring: &Keyring, _: &Caller) -> Result<TenantMade> {
        check_name(&self.name)?;
        let root = keyring.root_keys()?;
        // One at a time, so that no two find the same slot or both find the name free.
        let _turn = keyring.store.pin_turn()?;
        keyring.store.poll()?;
        let tenants = keyring.tenants()?;
        if self.name == DEFAULT_TENANT || tenants.iter().any(|tenant| tenant.record.name == self.name) {
            let why = format!("a tenant named `{}` is there already; it was left as it is", self.name);
            return Err(Error::new(ErrorCode::TenantExists, why));
        }
        let slot = tenants.iter().map(|tenant| tenant.record.slot + 1).max().unwrap_or(0);
        if slot >= MOST {
            let why = format!("a store has at most {MOST} tenants; delete those that nobody needs");
            return Err(Error::new(ErrorCode::TooLarge, why));
        }
        let now = keyring.clock.now_micros();
        let new = new_tenant(keyring.provider, Some(&*root), &self.name, slot, Protection::Root, now)?;
        let standing = Standing {
            disabled_at: None,
            max_keys: limit(self.max_keys),
            max_requests: limit(self.max_requests),
            max_payload: limit(self.max_payload),
        };
        let first =
            NewCredential { name: "the first", capabilities: Capabilities::ALL, ..NewCredential::default() };
        let (token_row, token) = keyring.new_token(new.id, &first)?;
        let credential = keyring.told_credential(&token_row)?;
        let mut changes = vec![Change::Put(keyring.tenant_row(new.id, 1, &new.record)?)];
        if standing != Standing::FREE {
            let none = keyring.kept_standing(new.id)?;
            changes.push(keyring.standing_change(new.id, &none, &standing)?);
        }
        changes.push(Change::Put(Row::Token(token_row)));
        keyring.change_credentials(&changes)?;
        let tenant = keyring.told_tenant(&keyring.tenant_info(new.id)?, true)?;
        Ok(TenantMade { tenant, credential, token: String::from_utf8_lossy(token.expose()).into_owned() })
    }
}

impl Run for ListTenants {
    fn resource(&self) -> Resource<'_> {
        Resource::Part("tenants")
    }

    fn run(self, keyring: &Keyring, _: &Caller) -> Result<TenantList> {
        keyring.root_keys()?;
        let tenants = keyring.tenants()?;
        let told = tenants.iter().map(|tenant| keyring.told_tenant(tenant, false));
        told.collect::<Result<_>>().map(|tenants| TenantList { tenants })
    }
}

impl Run for ShowTenant<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Tenant(&self.name)
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<TenantInfo> {
        let tenant = keyring.tenant_named(caller, &self.name)?;
        keyring.told_tenant(&tenant, true)
    }
}

impl Run for LimitTenant<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Tenant(&self.name)
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<TenantInfo> {
        let tenant = keyring.tenant_named(caller, &self.name)?;
        let old = keyring.kept_standing(tenant.id)?;
        let standing = Standing {
            disabled_at: old.standing.disabled_at,
            max_keys: self.max_keys.map_or(old.standing.max_keys, limit),
            max_requests: self.max_requests.map_or(old.standing.max_requests, limit),
            max_payload: self.max_payload.map_or(old.standing.max_payload, limit),
        };
        let change = keyring.standing_change(tenant.id, &old, &standing)?;
        keyring.change_credentials(&[change])?;
        keyring.told_tenant(&tenant, true)
    }
}

impl Run for DisableTenant<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Tenant(&self.name)
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<TenantInfo> {
        let tenant = keyring.tenant_named(caller, &self.name)?;
        if keyring.is_first(tenant.id)? {
            return Err(Error::new(
                ErrorCode::OperationNotAllowed,
                "the operator's own tenant stays as it is: nobody could enable it again",
            ));
        }
        let old = keyring.kept_standing(tenant.id)?;
        if old.standing.disabled_at.is_none() {
            let standing = Standing { disabled_at: Some(keyring.clock.now_micros()), ..old.standing.clone() };
            // Whoever has opened the tenant, in whatever process, finds it changed, and so closed.
            let closed = keyring.tenant_row(tenant.id, tenant.revision + 1, &tenant.record)?;
            let change = keyring.standing_change(tenant.id, &old, &standing)?;
            keyring.change_credentials(&[change, Change::Put(closed)])?;
            keyring.close_tenant(tenant.id);
        }
        keyring.told_tenant(&tenant, true)
    }
}

impl Run for EnableTenant<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Tenant(&self.name)
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<TenantInfo> {
        let tenant = keyring.tenant_named(caller, &self.name)?;
        let old = keyring.kept_standing(tenant.id)?;
        if old.standing.disabled_at.is_some() {
            let standing = Standing { disabled_at: None, ..old.standing.clone() };
            let change = keyring.standing_change(tenant.id, &old, &standing)?;
            keyring.change_credentials(&[change])?;
        }
        keyring.told_tenant(&tenant, true)
    }
}

impl Run for DeleteTenant<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Tenant(&self.name)
    }

    fn intent(&self, keyring: &Keyring, caller: &Caller) -> Result<Option<Intent>> {
        if self.preview {
            return Ok(None);
        }
        let tenant = keyring.tenant_named(caller, &self.name)?;
        Ok(Some(Intent::of(Capability::Admin, self, &["name", "force"]).bound_to(tenant.id)))
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<TenantDeleted> {
        let tenant = keyring.tenant_named(caller, &self.name)?;
        if keyring.is_first(tenant.id)? {
            return Err(Error::new(
                ErrorCode::OperationNotAllowed,
                "the operator's own tenant is what administers the others, and stays",
            ));
        }
        let keys: Vec<KeyRow> =
            keyring.store.all_keys(tenant.id)?.into_iter().filter(|key| key.deleted_at.is_none()).collect();
        let kept = match keys.iter().find(|key| !key.deletion_allowed) {
            None => keyring.guarded_key(tenant.id, &keys)?,
            kept => kept,
        };
        if let Some(kept) = kept.filter(|_| !self.force) {
            let Error { code, message, .. } = kept_by(&kept.name);
            return Err(Error::new(
                code,
                format!("{message}. Say --force if it is meant to go with its tenant"),
            ));
        }
        let gone = TenantDeleted {
            id: tenant.id.to_string(),
            name: tenant.record.name.clone(),
            keys: keys.len() as u64,
            objects: keyring.store.objects(&ObjectQuery::all(tenant.id))?.len() as u64,
            entries: keyring.count_entries(tenant.id)?,
            credentials: keyring.store.tokens(tenant.id)?.len() as u64,
            sealed_sha256: keyring.sealed_digest(tenant.id)?,
            preview: self.preview,
        };
        if !self.preview {
            note_gone(&gone);
            keyring.delete_tenant(&tenant)?;
        }
        Ok(gone)
    }
}

/// The proof in the audit log, in the line that the transaction itself carries.
fn note_gone(gone: &TenantDeleted) {
    note_text("destroyed_tenant", &gone.id);
    note_text("destroyed_sha256", &base16ct::lower::encode_string(&gone.sealed_sha256));
    for (name, count) in [
        ("destroyed_keys", gone.keys),
        ("destroyed_objects", gone.objects),
        ("destroyed_entries", gone.entries),
        ("destroyed_credentials", gone.credentials),
    ] {
        note_number(name, count);
    }
}

/// No limit is said as 0.
fn limit<T: Default + PartialEq>(most: T) -> Option<T> {
    (most != T::default()).then_some(most)
}

/// Refuses what cannot be the name of a new tenant.
fn check_name(name: &str) -> Result<()> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(fits) && !name.starts_with('.') {
        return Ok(());
    }
    let why = format!(
        "`{}` is no name of a tenant: 1 to {MAX_NAME} of A-Z a-z 0-9 . _ - that do not begin with a dot",
        quote(name)
    );
    Err(Error::new(ErrorCode::InvalidName, why))
}

impl Keyring {
    /// The one tenant of this name, or of this id if the caller may ask for it by its name, too.
    fn tenant_named(&self, caller: &Caller, name: &str) -> Result<Kept> {
        self.root_keys()?;
        self.store.poll()?;
        let tenants = self.tenants()?;
        let absent = || {
            let why = format!(
                "there is no tenant `{}`, or more than one; `canis tenant list` shows their ids",
                quote(name)
            );
            Error::new(ErrorCode::TenantNotFound, why)
        };
        let mut named = tenants.iter().filter(|tenant| tenant.record.name == name);
        let at = match (named.next(), named.next()) {
            (Some(tenant), None) => tenant.id,
            (Some(_), Some(_)) => return Err(absent()),
            (None, _) => {
                let id = Id::parse(name).ok_or_else(absent)?;
                let tenant = tenants.iter().find(|tenant| tenant.id == id).ok_or_else(absent)?;
                // Policies call it by its name.
                let resource = Resource::Tenant(&tenant.record.name);
                self.require(caller, Capability::Admin, resource, Facts::default())?;
                id
            }
        };
        tenants.into_iter().find(|tenant| tenant.id == at).ok_or_else(absent)
    }

    fn is_first(&self, tenant: Id) -> Result<bool> {
        match self.first_tenant() {
            Ok(first) => Ok(first == tenant),
            Err(error) if error.code == ErrorCode::TenantNotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn told_tenant(&self, tenant: &Kept, counted: bool) -> Result<TenantInfo> {
        let standing = self.standing(tenant.id)?;
        Ok(TenantInfo {
            id: tenant.id.to_string(),
            name: tenant.record.name.clone(),
            slot: tenant.record.slot,
            operator: self.is_first(tenant.id)?,
            pin: tenant.protection != Protection::Root,
            created_at: tenant.record.created_at,
            disabled_at: standing.disabled_at,
            keys: counted.then(|| self.count_keys(tenant.id)).transpose()?,
            max_keys: standing.max_keys,
            max_requests: standing.max_requests,
            max_payload: standing.max_payload,
        })
    }

    /// How many keys a tenant has that were not destroyed.
    fn count_keys(&self, tenant: Id) -> Result<u64> {
        const ROWS: usize = 1000;
        let (mut count, mut after) = (0, String::new());
        loop {
            let rows = self.store.keys(tenant, "", &after, ROWS)?;
            count += rows.len() as u64;
            match rows.into_iter().next_back() {
                Some(last) => after = last.name,
                None => return Ok(count),
            }
        }
    }

    fn count_entries(&self, tenant: Id) -> Result<u64> {
        const ROWS: usize = 1000;
        let (mut count, mut after) = (0, Id([0; 16]));
        loop {
            let rows = self.store.entries(tenant, after, ROWS)?;
            count += rows.len() as u64;
            match rows.last() {
                Some(last) => after = last.lookup,
                None => return Ok(count),
            }
        }
    }

    /// SHA-256 of what holds the tenant's key in the store: its own row's sealed column, and that of each of its PINs,
    /// the user's first.
    fn sealed_digest(&self, tenant: Id) -> Result<Vec<u8>> {
        let mut digest = Sha256::new();
        if let Some(row) = self.store.tenant(tenant)? {
            digest.update(&row.sealed);
        }
        for role in [Role::User, Role::So] {
            if let Some(row) = self.store.pin(tenant, role as u8)? {
                digest.update(&row.sealed);
            }
        }
        Ok(digest.finalize().to_vec())
    }

    /// Takes a tenant away with all that it has: one transaction, and then what is left in the file's pages and log.
    pub(super) fn delete_tenant(&self, tenant: &Kept) -> Result<()> {
        self.store
            .commit(&[Change::WipeTenant(tenant.id), Change::RemoveTenant(tenant.id, tenant.revision)])?;
        self.credentials_changed();
        self.close_tenant(tenant.id);
        self.purge();
        Ok(())
    }
}
