//! What `canis file` reads and writes: regular files, which appear whole or not at all, and what bytes flow through.

use crate::file_args::Way;
use canis_client::file::Draft;
use canis_proto::{Error, Result, quote};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What is read.
pub(super) enum Source {
    /// A regular file.
    File(File, Metadata),
    /// A pipe, a device, stdin.
    Stream(Box<dyn Read>),
}

impl Source {
    pub(super) fn open(way: &Way) -> Result<Source> {
        let Some(path) = path(way.input.as_deref()) else { return Ok(Source::Stream(Box::new(io::stdin()))) };
        let failed = |error: io::Error| Error::invalid(format!("cannot read {}: {error}", shown(path)));
        let file = File::open(path).map_err(failed)?;
        let there = file.metadata().map_err(failed)?;
        if there.is_dir() {
            return Err(Error::invalid(format!(
                "{} is a directory; give -r to work on all files in it",
                shown(path)
            )));
        }
        Ok(if there.is_file() { Source::File(file, there) } else { Source::Stream(Box::new(file)) })
    }

    pub(super) fn len(&self) -> Option<u64> {
        match self {
            Source::File(_, there) => Some(there.len()),
            Source::Stream(_) => None,
        }
    }

    pub(super) fn reader(self) -> Box<dyn Read> {
        match self {
            Source::File(file, _) => Box::new(file),
            Source::Stream(stream) => stream,
        }
    }
}

/// Where it goes.
pub(super) enum Target {
    /// A file that is not there yet, or is to be replaced.
    Draft(Draft),
    /// Stdout, a pipe, a device.
    Stream(Box<dyn Write>),
    /// It is only looked at.
    Nothing,
}

impl Target {
    pub(super) fn open(way: &Way) -> Result<Target> {
        let Some(path) = target_path(way) else { return Ok(Target::Stream(Box::new(io::stdout()))) };
        match fs::metadata(path) {
            Ok(there) if there.is_dir() => {
                Err(Error::invalid(format!("{} is a directory; name a file", shown(path))))
            }
            // A pipe or a device cannot be replaced by a file.
            Ok(there) if !there.is_file() => {
                let opened = OpenOptions::new().write(true).open(path);
                let opened = opened
                    .map_err(|error| Error::invalid(format!("cannot write {}: {error}", shown(path))))?;
                Ok(Target::Stream(Box::new(opened)))
            }
            _ => Draft::of(path).map(Target::Draft),
        }
    }

    /// To be written to piece by piece; a draft gets the mode of the file that is read, or stays its owner's.
    pub(super) fn writer(self, source: &Source) -> Result<Output> {
        Ok(match self {
            Target::Stream(stream) => Output::Stream(stream),
            Target::Nothing => Output::Stream(Box::new(io::sink())),
            Target::Draft(draft) => {
                if let Source::File(_, there) = source {
                    draft.set_mode(there.mode())?;
                }
                Output::Draft(draft)
            }
        })
    }
}

pub(super) enum Output {
    Draft(Draft),
    Stream(Box<dyn Write>),
}

impl Output {
    pub(super) fn publish(self) -> Result<()> {
        match self {
            Output::Draft(draft) => draft.publish(),
            Output::Stream(mut stream) => stream
                .flush()
                .map_err(|error| Error::invalid(format!("the output cannot be written: {error}"))),
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Output::Draft(draft) => draft.file().write(bytes),
            Output::Stream(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Output::Draft(_) => Ok(()),
            Output::Stream(stream) => stream.flush(),
        }
    }
}

pub(super) fn target_path(way: &Way) -> Option<&Path> {
    path(way.output.as_deref())
}

/// `-` is stdin or stdout.
fn path(path: Option<&Path>) -> Option<&Path> {
    path.filter(|path| *path != Path::new("-"))
}

pub(super) fn shown(path: &Path) -> String {
    quote(&path.display().to_string())
}
