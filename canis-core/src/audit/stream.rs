//! Streams have their line at their end, with how much came in and went out; also where they ended half-way.

use super::call::Open;
use crate::caller::Caller;
use crate::core::Core;
use crate::stream::Stream;
use canis_proto::{Error, ErrorCode, Result};

/// A stream, and its line.
pub(crate) struct Written<A> {
    stream: Option<Box<dyn Stream<A>>>,
    line: Option<Open>,
    came: u64,
    went: u64,
}

impl<A: 'static> Written<A> {
    /// `stream`, whose end ends `line`.
    pub(crate) fn boxed(stream: Box<dyn Stream<A>>, mut line: Open) -> Box<dyn Stream<A>> {
        // Where that cannot be written, the stream's answer cannot leave either.
        let _ = line.announce();
        Box::new(Written { stream: Some(stream), line: Some(line), came: 0, went: 0 })
    }
}

impl<A> Written<A> {
    fn end<T>(&mut self, result: &Result<T>) -> Result<()> {
        let Some(mut line) = self.line.take() else { return Ok(()) };
        line.sizes(self.came, self.went);
        line.end(result)
    }
}

impl<A> Stream<A> for Written<A> {
    fn update(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let Some(stream) = &mut self.stream else {
            return Err(Error::internal("a stream went on after its end"));
        };
        let before = out.len();
        let done = stream.update(input, out);
        self.came += input.len() as u64;
        self.went += (out.len() - before) as u64;
        if done.is_err() {
            self.end(&done)?;
        }
        done
    }

    fn finish(mut self: Box<Self>, core: &Core, caller: &Caller, out: &mut Vec<u8>) -> Result<A> {
        let Some(stream) = self.stream.take() else { return Err(Error::internal("a stream ended twice")) };
        let before = out.len();
        let answer = stream.finish(core, caller, out);
        self.went += (out.len() - before) as u64;
        self.end(&answer)?;
        answer
    }

    fn ends_slowly(&self) -> bool {
        self.stream.as_ref().is_some_and(|stream| stream.ends_slowly())
    }
}

impl<A> Drop for Written<A> {
    fn drop(&mut self) {
        // Nobody is left who could be told that this could not be written.
        let _ = self.end::<()>(&Err(Error::new(ErrorCode::Cancelled, "the stream was not ended")));
    }
}
