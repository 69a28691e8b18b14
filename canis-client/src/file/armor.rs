//! Files as text (age v1, "ASCII armor"; RFC 7468, strict): for mails and for formats that hold only text.

use super::malformed;
use super::writer::unwritten;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use canis_proto::{Error, Result};
use std::io::{self, BufRead, BufReader, Read, Write};

const BEGIN: &str = "-----BEGIN AGE ENCRYPTED FILE-----";
const END: &str = "-----END AGE ENCRYPTED FILE-----";

/// Characters of a full line, and the bytes that they hold.
const COLUMNS: usize = 64;
const BYTES: usize = 48;

/// The longest line that is read, and the most white space before and behind.
const LONGEST: u64 = 1024;

/// Whether a file that begins so is armoured: `start` is as much of it as `age-encryption.org/v1` has, or all.
#[must_use]
pub fn is_armored(start: &[u8]) -> bool {
    let text = start.trim_ascii_start();
    !text.is_empty() && BEGIN.as_bytes().starts_with(&text[..text.len().min(BEGIN.len())])
}

/// Reads the file that stands as text in another reader.
pub struct ArmorReader<R> {
    inner: BufReader<R>,
    part: Part,
    bytes: Vec<u8>,
    at: usize,
}

#[derive(PartialEq, Eq)]
enum Part {
    Before,
    Body,
    /// Behind a line that was not full.
    LastLine,
    After,
}

impl<R: Read> ArmorReader<R> {
    /// Nothing is read yet.
    pub fn new(inner: R) -> Self {
        ArmorReader { inner: BufReader::new(inner), part: Part::Before, bytes: Vec::new(), at: 0 }
    }

    /// A line without its end; `None` behind the last.
    fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        self.inner.by_ref().take(LONGEST).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(None);
        }
        if line.last() == Some(&b'\n') {
            line.pop();
            if line.last() == Some(&b'\r') {
                line.pop();
            }
        }
        String::from_utf8(line).map(Some).map_err(|_| wrong("it holds what is no text"))
    }

    fn begin(&mut self) -> io::Result<()> {
        for _ in 0..LONGEST {
            match self.line()?.as_deref() {
                Some(BEGIN) => {
                    self.part = Part::Body;
                    return Ok(());
                }
                // White space may stand before the first line, not in it.
                Some(line) if line.trim_ascii().is_empty() => {}
                _ => break,
            }
        }
        Err(wrong("it does not begin as one"))
    }

    fn fill(&mut self) -> io::Result<()> {
        let line = self.line()?.ok_or_else(|| wrong("its last line is missing"))?;
        if line == END {
            self.part = Part::After;
            return self.end();
        }
        if self.part == Part::LastLine || line.is_empty() || line.len() > COLUMNS {
            return Err(wrong("its lines are not 64 characters long"));
        }
        if line.len() < COLUMNS || line.ends_with('=') {
            self.part = Part::LastLine;
        }
        (self.bytes, self.at) = (STANDARD.decode(&line).map_err(|_| wrong("a line is not Base64"))?, 0);
        Ok(())
    }

    /// Nothing but white space may follow.
    fn end(&mut self) -> io::Result<()> {
        let mut rest = Vec::new();
        self.inner.by_ref().take(LONGEST).read_to_end(&mut rest)?;
        if rest.trim_ascii().is_empty() && (rest.len() as u64) < LONGEST {
            return Ok(());
        }
        Err(wrong("something follows it"))
    }
}

impl<R: Read> Read for ArmorReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.part == Part::Before {
            self.begin()?;
        }
        while self.at == self.bytes.len() && self.part != Part::After && !out.is_empty() {
            self.fill()?;
        }
        let read = (&self.bytes[self.at..]).read(out)?;
        self.at += read;
        if self.part == Part::After && self.at == self.bytes.len() {
            self.bytes.clear();
            self.at = 0;
        }
        Ok(read)
    }
}

fn wrong(why: &str) -> io::Error {
    io::Error::other(malformed(&format!("as text, {why}")))
}

/// Writes a file as text. [`ArmorWriter::finish`] must follow.
pub struct ArmorWriter<W> {
    inner: W,
    begun: bool,
    /// Bytes of the line that is being filled.
    line: Vec<u8>,
}

impl<W: Write> ArmorWriter<W> {
    /// Nothing is written yet.
    pub fn new(inner: W) -> Self {
        ArmorWriter { inner, begun: false, line: Vec::with_capacity(BYTES) }
    }

    /// Writes the last line and gives back what was written to.
    ///
    /// # Errors
    /// `invalid_argument` if `inner` cannot be written to.
    pub fn finish(mut self) -> Result<W> {
        self.last().map_err(unwritten)?;
        Ok(self.inner)
    }

    fn last(&mut self) -> io::Result<()> {
        self.begin()?;
        if !self.line.is_empty() {
            self.flush_line()?;
        }
        writeln!(self.inner, "{END}")
    }

    fn begin(&mut self) -> io::Result<()> {
        if !self.begun {
            self.begun = true;
            writeln!(self.inner, "{BEGIN}")?;
        }
        Ok(())
    }

    fn flush_line(&mut self) -> io::Result<()> {
        let line = STANDARD.encode(&self.line);
        self.line.clear();
        writeln!(self.inner, "{line}")
    }
}

impl<W: Write> Write for ArmorWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.begin()?;
        let taken = bytes.len().min(BYTES - self.line.len());
        self.line.extend_from_slice(&bytes[..taken]);
        if self.line.len() == BYTES {
            self.flush_line()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// The reader of a file that is armoured or not, which its first bytes tell.
///
/// # Errors
/// `invalid_argument` if it cannot be read.
pub fn bare<R: Read + 'static>(mut input: R) -> Result<Box<dyn Read>> {
    let mut start = Vec::new();
    let read = input.by_ref().take(BEGIN.len() as u64).read_to_end(&mut start);
    read.map_err(|error| Error::invalid(format!("the file cannot be read: {error}")))?;
    let armored = is_armored(&start);
    let whole = io::Cursor::new(start).chain(input);
    Ok(if armored { Box::new(ArmorReader::new(whole)) } else { Box::new(whole) })
}
