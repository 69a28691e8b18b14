//! Where an administrator's request goes: to a server, or to a store of this machine that no server is running on. The
//! request and its answer are the same at both doors.

use crate::args::Connection;
use crate::slot_args::Place;
use crate::{connect, local};
use canis_client::Client;
use canis_core::clock::SystemClock;
use canis_core::datadir::{DataDir, DirLock};
use canis_core::{Caller, Core, Run, default_provider};
use canis_proto::message::{Status, WireAnswer, WireRequest};
use canis_proto::{Error, ErrorCode, Result};
use std::path::PathBuf;
use std::sync::Arc;

/// An open door.
pub(crate) enum Door {
    /// A store in this process.
    Store {
        /// The store, unsealed.
        core: Box<Core>,
        /// Who asks it.
        operator: Caller,
        /// A running server owns the directory; two owners would not know of each other's changes.
        _lock: DirLock,
    },
    /// A server.
    Server(Box<Client>),
}

/// What else may go on in a data directory meanwhile.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Company {
    /// Programs that have loaded the PKCS#11 module.
    Others,
    /// Nobody: a program that has the module loaded may be using what goes.
    Nobody,
}

/// What to do about a directory without a store.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// It is an error.
    Refuse,
    /// One without a root is made.
    Make,
}

impl Door {
    /// Opens the door to the tokens of `place`.
    pub(crate) fn open(
        connection: &Connection,
        place: &Place,
        company: Company,
        missing: Missing,
    ) -> Result<Self> {
        let Some(path) = &place.data else { return connect::open(connection).map(Door::at) };
        let dir = DataDir::new(path);
        if dir.is_locked() {
            return server_of(&dir, connection).map(Door::at);
        }
        if missing == Missing::Make && !dir.store_exists() {
            drop(dir.open_or_create_store()?);
        }
        let lock = match company {
            Company::Others => dir.share()?,
            Company::Nobody => dir.lock()?,
        };
        let core = local::open_dir(&dir, &place.root)?;
        Ok(Door::Store { operator: core.operator().from(local::origin()), core: Box::new(core), _lock: lock })
    }

    /// Opens the door to a store as it lies there, unsealed only if a server has done so.
    pub(crate) fn open_sealed(connection: &Connection, data: Option<&PathBuf>) -> Result<Self> {
        let Some(path) = data else { return connect::open(connection).map(Door::at) };
        let dir = DataDir::new(path);
        if dir.is_locked() {
            return server_of(&dir, connection).map(Door::at);
        }
        let lock = dir.share()?;
        let core = local::open_sealed(&dir)?;
        Ok(Door::Store { operator: core.operator().from(local::origin()), core: Box::new(core), _lock: lock })
    }

    fn at(server: Client) -> Self {
        Door::Server(Box::new(server))
    }

    /// Asks.
    pub(crate) fn call<'a, R>(&mut self, request: R) -> Result<R::Answer>
    where
        R: WireRequest<'a> + Run,
        R::Answer: WireAnswer,
    {
        match self {
            Door::Store { core, operator, .. } => core.call(operator, request),
            Door::Server(client) => client.call(&request),
        }
    }

    /// Whether who asks may decide over tokens without a PIN of theirs. Servers have a root.
    pub(crate) fn has_root(&self) -> bool {
        match self {
            Door::Store { core, .. } => core.has_root(),
            Door::Server(_) => true,
        }
    }
}

/// The server that holds the directory, and no other: it must know the store's id.
fn server_of(dir: &DataDir, connection: &Connection) -> Result<Client> {
    let store = dir.open_any_store(dir.read_config()?.store.as_ref())?;
    let store = Core::open(store, default_provider(), Arc::new(SystemClock))?;
    let expected = store.call(&Caller::anonymous(), Status)?.store;
    let cacert = connection.cacert.clone().or_else(|| Some(dir.ca_path()));
    let connection = Connection { cacert, ..connection.clone() };
    let held = |why: String| format!("{} is held by a running canis-server; {why}", dir.path().display());
    let mut client =
        connect::open(&connection).map_err(|error| Error::new(error.code, held(error.message)))?;
    if client.call(&Status)?.store == expected {
        return Ok(client);
    }
    Err(Error::new(
        ErrorCode::StoreLocked,
        held(format!("the one at {} keeps another store. Name the right one with --addr", connection.addr)),
    ))
}
