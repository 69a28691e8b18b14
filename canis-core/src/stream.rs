//! Messages of any length, in pieces: a stream is begun through [`Core::call`], which checks caller, key and version as for
//! a message in one piece, and then takes the message as it comes.
//!
//! A stream holds a key of this one message, a running hash or a running MAC, never the key itself. What signs does so
//! at the end, by a call of its own.

use crate::caller::Caller;
use crate::core::{Core, Facts, Resource, Run};
use canis_proto::stream::StreamRequest;
use canis_proto::{Capability, Error, ErrorCode, Operation, OperationId, Result};
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

/// What a stream is watched by: it must not get longer than the caller is allowed, and at its end the caller must still
/// be allowed to ask for it.
pub struct Watch {
    needed: Capability,
    longest: u64,
    /// The key, if it is about one.
    key: Option<String>,
    context: Option<Vec<u8>>,
}

impl Watch {
    pub(crate) fn new<R: Run>(needed: Capability, longest: u64, request: &R) -> Self {
        let key = match request.resource() {
            Resource::Key(name) => Some(name.to_owned()),
            _ => None,
        };
        Watch { needed, longest, key, context: request.facts().context.map(<[u8]>::to_vec) }
    }

    /// The stream under watch.
    pub(crate) fn over<A: 'static>(self, stream: Box<dyn Stream<A>>) -> Box<dyn Stream<A>> {
        Box::new(Watched { stream, watch: self, taken: 0 })
    }

    fn check(&self, core: &Core, caller: &Caller, taken: u64) -> Result<()> {
        let resource = self.key.as_deref().map_or(Resource::Part("hash"), Resource::Key);
        let facts = Facts { payload: Some(taken), context: self.context.as_deref(), key_type: None };
        core.keyring.require(caller, self.needed, resource, facts).map(drop)
    }
}

struct Watched<A> {
    stream: Box<dyn Stream<A>>,
    watch: Watch,
    taken: u64,
}

impl Watch {
    /// How many bytes count after these: what comes in, but of what is decrypted that which comes out, so that the limit
    /// is the same for both.
    fn counted(&self, taken: u64, input: usize, output: usize) -> Result<u64> {
        let more = if self.needed == Capability::Decrypt { output } else { input };
        let taken = taken.saturating_add(more as u64);
        if taken <= self.longest {
            return Ok(taken);
        }
        let (needed, longest) = (self.needed, self.longest);
        let why =
            format!("you lack the capability `{needed}` for messages of more than {longest} bytes here");
        Err(Error::new(ErrorCode::PermissionDenied, why))
    }
}

impl<A> Stream<A> for Watched<A> {
    fn update(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let before = out.len();
        self.stream.update(input, out)?;
        let counted = self.watch.counted(self.taken, input.len(), out.len() - before);
        self.taken = counted.inspect_err(|_| out.truncate(before))?;
        Ok(())
    }

    fn finish(self: Box<Self>, core: &Core, caller: &Caller, out: &mut Vec<u8>) -> Result<A> {
        let Watched { stream, watch, taken } = *self;
        watch.check(core, caller, taken)?;
        let before = out.len();
        let answer = stream.finish(core, caller, out)?;
        watch.counted(taken, 0, out.len() - before).inspect_err(|_| out.truncate(before))?;
        Ok(answer)
    }

    fn ends_slowly(&self) -> bool {
        self.stream.ends_slowly()
    }
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

    /// Whether its end takes up to a second to compute, so that nothing short is to wait behind it.
    fn ends_slowly(&self) -> bool {
        false
    }
}
