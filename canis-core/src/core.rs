//! The one door to keys: `call` = allow → run → record. Whatever a program asks, by whatever door, comes through here.

use crate::application::Application;
use crate::audit::{Open, Recorder};
use crate::caller::Caller;
use crate::clock::Clock;
use crate::crypto::{Provider, selftest};
use crate::jwt::Issuer;
use crate::keyring::Keyring;
use crate::keyring::figures::Figures;
use crate::keyring::intent::Intent;
use crate::object::{KeyHandle, Since};
use crate::ops::authenticate::Presented;
use crate::root::{Credential, HsmHelper};
use crate::secret::wipe_deep_stack;
use crate::store::Store;
use crate::stream::Watch;
use crate::token::Role;
use canis_proto::{Cost, Error, ErrorCode, Id, Operation, OperationId, Result};
use std::sync::Arc;

pub use crate::resource::{Facts, Resource};

/// A keeper of keys over one store. Synchronous; shared by all threads.
pub struct Core {
    pub(crate) keyring: Keyring,
    pub(crate) recorder: Option<Recorder>,
}

/// An operation that this core can run. One file in `ops` implements it for each.
pub trait Run: Operation {
    /// What it is about.
    fn resource(&self) -> Resource<'_>;

    /// What it says about itself besides.
    fn facts(&self) -> Facts<'_> {
        Facts::default()
    }

    /// How many bytes of data it brings, for the audit log: what is worked on or kept, without names and settings.
    fn brings(&self) -> Option<usize> {
        self.facts().payload.and_then(|bytes| usize::try_from(bytes).ok())
    }

    /// How many bytes of data its answer gives, for the audit log.
    fn given(_: &Self::Answer) -> Option<usize> {
        None
    }

    /// Whether it asks for a stream.
    const STREAM: bool = false;

    /// Whether the material of a key comes in or goes out by it, so that nothing of it is left where it went through.
    const PASSES_MATERIAL: bool = false;

    /// The stream, watched while it lasts.
    fn watched(answer: Self::Answer, _: Watch) -> Self::Answer {
        answer
    }

    /// What others may have to approve before it is done; `None` where it asks for nothing of that kind. Only operations that
    /// [`OperationId::takes_approvals`] names are asked.
    ///
    /// # Errors
    /// Why it cannot be done at all, so that nobody is asked to approve that.
    fn intent(&self, _: &Keyring, _: &Caller) -> Result<Option<Intent>> {
        Ok(None)
    }

    /// Whether the answer gives what was approved, so that the approvals are used up.
    fn gives(_: &Self::Answer) -> bool {
        true
    }

    /// The version or revision that the answer gives, where [`Intent::fixing`] says which one was approved.
    fn fixed(_: &Self::Answer) -> Option<u64> {
        None
    }

    /// Runs it. The caller has been allowed to.
    ///
    /// # Errors
    /// Those of the operation.
    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<Self::Answer>;

    /// Takes the line of what goes on beyond the answer: it is ended later.
    fn keep_line(answer: Self::Answer, line: Open) -> (Self::Answer, Option<Open>) {
        (answer, Some(line))
    }
}

impl Core {
    /// Opens a store with `provider`, whose known-answer tests run first.
    ///
    /// # Errors
    /// `internal` if the provider fails its self-test, `store_format`, `store_unavailable`.
    pub fn open(store: Arc<dyn Store>, provider: &'static Provider, clock: Arc<dyn Clock>) -> Result<Self> {
        selftest::run(provider)?;
        Ok(Core { keyring: Keyring::new(store, provider, clock)?, recorder: None })
    }

    /// Opens the store with a root's credential. Slow: Argon2id, or the HSM.
    ///
    /// # Errors
    /// `root_credential_wrong`, `root_unavailable`, `invalid_argument` if the store has no such root.
    pub fn unseal(&self, credential: &Credential) -> Result<()> {
        self.audit_unsealing(self.keyring.unseal(credential))
    }

    /// The same, unasked: not after somebody has sealed the store on purpose.
    ///
    /// # Errors
    /// As above; `sealed`.
    pub fn unseal_by_itself(&self, credential: &Credential) -> Result<()> {
        self.audit_unsealing(self.keyring.unseal_by_itself(credential))
    }

    /// Opens it, for its owner to accept it as it stands, even if its HSM remembers a newer one; says whether it does.
    ///
    /// # Errors
    /// As [`Core::unseal`].
    pub fn unseal_to_accept(&self, credential: &Credential) -> Result<bool> {
        let opened = self.keyring.unseal_to_accept(credential);
        self.audit_unsealing(opened.as_ref().map(drop).map_err(Error::clone))?;
        let differs = opened?;
        if differs {
            self.note_own("store.accept-rollback")?;
        }
        Ok(differs)
    }

    /// How many commits the store has seen, whoever made them; 0 where they are not counted.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub fn commits(&self) -> Result<u64> {
        Ok(self.keyring.state()?.sequence)
    }

    /// The commit that the store's HSM remembers, as far as is known here: from when it opened the store, or from [`Core::anchor`].
    #[must_use]
    pub fn anchored(&self) -> Option<u64> {
        self.keyring.memory.anchored()
    }

    /// Has the HSM that the credential is for remember what the store has come to, and says how many commits that are; `None` in
    /// a store without such a root. `accepted`: in place of whatever it remembered.
    ///
    /// # Errors
    /// `store_tampered` if it remembers what the store has not come to; `sealed`, `root_unavailable`, `root_credential_wrong`,
    /// `store_unavailable`.
    pub fn anchor(&self, credential: &Credential, accepted: bool) -> Result<Option<u64>> {
        self.keyring.anchor(credential, accepted)
    }

    /// Whether it may be unsealed unasked.
    #[must_use]
    pub fn unseals_itself(&self) -> bool {
        self.keyring.unseals_itself()
    }

    /// Seals the store because of `reason`; it may open by itself again. Says whether all that held a key is gone.
    ///
    /// # Errors
    /// `sealed` if it is; `operation_not_allowed` in a store without a root.
    pub fn seal(&self, reason: impl Into<String>) -> Result<bool> {
        self.keyring.seal(reason.into(), false)
    }

    /// Forgets shares that have waited too long for others.
    pub fn forget_late_shares(&self) {
        self.keyring.forget_late_shares();
    }

    /// Tries a root's credential on the root slots; nothing is changed.
    ///
    /// # Errors
    /// `root_credential_wrong`, `root_unavailable`, `invalid_argument` if the store has no such root.
    pub fn test_root(&self, credential: &Credential) -> Result<()> {
        self.keyring.test_root(None, credential).map(drop)
    }

    /// Has `watcher` told why when the store was sealed, and `None` when it was unsealed. The first one stays.
    pub fn watch_sealing(&self, watcher: impl Fn(Option<&str>) + Send + Sync + 'static) {
        // Only who made the core calls this.
        let _ = self.keyring.sealing.watcher.set(Box::new(watcher));
    }

    /// Says where the credential is that `unseal` uses when it is asked for the configured one. The first one stays.
    pub fn configure_root(&self, source: impl Fn() -> Result<Credential> + Send + Sync + 'static) {
        let _ = self.keyring.sealing.configured.set(Box::new(source));
    }

    /// Lets requests about roots name HSM libraries, which `helper` loads. Said once.
    pub fn set_hsm_helper(&self, helper: HsmHelper) {
        self.keyring.set_hsm_helper(helper);
    }

    /// Whether the store has a root.
    #[must_use]
    pub fn has_root(&self) -> bool {
        self.keyring.has_root()
    }

    /// Whether the root key is absent though the store has a root.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.keyring.is_sealed()
    }

    /// Tells people why the store is sealed.
    pub fn set_sealed_reason(&self, reason: impl Into<String>) {
        self.keyring.set_sealed_reason(reason.into());
    }

    /// How it is now, in numbers. Reads the store if it is open: not for threads that must not wait.
    #[must_use]
    pub fn figures(&self) -> Figures {
        self.keyring.figures()
    }

    /// The provider in use; digests and random bytes need no key and are used directly.
    #[must_use]
    pub fn provider(&self) -> &'static Provider {
        self.keyring.provider
    }

    /// The caller that a bearer token stands for, shown on this machine.
    ///
    /// # Errors
    /// `unauthenticated`, alike for every kind of wrong token; `sealed`.
    pub fn authenticate(&self, token: &str) -> Result<Caller> {
        self.recognise(&Presented::token(token))
    }

    /// The caller that what somebody shows stands for: his token, or else his client certificate.
    ///
    /// # Errors
    /// `unauthenticated`, alike for every kind of what is not good; `sealed`.
    pub fn recognise(&self, presented: &Presented<'_>) -> Result<Caller> {
        self.keyring.rereading(|| self.keyring.recognise(presented))
    }

    /// Whoever administers the host: everything in the tenant that `canis init` made. The server says who that is.
    ///
    /// # Errors
    /// `sealed`; `tenant_not_found` if that tenant is gone.
    pub fn administrator(&self) -> Result<Caller> {
        self.keyring.administrator()
    }

    /// From now on the JWTs of these issuers are looked at, and of no others; callers are looked at again.
    ///
    /// # Errors
    /// `invalid_argument` naming the issuer and what is wrong with its keys; then all stays as it was.
    pub fn set_issuers(&self, issuers: &[Issuer]) -> Result<()> {
        self.keyring.set_issuers(issuers)
    }

    /// The store's owner, looking at one token: whoever unsealed this core with a root's credential.
    ///
    /// # Errors
    /// `sealed`; `operation_not_allowed` in a store without a root.
    pub fn owner(&self, token: Id) -> Result<Caller> {
        self.keyring.root_keys()?;
        Ok(Caller::owner(token))
    }

    /// Whoever looks after a store that he opened in a process of his own: its owner, if a root's credential opened it;
    /// in a store without a root somebody who gets no further than PINs let him.
    #[must_use]
    pub fn operator(&self) -> Caller {
        Caller::operator(self.keyring.has_root() && !self.keyring.is_sealed())
    }

    /// A new PKCS#11 application.
    #[must_use]
    pub fn application(&self) -> Arc<Application> {
        Arc::default()
    }

    /// The caller with its application, looking at one token.
    ///
    /// # Errors
    /// `tenant_not_found` for a token that is not there, or not there for this caller; `sealed`.
    pub fn at_token(&self, caller: &Caller, application: &Arc<Application>, token: Id) -> Result<Caller> {
        let there = caller.sees(token) && self.keyring.token_list()?.iter().any(|info| info.id == token);
        if !there {
            return Err(Error::new(ErrorCode::TenantNotFound, format!("there is no token {token}")));
        }
        Ok(caller.at_token(application, token))
    }

    /// Ends an application that nobody will come back to.
    pub fn end_application(&self, application: &Application) {
        self.keyring.end_application(application);
    }

    /// Runs an operation if the caller may.
    ///
    /// # Errors
    /// `permission_denied` naming capability and resource, and those of the operation.
    pub fn call<R: Run>(&self, caller: &Caller, request: R) -> Result<R::Answer> {
        let Some(recorder) = &self.recorder else { return self.run(caller, request) };
        let begun = recorder.begin(caller, &request)?;
        recorder.call::<R>(begun, caller, || self.run(caller, request))
    }

    fn run<R: Run>(&self, caller: &Caller, request: R) -> Result<R::Answer> {
        // What is short writes nothing; who replaces the root key, or counts all anew, waits for the others.
        let alone =
            matches!(R::ID, OperationId::RotateRootKey | OperationId::AcceptStore | OperationId::RekeyTenant);
        let writes = R::ID.row().cost == Cost::Long && !alone;
        let _steady = writes.then(|| self.keyring.steady_root()).transpose()?;
        let needed = R::ID.row().capability;
        if R::ID.of_store() {
            self.keyring.require_operator(caller, request.resource())?;
        }
        let longest = match needed {
            Some(needed) => self.keyring.require(caller, needed, request.resource(), request.facts())?,
            None => u64::MAX,
        };
        let longest = longest.min(refuse_too_long(caller, request.facts())?);
        let watch = match (R::STREAM, needed) {
            (true, Some(needed)) => Some(Watch::new(needed, longest, &request)),
            _ => None,
        };
        let answer = self.keyring.run(caller, request);
        if R::PASSES_MATERIAL {
            wipe_deep_stack();
        }
        let answer = answer?;
        Ok(match watch {
            Some(watch) => R::watched(answer, watch),
            None => answer,
        })
    }

    /// Whether an opened key may be kept for the next use as it is: nobody has changed the store, logged in or out, or
    /// changed a session object since, as far as is known here. Costs two loads; otherwise open the key anew. Every use
    /// looks again, and then at other processes, too.
    #[must_use]
    pub fn is_current(&self, caller: &Caller, key: &KeyHandle) -> bool {
        self.keyring.known_moment(caller).is_ok_and(|now| now == key.since)
    }

    /// The moment for a PKCS#11 application; what it sees stays the same until this changes. Costs two loads.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub fn since(&self, caller: &Caller) -> Result<Since> {
        self.keyring.since(caller)
    }

    /// Writes the counts of uses; to be called every few seconds, and at the end.
    ///
    /// # Errors
    /// `store_full`, `store_unavailable`; then they stay counted.
    pub fn write_uses(&self) -> Result<()> {
        self.keyring.write_uses()
    }

    /// The same if some seconds have passed since the last time; for a host where nobody else is there to do it.
    pub fn write_uses_when_due(&self) {
        self.keyring.write_uses_when_due();
    }

    /// Who is logged in to the caller's token now. A token that another process wiped has nobody logged in.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub fn role(&self, caller: &Caller) -> Result<Option<Role>> {
        self.keyring.logged_in(caller)
    }
}

/// Refuses more bytes than the limits of the caller's tenant let it bring. Gives how many these are, for what comes in pieces.
fn refuse_too_long(caller: &Caller, facts: Facts<'_>) -> Result<u64> {
    let most = caller.max_payload();
    match facts.payload {
        Some(bytes) if bytes > most => {
            let why = format!("your tenant may bring {most} bytes in one request, not {bytes}");
            Err(Error::new(ErrorCode::TooLarge, why))
        }
        _ => Ok(most),
    }
}
