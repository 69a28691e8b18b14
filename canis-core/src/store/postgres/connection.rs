//! Connections, and the thread that looks after them. Calls of the store are synchronous: whoever calls waits for the
//! answer on its own thread, while a runtime of the store's own reads and writes.

use super::settings::{CONNECT, Settings};
use canis_proto::{Error, ErrorCode, Result};
use deadpool_postgres::{
    Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime as OfPool,
};
use std::ops::Deref;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{Mutex, watch};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error as Sql};

/// How long one call may take, with waiting for other servers' locks.
const CALL: Duration = Duration::from_secs(45);

/// How many connections there are beside the pool's, for what must not wait until one of those is free.
const ASIDE: usize = 2;

/// The connections to one database.
pub(super) struct Database {
    runtime: Option<Runtime>,
    pool: Pool,
    aside: Pool,
    /// Whether it takes connections and does not answer. Whoever waits for it then waits no longer: what needs no
    /// database has the same threads.
    stalled: watch::Sender<bool>,
    pub(super) settings: Arc<Settings>,
    /// Whose turn it is at PINs in this process. Whoever waits for that must not hold a connection: whoever has the turn
    /// needs others.
    pub(super) pins: Arc<Mutex<()>>,
}

/// A connection of the pool. It is closed, and what was begun on it with it, unless whoever has it says that all came to
/// an end: work can be given up at any moment, in the midst of a transaction too.
pub(super) struct Lease(Option<Object>);

impl Lease {
    /// Gives it back for the next work.
    pub(super) fn give_back(mut self) {
        self.0 = None;
    }
}

impl Deref for Lease {
    type Target = Client;

    #[allow(clippy::unreachable)] // giving back and dropping consume it
    fn deref(&self) -> &Client {
        self.0.as_ref().unwrap_or_else(|| unreachable!("it is there until it is given back"))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(Object::take(connection));
        }
    }
}

/// Wakes a thread that waits for an answer.
struct Waiting(Thread);

impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl Database {
    /// Connects when it is first asked something.
    ///
    /// # Errors
    /// `internal` if no thread can be started.
    pub(super) fn new(settings: Settings) -> Result<Self> {
        let failed = |error: String| Error::internal(format!("cannot look after the database: {error}"));
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("canis-store")
            .enable_all()
            .build()
            .map_err(|error| failed(error.to_string()))?;
        // Nothing of a session is kept from one transaction to the next: a pooler may stand in between (PgBouncer).
        let pool = |connections| {
            let manager = Manager::from_config(
                settings.config.clone(),
                settings.tls.clone(),
                ManagerConfig { recycling_method: RecyclingMethod::Fast },
            );
            let pool = Pool::builder(manager)
                .max_size(connections)
                .runtime(OfPool::Tokio1)
                .wait_timeout(Some(CONNECT))
                .create_timeout(Some(CONNECT))
                .build();
            pool.map_err(|error| failed(error.to_string()))
        };
        let (pool, aside) = (pool(settings.connections)?, pool(ASIDE)?);
        let stalled = watch::Sender::new(false);
        let (settings, pins) = (Arc::new(settings), Arc::default());
        Ok(Database { runtime: Some(runtime), pool, aside, stalled, settings, pins })
    }

    /// The runtime, for what goes on beside calls.
    pub(super) fn handle(&self) -> Result<&Handle> {
        match &self.runtime {
            Some(runtime) => Ok(runtime.handle()),
            None => Err(Error::internal("the store was closed")),
        }
    }

    /// Waits for `work`, which must be done within some time.
    pub(super) fn wait<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let why = "it has not answered for 45 s; whether a change was made is not known";
        self.wait_long(async {
            let done = tokio::time::timeout(CALL, work).await;
            done.unwrap_or_else(|_| Err(unavailable(&self.settings.shown, why)))
        })
    }

    /// Waits for `work`, which another thread moves on, as long as it takes.
    pub(super) fn wait_long<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let _entered = self.handle()?.enter();
        let mut work = pin!(work);
        let waker = Waker::from(Arc::new(Waiting(std::thread::current())));
        loop {
            match work.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(done) => return done,
                Poll::Pending => std::thread::park(),
            }
        }
    }

    /// A connection.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub(super) async fn connection(&self) -> Result<Lease> {
        self.lease(&self.pool).await
    }

    /// A connection for a short question, also while the others are all in use.
    ///
    /// # Errors
    /// As above.
    pub(super) async fn connection_aside(&self) -> Result<Lease> {
        self.lease(&self.aside).await
    }

    async fn lease(&self, pool: &Pool) -> Result<Lease> {
        let connection = pool.get().await.map_err(|error| self.explain_pool(&error))?;
        Ok(Lease(Some(connection)))
    }

    /// It was asked something, and has answered or refused in time, or not.
    pub(super) fn note_stalled(&self, stalled: bool) {
        self.stalled.send_if_modified(|known| std::mem::replace(known, stalled) != stalled);
    }

    /// What comes of `work`, unless the database stands still; then `work` is given up.
    ///
    /// # Errors
    /// Those of `work`; `store_unavailable`.
    pub(super) async fn unless_stalled<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let mut stalled = self.stalled.subscribe();
        tokio::select! {
            biased;
            _ = stalled.wait_for(|stalled| *stalled) => {
                Err(unavailable(&self.settings.shown, "it does not answer"))
            }
            done = work => done,
        }
    }

    /// Runs `work` on a connection. What only reads is run once more where the connection was lost: the database may have
    /// been started anew.
    pub(super) fn read<T>(&self, work: impl AsyncFn(&Client) -> Result<T>) -> Result<T> {
        self.wait(self.unless_stalled(async {
            let mut again = true;
            loop {
                let connection = self.connection().await?;
                match work(&connection).await {
                    Ok(done) => {
                        connection.give_back();
                        return Ok(done);
                    }
                    Err(_) if connection.is_closed() && std::mem::take(&mut again) => {}
                    Err(error) => return Err(error),
                }
            }
        }))
    }

    /// What an error of the database means to a person. Values do not stand in it.
    pub(super) fn explain(&self, error: &Sql) -> Error {
        explain(&self.settings.shown, error)
    }

    fn explain_pool(&self, error: &PoolError) -> Error {
        match error {
            PoolError::Backend(error) => self.explain(error),
            PoolError::Timeout(_) => {
                unavailable(&self.settings.shown, "no connection could be had within 5 s")
            }
            other => unavailable(&self.settings.shown, &other.to_string()),
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.pool.close();
        self.aside.close();
        // Whoever drops the store may be on a thread of another runtime, which must not wait for this one.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

pub(super) fn unavailable(shown: &str, why: &str) -> Error {
    Error::new(ErrorCode::StoreUnavailable, format!("the database {shown} cannot be used: {why}"))
}

pub(super) fn explain(shown: &str, error: &Sql) -> Error {
    let Some(database) = error.as_db_error() else {
        let why = std::error::Error::source(error)
            .map_or_else(|| error.to_string(), |why| format!("{error}: {why}"));
        return unavailable(shown, &why);
    };
    let (code, text) = match database.code() {
        &SqlState::DISK_FULL => (
            ErrorCode::StoreFull,
            format!("the disk of the database {shown} is full; nothing was written. Make room and try again"),
        ),
        &SqlState::UNDEFINED_TABLE | &SqlState::UNDEFINED_COLUMN => (
            ErrorCode::StoreFormat,
            format!(
                "the database {shown} holds no CANIS store of this format; `canis init --store` makes one in an empty database"
            ),
        ),
        &SqlState::LOCK_NOT_AVAILABLE => (
            ErrorCode::StoreUnavailable,
            format!("another server has held the database {shown} for 30 s; try again"),
        ),
        &SqlState::READ_ONLY_SQL_TRANSACTION => (
            ErrorCode::StoreUnavailable,
            format!(
                "the database {shown} is a standby and takes no changes; name the primary, or add `target_session_attrs=read-write`"
            ),
        ),
        &SqlState::INVALID_PASSWORD | &SqlState::INVALID_AUTHORIZATION_SPECIFICATION => (
            ErrorCode::StoreUnavailable,
            format!(
                "the database {shown} refuses this user: {}; see `password_file` under [store] in canis.toml",
                database.message()
            ),
        ),
        _ => (
            ErrorCode::StoreUnavailable,
            format!(
                "the database {shown} cannot be used: {} (SQLSTATE {})",
                database.message(),
                database.code().code()
            ),
        ),
    };
    Error::new(code, text)
}
