//! Whoever keeps the keys: the one door from the functions of the standard to them.

use super::embedded::{Embedded, seat};
use super::opened::Token;
use crate::config::Settings;
use crate::log::Log;
use crate::rv::Result;
use canis_core::Run;
use canis_core::object::Since;
use canis_core::token::{InitToken, ListTokens, Role, TokenInfo};
use canis_proto::Id;
use std::sync::Arc;

/// The keeper of keys.
pub(crate) enum Keeper {
    /// A core in this process.
    Embedded(Box<Embedded>),
}

/// When something was read: as long as nothing has changed since, it is still so.
pub(crate) enum Moment {
    /// By the core in this process.
    Embedded(Since),
}

impl Keeper {
    /// The keeper that the settings name; `None` if there is none, and then there are no slots.
    ///
    /// # Errors
    /// A store that stands there and cannot be read.
    pub(crate) fn open(settings: &Settings, log: &Log) -> Result<Option<Keeper>> {
        let Some(directory) = &settings.data else {
            log.line(format_args!("no slots: neither CANIS_DATA nor HOME says where the store is"));
            return Ok(None);
        };
        Ok(Embedded::open(directory, log)?.map(|core| Keeper::Embedded(Box::new(core))))
    }

    /// A token that is used from now on.
    pub(super) fn token(&self, info: &TokenInfo) -> Token {
        match self {
            Keeper::Embedded(embedded) => embedded.token(info),
        }
    }

    /// Asks for something at a token.
    pub(crate) fn call<R: Run>(&self, token: &Token, request: R) -> canis_proto::Result<R::Answer> {
        match self {
            Keeper::Embedded(embedded) => embedded.call(token, request),
        }
    }

    /// The tokens, by slot.
    pub(crate) fn tokens(&self) -> canis_proto::Result<Arc<Vec<TokenInfo>>> {
        match self {
            Keeper::Embedded(embedded) => embedded.core.call(&embedded.slots, ListTokens),
        }
    }

    /// Makes a token, or wipes one.
    pub(crate) fn init_token(&self, request: InitToken<'_>) -> canis_proto::Result<Id> {
        match self {
            Keeper::Embedded(embedded) => embedded.core.call(&embedded.slots, request),
        }
    }

    /// The moment at a token; costs two loads.
    pub(crate) fn moment(&self, token: &Token) -> canis_proto::Result<Moment> {
        match self {
            Keeper::Embedded(embedded) => embedded.core.since(seat(token)?).map(Moment::Embedded),
        }
    }

    /// Whether nothing has changed since.
    pub(crate) fn is_still(&self, token: &Token, moment: &Moment) -> bool {
        match (self, moment) {
            (Keeper::Embedded(embedded), Moment::Embedded(then)) => {
                seat(token).and_then(|caller| embedded.core.since(caller)).is_ok_and(|now| now == *then)
            }
        }
    }

    /// Who is logged in to a token now, whatever other processes have done.
    pub(crate) fn role(&self, token: Id) -> canis_proto::Result<Option<Role>> {
        match self {
            Keeper::Embedded(embedded) => embedded.core.role(&embedded.caller(token)),
        }
    }

    /// Who is logged in to a token as far as is known here.
    pub(crate) fn known_role(&self, token: Id) -> Option<Role> {
        match self {
            Keeper::Embedded(embedded) => embedded.application.role(token),
        }
    }

    /// Whether the login to a token ended since the last such question because another process wiped it.
    pub(crate) fn was_wiped(&self, token: Id) -> bool {
        match self {
            Keeper::Embedded(embedded) => embedded.application.was_wiped(token),
        }
    }

    /// Destroys the objects of a session.
    pub(crate) fn end_session(&self, session: u64) {
        match self {
            Keeper::Embedded(embedded) => embedded.application.end_session(session),
        }
    }

    /// Writes the counts of uses if they have waited for some seconds.
    pub(crate) fn write_uses_when_due(&self) {
        match self {
            Keeper::Embedded(embedded) => embedded.core.write_uses_when_due(),
        }
    }

    /// The host is done with the keys for now.
    ///
    /// # Errors
    /// The uses of keys that are not written.
    pub(crate) fn close(&self) -> canis_proto::Result<()> {
        match self {
            Keeper::Embedded(embedded) => embedded.core.write_uses(),
        }
    }

    /// Before a fork: lets go of what must not be shared with a child.
    pub(crate) fn pause(&self) {
        match self {
            Keeper::Embedded(embedded) => embedded.core.pause_for_fork(),
        }
    }

    /// After a fork, in the parent.
    pub(crate) fn resume(&self) {
        match self {
            Keeper::Embedded(embedded) => embedded.core.resume_after_fork(),
        }
    }
}
