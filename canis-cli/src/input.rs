//! Input of any length: what is short enough goes into one request, the rest goes to the server as a stream.

use canis_proto::frame::MAX_PAYLOAD;
use canis_proto::text::{MAX_STREAM_HEADER, STREAM_START};
use canis_proto::{Error, Result};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use zeroize::Zeroizing;

/// Longer input is streamed where both ways lead to the same.
pub(crate) const SHORT: usize = 1 << 20;

/// Longer input is encrypted as a stream: its text would not fit into a request to decrypt it.
pub(crate) const TEXT: usize = 12 << 20;

/// Longer input is streamed where only whole messages can be signed by every key: what a request can carry.
pub(crate) const REQUEST: usize = MAX_PAYLOAD as usize - 4096;

/// What is to be worked on.
pub(crate) enum Input {
    /// All of it.
    Whole(Zeroizing<Vec<u8>>),
    /// It is longer, and read as it is sent.
    Long(Box<dyn Read>),
}

impl Input {
    /// A file, or stdin; whole if it has no more than `most` bytes.
    pub(crate) fn open(path: Option<&Path>, most: usize) -> Result<Self> {
        let (name, mut reader) = open(path)?;
        let start = up_to(&mut reader, most + 1).map_err(|error| unreadable(&name, &error))?;
        if start.len() <= most {
            return Ok(Input::Whole(start));
        }
        Ok(Input::Long(Box::new(Start { start, at: 0 }.chain(reader))))
    }
}

/// What `canis decrypt` was given.
pub(crate) enum Ciphertext {
    /// A text.
    Text(Zeroizing<Vec<u8>>),
    /// The first line of a stream, and what follows it.
    Stream(String, Box<dyn Read>),
}

impl Ciphertext {
    /// A file, or stdin.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self> {
        let (name, mut reader) = open(path)?;
        let failed = |error: io::Error| unreadable(&name, &error);
        let start = up_to(&mut reader, STREAM_START.len()).map_err(failed)?;
        if start.as_slice() == STREAM_START {
            let header = rest_of_line(start.to_vec(), &mut reader).map_err(failed)?;
            return Ok(Ciphertext::Stream(header, reader));
        }
        let most = MAX_PAYLOAD as usize;
        let text = up_to(&mut Start { start, at: 0 }.chain(reader), most + 1).map_err(failed)?;
        if text.len() > most {
            return Err(Error::invalid(format!(
                "{name} is neither a stream of CANIS nor a ciphertext: it has more than {most} bytes"
            )));
        }
        Ok(Ciphertext::Text(text))
    }
}

/// A line of text, whose newline is read, too.
fn rest_of_line(mut line: Vec<u8>, reader: &mut dyn Read) -> io::Result<String> {
    let broken = || io::Error::new(io::ErrorKind::InvalidData, "its first line is not one of CANIS");
    let mut byte = [0];
    while line.len() < MAX_STREAM_HEADER {
        reader.read_exact(&mut byte)?;
        if byte == *b"\n" {
            return String::from_utf8(line).map_err(|_| broken());
        }
        line.push(byte[0]);
    }
    Err(broken())
}

fn open(path: Option<&Path>) -> Result<(String, Box<dyn Read>)> {
    let Some(path) = path else { return Ok(("stdin".to_owned(), Box::new(io::stdin()))) };
    let name = path.display().to_string();
    let file = File::open(path).map_err(|error| unreadable(&name, &error))?;
    Ok((name, Box::new(io::BufReader::with_capacity(64 << 10, file))))
}

fn unreadable(name: &str, error: &io::Error) -> Error {
    Error::invalid(format!("cannot read {name}: {error}"))
}

/// The first `most` bytes, or as many as there are. Room at once, so that growing leaves no unwiped copies behind.
fn up_to(reader: &mut impl Read, most: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(most));
    reader.take(most as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What was read to look at it, to be read again; wiped at the end.
struct Start {
    start: Zeroizing<Vec<u8>>,
    at: usize,
}

impl Read for Start {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut left = self.start.get(self.at..).unwrap_or_default();
        let read = left.read(out)?;
        self.at += read;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        file
    }

    #[test]
    fn long_input_is_whole_when_it_is_read() {
        for (len, long) in [(0, false), (100, false), (101, true), (70_000, true)] {
            let bytes = vec![7; len];
            let mut read = Vec::new();
            match Input::open(Some(file(&bytes).path()), 100).unwrap() {
                Input::Whole(whole) => read.extend_from_slice(&whole),
                Input::Long(mut reader) => drop(reader.read_to_end(&mut read).unwrap()),
            }
            assert!(read == bytes && (len > 100) == long);
        }
    }

    #[test]
    fn streams_tell_themselves_by_their_start() {
        let open = |bytes: &[u8]| Ciphertext::open(Some(file(bytes).path()));
        let Ciphertext::Stream(header, mut body) = open(b"canis:s1:k:1:AA==\nbody").unwrap() else {
            panic!("it is a stream")
        };
        let mut rest = String::new();
        body.read_to_string(&mut rest).unwrap();
        assert_eq!((header.as_str(), rest.as_str()), ("canis:s1:k:1:AA==", "body"));
        assert!(matches!(open(b"canis:v1:k:1:AA==\n"), Ok(Ciphertext::Text(_))));
        assert!(matches!(open(b""), Ok(Ciphertext::Text(_))));
        let endless = [&b"canis:s1:"[..], &[b'n'; 5000]].concat();
        for broken in [&b"canis:s1:k:1:AA=="[..], b"canis:s1:\xff\n", &endless] {
            assert!(open(broken).is_err());
        }
    }
}
