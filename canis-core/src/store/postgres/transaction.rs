//! One transaction, from the lock that makes writers queue to a COMMIT whose end is known. Every lock ends with its
//! transaction, so that a pooler may hand the session on.

use super::connection::Database;
use super::migrate;
use crate::store::{MoveRow, Use};
use canis_proto::{Error, ErrorCode, Result};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

/// The first number of every advisory lock: "CANI".
pub(super) const LOCK_SPACE: i32 = 0x4341_4E49;
/// Whoever changes the store.
pub(super) const WRITERS: i32 = 1;

/// A database that may forget what it has acknowledged (`synchronous_commit = off`) must not do so with this transaction.
pub(super) const DURABLE: &str = "SELECT set_config('synchronous_commit', 'on', true) \
    WHERE current_setting('synchronous_commit') = 'off'";

/// How long it is tried to learn how a transaction ended whose answer was lost.
const OUTCOME: Duration = Duration::from_secs(12);

/// How often the store was changed, and its credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moments {
    pub(super) changes: u64,
    pub(super) credentials: u64,
}

impl Moments {
    /// From the first two columns.
    pub(super) fn of(row: &SimpleQueryRow) -> Option<Self> {
        Some(Moments { changes: row.get(0)?.parse().ok()?, credentials: row.get(1)?.parse().ok()? })
    }
}

/// Begins a transaction and waits for the writers' lock; the transaction's number. What is read afterwards is what the
/// writer before has left.
///
/// A writer that stands still ends after half a minute, so that it does not stop the others.
pub(super) async fn begin(database: &Database, client: &Client) -> Result<String> {
    let rows = begin_with(database, client, "").await?;
    number(&rows)
}

/// The same for who changes the store, unless its mark forbids that.
///
/// # Errors
/// `store_moved`, `store_format` if a newer CANIS has migrated it, `store_unavailable`.
pub(super) async fn begin_change(database: &Database, client: &Client) -> Result<String> {
    let newer = format!(
        "SELECT max(step), max(coalesce(needs, step)), true FROM canis_schema HAVING max(coalesce(needs, step)) > {};",
        migrate::known()
    );
    let rows = begin_with(database, client, &format!("SELECT state, other FROM moves; {newer}")).await?;
    let newer = rows.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) if row.len() == 3 => {
            Some((row.get(0)?.parse().ok()?, row.get(1)?.parse().ok()?))
        }
        _ => None,
    });
    if let Some((last, needs)) = newer {
        return Err(migrate::newer(database, last, needs));
    }
    let mark = rows.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) if row.len() == 2 => Some((row.get(0)?, row.get(1)?)),
        _ => None,
    });
    if let Some((state, other)) = mark {
        MoveRow { state: state.to_owned(), other: other.to_owned(), ..MoveRow::default() }
            .refuse(Use::Change)?;
    }
    number(&rows)
}

/// `then` is asked before the transaction's number.
async fn begin_with(database: &Database, client: &Client, then: &str) -> Result<Vec<SimpleQueryMessage>> {
    let sql = format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
         SET LOCAL lock_timeout = '30s'; SET LOCAL idle_in_transaction_session_timeout = '30s';
         {DURABLE};
         SELECT pg_advisory_xact_lock({LOCK_SPACE}, {WRITERS});
         {then}
         SELECT pg_current_xact_id()"
    );
    client.simple_query(&sql).await.map_err(|error| database.explain(&error))
}

fn number(rows: &[SimpleQueryMessage]) -> Result<String> {
    let number = rows.iter().rev().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    number.ok_or_else(|| Error::internal("the database has not said the number of a transaction"))
}

/// Counts the change, tells the other servers, and commits.
///
/// # Errors
/// Where the answer is lost it is asked for: an error says that nothing was changed, or that this is not known.
pub(super) async fn commit(
    database: &Database,
    client: &Client,
    number: &str,
    of_credentials: bool,
) -> Result<Option<Moments>> {
    let credentials = i32::from(of_credentials);
    let sql = format!(
        "UPDATE moments SET changes = changes + 1, credentials = credentials + {credentials}
         RETURNING changes, credentials, pg_notify('canis', changes || ' ' || credentials);
         COMMIT"
    );
    let explain = |error| database.explain(&error);
    let sent = async { client.simple_query(&sql).await.map_err(explain) };
    match database.unless_stalled(sent).await {
        Ok(messages) => Ok(messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Moments::of(row),
            _ => None,
        })),
        Err(error) => outcome(database, number, error).await.map(|()| None),
    }
}

/// How the transaction of this number ended.
async fn outcome(database: &Database, number: &str, error: Error) -> Result<()> {
    let end = Instant::now() + OUTCOME;
    while Instant::now() < end {
        let status = timeout_at(end, status(database, number)).await.ok().flatten();
        match status.as_deref() {
            Some("committed") => return Ok(()),
            Some("aborted") => return Err(error),
            // The database has not noticed yet that nobody waits for it, or cannot be asked.
            _ => sleep(Duration::from_millis(100)).await,
        }
    }
    Err(Error::new(
        ErrorCode::StoreUnavailable,
        format!(
            "{}. The connection was lost while a change was written; whether it was made is not known",
            error.message
        ),
    ))
}

async fn status(database: &Database, number: &str) -> Option<String> {
    let connection = database.connection_aside().await.ok()?;
    let sql = "SELECT pg_xact_status($1::text::xid8)";
    let rows = connection.query_typed(sql, &[(&number, Type::TEXT)]).await.ok()?;
    connection.give_back();
    rows.first()?.get(0)
}
