//! Messages of any length, in pieces: a stream is begun through [`Core::call`], which checks caller, key and version as for
//! a message in one piece, and then takes the message as it comes.
//!
//! A stream holds a key of this one message, a running hash or a running MAC, never the key itself. What signs does so
//! at the end, by a call of its own.

use crate::caller::Caller;
use crate::core::Core;
use canis_proto::stream::StreamRequest;
use canis_proto::{Operation, OperationId, Result};
use std::marker::PhantomData;

/// Asks for a stream; the answer is the stream.
pub struct Begin<'a, R> {
    /// What the stream is for.
    pub(crate) request: R,
    borrowed: PhantomData<&'a ()>,
}

impl<'a, R: StreamRequest<'a>> Begin<'a, R> {
    /// A stream for `request`.
    #[must_use]
    pub fn new(request: R) -> Self {
        Begin { request, borrowed: PhantomData }
    }
}

impl<'a, R: StreamRequest<'a>> Operation for Begin<'a, R> {
    const ID: OperationId = R::ID;
    type Answer = Box<dyn Stream<R::Answer>>;
}

/// A message on its way; `A` is what its operation answers.
pub trait Stream<A>: Send {
    /// Takes more of the message; appends what it gives to `out`.
    ///
    /// # Errors
    /// Those of the operation. A stream that has failed must not be used again.
    fn update(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<()>;

    /// Ends the message; appends what is left to `out`.
    ///
    /// # Errors
    /// Those of the operation; for a decryption, that the message is not whole.
    fn finish(self: Box<Self>, core: &Core, caller: &Caller, out: &mut Vec<u8>) -> Result<A>;
}
