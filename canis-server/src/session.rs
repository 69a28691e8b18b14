//! Who a connection speaks for.

use crate::applications::{Applications, Attached};
use crate::limits;
use crate::rates::{Bucket, Rates};
use crate::share::{Share, Shares};
use crate::tls::Shown;
use canis_core::policy::Source;
use canis_core::secret::SecretBytes;
use canis_core::{Application, Caller, Core, Door, Origin, Presented, UnixPeer};
use canis_proto::{Error, ErrorCode, OperationId, Result};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Instant;
use zeroize::Zeroizing;

/// By what a connection says who it is.
pub(crate) enum Credential {
    /// Nothing.
    None,
    /// A bearer token, and the client certificate that was shown beside it.
    Token(SecretBytes, Option<Shown>),
    /// A client certificate that the TLS handshake, or a ticket of an earlier one, has shown to be the peer's own.
    Certificate(Shown),
    /// It came by the Unix socket, from the server's own user or root.
    Administrator,
    /// It came by the Unix socket for everybody, from this user of the host.
    Peer(UnixPeer),
}

impl Credential {
    /// The same, or the token that was shown besides.
    pub(crate) fn unless_token(self, token: Option<SecretBytes>) -> Self {
        match (token, self) {
            (Some(token), Credential::Certificate(shown)) => Credential::Token(token, Some(shown)),
            (Some(token), _) => Credential::Token(token, None),
            (None, credential) => credential,
        }
    }
}

/// Who stands at the other end of a connection, as far as that is seen from outside.
pub(crate) struct Peer {
    pub(crate) credential: Credential,
    pub(crate) origin: Origin,
}

/// A connection's credential, and the caller it turned out to be.
pub(crate) struct Session {
    credential: Credential,
    origin: Origin,
    known: RwLock<Option<Known>>,
    /// When the certificate was last found good while the store could not be asked.
    verified: Mutex<Option<Instant>>,
    /// Who it turned out to be at first.
    first: OnceLock<Caller>,
    share: OnceLock<Arc<Share>>,
    /// The secret of the PKCS#11 application, if the connection named one, and where it is found.
    named: Option<(Zeroizing<Vec<u8>>, Arc<Applications>)>,
    attached: OnceLock<Attached>,
    /// Where its requests are counted as soon as it is known, if they are.
    rates: Option<Arc<Rates>>,
    bucket: OnceLock<Option<Arc<Bucket>>>,
    /// Held while the application is looked for, so that the connection counts once.
    attaching: Mutex<()>,
}

/// A caller, and until when the credential need not be looked at again.
#[derive(Clone)]
struct Known {
    caller: Caller,
    moment: u64,
    checked: Instant,
}

impl Session {
    /// A connection whose credential is not yet checked.
    pub(crate) fn new(peer: Peer) -> Self {
        let Peer { credential, origin } = peer;
        Session {
            credential,
            origin,
            known: RwLock::default(),
            verified: Mutex::default(),
            first: OnceLock::new(),
            share: OnceLock::new(),
            named: None,
            attached: OnceLock::new(),
            rates: None,
            bucket: OnceLock::new(),
            attaching: Mutex::default(),
        }
    }

    /// The same whose requests are counted.
    pub(crate) fn counted(self, rates: &Arc<Rates>) -> Self {
        Session { rates: Some(Arc::clone(rates)), ..self }
    }

    /// Counts a request of an identity that is known; strangers ask for nothing that lasts.
    ///
    /// # Errors
    /// `rate_limited`.
    pub(crate) fn count(&self) -> Result<()> {
        self.bucket().map_or(Ok(()), Bucket::take)?;
        let Some(tenant) = self.tenant_bucket() else { return Ok(()) };
        tenant.take().inspect_err(|_| {
            if let Some(bucket) = self.bucket() {
                bucket.give_back();
            }
        })
    }

    /// Counts what a request asks for beyond itself.
    pub(crate) fn count_more(&self, requests: usize) {
        if let Some(bucket) = self.bucket() {
            bucket.take_more(requests);
        }
        if let Some(bucket) = self.tenant_bucket() {
            bucket.take_more(requests);
        }
    }

    /// Takes back one that is counted again.
    pub(crate) fn count_again(&self) {
        if let Some(bucket) = self.bucket() {
            bucket.give_back();
        }
        if let Some(bucket) = self.tenant_bucket() {
            bucket.give_back();
        }
    }

    /// Where the requests of all callers of its tenant are counted, if that is limited.
    fn tenant_bucket(&self) -> Option<Arc<Bucket>> {
        let rates = self.rates.as_ref()?;
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let caller = &known.as_ref()?.caller;
        Some(rates.of_tenant(caller.tenant_if_known()?, caller.max_requests()?))
    }

    fn bucket(&self) -> Option<&Bucket> {
        let rates = self.rates.as_ref()?;
        if let Some(bucket) = self.bucket.get() {
            return bucket.as_deref();
        }
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let identity = known.as_ref()?.caller.credential();
        self.bucket.get_or_init(|| rates.of(identity)).as_deref()
    }

    /// The door by which it came; whoever names an application comes from the module.
    pub(crate) fn door(&self) -> Door {
        if self.named.is_some() { Door::Pkcs11Remote } else { self.origin.door }
    }

    /// Where it came from.
    pub(crate) fn source(&self) -> Source {
        self.origin.source
    }

    /// The same with the secret of the application that it named.
    pub(crate) fn naming(self, secret: &[u8], applications: &Arc<Applications>) -> Self {
        Session { named: Some((Zeroizing::new(secret.to_vec()), Arc::clone(applications))), ..self }
    }

    /// Whether its application was there before; `None` if it named none.
    pub(crate) fn resumed(&self) -> Option<bool> {
        self.named.as_ref().map(|_| self.attached.get().is_some_and(|attached| attached.resumed))
    }

    /// The caller and its application, for the operations of PKCS#11.
    ///
    /// # Errors
    /// As [`Self::authenticate`]; `operation_not_allowed` if HELLO named none; `limit_reached`.
    pub(crate) fn application(&self, core: &Core) -> Result<(Caller, &Arc<Application>)> {
        let caller = self.authenticate(core)?;
        if let Some(attached) = self.attached.get() {
            return Ok((caller, attached.application()));
        }
        let Some((secret, applications)) = &self.named else {
            return Err(Error::new(
                ErrorCode::OperationNotAllowed,
                "this is asked by a PKCS#11 application; name one in HELLO",
            ));
        };
        let _turn = self.attaching.lock().unwrap_or_else(PoisonError::into_inner);
        let attached = match self.attached.get() {
            Some(attached) => attached,
            None => {
                let attached = applications.attach(core, &caller, secret)?;
                self.attached.get_or_init(|| attached)
            }
        };
        Ok((caller, attached.application()))
    }

    /// Finds the caller, and the application that it named.
    ///
    /// # Errors
    /// As above.
    pub(crate) fn begin(&self, core: &Core) -> Result<()> {
        let begun = match self.named {
            Some(_) => self.application(core).map(drop),
            None => self.authenticate(core).map(drop),
        };
        begun.map_err(|error| self.noted(core, "authenticate", error))
    }

    /// The caller as far as it is known, for the audit log.
    pub(crate) fn somebody(&self, core: &Core) -> Caller {
        self.caller(core).unwrap_or_else(|| Caller::anonymous().from(self.origin))
    }

    /// The application's host is done with it.
    pub(crate) fn end_application(&self) {
        if let Some(attached) = self.attached.get() {
            attached.end();
        }
    }

    /// Whether there is something to check.
    pub(crate) fn has_credential(&self) -> bool {
        !matches!(self.credential, Credential::None)
    }

    /// Whether the caller is known and no stranger; only then are large frames read.
    pub(crate) fn is_authenticated(&self) -> bool {
        self.known.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// The part of what all share that it takes from: its tenant's as soon as that is known.
    pub(crate) fn share<'a>(&'a self, shares: &'a Shares) -> &'a Arc<Share> {
        if let Some(share) = self.share.get() {
            return share;
        }
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        match known.as_ref().and_then(|known| known.caller.tenant_if_known()) {
            Some(tenant) => self.share.get_or_init(|| shares.of(tenant)),
            None => shares.strangers(),
        }
    }

    /// The caller, if it is known and its credential need not be looked at again. No look at the store.
    pub(crate) fn caller(&self, core: &Core) -> Option<Caller> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).clone()?;
        let goes_on = || core.goes_on_without_store() && self.certificate_stands();
        let checked = || known.checked.elapsed() < limits::RECHECK || goes_on();
        let fresh = core.credentials_stand(known.moment) && !core.is_over(&known.caller) && checked();
        fresh.then_some(known.caller)
    }

    /// Whether the certificate that was shown, if one was, is still good by itself, as far as was looked at within
    /// [`limits::RECHECK`].
    fn certificate_stands(&self) -> bool {
        let (Credential::Certificate(shown) | Credential::Token(_, Some(shown))) = &self.credential else {
            return true;
        };
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if verified.is_none_or(|at| at.elapsed() >= limits::RECHECK) {
            *verified = shown.verify().is_ok().then(Instant::now);
        }
        verified.is_some()
    }

    /// The caller. The credential is checked once, and again when credentials were changed or a while has passed, so
    /// that one that was revoked or is over is refused on connections that are open, too. Who is let in has a line of the
    /// audit log, once. Reads the store: not for the runtime's threads.
    ///
    /// # Errors
    /// `unauthenticated`, or `sealed` as long as no credential can be checked.
    pub(crate) fn authenticate(&self, core: &Core) -> Result<Caller> {
        if let Some(caller) = self.caller(core) {
            return Ok(caller);
        }
        // Read before the store is, so that what is changed meanwhile is looked at once more.
        let (moment, checked) = (core.credentials_moment(), Instant::now());
        let again = self.is_authenticated();
        let outcome = self.check(core, again).map(|caller| caller.from(self.origin));
        // It may just have turned out that the store is away.
        if outcome.as_ref().is_err_and(|error| error.code == ErrorCode::StoreUnavailable)
            && let Some(caller) = self.caller(core)
        {
            return Ok(caller);
        }
        let mut first = false;
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let outcome = outcome.and_then(|caller| {
            let whom = || {
                first = true;
                caller.clone()
            };
            // What it has here belongs to who it was first: its part of what all share, its application.
            match self.first.get_or_init(whom).is_the_same_as(&caller) {
                true => Ok(caller),
                false => {
                    let why = "you are another caller by now, as roles were changed; connect again";
                    Err(Error::new(ErrorCode::Unauthenticated, why))
                }
            }
        });
        match &outcome {
            Ok(caller) => *known = Some(Known { caller: caller.clone(), moment, checked }),
            Err(error) if error.code == ErrorCode::Unauthenticated => *known = None,
            // The store cannot be asked now. Who was known stays known, and gets no further than the store does.
            Err(_) => {}
        }
        drop(known);
        if let (true, Ok(caller)) = (first, &outcome) {
            core.note(caller, "authenticate", &Ok(()))?;
        }
        outcome
    }

    /// Whoever it is while no credential can be checked.
    fn stranger(&self) -> Caller {
        match self.credential {
            Credential::Administrator => Caller::stranger_on_host(),
            _ => Caller::anonymous(),
        }
    }

    /// Looks at the credential; `again` if it was accepted on this connection before.
    fn check(&self, core: &Core, again: bool) -> Result<Caller> {
        let presented =
            Presented { token: None, certificate: None, peer: None, source: self.origin.source, again };
        let unknown = |why: &str| Error::new(ErrorCode::Unauthenticated, why);
        match &self.credential {
            Credential::None => Err(unknown(
                "no token was given; set CANIS_TOKEN or use --token-file, or show a client certificate",
            )),
            Credential::Token(token, beside) => {
                let text =
                    std::str::from_utf8(token.expose()).map_err(|_| unknown("the token is not text"))?;
                let beside = beside.as_ref().filter(|shown| shown.verify().is_ok());
                let certificate = beside.map(Shown::certificate);
                core.recognise(&Presented { token: Some(text), certificate, ..presented })
            }
            Credential::Certificate(shown) => {
                shown.verify()?;
                core.recognise(&Presented { certificate: Some(shown.certificate()), ..presented })
            }
            Credential::Administrator => core.administrator(),
            Credential::Peer(peer) => core.recognise(&Presented { peer: Some(peer), ..presented }),
        }
    }

    /// Runs `work` as the caller. What a stranger may ask is not refused because the store is sealed.
    pub(crate) fn run<T>(
        &self,
        core: &Core,
        operation: OperationId,
        work: impl FnOnce(&Caller) -> Result<T>,
    ) -> Result<T> {
        match self.authenticate(core) {
            Ok(caller) => work(&caller),
            Err(_) if operation.row().capability.is_none() => work(&self.stranger().from(self.origin)),
            Err(error) => Err(self.refused(core, operation, error)),
        }
    }

    /// The refusal of who is not let in, noted; many of them are not, so that nobody fills the log without a credential.
    pub(crate) fn refused(&self, core: &Core, operation: OperationId, error: Error) -> Error {
        self.noted(core, operation.row().name, error)
    }

    fn noted(&self, core: &Core, event: &str, error: Error) -> Error {
        // Wrong credentials have their own lock-out.
        let tells =
            error.code == ErrorCode::Unauthenticated && !(event == "authenticate" && self.has_credential());
        let counted = self.rates.as_ref().filter(|_| tells);
        if let Some(Err(late)) = counted.map(|rates| rates.of_strangers(self.source()).take()) {
            return late;
        }
        core.note(&self.somebody(core), event, &Err(error.clone())).err().unwrap_or(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzzing::{peer, tests::door};
    use canis_core::{Door, Proof};

    /// A caller keeps where its connection came from and what it showed; at a token it is one of the module's.
    #[test]
    fn callers_say_where_they_came_from() {
        let folder = tempfile::tempdir().unwrap();
        let (door, applications) = (door(folder.path()), Applications::new());
        let core = &door.server.core;
        let token = || Credential::Token(SecretBytes::copied_from(door.token.as_bytes()), None);
        let session = Session::new(peer(token())).naming(&[1; 32], &applications);
        let (caller, application) = session.application(core).unwrap();
        assert_eq!((caller.origin(), caller.proof()), (peer(token()).origin, Proof::Token));
        let module = caller.at_slots(application).origin();
        assert_eq!(module, Origin { door: Door::Pkcs11Remote, ..peer(token()).origin });
        let stranger = Session::new(peer(Credential::None));
        let seen = stranger.run(core, OperationId::Status, |caller| Ok((caller.origin(), caller.proof())));
        assert_eq!(seen, Ok((peer(token()).origin, Proof::Nothing)));
    }
}
