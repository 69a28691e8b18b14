//! The tables, by numbered steps: a database remembers the last one, and a newer CANIS goes on from there.

use super::connection::Database;
use super::transaction::{LOCK_SPACE, WRITERS};
use canis_proto::{Error, ErrorCode, Result};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

/// The steps, from the first. One that was released is never changed.
const STEPS: &[&str] = &[
    include_str!("migrations/0001_keys.sql"),
    include_str!("migrations/0002_store.sql"),
    include_str!("migrations/0003_moves.sql"),
];

/// Remembers which steps were made.
const JOURNAL: &str = "CREATE TABLE IF NOT EXISTS canis_schema (
    step INT PRIMARY KEY,
    made_at TIMESTAMPTZ NOT NULL DEFAULT now()
)";

/// How many steps this CANIS knows.
fn known() -> i32 {
    i32::try_from(STEPS.len()).unwrap_or(i32::MAX)
}

/// How many steps were made; `None` where there is no store.
async fn made(database: &Database, client: &Client) -> Result<Option<i32>> {
    let explain = |error| database.explain(&error);
    let there = "SELECT to_regclass('canis_schema') IS NOT NULL";
    let there = client.query_typed(there, &[]).await.map_err(explain)?;
    if !there.first().is_some_and(|row| row.get(0)) {
        return Ok(None);
    }
    let last = client.query_typed("SELECT max(step) FROM canis_schema", &[]).await.map_err(explain)?;
    Ok(last.first().and_then(|row| row.get(0)))
}

/// Whether the database holds a store, or a part of one.
pub(super) async fn is_there(database: &Database, client: &Client) -> Result<bool> {
    made(database, client).await.map(|steps| steps.is_some())
}

/// Looks whether there is a store that this CANIS can use, and makes the steps that are missing.
///
/// # Errors
/// `store_format` for no store or a newer one, `store_unavailable`.
pub(super) async fn prepare(database: &Database, client: &Client) -> Result<()> {
    let shown = &database.settings.shown;
    match made(database, client).await? {
        None => Err(Error::new(
            ErrorCode::StoreUnavailable,
            format!("there is no store in the database {shown}; make one with `canis init --store {shown}`"),
        )),
        Some(steps) if steps > known() => Err(Error::new(
            ErrorCode::StoreFormat,
            format!(
                "the database {shown} has schema {steps}; this CANIS knows schema {}. Use the CANIS that migrated it, or a newer one",
                known()
            ),
        )),
        Some(steps) if steps < known() => {
            let done = step_on(database, client).await;
            if done.is_err() {
                // The transaction that failed; the connection is closed in any case.
                drop(client.batch_execute("ROLLBACK").await);
            }
            done
        }
        Some(_) => Ok(()),
    }
}

/// Makes the missing steps in a transaction of their own; another server may be doing the same.
async fn step_on(database: &Database, client: &Client) -> Result<()> {
    let begin = format!(
        "BEGIN; SET LOCAL lock_timeout = '30s'; SELECT pg_advisory_xact_lock({LOCK_SPACE}, {WRITERS})"
    );
    client.batch_execute(&begin).await.map_err(|error| database.explain(&error))?;
    steps(database, client).await?;
    client.batch_execute("COMMIT").await.map_err(|error| database.explain(&error))
}

/// Makes the missing steps within a transaction that holds the writers' lock.
pub(super) async fn steps(database: &Database, client: &Client) -> Result<()> {
    let explain = |error| database.explain(&error);
    client.batch_execute(JOURNAL).await.map_err(explain)?;
    let from = made(database, client).await?.unwrap_or(0);
    for (number, step) in (1..).zip(STEPS).filter(|(number, _)| *number > from) {
        client.batch_execute(step).await.map_err(explain)?;
        let note = "INSERT INTO canis_schema (step) VALUES ($1)";
        client.execute_typed(note, &[(&number, Type::INT4)]).await.map_err(explain)?;
    }
    Ok(())
}

/// Fails if the database holds a store.
pub(super) async fn refuse_existing(database: &Database, client: &Client) -> Result<()> {
    if made(database, client).await?.is_none() {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::StoreExists,
        format!("the database {} holds a store already; it was left as it is", database.settings.shown),
    ))
}
