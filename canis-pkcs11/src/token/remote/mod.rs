//! A server as the keeper of keys (ADR 0018): what the module asks of its own core elsewhere, it asks of that by CANISP.

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
use canis_client::{Line, Shared};
use canis_core::crypto::default_provider;
use canis_core::object::{EndSession, FindPage, Found, Object, ReadObject, Wanted};
use canis_core::secret::SecretBytes;
use canis_core::token::{
    ChangePin, EndApplication, InitToken, ListTokens, Login, Logout, Role, ShowLogin, TokenInfo,
};
use canis_core::wire::AtToken;
use canis_proto::message::{WireAnswer, WireRequest};
use canis_proto::{Error, ErrorCode, Id};
use known::Known;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use zeroize::Zeroizing;

/// How long C_Finalize waits for the server to hear that the application has ended.
const FAREWELL: Duration = Duration::from_secs(1);

/// A server's keys, for this host.
pub(crate) struct Remote {
    /// The connection; also of messages in parts, which are worked on with the keeper out of sight.
    line: Arc<Shared>,
    known: Arc<Known>,
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
        let known = Arc::new(Known::new(servers.keep_pin));
        let kept = Arc::clone(&known);
        let line = Shared::new(&config)?.with_welcome(move |line| welcome(&kept, line));
        Ok(Remote { line: Arc::new(line), known, local: servers.are_local(), openings: AtomicU64::new(0) })
    }

    /// The same, if the server of a directory lets this process in.
    pub(super) fn at_socket(servers: &Servers, log: &Log) -> Option<Remote> {
        let remote = Remote::new(servers).ok()?;
        match remote.tokens() {
            Ok(_) => Some(remote),
            // It has let us in, and will have something to say soon.
            Err(error) if error.code == ErrorCode::Sealed => Some(remote),
            Err(error) => {
                log.line(format_args!("the server's socket is of no use: {error}"));
                None
            }
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
        let changes = known::changes(R::ID);
        let answer = self.ask(&AtToken { token, request });
        if changes {
            self.known.change();
        }
        answer
    }

    /// Asks the server. Of a request that must not happen twice and whose answer was lost, nobody knows whether it
    /// happened: that is another failure than a server that cannot be reached.
    fn ask<'a, R>(&self, request: &R) -> canis_proto::Result<R::Answer>
    where
        R: WireRequest<'a>,
        R::Answer: WireAnswer,
    {
        if R::ID.repeats() || R::ID.changes() {
            return self.line.call(request);
        }
        // From here on it may have been sent.
        self.line.reach()?;
        self.line.call(request).map_err(|error| match error.code {
            ErrorCode::Unavailable => lost(&error),
            _ => error,
        })
    }

    /// The tokens, as the server showed them a moment ago at most.
    pub(super) fn tokens(&self) -> canis_proto::Result<Arc<Vec<TokenInfo>>> {
        self.known.tokens(|| self.ask(&ListTokens))
    }

    pub(super) fn init_token(&self, request: &InitToken<'_>) -> canis_proto::Result<Id> {
        let made = self.ask(request);
        self.known.change();
        made
    }

    /// An object, as the server showed it a moment ago at most.
    pub(super) fn read(&self, token: Id, object: Id) -> canis_proto::Result<Arc<Object>> {
        self.known.object(object, || self.ask(&AtToken { token, request: ReadObject { object } }))
    }

    /// The objects that are wanted; they are remembered, since hosts read their attributes next.
    pub(super) fn find(&self, token: Id, wanted: Wanted<'_>) -> canis_proto::Result<Found> {
        let mut found = Found { objects: Vec::new(), refused: Vec::new() };
        let seen = self.known.now();
        loop {
            let after = found.objects.last().map(|object: &Arc<Object>| object.id);
            let page = self.ask(&AtToken { token, request: FindPage { wanted, after } })?;
            let ended = !page.more || page.objects.is_empty();
            found.objects.extend(page.objects);
            found.refused.extend(page.refused);
            if ended {
                break;
            }
        }
        self.known.remember(seen, &found.objects);
        Ok(found)
    }

    /// Who is logged in, as the server said a moment ago at most.
    pub(super) fn role(&self, token: Id) -> canis_proto::Result<Option<Role>> {
        self.known.role(token, || self.ask(&AtToken { token, request: ShowLogin }))
    }

    pub(super) fn login(&self, token: Id, role: Role, pin: &SecretBytes) -> canis_proto::Result<()> {
        self.call(token, Login { role, pin: pin.into() })?;
        self.known.logged_in(token, role, pin);
        Ok(())
    }

    pub(super) fn logout(&self, token: Id) -> canis_proto::Result<()> {
        self.known.logged_out(token);
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
        self.known.pin_changed(token, role, new);
        Ok(())
    }

    /// Destroys the objects of a session. A server that does not hear it ends them with the application.
    pub(super) fn end_session(&self, token: Id, session: u64) {
        let _ = self.call(token, EndSession { session });
    }

    /// What this host knows.
    pub(super) fn known(&self) -> &Known {
        &self.known
    }

    /// A number for an opening of a key.
    fn next_opening(&self) -> u64 {
        self.openings.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Before a fork: nothing of the connection is left for the child to copy.
    pub(super) fn disconnect(&self) {
        self.line.disconnect();
    }

    /// Tells the server that the application has ended, if it has ever heard of it.
    pub(super) fn end(&self) {
        if self.line.standing().connections > 0 {
            // A server that does not hear it finds out in a minute.
            let _ = self.line.call_within(FAREWELL, &EndApplication);
            self.line.disconnect();
        }
    }
}

/// The first thing on each new connection. At a server that does not know this application the logins are gone; with
/// the PINs that are kept they are made anew.
fn welcome(known: &Known, line: &Line) -> canis_proto::Result<()> {
    if line.server().resumed == Some(true) {
        return Ok(());
    }
    for token in known.begin_anew() {
        let Some(pin) = known.pin(token) else { continue };
        match line.call(&AtToken { token, request: Login { role: Role::User, pin: (&*pin).into() } }) {
            Ok(()) => known.restored(token),
            // A server that has just started may not be ready yet; the login is tried again with the next connection.
            Err(error) if matches!(error.code, ErrorCode::Sealed | ErrorCode::Unavailable) => {
                return Err(Error::new(ErrorCode::Unavailable, error.message));
            }
            // The PIN is not what it was. One try is enough: more would lock it.
            Err(_) => known.forget_pin(token),
        }
    }
    Ok(())
}

fn lost(error: &Error) -> Error {
    Error::new(
        ErrorCode::DeadlineExceeded,
        format!("{}; whether the change happened is not known, look before you ask again", error.message),
    )
}
