//! Streams: a message of any length goes out as it is read, what comes back is written as it comes. Neither side holds
//! more than a window of it, and no thread is started: this side writes as far as the server's credit reaches, and then
//! reads.

use crate::Client;
use canis_proto::fields::Fields;
use canis_proto::frame::{FrameType, Header, MAX_DATA};
use canis_proto::message::{WireAnswer, decode_error};
use canis_proto::stream::{StreamRequest, encode_open};
use canis_proto::value::Map;
use canis_proto::{Error, ErrorCode, Result};
use std::io::{Read, Write};
use zeroize::Zeroizing;

/// Bytes that the server may send ahead of our reading.
const WINDOW: u32 = 512 << 10;

/// How far a stream has come.
struct Progress {
    id: u32,
    /// Bytes that the server takes now.
    credit: u32,
    /// Whether we have said END.
    ended: bool,
    /// Bytes that the server has not been given credit for again.
    owed: u32,
}

impl Client {
    /// Asks for an operation on all that `input` gives, and writes what comes of it into `output`.
    ///
    /// What a decryption writes is verified as far as it goes; only when this has returned is it known to be whole.
    ///
    /// # Errors
    /// As [`Client::call`]; `invalid_argument` for an `input` that cannot be read or an `output` that cannot be
    /// written; `operation_not_supported` if the server has no streams.
    pub fn stream<'a, R>(
        &mut self,
        request: &R,
        input: &mut dyn Read,
        output: &mut dyn Write,
    ) -> Result<R::Answer>
    where
        R: StreamRequest<'a>,
        R::Answer: WireAnswer,
    {
        if self.server().max_streams == 0 {
            return Err(Error::new(
                ErrorCode::OperationNotSupported,
                "this server has no streams; update it",
            ));
        }
        let open = Zeroizing::new(encode_open(request, WINDOW));
        let id = self.ask(FrameType::Open, &open)?;
        let mut progress = Progress { id, credit: 0, ended: false, owed: 0 };
        let answer = match self.converse(&mut progress, input, output) {
            Ok(answer) => answer?,
            Err(failed) => {
                self.take_back(id);
                return Err(failed);
            }
        };
        let mut fields = Fields::new("an answer", Map::decode(&answer)?);
        let read = R::Answer::from_fields(&mut fields)?;
        fields.ignore_rest();
        Ok(read)
    }

    /// The inner result is the server's word; the outer one tells what went wrong here.
    fn converse(
        &mut self,
        progress: &mut Progress,
        input: &mut dyn Read,
        output: &mut dyn Write,
    ) -> Result<Result<Zeroizing<Vec<u8>>>> {
        let mut piece = Zeroizing::new(vec![0; MAX_DATA as usize]);
        loop {
            while progress.credit > 0 && !progress.ended {
                self.send_piece(progress, input, &mut piece)?;
            }
            let (header, payload) = self.next_frame()?;
            if header.request != progress.id {
                return Err(self.unexpected(&header));
            }
            match (header.kind, payload.as_slice()) {
                (FrameType::Credit, &[a, b, c, d]) => {
                    progress.credit = progress.credit.saturating_add(u32::from_be_bytes([a, b, c, d]));
                }
                (FrameType::Data, bytes) => {
                    let written = output.write_all(bytes);
                    written.map_err(|error| Error::invalid(format!("cannot write the output: {error}")))?;
                    self.take_more(progress, header.length)?;
                }
                (FrameType::Response, _) if progress.ended => return Ok(Ok(payload)),
                (FrameType::Error, answer) => {
                    if !progress.ended {
                        self.tell(FrameType::Cancel, progress.id, b"")?;
                    }
                    return Ok(Err(decode_error(answer)));
                }
                _ => return Err(self.unexpected(&header)),
            }
        }
    }

    /// Sends what one read of the input gives, or END.
    fn send_piece(&mut self, progress: &mut Progress, input: &mut dyn Read, piece: &mut [u8]) -> Result<()> {
        let most = piece.len().min(progress.credit as usize);
        let came = loop {
            match input.read(&mut piece[..most]) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        let came = came.map_err(|error| Error::invalid(format!("cannot read the input: {error}")))?;
        if came == 0 {
            progress.ended = true;
            return self.tell(FrameType::End, progress.id, b"");
        }
        progress.credit -= came as u32;
        self.tell(FrameType::Data, progress.id, &piece[..came])
    }

    /// Gives back the server's credit in large pieces.
    fn take_more(&mut self, progress: &mut Progress, came: u32) -> Result<()> {
        progress.owed += came;
        if progress.owed < WINDOW / 4 {
            return Ok(());
        }
        let owed = std::mem::take(&mut progress.owed);
        self.tell(FrameType::Credit, progress.id, &owed.to_be_bytes())
    }

    /// Ends a stream that has failed on this side, and reads up to its answer, so that the connection can be used on.
    fn take_back(&mut self, id: u32) {
        let mut over = self.has_ended() || self.tell(FrameType::Cancel, id, b"").is_err();
        while !over {
            over = match self.next_frame() {
                Ok((Header { kind: FrameType::Data | FrameType::Credit, .. }, _)) => false,
                Ok(_) | Err(_) => true,
            };
        }
    }
}
