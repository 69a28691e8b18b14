//! Who a connection speaks for: whoever's token a request bears, else whoever's certificate the handshake showed.

use crate::listener::Server;
use crate::rates::Rates;
use crate::session::{Credential, Peer, Session};
use crate::tls::Shown;
use canis_core::secret::SecretBytes;
use canis_core::{Door, Origin};
use canis_proto::{Cost, Error, ErrorCode, Result};
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use std::sync::{Arc, Mutex, PoisonError};
use subtle::ConstantTimeEq;

/// Tokens of one connection that are remembered; a proxy may bring requests of several callers.
const REMEMBERED: usize = 8;

/// The callers of one connection, each with its session, so that a credential is not looked at for every request.
pub(crate) struct Callers {
    origin: Origin,
    /// The certificate that the handshake showed; a token may be bound to it.
    shown: Option<Shown>,
    rates: Arc<Rates>,
    /// Who bears no token.
    other: Arc<Session>,
    bearers: Mutex<Vec<(SecretBytes, Arc<Session>)>>,
}

impl Callers {
    /// Those of a connection from `origin`, whose handshake showed this certificate.
    pub(crate) fn new(origin: Origin, shown: Option<Shown>, rates: &Arc<Rates>) -> Self {
        debug_assert_eq!(origin.door, Door::Http);
        let credential = shown.clone().map_or(Credential::None, Credential::Certificate);
        let other = Arc::new(Session::new(Peer { credential, origin }).counted(rates));
        Callers { origin, shown, rates: Arc::clone(rates), other, bearers: Mutex::default() }
    }

    /// The session of whoever asks.
    ///
    /// # Errors
    /// As [`bearer`].
    pub(crate) fn session(&self, headers: &HeaderMap) -> Result<Arc<Session>> {
        Ok(self.of(bearer(headers)?))
    }

    /// The session of who bears this token, or none.
    pub(crate) fn of(&self, token: Option<&[u8]>) -> Arc<Session> {
        let Some(token) = token else { return Arc::clone(&self.other) };
        let mut bearers = self.bearers.lock().unwrap_or_else(PoisonError::into_inner);
        let known = bearers.iter().find(|(known, _)| bool::from(known.expose().ct_eq(token)));
        if let Some((_, session)) = known {
            return Arc::clone(session);
        }
        if bearers.len() == REMEMBERED {
            bearers.remove(0);
        }
        let credential = Credential::Token(SecretBytes::copied_from(token), self.shown.clone());
        let peer = Peer { credential, origin: self.origin };
        let session = Arc::new(Session::new(peer).counted(&self.rates));
        bearers.push((SecretBytes::copied_from(token), Arc::clone(&session)));
        session
    }
}

/// The token that a request bears, if it bears one.
///
/// # Errors
/// `unauthenticated` for an `Authorization` that is no bearer token (RFC 6750, section 2.1).
pub(crate) fn bearer(headers: &HeaderMap) -> Result<Option<&[u8]>> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let Some(first) = all.next() else { return Ok(None) };
    let refused = || Error::new(ErrorCode::Unauthenticated, "send `Authorization: Bearer <token>`, once");
    let (scheme, token) = first.as_bytes().split_at_checked(7).ok_or_else(refused)?;
    if !scheme.eq_ignore_ascii_case(b"Bearer ") || token.is_empty() || all.next().is_some() {
        return Err(refused());
    }
    Ok(Some(token))
}

/// Finds out who it is, if that is not known yet; a wrong credential waits for its refusal as at CANISP.
///
/// # Errors
/// As [`Session::authenticate`]; nothing where nobody need be known.
pub(crate) async fn known(server: &Arc<Server>, session: &Arc<Session>) -> Result<()> {
    if session.is_authenticated() || !session.has_credential() {
        return Ok(());
    }
    server.admit(session.source())?;
    let (theirs, core) = (Arc::clone(session), Arc::clone(&server.core));
    let share = server.shares.strangers();
    let known = server.pool.run(share, Cost::Short, move || theirs.begin(&core)).await;
    if known.as_ref().is_err_and(|error| error.code == ErrorCode::Unauthenticated) {
        server.note_wrong(session.source());
        tokio::time::sleep(crate::limits::WRONG_TOKEN).await;
    }
    // Its line is there before the refusal leaves, as others are before their answers.
    if known.is_err() {
        server.gate.opens(server.gate.receipt()).await;
    }
    known
}
