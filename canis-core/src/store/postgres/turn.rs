//! Turns that servers take one after the other: a lock of a transaction that does nothing else.

use super::connection::Database;
use super::transaction::LOCK_SPACE;
use canis_proto::Result;
use deadpool_postgres::Object;
use std::sync::Arc;
use tokio_postgres::SimpleQueryMessage;

/// Whoever tries a PIN.
pub(super) const PINS: i32 = 2;

/// Whoever does what is due by the clock.
pub(super) const DUE: i32 = 3;

/// A turn that is held; over when dropped, or when the connection is lost.
pub(super) struct Held {
    database: Arc<Database>,
    connection: Option<Object>,
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        let ended = self.database.wait(async {
            let done = connection.batch_execute("ROLLBACK").await;
            done.map_err(|error| self.database.explain(&error))
        });
        if ended.is_err() {
            // The lock goes with the connection.
            drop(Object::take(connection));
        }
    }
}

/// Waits for the turn, half a minute at most; who does not end it within two minutes loses it.
///
/// # Errors
/// `store_unavailable`.
pub(super) fn wait(database: &Arc<Database>, lock: i32) -> Result<Held> {
    take(database, &format!("SELECT pg_advisory_xact_lock({LOCK_SPACE}, {lock})")).map(|(held, _)| held)
}

/// The turn if nobody has it.
///
/// # Errors
/// `store_unavailable`.
pub(super) fn attempt(database: &Arc<Database>, lock: i32) -> Result<Option<Held>> {
    let (held, rows) = take(database, &format!("SELECT pg_try_advisory_xact_lock({LOCK_SPACE}, {lock})"))?;
    let had = rows.iter().any(|row| matches!(row, SimpleQueryMessage::Row(row) if row.get(0) == Some("t")));
    Ok(had.then_some(held))
}

fn take(database: &Arc<Database>, lock: &str) -> Result<(Held, Vec<SimpleQueryMessage>)> {
    let (connection, rows) = database.wait(async {
        let connection = database.connection().await?;
        let sql = format!(
            "BEGIN; SET LOCAL lock_timeout = '30s'; SET LOCAL idle_in_transaction_session_timeout = '120s'; {lock}"
        );
        match connection.simple_query(&sql).await {
            Ok(rows) => Ok((connection, rows)),
            Err(error) => {
                drop(Object::take(connection));
                Err(database.explain(&error))
            }
        }
    })?;
    Ok((Held { database: Arc::clone(database), connection: Some(connection) }, rows))
}
