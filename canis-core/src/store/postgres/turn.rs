//! Turns that servers take one after the other: a lock of a transaction that does nothing else.

use super::connection::Database;
use super::transaction::LOCK_SPACE;
use canis_proto::Result;
use deadpool_postgres::Object;
use std::sync::Arc;

/// Whoever tries a PIN.
pub(super) const PINS: i32 = 2;

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
    let connection = database.wait(async {
        let connection = database.connection().await?;
        let sql = format!(
            "BEGIN; SET LOCAL lock_timeout = '30s'; SET LOCAL idle_in_transaction_session_timeout = '120s';
             SELECT pg_advisory_xact_lock({LOCK_SPACE}, {lock})"
        );
        match connection.batch_execute(&sql).await {
            Ok(()) => Ok(connection),
            Err(error) => {
                drop(Object::take(connection));
                Err(database.explain(&error))
            }
        }
    })?;
    Ok(Held { database: Arc::clone(database), connection: Some(connection) })
}
