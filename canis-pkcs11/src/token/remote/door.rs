//! The way to the server: one connection for all threads of the host, and what is done when it was lost.

use super::known::{Known, changes};
use canis_client::{Config, Line, Shared};
use canis_core::token::{EndApplication, Login, Role};
use canis_core::wire::AtToken;
use canis_proto::message::{WireAnswer, WireRequest};
use canis_proto::{Error, ErrorCode, Id, Result};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long C_Finalize waits for the server to hear that the application has ended.
const FAREWELL: Duration = Duration::from_secs(1);

/// How long a server that has just started is left alone before it is asked again.
const PAUSE: Duration = Duration::from_millis(100);

/// The way to the server.
pub(super) struct Door {
    line: Shared,
    pub(super) known: Arc<Known>,
    retry_for: Duration,
}

impl Door {
    /// Nothing is connected yet.
    ///
    /// # Errors
    /// `invalid_argument` for certificates or a key of no use.
    pub(super) fn new(config: &Config, keep_pin: bool) -> Result<Self> {
        let known = Arc::new(Known::new(keep_pin));
        let kept = Arc::clone(&known);
        let line = Shared::new(config)?.with_welcome(move |line| welcome(&kept, line));
        Ok(Door { line, known, retry_for: config.retry_for })
    }

    /// Asks the server about a token.
    pub(super) fn call<'a, R>(&self, token: Id, request: R) -> Result<R::Answer>
    where
        R: WireRequest<'a>,
        R::Answer: WireAnswer,
    {
        let answer = self.ask(&AtToken { token, request });
        if changes(R::ID) {
            self.known.change();
        }
        answer.map_err(|error| self.known.explained(token, error))
    }

    /// Asks the server. One that is sealed has done nothing and opens soon, as a rule.
    pub(super) fn ask<'a, R>(&self, request: &R) -> Result<R::Answer>
    where
        R: WireRequest<'a>,
        R::Answer: WireAnswer,
    {
        let end = Instant::now() + self.retry_for;
        loop {
            match self.ask_now(request) {
                Err(error) if error.code == ErrorCode::Sealed && Instant::now() + PAUSE < end => {
                    std::thread::sleep(PAUSE);
                }
                answer => return answer,
            }
        }
    }

    /// Of a request that must not happen twice and whose answer was lost, nobody knows whether it happened: that is
    /// another failure than a server that cannot be reached.
    fn ask_now<'a, R>(&self, request: &R) -> Result<R::Answer>
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

    /// Ends the connection; the next request makes another.
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
/// the PINs that are kept they are made anew, on this connection or, if that is lost as well, on a later one.
fn welcome(known: &Known, line: &Line) -> Result<()> {
    if line.server().resumed != Some(true) {
        known.begin_anew();
    }
    for (token, pin) in known.to_be_restored() {
        match line.call(&AtToken { token, request: Login { role: Role::User, pin: (&*pin).into() } }) {
            Ok(()) => known.restored(token),
            // An answer was lost, but not what it said.
            Err(error) if error.code == ErrorCode::OperationNotAllowed => known.restored(token),
            // A server that has just started may not be ready yet.
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
