//! Who waits for which answer of a shared connection, and whether somebody reads.

use crate::frames::Payload;
use crate::hello;
use canis_proto::frame::Header;
use canis_proto::{Error, Result};
use std::collections::HashMap;
use std::sync::{Arc, Condvar};
use std::time::Instant;

/// Why a request has no answer.
#[derive(Clone)]
pub(crate) enum Unanswered {
    /// By the server's word, or because time was over.
    Refused(Error),
    /// The connection had ended before it was sent.
    NotSent(Error),
    /// The connection ended afterwards.
    Lost(Error),
}

impl From<Unanswered> for Error {
    fn from(unanswered: Unanswered) -> Error {
        match unanswered {
            Unanswered::Refused(error) | Unanswered::NotSent(error) | Unanswered::Lost(error) => error,
        }
    }
}

/// What the threads of a connection have to agree on.
pub(crate) struct Inbox {
    last_request: u32,
    places: HashMap<u32, Place>,
    /// How many places the server has.
    size: usize,
    waiting: Vec<Waiter>,
    /// Whether somebody reads for all.
    pub(crate) reading: bool,
    /// Why no further request is taken.
    pub(crate) ended: Option<Error>,
    /// When the server was last heard.
    pub(crate) heard: Instant,
    /// A PING that has had no answer.
    pub(crate) pinged: Option<Instant>,
}

/// A request that was sent. Its place is free when its answer has come, not when its asker has gone.
struct Place {
    asker: Option<Arc<Condvar>>,
    answer: Option<Result<Payload, Unanswered>>,
}

struct Waiter {
    wake: Arc<Condvar>,
    /// Whether it waits for a place, not for an answer.
    for_place: bool,
}

impl Inbox {
    /// Of a server that takes `size` requests at a time.
    pub(crate) fn new(size: u32) -> Self {
        Inbox {
            last_request: 0,
            places: HashMap::new(),
            size: size.max(1) as usize,
            waiting: Vec::new(),
            reading: false,
            ended: None,
            heard: Instant::now(),
            pinged: None,
        }
    }

    /// A free request id, or none while the server has as many as it takes.
    ///
    /// # Errors
    /// Why no further request is taken.
    pub(crate) fn place(&mut self, asker: &Arc<Condvar>) -> Option<Result<u32, Unanswered>> {
        if let Some(ended) = &self.ended {
            return Some(Err(Unanswered::NotSent(ended.clone())));
        }
        if self.places.len() >= self.size {
            return None;
        }
        loop {
            // Zero is the connection's own id.
            self.last_request = self.last_request.checked_add(1).unwrap_or(1);
            if !self.places.contains_key(&self.last_request) {
                break;
            }
        }
        self.places.insert(self.last_request, Place { asker: Some(Arc::clone(asker)), answer: None });
        Some(Ok(self.last_request))
    }

    /// The answer to a request, if it has come.
    pub(crate) fn take(&mut self, request: u32) -> Option<Result<Payload, Unanswered>> {
        self.places.get(&request)?.answer.as_ref()?;
        self.places.remove(&request)?.answer
    }

    /// Its asker does not wait any more.
    pub(crate) fn abandon(&mut self, request: u32) {
        if let Some(place) = self.places.get_mut(&request) {
            place.asker = None;
        }
    }

    /// Gives an answer to its asker.
    ///
    /// # Errors
    /// `protocol_error` if nobody asked.
    pub(crate) fn deliver(&mut self, header: &Header, answer: Result<Payload>) -> Result<()> {
        match self.places.get_mut(&header.request) {
            Some(place @ Place { answer: None, .. }) => match &place.asker {
                Some(asker) => {
                    place.answer = Some(answer.map_err(Unanswered::Refused));
                    asker.notify_one();
                }
                None => {
                    self.places.remove(&header.request);
                    self.pass_on();
                }
            },
            _ => return Err(hello::unexpected(header)),
        }
        Ok(())
    }

    /// No further request is taken; those that were sent may still be answered. The first reason counts.
    pub(crate) fn end(&mut self, why: Error) {
        self.ended.get_or_insert(why);
    }

    /// Nothing comes any more: everybody is told.
    pub(crate) fn lose(&mut self, why: Error) {
        let why = self.ended.get_or_insert(why);
        for place in self.places.values_mut().filter(|place| place.answer.is_none()) {
            place.answer = Some(Err(Unanswered::Lost(why.clone())));
        }
        self.waiting.iter().for_each(|waiter| waiter.wake.notify_one());
    }

    /// From now on `wake` is woken.
    pub(crate) fn join(&mut self, wake: &Arc<Condvar>, for_place: bool) {
        self.waiting.push(Waiter { wake: Arc::clone(wake), for_place });
    }

    /// It has what it waited for, or waits no longer.
    pub(crate) fn leave(&mut self, wake: &Arc<Condvar>) {
        self.waiting.retain(|waiter| !Arc::ptr_eq(&waiter.wake, wake));
        self.pass_on();
    }

    /// Leaves the reading end, and places that are free, to somebody who waits.
    pub(crate) fn pass_on(&self) {
        if !self.reading {
            self.waiting.first().inspect(|waiter| waiter.wake.notify_one());
        }
        if self.places.len() < self.size {
            self.waiting.iter().find(|waiter| waiter.for_place).inspect(|waiter| waiter.wake.notify_one());
        }
    }
}
