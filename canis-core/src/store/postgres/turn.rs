//! Turns that servers take one after the other: a lock of a transaction that does nothing else.

use super::connection::{Database, Lease, unavailable};
use super::transaction::LOCK_SPACE;
use canis_proto::Result;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedMutexGuard;
use tokio::time::timeout;
use tokio_postgres::SimpleQueryMessage;

/// Whoever tries a PIN.
const PINS: i32 = 2;

/// Whoever does what is due by the clock.
pub(super) const DUE: i32 = 3;

/// How long it is waited for others of this process, as for other servers.
const PATIENCE: Duration = Duration::from_secs(30);

/// A turn that is held; over when dropped, or when the connection is lost.
pub(super) struct Held {
    database: Arc<Database>,
    connection: Option<Lease>,
    /// The turn within this process; let go after the connection.
    _own: Option<OwnedMutexGuard<()>>,
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        let ended = self.database.wait(self.database.unless_stalled(async {
            let done = connection.batch_execute("ROLLBACK").await;
            done.map_err(|error| self.database.explain(&error))
        }));
        // Otherwise the lock goes with the connection.
        if ended.is_ok() {
            connection.give_back();
        }
    }
}

/// Waits for the turn at PINs, half a minute for others of this process and as long for other servers; who does not end it
/// within two minutes loses it.
///
/// # Errors
/// `store_unavailable`.
pub(super) fn wait_for_pins(database: &Arc<Database>) -> Result<Held> {
    let others = "others have tried PINs for 30 s; try again";
    let own = database.wait(database.unless_stalled(async {
        let own = timeout(PATIENCE, Arc::clone(&database.pins).lock_owned()).await;
        own.map_err(|_| unavailable(&database.settings.shown, others))
    }))?;
    take(database, &format!("SELECT pg_advisory_xact_lock({LOCK_SPACE}, {PINS})"), Some(own))
        .map(|(held, _)| held)
}

/// The turn if nobody has it.
///
/// # Errors
/// `store_unavailable`.
pub(super) fn attempt(database: &Arc<Database>, lock: i32) -> Result<Option<Held>> {
    let (held, rows) =
        take(database, &format!("SELECT pg_try_advisory_xact_lock({LOCK_SPACE}, {lock})"), None)?;
    let had = rows.iter().any(|row| matches!(row, SimpleQueryMessage::Row(row) if row.get(0) == Some("t")));
    Ok(had.then_some(held))
}

fn take(
    database: &Arc<Database>,
    lock: &str,
    own: Option<OwnedMutexGuard<()>>,
) -> Result<(Held, Vec<SimpleQueryMessage>)> {
    let (connection, rows) = database.wait(database.unless_stalled(async {
        let connection = database.connection().await?;
        let sql = format!(
            "BEGIN; SET LOCAL lock_timeout = '30s'; SET LOCAL idle_in_transaction_session_timeout = '120s'; {lock}"
        );
        let rows = connection.simple_query(&sql).await.map_err(|error| database.explain(&error))?;
        Ok((connection, rows))
    }))?;
    let held = Held { database: Arc::clone(database), connection: Some(connection), _own: own };
    Ok((held, rows))
}
