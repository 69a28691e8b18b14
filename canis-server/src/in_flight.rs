//! What the peer of a connection has asked for and has not been answered yet, by id: where frames that follow belong.

use crate::inbox::{Inbox, broken, spend};
use crate::limits;
use canis_proto::{Error, Result};
use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// The requests and streams of one connection.
#[derive(Default)]
pub(crate) struct InFlight(Mutex<HashMap<u32, Entry>>);

enum Entry {
    /// A request, and how to tell it that it was taken back.
    Request(oneshot::Sender<()>),
    /// A stream.
    Stream(Arc<Inbox>),
    /// A stream that has failed before its peer knew: what the peer may still send is read away up to its END or CANCEL.
    Failed { room: u32 },
}

impl InFlight {
    fn entries(&self) -> MutexGuard<'_, HashMap<u32, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses an id that is in use.
    ///
    /// # Errors
    /// `protocol_error`.
    pub(crate) fn check_free(&self, id: u32) -> Result<()> {
        if self.entries().contains_key(&id) { Err(in_use(id)) } else { Ok(()) }
    }

    /// A request begins. What it gets resolves when the client takes it back.
    ///
    /// # Errors
    /// `protocol_error` for an id that is in use.
    pub(crate) fn request(&self, id: u32) -> Result<oneshot::Receiver<()>> {
        let (cancel, cancelled) = oneshot::channel();
        match self.entries().entry(id) {
            Slot::Occupied(_) => Err(in_use(id)),
            Slot::Vacant(slot) => {
                slot.insert(Entry::Request(cancel));
                Ok(cancelled)
            }
        }
    }

    /// A stream begins.
    ///
    /// # Errors
    /// `protocol_error` for an id that is in use, or more streams than HELLO allows.
    pub(crate) fn stream(&self, id: u32) -> Result<Arc<Inbox>> {
        let mut entries = self.entries();
        let streams = entries.values().filter(|entry| !matches!(entry, Entry::Request(_))).count();
        if streams >= limits::STREAMS as usize {
            return Err(broken(format!("more than {} streams at a time on one connection", limits::STREAMS)));
        }
        match entries.entry(id) {
            Slot::Occupied(_) => Err(in_use(id)),
            Slot::Vacant(slot) => {
                let inbox = Arc::new(Inbox::new());
                slot.insert(Entry::Stream(Arc::clone(&inbox)));
                Ok(inbox)
            }
        }
    }

    /// What has this id is about to be answered. From the answer on the client may use the id again, but after a
    /// stream's failure only when it has ended the stream, too.
    pub(crate) fn answered(&self, id: u32) {
        let mut entries = self.entries();
        if let Some(Entry::Stream(inbox)) = entries.get(&id)
            && let (room, false) = inbox.room_and_end()
        {
            entries.insert(id, Entry::Failed { room });
        } else {
            entries.remove(&id);
        }
    }

    /// DATA came.
    ///
    /// # Errors
    /// `protocol_error` where no stream is, or none that may send so much.
    pub(crate) fn data(&self, id: u32, bytes: &[u8]) -> Result<()> {
        match self.entries().get_mut(&id) {
            Some(Entry::Stream(inbox)) => inbox.data(bytes),
            Some(Entry::Failed { room }) => {
                *room = spend(*room, bytes.len())?;
                Ok(())
            }
            Some(Entry::Request(_)) | None => Err(no_stream("DATA", id)),
        }
    }

    /// END came.
    ///
    /// # Errors
    /// `protocol_error` where no stream is, or one that has ended.
    pub(crate) fn end(&self, id: u32) -> Result<()> {
        let mut entries = self.entries();
        match entries.get(&id) {
            Some(Entry::Stream(inbox)) => inbox.end(),
            Some(Entry::Failed { .. }) => {
                entries.remove(&id);
                Ok(())
            }
            Some(Entry::Request(_)) | None => Err(no_stream("END", id)),
        }
    }

    /// CREDIT came. Where no stream is, it crossed the answer on its way.
    ///
    /// # Errors
    /// `protocol_error` for too much of it.
    pub(crate) fn credit(&self, id: u32, bytes: u32) -> Result<()> {
        match self.entries().get(&id) {
            Some(Entry::Stream(inbox)) => inbox.credit(bytes),
            Some(Entry::Request(_) | Entry::Failed { .. }) | None => Ok(()),
        }
    }

    /// CANCEL came. Where nothing is, it crossed the answer on its way.
    pub(crate) fn cancel(&self, id: u32) {
        let mut entries = self.entries();
        match entries.get(&id) {
            Some(Entry::Stream(inbox)) => inbox.cancel(),
            Some(Entry::Failed { .. }) => drop(entries.remove(&id)),
            Some(Entry::Request(_)) => {
                // The id stays in use until the answer: whatever that is, it is the only one.
                let (heard, _) = oneshot::channel();
                if let Some(Entry::Request(cancel)) = entries.insert(id, Entry::Request(heard)) {
                    // Nobody listens where the work has begun.
                    let _ = cancel.send(());
                }
            }
            None => {}
        }
    }

    /// The peer sends nothing more: streams that need something of it are over.
    pub(crate) fn close(&self, why: &Error) {
        for entry in self.entries().values() {
            if let Entry::Stream(inbox) = entry {
                inbox.close(why);
            }
        }
    }
}

fn in_use(id: u32) -> Error {
    broken(format!("the id {id} is in use; it is free when its answer has come"))
}

fn no_stream(what: &str, id: u32) -> Error {
    broken(format!("{what} came for {id}, which is no open stream"))
}
