//! From an OPEN to a stream of the core: the one place where CANISP's streams meet the core's.

use crate::dispatch::parse;
use crate::session::Session;
use canis_core::{Begin, Core, Run, Stream};
use canis_proto::message::WireAnswer;
use canis_proto::stream::{
    DecryptStream, EncryptStream, HashStream, MacStream, SignStream, StreamRequest, VerifyMacStream,
    VerifyStream, decode_open,
};
use canis_proto::value::Map;
use canis_proto::{Error, OperationId, Result};
use zeroize::Zeroizing;

/// A stream of any operation.
pub(crate) trait Flow: Send {
    /// As [`Stream::update`].
    fn update(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<()>;

    /// As [`Stream::finish`]; gives the answer's payload.
    fn finish(
        self: Box<Self>,
        core: &Core,
        session: &Session,
        out: &mut Vec<u8>,
    ) -> Result<Zeroizing<Vec<u8>>>;

    /// As [`Stream::ends_slowly`].
    fn ends_slowly(&self) -> bool;
}

type Beginner = for<'a> fn(&Core, &Session, Map<'a>) -> Result<Box<dyn Flow>>;

/// Begins the stream that the OPEN in `payload` asks for.
pub(crate) fn begin(core: &Core, session: &Session, payload: &[u8]) -> Result<Box<dyn Flow>> {
    let open = decode_open(payload)?;
    let beginner = beginner(open.operation)
        .ok_or_else(|| Error::internal(format!("`{}` has no stream", open.operation.row().name)))?;
    session.count()?;
    beginner(core, session, open.args)
}

fn beginner(id: OperationId) -> Option<Beginner> {
    let beginner: Beginner = match id {
        OperationId::Encrypt => |core, session, args| flow::<EncryptStream<'_>, _>(core, session, args),
        OperationId::Decrypt => |core, session, args| flow::<DecryptStream<'_>, _>(core, session, args),
        OperationId::Sign => |core, session, args| flow::<SignStream<'_>, _>(core, session, args),
        OperationId::Verify => |core, session, args| flow::<VerifyStream<'_>, _>(core, session, args),
        OperationId::Mac => |core, session, args| flow::<MacStream<'_>, _>(core, session, args),
        OperationId::VerifyMac => |core, session, args| flow::<VerifyMacStream<'_>, _>(core, session, args),
        OperationId::HashData => |core, session, args| flow::<HashStream, _>(core, session, args),
        _ => return None,
    };
    Some(beginner)
}

fn flow<'a, R, A>(core: &Core, session: &Session, args: Map<'a>) -> Result<Box<dyn Flow>>
where
    R: StreamRequest<'a, Answer = A>,
    Begin<'a, R>: Run<Answer = Box<dyn Stream<A>>>,
    A: WireAnswer + 'static,
{
    let request = Begin::new(parse::<R>(args)?);
    let stream = session.run(core, R::ID, |caller| core.call(caller, request))?;
    Ok(Box::new(Typed { operation: R::ID, stream }))
}

struct Typed<A> {
    operation: OperationId,
    stream: Box<dyn Stream<A>>,
}

impl<A: WireAnswer> Flow for Typed<A> {
    fn update(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<()> {
        self.stream.update(input, out)
    }

    fn finish(
        self: Box<Self>,
        core: &Core,
        session: &Session,
        out: &mut Vec<u8>,
    ) -> Result<Zeroizing<Vec<u8>>> {
        let Typed { operation, stream } = *self;
        let answer = session.run(core, operation, |caller| stream.finish(core, caller, out))?;
        Ok(Zeroizing::new(answer.to_map().encode()))
    }

    fn ends_slowly(&self) -> bool {
        self.stream.ends_slowly()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use canis_proto::operation::TABLE;
    use canis_proto::stream::STREAMED;

    /// Every operation that has streams begins one here, and no other does.
    #[test]
    fn every_stream_is_dispatched() {
        for row in TABLE {
            assert_eq!(beginner(row.id).is_some(), STREAMED.contains(&row.id), "{}", row.name);
        }
    }
}
