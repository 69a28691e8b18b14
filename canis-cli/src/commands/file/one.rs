//! One file, or what comes through a pipe. Regular files are worked on by all cores; a pipe goes through in constant memory.

use super::ends::{Output, Source, Target, target_path};
use super::who::{self, Openers, Server};
use crate::args::Connection;
use crate::file_args::{DecryptFile, EncryptFile, Way};
use crate::progress::Progress;
use canis_client::file::{
    self, ArmorWriter, FileKey, Header, Reader, Recipient, Stanza, Writer, bare, is_armored,
};
use canis_proto::{Error, Result};
use std::fs::File;
use std::io::{self, BufReader, IsTerminal, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::{Mutex, PoisonError};

/// Bytes that go through a pipe at a time.
const BUFFER: usize = 1 << 20;

pub(super) fn encrypt(connection: &Connection, args: &EncryptFile) -> Result<()> {
    let server = Server::new(connection);
    let recipients = who::some_recipients(&server, &args.recipients)?;
    let recipients: Vec<_> = recipients.iter().map(|recipient| &**recipient).collect();
    let source = Source::open(&args.way)?;
    let target = Target::open(&args.way)?;
    if !args.armor
        && matches!(&target, Target::Stream(_))
        && target_path(&args.way).is_none()
        && io::stdout().is_terminal()
    {
        return Err(Error::invalid(
            "an encrypted file is no text for a terminal: name a file, or give --armor",
        ));
    }
    let key = FileKey::random()?;
    let header = header(&recipients, &key)?;
    let progress = Mutex::new(Progress::new(source.len()));
    match (&source, target) {
        (Source::File(input, there), Target::Draft(draft)) if !args.armor => {
            file::seal(input, draft.file(), &header, &key, &told(&progress))?;
            draft.set_mode(there.mode())?;
            draft.publish()?;
        }
        (_, target) => {
            let mut target = target.writer(&source)?;
            seal_stream(source.reader(), &mut target, (&header, &key), args.armor, &progress)?;
            target.publish()?;
        }
    }
    done(progress);
    Ok(())
}

pub(super) fn decrypt(connection: &Connection, args: &DecryptFile) -> Result<()> {
    decrypt_way(connection, args).map_err(|error| mendable(&args.way, error))
}

fn decrypt_way(connection: &Connection, args: &DecryptFile) -> Result<()> {
    let server = Server::new(connection);
    let openers = Openers::new(&server, &args.identities)?;
    let source = Source::open(&args.way)?;
    let progress = Mutex::new(Progress::new(source.len()));
    let target = match args.verify {
        true => Target::Nothing,
        false => Target::open(&args.way)?,
    };
    let opened = match (&source, &target) {
        (Source::File(input, _), Target::Nothing | Target::Draft(_)) => open_header(input, &openers)?,
        _ => None,
    };
    match (&source, target, opened) {
        (Source::File(input, there), Target::Draft(draft), Some((start, key))) => {
            file::open(input, start, Some(draft.file()), &key, &told(&progress))?;
            draft.set_mode(there.mode())?;
            draft.publish()?;
        }
        (Source::File(input, _), _, Some((start, key))) => {
            file::open(input, start, None, &key, &told(&progress))?;
        }
        (_, target, _) => {
            let mut target = target.writer(&source)?;
            let input = BufReader::with_capacity(BUFFER, bare(source.reader())?);
            copy(&mut Reader::new(input, &openers.all())?, &mut target, &progress)?;
            target.publish()?;
        }
    }
    done(progress);
    Ok(())
}

/// The length of the header and the file key, of a file that is not armoured.
pub(super) fn open_header(input: &File, openers: &Openers<'_>) -> Result<Option<(u64, FileKey)>> {
    Ok(match read_header(input)? {
        Some(header) => Some((header.as_bytes().len() as u64, header.open(&openers.all())?)),
        None => None,
    })
}

/// The header of a file that is not armoured.
pub(super) fn read_header(input: &File) -> Result<Option<Header>> {
    let mut start = [0; 64];
    let read = input
        .read_at(&mut start, 0)
        .map_err(|error| Error::invalid(format!("the file cannot be read: {error}")))?;
    if is_armored(&start[..read]) {
        return Ok(None);
    }
    Header::read(&mut BufReader::new(At(input, 0))).map(Some)
}

/// A file from a place on, whatever its own place is.
struct At<'a>(&'a File, u64);

impl Read for At<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read_at(out, self.1)?;
        self.1 += read as u64;
        Ok(read)
    }
}

pub(super) fn header(recipients: &[&dyn Recipient], key: &FileKey) -> Result<Header> {
    let stanzas: Vec<Stanza> =
        recipients.iter().map(|recipient| recipient.wrap(key)).collect::<Result<_>>()?;
    Header::with_room(stanzas, key)
}

fn seal_stream(
    mut input: Box<dyn Read>,
    output: &mut Output,
    (header, key): (&Header, &FileKey),
    armor: bool,
    progress: &Mutex<Progress>,
) -> Result<()> {
    if armor {
        let mut writer = Writer::with_header(ArmorWriter::new(io::BufWriter::new(output)), header, key)?;
        copy(&mut input, &mut writer, progress)?;
        return flush(writer.finish()?.finish()?);
    }
    let mut writer = Writer::with_header(io::BufWriter::with_capacity(BUFFER, output), header, key)?;
    copy(&mut input, &mut writer, progress)?;
    flush(writer.finish()?)
}

fn flush(mut writer: impl Write) -> Result<()> {
    writer.flush().map_err(|error| Error::invalid(format!("the output cannot be written: {error}")))
}

fn copy(input: &mut impl Read, output: &mut impl Write, progress: &Mutex<Progress>) -> Result<()> {
    let mut buffer = zeroize::Zeroizing::new(vec![0; BUFFER]);
    loop {
        let read = match input.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(ours(error, "the input cannot be read")),
        };
        output.write_all(&buffer[..read]).map_err(|error| ours(error, "the output cannot be written"))?;
        progress.lock().unwrap_or_else(PoisonError::into_inner).read(read);
    }
}

fn ours(error: io::Error, what: &str) -> Error {
    error.downcast::<Error>().unwrap_or_else(|error| Error::invalid(format!("{what}: {error}")))
}

fn told(progress: &Mutex<Progress>) -> impl Fn(u64) + Sync + '_ {
    |bytes| {
        progress
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .read(usize::try_from(bytes).unwrap_or(usize::MAX))
    }
}

fn done(progress: Mutex<Progress>) {
    progress.into_inner().unwrap_or_else(PoisonError::into_inner).done();
}

/// What `canis file rewrap` was torn away from can be mended.
fn mendable(way: &Way, error: Error) -> Error {
    let journal = way.input.as_deref().map(super::rewrap::journal);
    match journal.filter(|journal| journal.exists()) {
        Some(journal) => Error::new(
            error.code,
            format!(
                "{}; a rewrap was torn away here: `canis file rewrap` on the file mends it by {}",
                error.message,
                journal.display()
            ),
        ),
        None => error,
    }
}
