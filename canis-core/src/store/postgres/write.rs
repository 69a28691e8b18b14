//! The changes of one transaction. Each tells the ledger's page, if there is one, which rows it took and brought.

use super::connection::Database;
use super::scan::{read_scoped, scoped};
use super::value::{Param, list, marks};
use crate::store::columns::{Columns, Counted, Table};
use crate::store::{
    AccumulatorRow, Balance, Change, EntryRow, KeyRow, Ledger, MetaRow, ObjectRow, OutboxRow, Owner, Page,
    PinRow, PolicyRow, ReceiptRow, RoleRow, RootSlotRow, Row, TenantRow, TokenRow, UseRow, VersionRow,
    conflict, sealed_once, too_many_keys,
};
use canis_proto::{Error, ErrorCode, Id, Result};
use std::collections::{BTreeSet, HashMap};
use tokio_postgres::Client;

/// From so many changes on, a commit may take as long as it takes.
const LARGE: usize = 1000;

/// Whether changes may touch any number of rows.
pub(super) fn are_large(changes: &[Change]) -> bool {
    let of_all = |change: &Change| matches!(change, Change::WipeTenant(_) | Change::Recount);
    changes.len() > LARGE || changes.iter().any(of_all)
}

/// A transaction that is being written.
pub(super) struct Writer<'a> {
    pub(super) database: &'a Database,
    pub(super) client: &'a Client,
    pub(super) page: Option<Box<dyn Page + 'a>>,
    /// Whose accumulators change.
    scopes: BTreeSet<Id>,
    /// The tenants of keys, so that each is asked for once.
    tenants: HashMap<Id, Id>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(database: &'a Database, client: &'a Client, ledger: Option<&'a dyn Ledger>) -> Self {
        let (page, scopes) = (ledger.map(Ledger::page), BTreeSet::from([Id::STORE]));
        Writer { database, client, page, scopes, tenants: HashMap::new() }
    }

    /// Makes all changes, and then what the page comes to.
    pub(super) async fn write(&mut self, changes: &[Change]) -> Result<()> {
        for change in changes {
            self.apply(change).await?;
        }
        if changes.contains(&Change::Recount) {
            self.recount().await?;
        }
        self.balance().await
    }

    async fn apply(&mut self, change: &Change) -> Result<()> {
        match change {
            Change::Put(row) => self.put(row).await,
            Change::Reseal(row) => match row {
                Row::Meta(_)
                | Row::Tenant(_)
                | Row::Pin(_)
                | Row::Token(_)
                | Row::Policy(_)
                | Row::Object(_)
                | Row::Key(_)
                | Row::Role(_)
                | Row::Entry(_) => self.replace(row, row.revision()).await,
                _ => Err(sealed_once()),
            },
            Change::Restore(row) => self.restore(row).await,
            Change::PutBack(row) => {
                let page = self.page.take();
                let done = self.restore(row).await;
                self.page = page;
                done
            }
            Change::ExpectTenant(id, revision) => {
                let sql = "SELECT 1 FROM tenants WHERE id = $1 AND revision = $2";
                match self.exists(sql, &[Param::id(id), Param::count(*revision)]).await? {
                    true => Ok(()),
                    false => Err(conflict("tenants", &id.to_string())),
                }
            }
            Change::ExpectUnchanged(id, revision) => {
                let sql = "SELECT 1 FROM accumulators WHERE id = $1 AND revision <> $2 UNION ALL
                           SELECT 1 WHERE $2 > 0 AND NOT EXISTS (SELECT 1 FROM accumulators WHERE id = $1)";
                match self.exists(sql, &[Param::id(id), Param::count(*revision)]).await? {
                    false => Ok(()),
                    true => Err(conflict("accumulators", &id.to_string())),
                }
            }
            Change::AtMostKeys(id, most) => self.refuse_more_keys(id, *most).await,
            Change::NoteLine(row) => self.note_line(row).await,
            Change::RemoveRootSlot(id, revision) => self.remove::<RootSlotRow>(id, *revision).await,
            Change::RemoveObject(id, revision) => self.remove::<ObjectRow>(id, *revision).await,
            Change::RemoveToken(id, revision) => self.remove::<TokenRow>(id, *revision).await,
            Change::RemovePolicy(id, revision) => self.remove::<PolicyRow>(id, *revision).await,
            Change::RemoveEntry(id, revision) => self.remove::<EntryRow>(id, *revision).await,
            Change::ForgetReceipts(now) => {
                self.delete::<ReceiptRow>("expires_at <= $1", &[Param::time(*now)]).await.map(drop)
            }
            Change::RemoveVersions(key) => {
                self.delete::<VersionRow>("key_id = $1", &[Param::id(key)]).await.map(drop)
            }
            Change::RemoveVersion(key, version) => {
                let params = [Param::id(key), Param::number(*version)];
                self.delete::<VersionRow>("key_id = $1 AND version = $2", &params).await.map(drop)
            }
            Change::WipeTenant(tenant) => self.wipe_tenant(tenant).await,
            Change::RemoveTenant(id, revision) => {
                self.delete::<PinRow>("tenant_id = $1", &[Param::id(id)]).await?;
                self.delete::<TokenRow>("tenant_id = $1", &[Param::id(id)]).await?;
                self.delete::<PolicyRow>("tenant_id = $1", &[Param::id(id)]).await?;
                self.remove::<TenantRow>(id, *revision).await
            }
            // Done when everything else is.
            Change::Recount => Ok(()),
        }
    }

    async fn refuse_more_keys(&mut self, id: &Id, most: u64) -> Result<()> {
        // Whoever makes another key of the tenant meanwhile waits, so that no two count before either is there.
        self.exists("SELECT 1 FROM tenants WHERE id = $1 FOR UPDATE", &[Param::id(id)]).await?;
        let sql = "SELECT 1 FROM kms_keys WHERE tenant_id = $1 AND deleted_at IS NULL LIMIT 1 OFFSET $2";
        match self.exists(sql, &[Param::id(id), Param::count(most)]).await? {
            true => Err(too_many_keys(most)),
            false => Ok(()),
        }
    }

    async fn wipe_tenant(&mut self, tenant: &Id) -> Result<()> {
        const KEYS: &str = "key_id IN (SELECT id FROM kms_keys WHERE tenant_id = $1)";
        let of_tenant = "tenant_id = $1";
        let of = || [Param::id(tenant)];
        self.delete::<VersionRow>(KEYS, &of()).await?;
        self.execute(&format!("DELETE FROM {} WHERE {KEYS}", UseRow::TABLE), &of()).await?;
        self.delete::<KeyRow>(of_tenant, &of()).await?;
        self.delete::<ObjectRow>(of_tenant, &of()).await?;
        self.delete::<RoleRow>(of_tenant, &of()).await?;
        self.delete::<EntryRow>(of_tenant, &of()).await?;
        self.delete::<ReceiptRow>(of_tenant, &of()).await?;
        self.delete::<PinRow>("tenant_id = $1 AND role = 1", &of()).await?;
        for name in [MetaRow::wrapping_key(*tenant), MetaRow::hybrid_wrapping_key(*tenant)] {
            self.delete::<MetaRow>("name = $1", &[Param::text(&name)]).await?;
        }
        Ok(())
    }

    /// Inserts at revision 1, else replaces the row of the revision before.
    async fn put(&mut self, row: &Row) -> Result<()> {
        self.refuse_taken(row).await?;
        if row.revision() > 1 {
            return self.replace(row, row.revision() - 1).await;
        }
        self.insert(row).await
    }

    /// Writes the row as it is, in place of one with its primary key.
    async fn restore(&mut self, row: &Row) -> Result<()> {
        self.refuse_taken(row).await?;
        let table = row.counted();
        let key = Param::row(&table.columns[..1], row.columns());
        self.delete_from(table, &format!("{} = $1", table.columns[0].name), &key).await?;
        self.insert(row).await
    }

    /// A key's name is the one value a caller can collide on; that error names it.
    async fn refuse_taken(&self, row: &Row) -> Result<()> {
        let Row::Key(key) = row else { return Ok(()) };
        let taken = "SELECT 1 FROM kms_keys WHERE tenant_id = $1 AND name = $2 AND id <> $3";
        let params = [Param::id(&key.tenant_id), Param::text(&key.name), Param::id(&key.id)];
        if self.exists(taken, &params).await? {
            return Err(Error::new(
                ErrorCode::KeyExists,
                format!("a key named `{}` exists already", key.name),
            ));
        }
        Ok(())
    }

    async fn insert(&mut self, row: &Row) -> Result<()> {
        let table = row.counted();
        let sql = format!(
            "INSERT INTO {} ({}) VALUES ({}) ON CONFLICT DO NOTHING",
            table.name,
            list(table.columns),
            marks(table.columns.len())
        );
        match self.execute(&sql, &Param::row(table.columns, row.columns())).await? {
            1 => self.came(row).await,
            _ => Err(conflict(table.name, &row.name())),
        }
    }

    /// Replaces the row that has `revision`.
    async fn replace(&mut self, row: &Row, revision: u64) -> Result<()> {
        let table = row.counted();
        let key = table.columns[0].name;
        let old = match self.page {
            Some(_) => {
                let id = Param::row(&table.columns[..1], row.columns());
                self.many(table, &format!("{key} = $1"), &id).await?.pop()
            }
            None => None,
        };
        let mut params = Param::row(table.columns, row.columns());
        params.push(Param::count(revision));
        let sql = format!(
            "UPDATE {} SET ({}) = ROW ({}) WHERE {key} = $1 AND revision = ${}",
            table.name,
            list(table.columns),
            marks(table.columns.len()),
            params.len()
        );
        if self.execute(&sql, &params).await? != 1 {
            return Err(conflict(table.name, &row.name()));
        }
        if let Some((scope, old)) = old {
            self.gone(scope, &old);
        }
        self.came(row).await
    }

    /// Removes the row that has this revision.
    async fn remove<T: Counted>(&mut self, id: &Id, revision: u64) -> Result<()> {
        match self.delete::<T>("id = $1 AND revision = $2", &[Param::id(id), Param::count(revision)]).await? {
            1 => Ok(()),
            _ => Err(conflict(T::TABLE, &id.to_string())),
        }
    }

    /// Removes the rows that `filter` leaves; how many they were.
    async fn delete<T: Counted>(&mut self, filter: &str, params: &[Param<'_>]) -> Result<u64> {
        self.delete_from(T::COUNTED, filter, params).await
    }

    async fn delete_from(&mut self, table: Table, filter: &str, params: &[Param<'_>]) -> Result<u64> {
        if self.page.is_some() {
            for (scope, row) in self.many(table, filter, params).await? {
                self.gone(scope, &row);
            }
        }
        self.execute(&format!("DELETE FROM {} WHERE {filter}", table.name), params).await
    }

    /// Writes the line of a change; one operation may commit more than once, and has one line.
    async fn note_line(&self, row: &OutboxRow) -> Result<()> {
        let sql = "INSERT INTO outbox (writer, number, sealed) VALUES ($1, $2, $3)
                   ON CONFLICT (writer, number) DO UPDATE SET sealed = excluded.sealed";
        self.execute(sql, &Param::row(OutboxRow::COLUMNS, row.columns())).await.map(drop)
    }

    /// Counts every row anew.
    async fn recount(&mut self) -> Result<()> {
        let Some(mut page) = self.page.take() else { return Ok(()) };
        page.start_over();
        let scopes = &mut self.scopes;
        let mut count = |scope, row: Row| {
            scopes.insert(scope);
            page.came(scope, &row);
            Ok(())
        };
        super::scan::each(self.database, self.client, false, &mut count).await?;
        self.page = Some(page);
        // The store's stays for its revision, which counts on.
        self.execute("DELETE FROM accumulators WHERE id <> $1", &[Param::id(&Id::STORE)]).await.map(drop)
    }

    /// Writes what the page comes to.
    async fn balance(&mut self) -> Result<()> {
        let Some(mut page) = self.page.take() else { return Ok(()) };
        // Read together: the ledger asks for those of the scopes that it was told of, and for the store's.
        let ids: Vec<Param<'_>> = self.scopes.iter().map(Param::id).collect();
        let known =
            self.many(AccumulatorRow::COUNTED, &format!("id IN ({})", marks(ids.len())), &ids).await?;
        let balance = page.balance(&mut |scope| {
            Ok(known.iter().find_map(|(_, row)| match row {
                Row::Accumulator(row) if row.id == scope => Some(row.clone()),
                _ => None,
            }))
        })?;
        for change in balance {
            match change {
                Balance::Write(row) => self.overwrite(&row).await?,
                Balance::Remove(id) => {
                    self.execute("DELETE FROM accumulators WHERE id = $1", &[Param::id(&id)])
                        .await
                        .map(drop)?;
                }
            }
        }
        Ok(())
    }

    async fn overwrite(&self, row: &AccumulatorRow) -> Result<()> {
        let sql = "INSERT INTO accumulators (id, revision, sealed) VALUES ($1, $2, $3)
                   ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, sealed = excluded.sealed";
        self.execute(sql, &Param::row(AccumulatorRow::COLUMNS, row.columns())).await.map(drop)
    }

    fn gone(&mut self, scope: Id, row: &Row) {
        if let Row::Key(key) = row {
            self.tenants.remove(&key.id);
        }
        self.scopes.insert(scope);
        self.page.iter_mut().for_each(|page| page.gone(scope, row));
    }

    async fn came(&mut self, row: &Row) -> Result<()> {
        if self.page.is_none() {
            return Ok(());
        }
        let scope = self.scope(row).await?;
        self.scopes.insert(scope);
        self.page.iter_mut().for_each(|page| page.came(scope, row));
        Ok(())
    }

    async fn scope(&mut self, row: &Row) -> Result<Id> {
        if let Row::Key(key) = row {
            self.tenants.insert(key.id, key.tenant_id);
        }
        match row.owner() {
            Owner::Store => Ok(Id::STORE),
            Owner::Tenant(tenant) => Ok(tenant),
            Owner::Key(key) => {
                if let Some(tenant) = self.tenants.get(&key) {
                    return Ok(*tenant);
                }
                let sql = "SELECT uuid_send(tenant_id) FROM kms_keys WHERE id = $1";
                let params = [Param::id(&key)];
                let found = self.client.query_typed(sql, &Param::typed(&params)).await;
                let found = found.map_err(|error| self.database.explain(&error))?;
                let tenant = found.first().and_then(|found| found.get::<_, Option<Vec<u8>>>(0));
                let tenant = tenant.and_then(|tenant| Id::from_slice(&tenant));
                self.tenants.extend(tenant.map(|tenant| (key, tenant)));
                Ok(tenant.unwrap_or(Id::STORE))
            }
        }
    }

    /// Rows, each with whose accumulator counts it.
    async fn many(&self, table: Table, filter: &str, params: &[Param<'_>]) -> Result<Vec<(Id, Row)>> {
        let sql = format!("{} WHERE {filter}", scoped(table));
        let found = self.client.query_typed(&sql, &Param::typed(params)).await;
        let found = found.map_err(|error| self.database.explain(&error))?;
        found.iter().map(|found| read_scoped(self.database, table, found)).collect()
    }

    async fn exists(&self, sql: &str, params: &[Param<'_>]) -> Result<bool> {
        let found = self.client.query_typed(sql, &Param::typed(params)).await;
        found.map(|found| !found.is_empty()).map_err(|error| self.database.explain(&error))
    }

    async fn execute(&self, sql: &str, params: &[Param<'_>]) -> Result<u64> {
        let done = self.client.execute_typed(sql, &Param::typed(params)).await;
        done.map_err(|error| self.database.explain(&error))
    }
}

/// Whether a change is of what says who may do what: servers that have let somebody in look again then. PINs are not: each
/// login writes two, and who is logged in stays so when a PIN is changed.
pub(super) fn is_of_credentials(change: &Change) -> bool {
    match change {
        Change::Put(row) | Change::Reseal(row) | Change::Restore(row) | Change::PutBack(row) => match row {
            Row::Meta(_) | Row::RootSlot(_) | Row::Tenant(_) | Row::Token(_) | Row::Policy(_) => true,
            Row::Pin(_)
            | Row::Key(_)
            | Row::Version(_)
            | Row::Object(_)
            | Row::Role(_)
            | Row::Entry(_)
            | Row::Receipt(_)
            | Row::Accumulator(_) => false,
        },
        Change::RemoveRootSlot(..)
        | Change::RemoveToken(..)
        | Change::RemovePolicy(..)
        | Change::WipeTenant(_)
        | Change::RemoveTenant(..) => true,
        Change::ExpectTenant(..)
        | Change::ExpectUnchanged(..)
        | Change::AtMostKeys(..)
        | Change::NoteLine(_)
        | Change::RemoveObject(..)
        | Change::RemoveEntry(..)
        | Change::ForgetReceipts(_)
        | Change::RemoveVersions(_)
        | Change::RemoveVersion(..)
        | Change::Recount => false,
    }
}
