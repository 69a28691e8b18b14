//! What requests and answers in flight are paid with: a place and bytes of their connection, bytes of their tenant, bytes
//! of the server. Whoever finds too little waits, and is not read from meanwhile.
//!
//! Why nobody waits for ever: a request holds its bytes until it has run, an answer until it is written or its peer is
//! given up, and both come to an end by time-outs. A request gives its bytes back before it takes those of its answer,
//! so that no two hold what the other waits for. Everybody takes in the same order, the narrow limit first: who waits
//! for the tenant's part does not stand before other tenants in the server's line.

use crate::frames::End;
use crate::limits;
use crate::listener::Server;
use crate::outbox::Permits;
use crate::session::Session;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The limits of one connection, and the way to those of its tenant and of the server.
#[derive(Clone)]
pub(crate) struct Budget {
    server: Arc<Server>,
    places: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
}

/// Bytes of the connection, of its tenant and of the server.
type Bytes = [OwnedSemaphorePermit; 3];

/// What a request has paid.
pub(crate) struct Paid {
    /// Its place in line; its answer's, too.
    place: OwnedSemaphorePermit,
    bytes: Bytes,
    /// How many bytes they are.
    amount: u32,
}

impl Budget {
    /// Of a new connection.
    pub(crate) fn new(server: Arc<Server>) -> Self {
        let places = Arc::new(Semaphore::new(limits::IN_FLIGHT as usize));
        Budget { server, places, bytes: Arc::new(Semaphore::new(limits::IN_FLIGHT_BYTES as usize)) }
    }

    /// Whether nothing is in flight.
    pub(crate) fn is_idle(&self) -> bool {
        self.places.available_permits() == limits::IN_FLIGHT as usize
    }

    /// Waits until nothing is in flight: every answer has been written, or has nobody to be written to.
    pub(crate) async fn idle(&self) {
        let _ = self.places.acquire_many(limits::IN_FLIGHT).await;
    }

    /// Waits for a place in line.
    pub(crate) async fn place(&self) -> Result<OwnedSemaphorePermit, End> {
        take(&self.places, 1).await
    }

    /// Waits until there is room for one more request of `length` bytes.
    pub(crate) async fn pay_for(&self, session: &Session, length: u32) -> Result<Paid, End> {
        let place = self.place().await?;
        let amount = charge(length);
        Ok(Paid { place, bytes: self.pay_for_bytes(session, amount).await?, amount })
    }

    /// Exchanges what a request has paid for what its answer costs, so that a peer that asks for much and reads nothing
    /// holds no more memory than the limits say.
    pub(crate) async fn pay_for_answer(
        &self,
        session: &Session,
        paid: Paid,
        length: usize,
    ) -> Result<Permits, End> {
        let Paid { place, mut bytes, amount: paid } = paid;
        let amount = charge(u32::try_from(length).unwrap_or(u32::MAX));
        // A small answer to a small request, as most are, stays within what the request has paid.
        if amount > paid || paid > limits::LARGE {
            drop(bytes);
            bytes = self.pay_for_bytes(session, amount).await?;
        }
        let [of_connection, of_tenant, of_server] = bytes.map(Some);
        Ok(Permits::of([Some(place), of_connection, of_tenant, of_server]))
    }

    async fn pay_for_bytes(&self, session: &Session, amount: u32) -> Result<Bytes, End> {
        let share = session.share(&self.server.shares);
        let (of_tenant, of_server) = match amount > limits::LARGE {
            true => (&share.large, &self.server.large),
            false => (&share.small, &self.server.small),
        };
        Ok([
            take(&self.bytes, amount.min(limits::IN_FLIGHT_BYTES)).await?,
            take(of_tenant, amount.min(limits::TENANT_LARGE_BYTES)).await?,
            take(of_server, amount.min(limits::LARGE_BYTES)).await?,
        ])
    }
}

/// What so many bytes count as.
fn charge(length: u32) -> u32 {
    length.max(limits::LEAST)
}

async fn take(semaphore: &Arc<Semaphore>, amount: u32) -> Result<OwnedSemaphorePermit, End> {
    // Mostly there is room; whoever waits already comes first all the same.
    if let Ok(permit) = Arc::clone(semaphore).try_acquire_many_owned(amount) {
        return Ok(permit);
    }
    let permit = Arc::clone(semaphore).acquire_many_owned(amount).await;
    permit.map_err(|_| End::Lost("the server's limits are closed".into()))
}
