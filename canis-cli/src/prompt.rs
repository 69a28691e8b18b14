//! Asking for a passphrase or PIN on the terminal, without showing it.

use canis_core::secret::SecretBytes;
use canis_proto::{Error, Result};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use zeroize::Zeroizing;

/// The longest passphrase taken, in bytes.
const LONGEST: usize = 1024;

/// Asks for `what` on the terminal of this process, whatever its stdin is. Where there is none, `flag` names the file.
pub(crate) fn ask(what: &str, flag: &str) -> Result<SecretBytes> {
    let mut terminal = OpenOptions::new().read(true).write(true).open("/dev/tty").map_err(|_| {
        Error::invalid(format!("{what} is needed and there is no terminal to ask on; give {flag}"))
    })?;
    let failed = |error: std::io::Error| Error::invalid(format!("cannot ask for {what}: {error}"));
    let line = {
        // Before the question: what is typed as soon as it stands there is neither shown nor flushed away.
        let _silence = Silence::over(&terminal).map_err(failed)?;
        write!(&terminal, "{what}: ").map_err(failed)?;
        read_line(&terminal).map_err(failed)?
    };
    writeln!(terminal).map_err(failed)?;
    if line.is_empty() {
        return Err(Error::invalid(format!("{what} is empty")));
    }
    Ok(SecretBytes::copied_from(&line))
}

fn read_line(mut terminal: &File) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut line = Zeroizing::new(Vec::with_capacity(LONGEST));
    let mut byte = [0];
    while line.len() < LONGEST && terminal.read(&mut byte)? == 1 && byte[0] != b'\n' {
        line.push(byte[0]);
    }
    Ok(line)
}

/// A terminal that shows nothing, until dropped.
struct Silence<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Silence<'a> {
    fn over(terminal: &'a File) -> std::io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(terminal, OptionalActions::Flush, &silent)?;
        Ok(Silence { terminal, before })
    }
}

impl Drop for Silence<'_> {
    fn drop(&mut self) {
        // Nothing better can be done about a terminal that is gone.
        let _ = tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
    }
}
