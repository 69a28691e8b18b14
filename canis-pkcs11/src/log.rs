//! The module's log: silent unless asked for, one line a write.
//!
//! A host's stderr and files belong to the host, so nothing is written before `CANIS_PKCS11_LOG` or the
//! configuration file names a place.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The host's standard error.
    Stderr,
    /// A file, appended to.
    File(PathBuf),
}

impl From<&str> for Target {
    fn from(text: &str) -> Self {
        if text == "stderr" { Target::Stderr } else { Target::File(text.into()) }
    }
}

/// An open log.
#[derive(Debug, Default)]
pub(crate) struct Log {
    sink: Sink,
}

#[derive(Debug, Default)]
enum Sink {
    #[default]
    Nowhere,
    Stderr,
    File(File),
}

impl Log {
    /// Opens the log. A file that cannot be opened means no log: a host must not fail because of it.
    pub(crate) fn open(target: Option<&Target>) -> Log {
        let sink = match target {
            None => Sink::Nowhere,
            Some(Target::Stderr) => Sink::Stderr,
            Some(Target::File(path)) => {
                OpenOptions::new().create(true).append(true).open(path).map_or(Sink::Nowhere, Sink::File)
            }
        };
        Log { sink }
    }

    /// Writes one line. It is built first and written whole, so lines of several processes do not mix.
    pub(crate) fn line(&self, message: fmt::Arguments<'_>) {
        if matches!(self.sink, Sink::Nowhere) {
            return;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (seconds, millis) = (now.as_secs(), now.subsec_millis());
        let line = format!("{seconds}.{millis:03} canis-pkcs11[{}]: {message}\n", std::process::id());
        // A log that cannot be written to is not a reason to fail the host's call.
        let _ = match &self.sink {
            Sink::Nowhere => Ok(()),
            Sink::Stderr => std::io::stderr().write_all(line.as_bytes()),
            Sink::File(file) => (&*file).write_all(line.as_bytes()),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gets_whole_lines_and_nowhere_gets_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let log = Log::open(Some(&Target::File(path.clone())));
        log.line(format_args!("first"));
        log.line(format_args!("second"));
        let text = std::fs::read_to_string(path).unwrap();
        assert_eq!(text.lines().count(), 2);
        assert!(text.lines().all(|l| l.contains("canis-pkcs11[")) && text.ends_with("second\n"));
        Log::open(None).line(format_args!("unheard"));
        assert_eq!(Target::from("stderr"), Target::Stderr);
    }
}
