//! A way to a database on which a test can stop all bytes, cut connections, or lose one answer.

use crate::postgres::Postgres;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// How a transaction's last message ends.
const COMMIT: &[u8] = b"COMMIT\0";

/// What goes through the gate, and what does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Passage {
    /// Everything.
    #[default]
    Open,
    /// Nothing: bytes wait until it is open again, as where a network or a disk stands still.
    Stalled,
    /// No connection: those there are were cut, new ones are closed at once.
    Shut,
    /// Everything until a COMMIT, which is let through while its connection is cut, so that nobody hears the answer.
    LosesCommit {
        /// Whether the gate is shut then, so that nobody can ask how the transaction ended; else it is open.
        then_shut: bool,
    },
}

#[derive(Default)]
struct State {
    passage: Passage,
    /// Both ends of each connection.
    ends: Vec<(TcpStream, UnixStream)>,
    /// COMMITs whose answers were lost.
    lost: usize,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// A gate before a database, on a port of this machine.
pub struct Gate {
    shared: Arc<Shared>,
    addr: SocketAddr,
}

impl Gate {
    /// Opens one before `database`.
    ///
    /// # Panics
    /// If there is no port.
    #[must_use]
    pub fn before(database: &Postgres) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = listener.local_addr().expect("an address");
        let shared = Arc::<Shared>::default();
        let (gate, socket) = (Arc::clone(&shared), database.folder().join(".s.PGSQL.5432"));
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                gate.join(near, &socket);
            }
        });
        Gate { shared, addr }
    }

    /// The database's URL through the gate.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://canis@{}/postgres?sslmode=disable", self.addr)
    }

    /// From now on this goes through. Connections that a shut gate had are cut.
    pub fn set(&self, passage: Passage) {
        let mut state = self.shared.state();
        state.passage = passage;
        if passage == Passage::Shut {
            state.cut();
        }
        self.shared.changed.notify_all();
    }

    /// Cuts all connections there are; new ones can be made.
    pub fn cut(&self) {
        self.shared.state().cut();
    }

    /// How many answers to COMMITs were lost.
    #[must_use]
    pub fn lost(&self) -> usize {
        self.shared.state().lost
    }
}

impl State {
    fn cut(&mut self) {
        for (near, far) in self.ends.drain(..) {
            near.end();
            far.end();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn join(self: &Arc<Self>, near: TcpStream, socket: &Path) {
        let mut state = self.state();
        if state.passage == Passage::Shut {
            return;
        }
        // A database that is away takes no connections, and so the gate ends those that it has taken.
        let Ok(far) = UnixStream::connect(socket) else { return };
        let ends = (near.try_clone(), far.try_clone(), near.try_clone(), far.try_clone());
        let (Ok(to_near), Ok(from_far), Ok(near_end), Ok(far_end)) = ends else { return };
        state.ends.push((near_end, far_end));
        drop(state);
        let (there, back) = (Arc::clone(self), Arc::clone(self));
        std::thread::spawn(move || there.pass(near, far, true));
        std::thread::spawn(move || back.pass(from_far, to_near, false));
    }

    fn pass(&self, mut from: impl Way, mut to: impl Way, to_database: bool) {
        let mut bytes = vec![0; 64 << 10];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            let bytes = &bytes[..count];
            let mut state = self.state();
            while state.passage == Passage::Stalled {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if let Passage::LosesCommit { then_shut } = state.passage
                && to_database
                && bytes.windows(COMMIT.len()).any(|word| word == COMMIT)
            {
                from.end();
                // It reads what it was sent before it sees that nobody listens.
                let _ = to.write_all(bytes);
                state.lost += 1;
                state.passage = if then_shut { Passage::Shut } else { Passage::Open };
                if then_shut {
                    state.cut();
                }
                break;
            }
            drop(state);
            if to.write_all(bytes).is_err() {
                break;
            }
        }
        to.end();
    }
}

/// One end of a connection.
trait Way: Read + Write {
    fn end(&self);
}

impl Way for TcpStream {
    fn end(&self) {
        // The other side may have gone before.
        let _ = self.shutdown(Shutdown::Both);
    }
}

impl Way for UnixStream {
    fn end(&self) {
        let _ = self.shutdown(Shutdown::Both);
    }
}
