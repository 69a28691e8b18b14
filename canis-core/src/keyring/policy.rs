//! Policies: rows ⇄ text and meaning. They are rows of the store as a whole, as credentials are, so that whoever has
//! the file without the root can change neither.

use super::Keyring;
use super::policy_record::{PolicyRecord, TextKind};
use super::seal::fresh_id;
use super::store_rows::{agree, place};
use crate::policy::{Policy, Rights, Rules};
use crate::store::{Change, PolicyRow, Row};
use canis_proto::{Capabilities, Error, ErrorCode, Id, Result, quote};
use std::sync::Arc;

/// How many sets of policies stay compiled.
pub(super) const KEPT: usize = 256;

/// The most policies and roles of a tenant.
const MOST: usize = 10_000;

/// A policy or role that was read and authenticated.
pub(crate) struct KeptPolicy {
    pub(crate) id: Id,
    pub(crate) revision: u64,
    pub(crate) record: PolicyRecord,
}

impl KeptPolicy {
    /// Its rules.
    ///
    /// # Errors
    /// `invalid_argument` if this CANIS does not understand it.
    pub(crate) fn rules(&self) -> Result<Policy> {
        Policy::read(&self.record.text).map_err(|error| {
            let name = quote(&self.record.name);
            Error::new(ErrorCode::StoreFormat, format!("policy `{name}` is not understood: {error}"))
        })
    }
}

impl Keyring {
    /// A tenant's policy of this name.
    ///
    /// # Errors
    /// `object_not_found`, `store_tampered`.
    pub(crate) fn policy(&self, tenant: Id, name: &str) -> Result<KeptPolicy> {
        self.text(tenant, TextKind::Policy, name)
    }

    /// A tenant's policy or role of this name.
    ///
    /// # Errors
    /// As above.
    pub(crate) fn text(&self, tenant: Id, kind: TextKind, name: &str) -> Result<KeptPolicy> {
        self.text_if_there(tenant, kind, name)?.ok_or_else(|| {
            Error::new(ErrorCode::ObjectNotFound, format!("there is no {} `{}`", kind.name(), quote(name)))
        })
    }

    /// The same, if there is one.
    ///
    /// # Errors
    /// `store_tampered`.
    pub(crate) fn policy_if_there(&self, tenant: Id, name: &str) -> Result<Option<KeptPolicy>> {
        self.text_if_there(tenant, TextKind::Policy, name)
    }

    /// A tenant's policy or role of this name, if there is one.
    ///
    /// # Errors
    /// `store_tampered`.
    pub(crate) fn text_if_there(&self, tenant: Id, kind: TextKind, name: &str) -> Result<Option<KeptPolicy>> {
        self.store.policy(tenant, kind as u8, name)?.map(|row| self.read_policy(&row)).transpose()
    }

    /// Every policy or every role of a tenant, by name.
    ///
    /// # Errors
    /// `store_tampered`.
    pub(crate) fn texts(&self, tenant: Id, kind: TextKind) -> Result<Vec<KeptPolicy>> {
        let rows = self.store.policies(tenant)?;
        rows.iter().filter(|row| row.kind == kind as u8).map(|row| self.read_policy(row)).collect()
    }

    /// Opens the row of a policy or role.
    pub(crate) fn read_policy(&self, row: &PolicyRow) -> Result<KeptPolicy> {
        let place = place("policies", row.tenant_id, row.id, row.revision);
        let (kind, record) = PolicyRecord::decode(&self.open_store_row(&place, &row.sealed)?)?;
        agree(&place, "kind", &row.kind, &(kind as u8))?;
        agree(&place, "name", &row.name, &record.name)?;
        Ok(KeptPolicy { id: row.id, revision: row.revision, record })
    }

    /// Writes a policy or role in place of `old`, or as a new one. Gives its revision.
    ///
    /// # Errors
    /// `conflict` if somebody else was first; `too_large` for one too many.
    pub(crate) fn write_text(
        &self,
        tenant: Id,
        kind: TextKind,
        old: Option<&KeptPolicy>,
        record: &PolicyRecord,
    ) -> Result<u64> {
        let texts = |row: &&PolicyRow| [TextKind::Policy as u8, TextKind::Role as u8].contains(&row.kind);
        if old.is_none() && self.store.policies(tenant)?.iter().filter(texts).count() >= MOST {
            let why =
                format!("a tenant has at most {MOST} policies and roles; delete those that nobody bears");
            return Err(Error::new(ErrorCode::TooLarge, why));
        }
        let id = old.map_or_else(|| fresh_id(self.provider), |old| Ok(old.id))?;
        let revision = old.map_or(1, |old| old.revision + 1);
        let sealed = self.seal_store_row(&place("policies", tenant, id, revision), &record.encode(kind)?)?;
        let name = record.name.clone();
        let row = PolicyRow { id, tenant_id: tenant, kind: kind as u8, name, revision, sealed };
        self.change_credentials(&[Change::Put(Row::Policy(row))])?;
        Ok(revision)
    }

    /// Changes credentials or what they may; from then on callers are looked at again.
    pub(crate) fn change_credentials(&self, changes: &[Change]) -> Result<()> {
        self.store.commit(changes)?;
        self.credentials_changed();
        Ok(())
    }

    /// What the bearer of these capabilities and policies may.
    ///
    /// # Errors
    /// `store_tampered`, and those of the store.
    pub(crate) fn rights(&self, tenant: Id, own: Capabilities, policies: &[String]) -> Result<Rights> {
        if policies.is_empty() {
            return Ok(Rights::everywhere(own));
        }
        Ok(Rights::new(own, Some(self.compiled(tenant, policies)?)))
    }

    /// The same if this policy said something else.
    ///
    /// # Errors
    /// As [`Keyring::rights`].
    pub(crate) fn rights_with(
        &self,
        tenant: Id,
        own: Capabilities,
        policies: &[String],
        (changed, new): (&str, &Policy),
    ) -> Result<Rights> {
        if !policies.iter().any(|name| name == changed) {
            return self.rights(tenant, own, policies);
        }
        let mut read = vec![(changed, new.clone())];
        for name in policies.iter().filter(|name| *name != changed) {
            if let Some(kept) = self.policy_if_there(tenant, name)? {
                read.push((name, kept.rules()?));
            }
        }
        let rules = Rules::of(read.iter().map(|(name, policy)| (*name, policy)));
        Ok(Rights::new(own, Some(Arc::new(rules))))
    }

    /// Deletes a policy or role.
    ///
    /// # Errors
    /// `conflict` if it was changed meanwhile.
    pub(crate) fn remove_policy(&self, kept: &KeptPolicy) -> Result<()> {
        self.change_credentials(&[Change::RemovePolicy(kept.id, kept.revision)])?;
        self.purge();
        Ok(())
    }

    /// The rules of these policies. They are compiled once for each revision of each of them.
    fn compiled(&self, tenant: Id, names: &[String]) -> Result<Arc<Rules>> {
        let rows = names.iter().map(|name| self.store.policy(tenant, TextKind::Policy as u8, name));
        let rows = rows.collect::<Result<Vec<_>>>()?;
        let key: Option<Vec<_>> =
            rows.iter().map(|row| Some((row.as_ref()?.id, row.as_ref()?.revision))).collect();
        if let Some(compiled) = key.as_ref().and_then(|key| self.rules.get(key)) {
            return Ok(compiled);
        }
        let mut read = Vec::new();
        for row in rows.iter().flatten() {
            let kept = self.read_policy(row)?;
            read.push((kept.rules()?, kept.record.name));
        }
        let mut rules = Rules::of(read.iter().map(|(policy, name)| (name.as_str(), policy)));
        for name in names.iter().zip(&rows).filter(|(_, row)| row.is_none()).map(|(name, _)| name) {
            rules.without(name);
        }
        let rules = Arc::new(rules);
        if let Some(key) = key {
            self.rules.insert(key, Arc::clone(&rules));
        }
        Ok(rules)
    }
}
