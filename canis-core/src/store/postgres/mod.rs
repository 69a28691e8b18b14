//! The store in PostgreSQL, which any number of servers share. ADR 0036 says why it is so.
//!
//! Writers queue on one lock of the database, as the processes that share `canis.dat` do, and every lock ends with its
//! transaction. Nothing is prepared and no session remembers anything, so that a pooler may stand in between.

use super::columns::Columns;
use super::{
    AccumulatorRow, AuditHeadRow, AuditRows, Change, EntryRow, KeyRow, Ledger, MetaRow, ObjectQuery,
    ObjectRow, OutboxRow, PinRow, PolicyRow, ReceiptRow, RoleRow, RootSlotRow, Row, Store, TenantRow,
    TokenRow, Turn, UNSAID, Use, UseRow, VersionRow, scratch,
};
use crate::datadir::StoreConfig;
use canis_proto::{Error, ErrorCode, Id, Result};
use connection::{Database, Lease};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use value::{Param, list, read_row};
use watch::Watch;
use write::Writer;

mod connection;
mod host;
mod making;
mod memory;
mod migrate;
mod moves;
mod scan;
mod settings;
mod tls;
mod transaction;
mod turn;
mod value;
mod watch;
mod write;

/// The PostgreSQL filling of the store seam.
pub struct PostgresStore {
    database: Arc<Database>,
    watch: Arc<Watch>,
    /// Where files without a name are made.
    folder: PathBuf,
    host: Id,
    /// It is opened whatever its mark says.
    as_it_stands: bool,
}

impl PostgresStore {
    /// Opens the store in a database, and makes the steps that its schema lacks. `folder` is a directory of this host.
    ///
    /// # Errors
    /// `invalid_argument` for a configuration that cannot be read, `store_unavailable` without a store or a database,
    /// `store_format` for a newer schema, `store_moved` for a store that is used elsewhere now.
    pub fn open(config: &StoreConfig, folder: &Path) -> Result<Self> {
        PostgresStore::over(config, Some(folder), false)
    }

    async fn write(&self, changes: &[Change], ledger: Option<&dyn Ledger>) -> Result<()> {
        let of_credentials = changes.iter().any(write::is_of_credentials);
        let mut again = true;
        loop {
            let connection = self.database.unless_stalled(self.database.connection()).await?;
            let written = self.database.unless_stalled(async {
                let number = transaction::begin_change(&self.database, &connection).await?;
                let writing = self.watch.writing();
                Writer::new(&self.database, &connection, ledger).write(changes).await?;
                Ok((number, writing))
            });
            let done = match written.await {
                Ok((number, _writing)) => self.commit(&connection, &number, changes, of_credentials).await,
                // The transaction ends with its connection. One that stood idle may have been lost long ago.
                Err(_) if connection.is_closed() && std::mem::take(&mut again) => continue,
                Err(error) => Err(error),
            };
            match done {
                Ok(()) => connection.give_back(),
                Err(_) => self.end(connection).await,
            }
            return done;
        }
    }

    /// Gives a connection back as it was, or closes it.
    async fn end(&self, connection: Lease) {
        let ended = self.database.unless_stalled(async {
            connection.batch_execute("ROLLBACK").await.map_err(|error| self.database.explain(&error))
        });
        if ended.await.is_ok() {
            connection.give_back();
        }
    }

    async fn commit(
        &self,
        connection: &Lease,
        number: &str,
        changes: &[Change],
        of_credentials: bool,
    ) -> Result<()> {
        // Counted before and after: a reader that looks between may keep what it read under the first number only. A
        // change that does not get so far leaves what is in memory as it is.
        self.watch.count();
        let done = transaction::commit(&self.database, connection, number, of_credentials).await;
        let done = done.map(|moments| self.watch.committed(moments, of_credentials));
        self.watch.count_own(changes);
        done
    }

    fn one<T: Columns>(&self, filter: &str, params: &[Param<'_>]) -> Result<Option<T>> {
        Ok(self.many(&format!("WHERE {filter}"), params)?.pop())
    }

    fn many<T: Columns>(&self, rest: &str, params: &[Param<'_>]) -> Result<Vec<T>> {
        self.refuse_away()?;
        let sql = format!("SELECT {} FROM {} {rest}", list(T::COLUMNS), T::TABLE);
        self.database
            .read(async |client| {
                let found = client.query_typed(&sql, &Param::typed(params)).await;
                found.map_err(|error| self.database.explain(&error))?.iter().map(read_row).collect()
            })
            .inspect_err(|error| self.suspect(error))
    }

    /// Where the database seems to be away, that is looked at without delay.
    fn suspect(&self, error: &Error) {
        if error.code == ErrorCode::StoreUnavailable {
            self.watch.suspect();
        }
    }

    /// Runs statements that need not queue with the writers in one transaction, after `first`.
    fn beside(&self, first: &str, statements: &[(&str, Vec<Param<'_>>)]) -> Result<()> {
        self.database.read(async |client| {
            let explain = |error| self.database.explain(&error);
            client.batch_execute(&format!("BEGIN; {first}")).await.map_err(explain)?;
            // Whoever takes a copy of before for the store says so in the log first.
            if !self.as_it_stands {
                moves::refuse(&self.database, client, Use::Note).await?;
            }
            for (sql, params) in statements {
                client.execute_typed(sql, &Param::typed(params)).await.map_err(explain)?;
            }
            client.batch_execute("COMMIT").await.map_err(explain)
        })
    }
}

/// As PostgreSQL takes a limit.
fn limit(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}

impl AuditRows for PostgresStore {
    fn outbox(&self) -> Result<Vec<OutboxRow>> {
        self.many("ORDER BY writer, number", &[])
    }

    fn audit_heads(&self) -> Result<Vec<AuditHeadRow>> {
        self.many("ORDER BY writer", &[])
    }

    fn seal_audit(&self, head: &AuditHeadRow, written: &[u64]) -> Result<()> {
        let put = "INSERT INTO audit_heads (writer, ended, sealed) VALUES ($1, $2, $3)
                   ON CONFLICT (writer) DO UPDATE SET ended = excluded.ended, sealed = excluded.sealed";
        let mut statements = vec![(put, Param::row(AuditHeadRow::COLUMNS, head.columns()))];
        let forget = "DELETE FROM outbox WHERE writer = $1 AND number = $2";
        statements.extend(
            written.iter().map(|number| (forget, vec![Param::id(&head.writer), Param::count(*number)])),
        );
        self.beside(transaction::DURABLE, &statements)
    }
}

impl Store for PostgresStore {
    fn meta(&self, name: &str) -> Result<Option<MetaRow>> {
        self.one("name = $1", &[Param::text(name)])
    }

    fn all_meta(&self) -> Result<Vec<MetaRow>> {
        self.many("ORDER BY name COLLATE \"C\"", &[])
    }

    fn root_slots(&self) -> Result<Vec<RootSlotRow>> {
        self.many("ORDER BY ordinal", &[])
    }

    fn tenants(&self) -> Result<Vec<TenantRow>> {
        self.many("ORDER BY slot", &[])
    }

    fn tenant(&self, id: Id) -> Result<Option<TenantRow>> {
        self.one("id = $1", &[Param::id(&id)])
    }

    fn pin(&self, tenant: Id, role: u8) -> Result<Option<PinRow>> {
        self.one("tenant_id = $1 AND role = $2", &[Param::id(&tenant), Param::small(role)])
    }

    fn token(&self, id: Id) -> Result<Option<TokenRow>> {
        self.one("id = $1", &[Param::id(&id)])
    }

    fn tokens(&self, tenant: Id) -> Result<Vec<TokenRow>> {
        self.many("WHERE tenant_id = $1 ORDER BY ordinal", &[Param::id(&tenant)])
    }

    fn policy(&self, tenant: Id, kind: u8, name: &str) -> Result<Option<PolicyRow>> {
        let params = [Param::id(&tenant), Param::small(kind), Param::text(name)];
        self.one("tenant_id = $1 AND kind = $2 AND name = $3", &params)
    }

    fn policies(&self, tenant: Id) -> Result<Vec<PolicyRow>> {
        self.many("WHERE tenant_id = $1 ORDER BY kind, name COLLATE \"C\"", &[Param::id(&tenant)])
    }

    fn key(&self, id: Id) -> Result<Option<KeyRow>> {
        self.one("id = $1", &[Param::id(&id)])
    }

    fn key_by_name(&self, tenant: Id, name: &str) -> Result<Option<KeyRow>> {
        self.one("tenant_id = $1 AND name = $2", &[Param::id(&tenant), Param::text(name)])
    }

    fn keys(&self, tenant: Id, prefix: &str, after: &str, rows: usize) -> Result<Vec<KeyRow>> {
        // Names are ASCII, so the byte after every name with this prefix is `prefix` and 0x7f.
        let end = format!("{prefix}\u{7f}");
        let params = [
            Param::id(&tenant),
            Param::text(prefix),
            Param::text(&end),
            Param::text(after),
            Param::count(limit(rows)),
            Param::flag(prefix.starts_with('~')),
        ];
        self.many(
            "WHERE tenant_id = $1 AND name COLLATE \"C\" >= $2 AND name COLLATE \"C\" < $3
             AND name COLLATE \"C\" > $4 AND (deleted_at IS NULL OR $6) ORDER BY name COLLATE \"C\" LIMIT $5",
            &params,
        )
    }

    fn due_keys(&self, tenant: Option<Id>, now: i64, rows: usize) -> Result<Vec<KeyRow>> {
        let mut params = vec![Param::time(now), Param::count(limit(rows))];
        params.extend(tenant.as_ref().map(Param::id));
        let of_tenant = tenant.map_or("", |_| "AND tenant_id = $3");
        self.many(&format!("WHERE due_at <= $1 {of_tenant} ORDER BY due_at LIMIT $2"), &params)
    }

    fn all_keys(&self, tenant: Id) -> Result<Vec<KeyRow>> {
        self.many("WHERE tenant_id = $1 ORDER BY ordinal", &[Param::id(&tenant)])
    }

    fn versions(&self, key: Id) -> Result<Vec<VersionRow>> {
        self.many("WHERE key_id = $1 ORDER BY version", &[Param::id(&key)])
    }

    fn version(&self, key: Id, version: u32) -> Result<Option<VersionRow>> {
        self.one("key_id = $1 AND version = $2", &[Param::id(&key), Param::number(version)])
    }

    fn uses(&self, key: Id) -> Result<Vec<UseRow>> {
        self.many("WHERE key_id = $1 ORDER BY version", &[Param::id(&key)])
    }

    fn count_uses(&self, uses: &[UseRow]) -> Result<()> {
        let add = "INSERT INTO key_uses (key_id, version, uses, last_used_at) VALUES ($1, $2, $3, $4)
                   ON CONFLICT (key_id, version) DO UPDATE SET uses = key_uses.uses + excluded.uses,
                   last_used_at = greatest(key_uses.last_used_at, excluded.last_used_at)";
        // Nothing hangs on them: they need not be durable. In one order, so that servers that count the same do not wait.
        let mut sorted: Vec<&UseRow> = uses.iter().collect();
        sorted.sort_by_key(|row| (row.key_id, row.version));
        let statements: Vec<_> =
            sorted.iter().map(|row| (add, Param::row(UseRow::COLUMNS, row.columns()))).collect();
        self.beside("", &statements)
    }

    fn object(&self, id: Id) -> Result<Option<ObjectRow>> {
        self.one("id = $1", &[Param::id(&id)])
    }

    fn objects(&self, query: &ObjectQuery<'_>) -> Result<Vec<ObjectRow>> {
        let mut filter = String::from("WHERE tenant_id = $1");
        let mut params = vec![Param::id(&query.tenant)];
        let wanted = [
            ("class", query.class.map(Param::small)),
            ("label", query.label.map(Param::bytes)),
            ("cka_id", query.cka_id.map(Param::bytes)),
            ("key_id", query.key_id.as_ref().map(Param::id)),
        ];
        for (column, value) in wanted {
            if let Some(value) = value {
                params.push(value);
                filter.push_str(&format!(" AND {column} = ${}", params.len()));
            }
        }
        if let Some(family) = query.family {
            params.push(Param::small(family));
            filter.push_str(&format!(" AND family IN (${}, {UNSAID})", params.len()));
        }
        filter.push_str(" ORDER BY ordinal");
        self.many(&filter, &params)
    }

    fn role(&self, fingerprint: Id) -> Result<Option<RoleRow>> {
        self.one("id = $1", &[Param::id(&fingerprint)])
    }

    fn roles(&self, tenant: Id) -> Result<Vec<RoleRow>> {
        self.many("WHERE tenant_id = $1 ORDER BY ordinal", &[Param::id(&tenant)])
    }

    fn entry(&self, tenant: Id, lookup: Id) -> Result<Option<EntryRow>> {
        self.one("tenant_id = $1 AND lookup = $2", &[Param::id(&tenant), Param::id(&lookup)])
    }

    fn entries(&self, tenant: Id, after: Id, rows: usize) -> Result<Vec<EntryRow>> {
        let params = [Param::id(&tenant), Param::id(&after), Param::count(limit(rows))];
        self.many("WHERE tenant_id = $1 AND lookup > $2 ORDER BY lookup LIMIT $3", &params)
    }

    fn receipt(&self, id: Id) -> Result<Option<ReceiptRow>> {
        self.one("id = $1", &[Param::id(&id)])
    }

    fn receipts(&self, tenant: Id) -> Result<Vec<ReceiptRow>> {
        self.many("WHERE tenant_id = $1 ORDER BY ordinal", &[Param::id(&tenant)])
    }

    fn accumulator(&self, scope: Id) -> Result<Option<AccumulatorRow>> {
        self.one("id = $1", &[Param::id(&scope)])
    }

    fn scan(&self, visit: &mut dyn FnMut(Id, Row) -> Result<()>) -> Result<()> {
        self.refuse_away()?;
        self.database.wait_long(self.database.unless_stalled(async {
            let connection = self.database.connection().await?;
            // What is read first fixes what is seen until the end; nothing is written.
            let begin = connection.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await;
            begin.map_err(|error| self.database.explain(&error))?;
            let done = scan::each(&self.database, &connection, true, visit).await;
            self.end(connection).await;
            done
        }))
    }

    fn commit_by(&self, changes: &[Change], ledger: Option<&dyn Ledger>) -> Result<()> {
        let work = self.write(changes, ledger);
        let large = write::are_large(changes);
        let done = if large { self.database.wait_long(work) } else { self.database.wait(work) };
        done.inspect_err(|error| self.suspect(error))
    }

    fn generation(&self) -> u64 {
        self.watch.generation()
    }

    fn credentials(&self) -> u64 {
        self.watch.credentials()
    }

    fn stands(&self, generation: u64, ids: &[Id]) -> bool {
        self.watch.stands(generation, ids)
    }

    fn grace(&self) -> Duration {
        self.database.settings.grace
    }

    fn unheeded_credentials(&self) -> Option<u64> {
        self.watch.unheeded_credentials()
    }

    fn poll(&self) -> Result<()> {
        if self.watch.is_fresh() || self.watch.goes_on() {
            return Ok(());
        }
        self.database.wait(self.watch.look(&self.database))
    }

    /// What was deleted is overwritten by PostgreSQL in its own time: docs/storage.md, section 8.
    fn purge(&self) -> Result<()> {
        Ok(())
    }

    fn scratch(&self) -> Result<std::fs::File> {
        scratch::file(&self.folder.join(format!("store.scratch-{}", std::process::id())))
    }

    fn pin_turn(&self) -> Result<Turn> {
        turn::wait_for_pins(&self.database).map(Turn::held)
    }

    fn due_turn(&self) -> Result<Option<Turn>> {
        turn::attempt(&self.database, turn::DUE).map(|held| held.map(Turn::held))
    }

    fn host(&self) -> Id {
        self.host
    }
}
