//! What a shared connection's frames go through. Reading and writing do not wait for each other: the state of TLS is
//! locked only while bytes are sealed and opened, never while the socket is read or written.

use crate::frames::{Frame, Frames, Payload};
use crate::link::Link;
use canis_proto::Result;
use rustls::ClientConnection;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use zeroize::Zeroizing;

/// So many bytes are read from the socket at once.
const RAW: usize = 64 << 10;
/// With more than so many bytes waiting for the one who writes, others wait for him.
const QUEUED: usize = 256 << 10;

/// A connection's bytes.
pub(crate) struct Wire {
    socket: Socket,
    outgoing: Mutex<Outgoing>,
    written: Condvar,
    /// Locked by the one who reads.
    incoming: Mutex<Incoming>,
}

struct Outgoing {
    /// Missing on a socket of this host. It opens what comes, too.
    tls: Option<Box<ClientConnection>>,
    /// What is to be written.
    ready: Payload,
    /// Whether somebody writes; he takes along what becomes ready meanwhile.
    writing: bool,
}

struct Incoming {
    raw: Vec<u8>,
    frames: Frames,
    /// Whether the server has said that nothing more comes.
    over: bool,
}

impl Wire {
    /// Goes on with a connection whose HELLOs have been said.
    pub(crate) fn new(link: Link, frames: Frames) -> Self {
        let (socket, tls) = match link {
            Link::Local(socket) => (Socket::Local(socket), None),
            Link::Tls(stream) => {
                let (tls, socket) = stream.into_parts();
                (Socket::Tcp(socket), Some(Box::new(tls)))
            }
        };
        let raw = if tls.is_some() { vec![0; RAW] } else { Vec::new() };
        Wire {
            socket,
            outgoing: Mutex::new(Outgoing { tls, ready: Zeroizing::default(), writing: false }),
            written: Condvar::new(),
            incoming: Mutex::new(Incoming { raw, frames, over: false }),
        }
    }

    /// Sends a frame, or leaves it to the thread that is writing.
    pub(crate) fn send(&self, frame: &[u8]) -> io::Result<()> {
        let mut outgoing = self.outgoing();
        while outgoing.writing && outgoing.ready.len() > QUEUED {
            outgoing = self.written.wait(outgoing).unwrap_or_else(PoisonError::into_inner);
        }
        outgoing.put(frame)?;
        self.flush(outgoing)
    }

    fn flush<'a>(&'a self, mut outgoing: MutexGuard<'a, Outgoing>) -> io::Result<()> {
        if outgoing.writing {
            return Ok(());
        }
        outgoing.writing = true;
        let mut result = Ok(());
        while result.is_ok() && !outgoing.ready.is_empty() {
            let bytes = std::mem::take(&mut outgoing.ready);
            drop(outgoing);
            result = self.socket.write_all(&bytes);
            outgoing = self.outgoing();
            self.written.notify_all();
        }
        outgoing.writing = false;
        result
    }

    /// Waits for bytes, no longer than `limit`, and gives the frames that are whole by them, maybe none. The outer error
    /// is the stream's (`WouldBlock` when the time is over), the inner one a frame's.
    pub(crate) fn read(&self, limit: Duration) -> io::Result<Result<Vec<Frame>>> {
        let mut incoming = self.incoming();
        // Zero would mean no limit.
        self.socket.set_read_timeout(limit.max(Duration::from_millis(1)))?;
        self.read_once(&mut incoming)
    }

    /// The same without waiting. None if somebody writes just now.
    pub(crate) fn look(&self) -> Option<io::Result<Result<Vec<Frame>>>> {
        let mut incoming = self.incoming();
        let mut outgoing = self.outgoing();
        if outgoing.writing {
            return None;
        }
        // Both ends are ours: nobody else meets the socket while it does not block.
        outgoing.writing = true;
        drop(outgoing);
        let looked = self.socket.set_nonblocking(true).and_then(|()| self.read_once(&mut incoming));
        let restored = self.socket.set_nonblocking(false);
        let mut outgoing = self.outgoing();
        outgoing.writing = false;
        let flushed = self.flush(outgoing);
        self.written.notify_all();
        Some(restored.and(flushed).and(looked))
    }

    fn read_once(&self, incoming: &mut Incoming) -> io::Result<Result<Vec<Frame>>> {
        if incoming.over {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if incoming.raw.is_empty() {
            let count = self.socket.read(incoming.frames.room())?;
            return incoming.plain(count);
        }
        let count = self.socket.read(&mut incoming.raw)?;
        let mut outgoing = self.outgoing();
        let opened = match &mut outgoing.tls {
            Some(tls) => incoming.open(tls, count),
            None => Err(io::ErrorKind::NotConnected.into()),
        };
        outgoing.seal()?;
        // An alert or an update of keys may want to go out.
        self.flush(outgoing).and(opened)
    }

    /// Ends the connection for whoever reads or writes.
    pub(crate) fn shut(&self) {
        // It may be shut already.
        let _ = self.socket.shutdown();
    }

    fn outgoing(&self) -> MutexGuard<'_, Outgoing> {
        self.outgoing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn incoming(&self) -> MutexGuard<'_, Incoming> {
        self.incoming.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Wire {
    /// Tells the server that this end is no accident, if that can be done without waiting.
    fn drop(&mut self) {
        let outgoing = self.outgoing.get_mut().unwrap_or_else(PoisonError::into_inner);
        let Some(tls) = &mut outgoing.tls else { return };
        tls.send_close_notify();
        if self.socket.set_nonblocking(true).is_ok() && outgoing.seal().is_ok() {
            // The connection is closed either way.
            let _ = self.socket.write_all(&outgoing.ready);
        }
    }
}

impl Outgoing {
    /// Makes a frame ready to be written.
    fn put(&mut self, frame: &[u8]) -> io::Result<()> {
        let Some(tls) = &mut self.tls else {
            append(&mut self.ready, frame);
            return Ok(());
        };
        let mut rest = frame;
        while !rest.is_empty() {
            let count = tls.writer().write(rest)?;
            rest = &rest[count..];
            while tls.wants_write() {
                tls.write_tls(&mut *self.ready)?;
            }
        }
        Ok(())
    }

    /// Makes ready what TLS itself has to say.
    fn seal(&mut self) -> io::Result<()> {
        let Some(tls) = &mut self.tls else { return Ok(()) };
        while tls.wants_write() {
            tls.write_tls(&mut *self.ready)?;
        }
        Ok(())
    }
}

/// Appends without leaving a copy behind where the bytes stood before: on a local socket they are in plain.
fn append(to: &mut Payload, bytes: &[u8]) {
    if to.capacity() - to.len() < bytes.len() {
        let mut larger = Zeroizing::new(Vec::with_capacity(2 * to.len() + bytes.len()));
        larger.extend_from_slice(to);
        *to = larger;
    }
    to.extend_from_slice(bytes);
}

impl Incoming {
    /// Opens `count` bytes of `raw`.
    fn open(&mut self, tls: &mut ClientConnection, count: usize) -> io::Result<Result<Vec<Frame>>> {
        let (mut raw, mut came) = (&self.raw[..count], Vec::new());
        loop {
            tls.read_tls(&mut raw)?;
            let opened = tls.process_new_packets();
            opened.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            loop {
                match tls.reader().read(self.frames.room()) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    // What came before the end counts first.
                    Ok(0) | Err(_) => {
                        self.over = true;
                        break;
                    }
                    Ok(count) => {
                        self.frames.came(count);
                        if let Err(error) = whole(&mut self.frames, &mut came) {
                            return Ok(Err(error));
                        }
                    }
                }
            }
            if raw.is_empty() || self.over {
                return if self.over && came.is_empty() {
                    Err(io::ErrorKind::UnexpectedEof.into())
                } else {
                    Ok(Ok(came))
                };
            }
        }
    }

    /// Takes `count` bytes that were read in plain.
    fn plain(&mut self, count: usize) -> io::Result<Result<Vec<Frame>>> {
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.frames.came(count);
        let mut came = Vec::new();
        Ok(whole(&mut self.frames, &mut came).map(|()| came))
    }
}

/// Takes every frame that is whole.
fn whole(frames: &mut Frames, into: &mut Vec<Frame>) -> Result<()> {
    while let Some(frame) = frames.next()? {
        into.push(frame);
    }
    Ok(())
}

/// A socket that one thread reads and another writes.
enum Socket {
    Tcp(TcpStream),
    Local(UnixStream),
}

/// Does the same for either.
macro_rules! either {
    ($self:ident, $socket:ident => $what:expr) => {
        match $self {
            Socket::Tcp($socket) => $what,
            Socket::Local($socket) => $what,
        }
    };
}

impl Socket {
    fn read(&self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = either!(self, socket => (&mut &*socket).read(out));
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }

    fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        either!(self, socket => (&mut &*socket).write_all(bytes))
    }

    fn set_read_timeout(&self, limit: Duration) -> io::Result<()> {
        either!(self, socket => socket.set_read_timeout(Some(limit)))
    }

    fn set_nonblocking(&self, on: bool) -> io::Result<()> {
        either!(self, socket => socket.set_nonblocking(on))
    }

    fn shutdown(&self) -> io::Result<()> {
        either!(self, socket => socket.shutdown(Shutdown::Both))
    }
}
