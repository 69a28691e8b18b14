//! The tables, by numbered steps: a database remembers which were made, and a newer CANIS goes on from there. Each step says
//! which CANIS may go on with the store after it, so that servers can be replaced one at a time (ADR 0045).

use super::connection::Database;
use super::transaction::{LOCK_SPACE, WRITERS};
use canis_proto::{Error, ErrorCode, Result};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

/// The steps, from the first, each with the schema that a CANIS has to know to go on with the store after it: its own number, or
/// a lower one if older ones can do without what it adds. One that was released is never changed.
const STEPS: &[(i32, &str)] = &[
    (1, include_str!("migrations/0001_keys.sql")),
    (2, include_str!("migrations/0002_store.sql")),
    (3, include_str!("migrations/0003_moves.sql")),
    (NEEDS, include_str!("migrations/0004_needs.sql")),
];

/// The step since which it is written down who may go on.
const NEEDS: i32 = 4;

/// Remembers which steps were made.
const JOURNAL: &str = "CREATE TABLE IF NOT EXISTS canis_schema (
    step INT PRIMARY KEY,
    made_at TIMESTAMPTZ NOT NULL DEFAULT now()
)";

/// How many steps this CANIS knows.
pub(super) fn known() -> i32 {
    i32::try_from(STEPS.len()).unwrap_or(i32::MAX)
}

/// The last step that was made, and the schema that a CANIS has to know.
struct Made {
    last: i32,
    needs: i32,
}

/// What was made; `None` where there is no store.
async fn made(database: &Database, client: &Client) -> Result<Option<Made>> {
    let explain = |error| database.explain(&error);
    let there = "SELECT to_regclass('canis_schema') IS NOT NULL";
    let there = client.query_typed(there, &[]).await.map_err(explain)?;
    if !there.first().is_some_and(|row| row.get(0)) {
        return Ok(None);
    }
    // Before step 4 there was no such column.
    let sql =
        "SELECT max(step), max(coalesce((to_jsonb(made) ->> 'needs')::int, step)) FROM canis_schema made";
    let found = client.query_typed(sql, &[]).await.map_err(explain)?;
    let of = |row: &Row| {
        Some(Made { last: row.get::<_, Option<i32>>(0)?, needs: row.get::<_, Option<i32>>(1).unwrap_or(0) })
    };
    Ok(found.first().and_then(of))
}

/// Whether the database holds a store, or a part of one.
pub(super) async fn is_there(database: &Database, client: &Client) -> Result<bool> {
    made(database, client).await.map(|made| made.is_some())
}

/// Looks whether there is a store that this CANIS can use, and makes the steps that are missing.
///
/// # Errors
/// `store_format` for a store that needs a newer CANIS, `store_unavailable`, also where there is none.
pub(super) async fn prepare(database: &Database, client: &Client) -> Result<()> {
    let shown = &database.settings.shown;
    match made(database, client).await? {
        None => Err(Error::new(
            ErrorCode::StoreUnavailable,
            format!("there is no store in the database {shown}; make one with `canis init --store {shown}`"),
        )),
        Some(made) if made.needs > known() => Err(newer(database, made.last, made.needs)),
        Some(made) if made.last < known() => {
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

/// Why this CANIS does not go on with a store.
pub(super) fn newer(database: &Database, last: i32, needs: i32) -> Error {
    Error::new(
        ErrorCode::StoreFormat,
        format!(
            "the database {} has schema {last}, made by a newer CANIS, and needs one that knows schema {needs}; this CANIS knows \
             schema {}. Use the CANIS that migrated it, or a newer one",
            database.settings.shown,
            known()
        ),
    )
}

/// Fails if a newer CANIS has changed the store since in a way that this one must not go on with.
pub(super) async fn refuse_newer(database: &Database, client: &Client) -> Result<()> {
    match made(database, client).await? {
        Some(made) if made.needs > known() => Err(newer(database, made.last, made.needs)),
        _ => Ok(()),
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
    let from = made(database, client).await?.map_or(0, |made| made.last);
    for (number, (needs, step)) in (1..).zip(STEPS).filter(|(number, _)| *number > from) {
        client.batch_execute(step).await.map_err(explain)?;
        let done = if number < NEEDS {
            client
                .execute_typed("INSERT INTO canis_schema (step) VALUES ($1)", &[(&number, Type::INT4)])
                .await
        } else {
            let note = "INSERT INTO canis_schema (step, needs) VALUES ($1, $2)";
            client.execute_typed(note, &[(&number, Type::INT4), (needs, Type::INT4)]).await
        };
        done.map_err(explain)?;
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
