//! Whoever keeps the keys: the one door from the functions of the standard to them.

use super::embedded::{Embedded, seat};
use super::helper;
use super::opened::Token;
use super::remote::{Ended, Remote, Seen};
use crate::config::{Keys, Settings};
use crate::log::Log;
use crate::rv::Result;
use canis_core::Run;
use canis_core::datadir::DataDir;
use canis_core::object::{FindObjects, Found, Object, ReadObject, Since, Wanted};
use canis_core::secret::SecretBytes;
use canis_core::token::{ChangePin, InitToken, ListTokens, Login, Logout, Role, TokenInfo};
use canis_proto::message::{WireAnswer, WireRequest};
use canis_proto::{Error, Id};
use std::path::Path;
use std::sync::Arc;

/// The keeper of keys.
pub(crate) enum Keeper {
    /// A core in this process.
    Embedded(Box<Embedded>),
    /// A server.
    Remote(Box<Remote>),
}

/// When something was read: as long as nothing has changed since, it is still so.
pub(crate) enum Moment {
    /// By the core in this process.
    Embedded(Since),
    /// At a server; it counts for a second.
    Remote(Seen),
}

impl Keeper {
    /// The keeper that the settings name; `None` if there is none, and then there are no slots.
    ///
    /// # Errors
    /// A store that stands there and cannot be read; files about servers that cannot.
    pub(crate) fn open(settings: &Settings, log: &Log) -> Result<Option<Keeper>> {
        match &settings.keys {
            Keys::Nowhere => {
                log.line(format_args!("no slots: neither CANIS_DATA nor HOME says where the store is"));
                Ok(None)
            }
            Keys::Servers => {
                let remote = Remote::new(&settings.servers)?;
                log.line(format_args!("working at {}", settings.servers));
                Ok(Some(Keeper::Remote(Box::new(remote))))
            }
            Keys::Directory(directory) => Keeper::at(directory, settings, log),
        }
    }

    /// The store of a directory, by the server that holds it, if one does.
    fn at(directory: &Path, settings: &Settings, log: &Log) -> Result<Option<Keeper>> {
        if DataDir::new(directory).is_locked()
            && let Some(remote) = Remote::at_socket(&settings.servers.at_socket(directory), log)
        {
            log.line(format_args!("working at the server that holds {}", directory.display()));
            return Ok(Some(Keeper::Remote(Box::new(remote))));
        }
        let helper = helper::of(settings.hsm_helper.as_deref());
        let core = Embedded::open(directory, settings.audit, &helper, log)?;
        Ok(core.map(|core| Keeper::Embedded(Box::new(core))))
    }

    /// Whether an empty slot waits for C_InitToken.
    pub(crate) fn has_room(&self) -> bool {
        match self {
            Keeper::Embedded(_) => true,
            Keeper::Remote(remote) => remote.has_room(),
        }
    }

    /// A token that is used from now on.
    pub(super) fn token(&self, info: &TokenInfo) -> Token {
        let caller = match self {
            Keeper::Embedded(embedded) => Some(embedded.caller(info.id)),
            Keeper::Remote(_) => None,
        };
        Token { id: info.id, slot: info.slot.into(), caller }
    }

    /// Asks for something at a token.
    pub(crate) fn call<'a, R>(&self, token: &Token, request: R) -> canis_proto::Result<R::Answer>
    where
        R: Run + WireRequest<'a>,
        R::Answer: WireAnswer,
    {
        match self {
            Keeper::Embedded(embedded) => embedded.call(token, request),
            Keeper::Remote(remote) => remote.call(token.id, request),
        }
    }

    /// The tokens, by slot.
    pub(crate) fn tokens(&self) -> canis_proto::Result<Arc<Vec<TokenInfo>>> {
        match self {
            Keeper::Embedded(embedded) => embedded.core.call(&embedded.slots, ListTokens),
            Keeper::Remote(remote) => remote.tokens(),
        }
    }

    /// Makes a token, or wipes one.
    pub(crate) fn init_token(&self, request: InitToken<'_>) -> canis_proto::Result<Id> {
        match self {
            Keeper::Embedded(embedded) => embedded.core.call(&embedded.slots, request),
            Keeper::Remote(remote) => remote.init_token(&request),
        }
    }

    /// An object that the host may see.
    pub(crate) fn read(&self, token: &Token, object: Id) -> canis_proto::Result<Arc<Object>> {
        match self {
            Keeper::Embedded(embedded) => embedded.call(token, ReadObject { object }),
            Keeper::Remote(remote) => remote.read(token.id, object),
        }
    }

    /// The objects that are wanted and that the host may see.
    pub(crate) fn find(&self, token: &Token, wanted: Wanted<'_>) -> canis_proto::Result<Found> {
        match self {
            Keeper::Embedded(embedded) => embedded.call(token, FindObjects { wanted }),
            Keeper::Remote(remote) => remote.find(token.id, wanted),
        }
    }

    /// The moment at a token; costs two loads.
    pub(crate) fn moment(&self, token: &Token) -> canis_proto::Result<Moment> {
        match self {
            Keeper::Embedded(embedded) => embedded.core.since(seat(token)?).map(Moment::Embedded),
            Keeper::Remote(remote) => Ok(Moment::Remote(remote.known().now())),
        }
    }

    /// Whether nothing has changed since.
    pub(crate) fn is_still(&self, token: &Token, moment: &Moment) -> bool {
        match (self, moment) {
            (Keeper::Embedded(embedded), Moment::Embedded(then)) => {
                seat(token).and_then(|caller| embedded.core.since(caller)).is_ok_and(|now| now == *then)
            }
            (Keeper::Remote(remote), Moment::Remote(then)) => remote.known().is_still(*then),
            _ => false,
        }
    }

    /// Logs in.
    pub(crate) fn login(&self, token: &Token, role: Role, pin: &SecretBytes) -> canis_proto::Result<()> {
        match self {
            Keeper::Embedded(embedded) => embedded.call(token, Login { role, pin: pin.into() }),
            Keeper::Remote(remote) => remote.login(token.id, role, pin),
        }
    }

    /// Logs out.
    pub(crate) fn logout(&self, token: &Token) -> canis_proto::Result<()> {
        match self {
            Keeper::Embedded(embedded) => embedded.call(token, Logout),
            Keeper::Remote(remote) => remote.logout(token.id),
        }
    }

    /// Changes one's own PIN.
    pub(crate) fn change_pin(
        &self,
        token: &Token,
        role: Role,
        old: &SecretBytes,
        new: &SecretBytes,
    ) -> canis_proto::Result<()> {
        match self {
            Keeper::Embedded(embedded) => {
                embedded.call(token, ChangePin { role, old: old.into(), new: new.into() })
            }
            Keeper::Remote(remote) => remote.change_pin(token.id, role, old, new),
        }
    }

    /// Who is logged in to a token now, whatever other processes have done.
    pub(crate) fn role(&self, token: Id) -> canis_proto::Result<Option<Role>> {
        match self {
            Keeper::Embedded(embedded) => embedded.core.role(&embedded.caller(token)),
            Keeper::Remote(remote) => remote.role(token),
        }
    }

    /// Who is logged in to a token as far as is known here.
    pub(crate) fn known_role(&self, token: Id) -> Option<Role> {
        match self {
            Keeper::Embedded(embedded) => embedded.application.role(token),
            Keeper::Remote(remote) => remote.known().login(token),
        }
    }

    /// How the login to a token ended since the last such question, if the host did not end it.
    pub(crate) fn take_ended(&self, token: Id) -> Option<Ended> {
        match self {
            Keeper::Embedded(embedded) => embedded.application.was_wiped(token).then_some(Ended::Wiped),
            Keeper::Remote(remote) => remote.known().take_ended(token),
        }
    }

    /// Destroys the objects of a session.
    pub(crate) fn end_session(&self, session: u64) {
        match self {
            Keeper::Embedded(embedded) => embedded.application.end_session(session),
            Keeper::Remote(remote) => remote.end_session(session),
        }
    }

    /// Writes the counts of uses if they have waited for some seconds; a server does so by itself.
    pub(crate) fn write_uses_when_due(&self) {
        match self {
            Keeper::Embedded(embedded) => embedded.core.write_uses_when_due(),
            Keeper::Remote(_) => {}
        }
    }

    /// The host is done with the keys for now.
    ///
    /// # Errors
    /// The uses of keys that are not written.
    pub(crate) fn close(&self) -> canis_proto::Result<()> {
        match self {
            Keeper::Embedded(embedded) => embedded.core.write_uses(),
            Keeper::Remote(remote) => {
                remote.end();
                Ok(())
            }
        }
    }

    /// Before a fork: lets go of what must not be shared with a child.
    pub(crate) fn pause(&self) {
        match self {
            Keeper::Embedded(embedded) => embedded.core.pause_for_fork(),
            Keeper::Remote(remote) => remote.disconnect(),
        }
    }

    /// After a fork, in the parent.
    pub(crate) fn resume(&self) {
        match self {
            Keeper::Embedded(embedded) => embedded.core.resume_after_fork(),
            // The next call connects.
            Keeper::Remote(_) => {}
        }
    }
}

/// A key or a message of one keeper, and another keeper: there is one in each module.
pub(super) fn elsewhere() -> Error {
    Error::internal("the key is of another keeper")
}
