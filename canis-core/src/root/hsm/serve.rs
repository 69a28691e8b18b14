//! What the helper process does: it waits for requests on its stdin, asks the library, and answers. It ends when its
//! program does, when it was not asked for a while, or together with the library.

use super::library::Libraries;
use super::wire::{self, Request};
use crate::secret::keep_process_private;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;
use zeroize::Zeroizing;

/// How long it waits for the next request. Longer than a program keeps one that it means to ask again.
const IDLE: Duration = Duration::from_secs(40);

/// How long the library may take to finalise when the program has gone.
const GRACE: Duration = Duration::from_secs(1);

/// Serves the program that started this process, until there is nothing more to do.
///
/// For programs that were started with [`super::HsmHelper::ARGUMENT`] as their only argument, before anything else. The
/// library is called by the thread that calls this, which is to be the process's first.
#[must_use]
pub fn serve() -> ExitCode {
    // Where the kernel says no, the PIN is as readable as in the program that sent it.
    let _ = keep_process_private();
    match serve_stdin() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn serve_stdin() -> io::Result<()> {
    let stdin = io::stdin().as_fd().try_clone_to_owned()?;
    let mut line = UnixStream::from(stdin);
    let reading = line.try_clone()?;
    wire::write_frame(&mut line, &wire::greeting())?;
    let (sender, requests) = channel();
    std::thread::Builder::new().name("line".to_owned()).spawn(move || read_requests(reading, &sender))?;
    answer_requests(&mut line, &requests)
}

/// Reads beside the library's calls, so that the end of the program is noticed while one of them hangs.
fn read_requests(mut line: UnixStream, requests: &Sender<Option<Zeroizing<Vec<u8>>>>) {
    while let Ok(Some(request)) = wire::read_frame(&mut line) {
        if requests.send(Some(request)).is_err() {
            return;
        }
    }
    drop(requests.send(None));
    std::thread::sleep(GRACE);
    // Not exit: the library's own handlers would wait for the call that hangs.
    std::process::abort();
}

fn answer_requests(line: &mut UnixStream, requests: &Receiver<Option<Zeroizing<Vec<u8>>>>) -> io::Result<()> {
    let mut libraries = Libraries::default();
    while let Ok(Some(request)) = requests.recv_timeout(IDLE) {
        let answer = Request::decode(&request).and_then(|request| libraries.perform(&request));
        wire::write_frame(line, &wire::encode_answer(&answer))?;
    }
    Ok(())
}
