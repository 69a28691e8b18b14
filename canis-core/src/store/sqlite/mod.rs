//! `canis.dat`: one SQLite file. One writer, a pool of readers, and nothing else ever opens the file.
//!
//! Writes take `flock` on `canis.dat.lock` and then BEGIN IMMEDIATE: the flock queues the writers of several
//! processes fairly, which SQLite's own busy handler does not. `synchronous = FULL` makes a commit durable before it
//! is answered.

pub use header::check_header;

use super::{
    AccumulatorRow, Change, EntryRow, KeyRow, Ledger, MetaRow, ObjectQuery, ObjectRow, PinRow, PolicyRow,
    ReceiptRow, RoleRow, RootSlotRow, Row, Store, TenantRow, TokenRow, Turn, UNSAID, UseRow, VersionRow,
    scratch,
};
use canis_proto::{ErrorCode, Id, Result};
use rusqlite::{OptionalExtension, ToSql};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use table::Columns;

mod audit;
mod connection;
mod counted;
mod generation;
mod growth;
mod header;
mod lock;
mod making;
mod moves;
mod pool;
mod scan;
mod schema;
mod table;
mod write;

use generation::GenerationPage;
use lock::Lock;
use pool::Pool;

/// How long the generation page is trusted without asking SQLite.
const TRUST: Duration = Duration::from_secs(1);

/// The SQLite filling of the store seam.
pub struct SqliteStore {
    path: PathBuf,
    pool: Pool,
    /// Commits of every process, while the page can be had.
    page: Option<GenerationPage>,
    /// Changes seen otherwise: own commits without the page, and what `data_version` told.
    seen: AtomicU64,
    /// SQLite's data_version as last polled; it changes when another connection commits.
    data_version: AtomicI64,
    /// When it was polled, by [`generation::coarse_millis`].
    polled: AtomicU64,
    /// Deleted bytes still stand in the log, because another process was reading it.
    purge_pending: AtomicBool,
    /// The generation under which the mark was looked at last, and allowed the store to be used.
    looked: AtomicU64,
    /// It is opened whatever the mark says.
    as_it_stands: bool,
}

impl SqliteStore {
    /// Opens an existing store.
    ///
    /// # Errors
    /// `store_format` for a file that is no CANIS store or of a newer format, `store_moved` for one that is used elsewhere now,
    /// `store_unavailable` otherwise.
    pub fn open(path: &Path) -> Result<Self> {
        let store = SqliteStore::over(path)?;
        store.refuse_away()?;
        Ok(store)
    }

    fn over(path: &Path) -> Result<Self> {
        let store = SqliteStore {
            path: path.to_owned(),
            pool: Pool::new(path),
            page: GenerationPage::open(path),
            seen: AtomicU64::new(1),
            data_version: AtomicI64::new(-1),
            polled: AtomicU64::new(generation::coarse_millis()),
            purge_pending: AtomicBool::new(false),
            looked: AtomicU64::new(u64::MAX),
            as_it_stands: false,
        };
        // One connection is enough for programs that only read; the writer's is opened when it is first needed.
        if !store.pool.read(growth::is_grown)? {
            store.pool.write(|connection| {
                let _lock = lock_file(&store.path)?;
                growth::grow(&store.path, connection)
            })?;
        }
        if store.page.is_none() {
            store.ask_data_version()?;
        }
        Ok(store)
    }

    /// Asks SQLite whether anybody else has committed.
    fn ask_data_version(&self) -> Result<()> {
        // The writer's own connection: its data_version does not move by commits of its own.
        let now: i64 = self.pool.write(|connection| {
            let asked = connection.pragma_query_value(None, "data_version", |row| row.get(0));
            asked.map_err(|e| connection::explain(&self.path, &e))
        })?;
        if self.data_version.swap(now, Ordering::AcqRel) != now {
            self.seen.fetch_add(1, Ordering::Release);
        }
        Ok(())
    }

    /// Counts a change, so that every cache over this store looks again.
    fn count_change(&self) {
        match &self.page {
            Some(page) => page.bump(),
            None => drop(self.seen.fetch_add(1, Ordering::AcqRel)),
        }
    }

    fn one<T: Columns>(&self, filter: &str, params: &[&dyn ToSql]) -> Result<Option<T>> {
        self.refuse_away()?;
        let sql = format!("SELECT {} FROM {} WHERE {filter}", T::COLUMNS.join(", "), T::NAME);
        self.pool.read(|connection| {
            connection.prepare_cached(&sql)?.query_row(params, |row| T::read(row)).optional()
        })
    }

    fn many<T: Columns>(&self, rest: &str, params: &[&dyn ToSql]) -> Result<Vec<T>> {
        self.refuse_away()?;
        let sql = format!("SELECT {} FROM {} {rest}", T::COLUMNS.join(", "), T::NAME);
        self.pool.read(|connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map(params, |row| T::read(row))?;
            rows.collect()
        })
    }
}

/// Moves the log into the file and gives its room back; `false` while another process reads the log.
fn empty_log(path: &Path, connection: &rusqlite::Connection) -> Result<bool> {
    let busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
    busy.map(|busy| !busy).map_err(|e| connection::explain(path, &e))
}

/// Takes the writers' lock; it is released when the file is dropped.
fn lock_file(path: &Path) -> Result<Lock> {
    lock::take(&path.with_extension("dat.lock"))
}

impl Store for SqliteStore {
    fn meta(&self, name: &str) -> Result<Option<MetaRow>> {
        self.one("name = ?1", &[&name])
    }

    fn all_meta(&self) -> Result<Vec<MetaRow>> {
        self.many("ORDER BY name", &[])
    }

    fn root_slots(&self) -> Result<Vec<RootSlotRow>> {
        self.many("ORDER BY rowid", &[])
    }

    fn tenants(&self) -> Result<Vec<TenantRow>> {
        self.many("ORDER BY slot", &[])
    }

    fn tenant(&self, id: Id) -> Result<Option<TenantRow>> {
        self.one("id = ?1", &[id.as_bytes()])
    }

    fn pin(&self, tenant: Id, role: u8) -> Result<Option<PinRow>> {
        self.one("tenant_id = ?1 AND role = ?2", &[tenant.as_bytes(), &role])
    }

    fn token(&self, id: Id) -> Result<Option<TokenRow>> {
        self.one("id = ?1", &[id.as_bytes()])
    }

    fn tokens(&self, tenant: Id) -> Result<Vec<TokenRow>> {
        self.many("WHERE tenant_id = ?1 ORDER BY rowid", &[tenant.as_bytes()])
    }

    fn policy(&self, tenant: Id, kind: u8, name: &str) -> Result<Option<PolicyRow>> {
        self.one("tenant_id = ?1 AND kind = ?2 AND name = ?3", &[tenant.as_bytes(), &kind, &name])
    }

    fn policies(&self, tenant: Id) -> Result<Vec<PolicyRow>> {
        self.many("WHERE tenant_id = ?1 ORDER BY kind, name", &[tenant.as_bytes()])
    }

    fn key(&self, id: Id) -> Result<Option<KeyRow>> {
        self.one("id = ?1", &[id.as_bytes()])
    }

    fn key_by_name(&self, tenant: Id, name: &str) -> Result<Option<KeyRow>> {
        self.one("tenant_id = ?1 AND name = ?2", &[tenant.as_bytes(), &name])
    }

    fn keys(&self, tenant: Id, prefix: &str, after: &str, limit: usize) -> Result<Vec<KeyRow>> {
        // Names are ASCII, so the byte after every name with this prefix is `prefix` and 0x7f.
        let end = format!("{prefix}\u{7f}");
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.many(
            "WHERE tenant_id = ?1 AND name >= ?2 AND name < ?3 AND name > ?4 AND (deleted_at IS NULL OR ?6)
             ORDER BY name LIMIT ?5",
            &[tenant.as_bytes(), &prefix, &end, &after, &limit, &prefix.starts_with('~')],
        )
    }

    fn due_keys(&self, tenant: Option<Id>, now: i64, limit: usize) -> Result<Vec<KeyRow>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        match tenant {
            Some(tenant) => self.many(
                "WHERE due_at <= ?1 AND tenant_id = ?3 ORDER BY due_at LIMIT ?2",
                &[&now, &limit, tenant.as_bytes()],
            ),
            None => self.many("WHERE due_at <= ?1 ORDER BY due_at LIMIT ?2", &[&now, &limit]),
        }
    }

    fn all_keys(&self, tenant: Id) -> Result<Vec<KeyRow>> {
        self.many("WHERE tenant_id = ?1 ORDER BY rowid", &[tenant.as_bytes()])
    }

    fn versions(&self, key: Id) -> Result<Vec<VersionRow>> {
        self.many("WHERE key_id = ?1 ORDER BY version", &[key.as_bytes()])
    }

    fn version(&self, key: Id, version: u32) -> Result<Option<VersionRow>> {
        self.one("key_id = ?1 AND version = ?2", &[key.as_bytes(), &version])
    }

    fn uses(&self, key: Id) -> Result<Vec<UseRow>> {
        self.many("WHERE key_id = ?1 ORDER BY version", &[key.as_bytes()])
    }

    fn count_uses(&self, uses: &[UseRow]) -> Result<()> {
        self.pool.write(|connection| {
            let _lock = lock_file(&self.path)?;
            write::count_uses(&self.path, connection, uses)
        })
    }

    fn object(&self, id: Id) -> Result<Option<ObjectRow>> {
        self.one("id = ?1", &[id.as_bytes()])
    }

    fn objects(&self, query: &ObjectQuery<'_>) -> Result<Vec<ObjectRow>> {
        let mut filter = String::from("WHERE tenant_id = ?1");
        let mut params: Vec<&dyn ToSql> = vec![query.tenant.as_bytes()];
        let key = query.key_id.map(|k| k.0);
        // The index over the class would look at every key of it; the plus sign keeps SQLite from choosing it.
        let class = if query.family.is_some() { "+class" } else { "class" };
        let wanted: [(&str, Option<&dyn ToSql>); 4] = [
            (class, query.class.as_ref().map(|v| v as &dyn ToSql)),
            ("label", query.label.as_ref().map(|v| v as &dyn ToSql)),
            ("cka_id", query.cka_id.as_ref().map(|v| v as &dyn ToSql)),
            ("key_id", key.as_ref().map(|v| v as &dyn ToSql)),
        ];
        for (column, value) in wanted {
            if let Some(value) = value {
                params.push(value);
                filter.push_str(&format!(" AND {column} = ?{}", params.len()));
            }
        }
        if let Some(family) = &query.family {
            params.push(family);
            filter.push_str(&format!(" AND family IN (?{}, {UNSAID})", params.len()));
        }
        filter.push_str(" ORDER BY rowid");
        self.many(&filter, &params)
    }

    fn role(&self, fingerprint: Id) -> Result<Option<RoleRow>> {
        self.one("id = ?1", &[fingerprint.as_bytes()])
    }

    fn roles(&self, tenant: Id) -> Result<Vec<RoleRow>> {
        self.many("WHERE tenant_id = ?1 ORDER BY rowid", &[tenant.as_bytes()])
    }

    fn entry(&self, tenant: Id, lookup: Id) -> Result<Option<EntryRow>> {
        self.one("tenant_id = ?1 AND lookup = ?2", &[tenant.as_bytes(), lookup.as_bytes()])
    }

    fn entries(&self, tenant: Id, after: Id, limit: usize) -> Result<Vec<EntryRow>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.many(
            "WHERE tenant_id = ?1 AND lookup > ?2 ORDER BY lookup LIMIT ?3",
            &[tenant.as_bytes(), after.as_bytes(), &limit],
        )
    }

    fn receipt(&self, id: Id) -> Result<Option<ReceiptRow>> {
        self.one("id = ?1", &[id.as_bytes()])
    }

    fn receipts(&self, tenant: Id) -> Result<Vec<ReceiptRow>> {
        self.many("WHERE tenant_id = ?1 ORDER BY rowid", &[tenant.as_bytes()])
    }

    fn accumulator(&self, scope: Id) -> Result<Option<AccumulatorRow>> {
        self.one("id = ?1", &[scope.as_bytes()])
    }

    fn scan(&self, visit: &mut dyn FnMut(Id, Row) -> Result<()>) -> Result<()> {
        self.refuse_away()?;
        let mut failure = Ok(());
        self.pool.read(|connection| {
            // What is read first fixes what is seen until the end; nothing is written.
            let moment = connection.unchecked_transaction()?;
            scan::each(&moment, true, visit, &mut failure)
        })?;
        failure
    }

    fn commit_by(&self, changes: &[Change], ledger: Option<&dyn Ledger>) -> Result<()> {
        // Counted before and after: a reader that looks between may keep what it read under the first number only.
        self.count_change();
        let done = self.pool.write(|connection| {
            let _lock = lock_file(&self.path)?;
            match write::commit(&self.path, connection, changes, ledger) {
                // The log may hold the room that is missing: a PIN's counter that was raised must go down again.
                Err(full) if full.code == ErrorCode::StoreFull => match empty_log(&self.path, connection) {
                    Ok(true) => write::commit(&self.path, connection, changes, ledger),
                    _ => Err(full),
                },
                done => done,
            }
        });
        self.count_change();
        done?;
        if self.purge_pending.load(Ordering::Acquire) {
            // The change itself is done; what is left of an earlier purge must not fail it.
            drop(self.purge());
        }
        Ok(())
    }

    fn generation(&self) -> u64 {
        let page = self.page.as_ref().map_or(0, GenerationPage::load);
        page.wrapping_add(self.seen.load(Ordering::Acquire))
    }

    fn poll(&self) -> Result<()> {
        let now = generation::coarse_millis();
        let due = now.saturating_sub(self.polled.load(Ordering::Relaxed)) >= TRUST.as_millis() as u64;
        if self.page.is_some() && !due {
            return Ok(());
        }
        self.polled.store(now, Ordering::Relaxed);
        self.ask_data_version()
    }

    fn purge(&self) -> Result<()> {
        self.pool.write(|connection| {
            let _lock = lock_file(&self.path)?;
            self.purge_pending.store(true, Ordering::Release);
            let done = empty_log(&self.path, connection)?;
            self.purge_pending.store(!done, Ordering::Release);
            Ok(())
        })
    }

    fn scratch(&self) -> Result<File> {
        scratch::file(&self.path.with_extension(format!("dat.scratch-{}", std::process::id())))
    }

    fn pin_turn(&self) -> Result<Turn> {
        lock::take(&self.path.with_extension("dat.pin")).map(Turn::held)
    }

    fn pause(&self) {
        self.pool.pause();
    }

    fn resume(&self) {
        self.pool.resume();
        // A connection opened anew counts data_version from its own start.
        self.data_version.store(-1, Ordering::Release);
    }
}
