//! A server as the keeper of keys (ADR 0018): what the module asks of its own core elsewhere, it asks of that by CANISP.

mod door;
mod key;
mod known;
mod parts;

pub(super) use key::{OpenedThere, WantsPin};
pub(crate) use known::Ended;
pub(super) use known::Seen;
pub(super) use parts::RemoteMac;

use crate::log::Log;
use crate::rv::Result;
use crate::servers::Servers;
use canis_client::Client;
use canis_core::crypto::default_provider;
use canis_core::object::{EndSession, FindPage, Found, Object, ReadObject, Wanted};
use canis_core::secret::SecretBytes;
use canis_core::token::{ChangePin, InitToken, ListTokens, Login, Logout, Role, ShowLogin, TokenInfo};
use canis_core::wire::AtToken;
use canis_proto::message::{WireAnswer, WireRequest};
use canis_proto::{ErrorCode, Id};
use door::Door;
use known::Known;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use zeroize::Zeroizing;

/// A server's keys, for this host.
pub(crate) struct Remote {
    /// The way there; also of messages in parts, which are worked on with the keeper out of sight.
    door: Arc<Door>,
    /// Whether the host is the server's own, so that it may make tokens.
    local: bool,
    /// The last opening of a key with CKA_ALWAYS_AUTHENTICATE.
    openings: AtomicU64,
}

impl Remote {
    /// Gets ready to connect, which the first call does.
    ///
    /// # Errors
    /// Files that cannot be read or are of no use.
    pub(super) fn new(servers: &Servers) -> Result<Remote> {
        let mut config = servers.config()?;
        let mut secret = Zeroizing::new([0; canis_proto::message::APPLICATION]);
        default_provider().random.fill(&mut *secret)?;
        config.application = Some(secret);
        let door = Arc::new(Door::new(&config, servers.keep_pin)?);
        Ok(Remote { door, local: servers.are_local(), openings: AtomicU64::new(0) })
    }

    /// The same, if the server of a directory lets this process in.
    pub(super) fn at_socket(servers: &Servers, log: &Log) -> Option<Remote> {
        let tried = servers.config().ok().map(|config| Client::connect(&config).map(drop))?;
        match tried {
            // A sealed one has let us in, and will have something to say soon.
            Err(error) if error.code != ErrorCode::Sealed => {
                log.line(format_args!("the server's socket is of no use: {error}"));
                None
            }
            _ => Remote::new(servers).ok(),
        }
    }

    /// Whether one more slot waits for C_InitToken.
    pub(super) fn has_room(&self) -> bool {
        self.local
    }

    /// Asks the server about a token.
    pub(super) fn call<'a, R>(&self, token: Id, request: R) -> canis_proto::Result<R::Answer>
    where
        R: WireRequest<'a>,
        R::Answer: WireAnswer,
    {
        self.door.call(token, request)
    }

    /// The tokens, as the server showed them a moment ago at most.
    pub(super) fn tokens(&self) -> canis_proto::Result<Arc<Vec<TokenInfo>>> {
        self.door.known.tokens(|| self.door.ask(&ListTokens))
    }

    pub(super) fn init_token(&self, request: &InitToken<'_>) -> canis_proto::Result<Id> {
        let made = self.door.ask(request);
        self.door.known.change();
        made
    }

    /// An object, as the server showed it a moment ago at most.
    pub(super) fn read(&self, token: Id, object: Id) -> canis_proto::Result<Arc<Object>> {
        self.door.known.object(object, || self.call(token, ReadObject { object }))
    }

    /// The objects that are wanted; they are remembered, since hosts read their attributes next.
    pub(super) fn find(&self, token: Id, wanted: Wanted<'_>) -> canis_proto::Result<Found> {
        let mut found = Found { objects: Vec::new(), refused: Vec::new() };
        let seen = self.door.known.now();
        loop {
            let after = found.objects.last().map(|object: &Arc<Object>| object.id);
            let page = self.door.ask(&AtToken { token, request: FindPage { wanted, after } })?;
            let ended = !page.more || page.objects.is_empty();
            found.objects.extend(page.objects);
            found.refused.extend(page.refused);
            if ended {
                break;
            }
        }
        self.door.known.remember(seen, &found.objects);
        Ok(found)
    }

    /// Who is logged in, as the server said a moment ago at most.
    pub(super) fn role(&self, token: Id) -> canis_proto::Result<Option<Role>> {
        self.door.known.role(token, || self.door.ask(&AtToken { token, request: ShowLogin }))
    }

    pub(super) fn login(&self, token: Id, role: Role, pin: &SecretBytes) -> canis_proto::Result<()> {
        self.call(token, Login { role, pin: pin.into() })?;
        self.door.known.logged_in(token, role, pin);
        Ok(())
    }

    pub(super) fn logout(&self, token: Id) -> canis_proto::Result<()> {
        self.door.known.logged_out(token);
        self.call(token, Logout)
    }

    pub(super) fn change_pin(
        &self,
        token: Id,
        role: Role,
        old: &SecretBytes,
        new: &SecretBytes,
    ) -> canis_proto::Result<()> {
        self.call(token, ChangePin { role, old: old.into(), new: new.into() })?;
        self.door.known.pin_changed(token, role, new);
        Ok(())
    }

    /// Destroys the objects of a session. A server that does not hear it ends them with the application.
    pub(super) fn end_session(&self, session: u64) {
        let _ = self.door.ask(&EndSession { session });
        self.door.known.change();
    }

    /// What this host knows.
    pub(super) fn known(&self) -> &Known {
        &self.door.known
    }

    /// A number for an opening of a key.
    fn next_opening(&self) -> u64 {
        self.openings.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Before a fork: nothing of the connection is left for the child to copy.
    pub(super) fn disconnect(&self) {
        self.door.disconnect();
    }

    /// The host is done: logins and session objects need not wait for it.
    pub(super) fn end(&self) {
        self.door.end();
    }
}
