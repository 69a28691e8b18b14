//! Who asks: a bearer of a token, a PKCS#11 application, or nobody yet.

use crate::application::Application;
use crate::clock::Clock;
use crate::keyring::standing::Standing;
use crate::origin::{Door, Origin, Proof};
use crate::policy::Rights;
use crate::token::Role;
use canis_proto::{Capabilities, Error, ErrorCode, Id, Result};
use std::sync::Arc;

/// The caller of an operation: its tenant and what it was granted.
#[derive(Clone)]
pub struct Caller {
    tenant: Option<Id>,
    rights: Rights,
    application: Option<Arc<Application>>,
    /// The token that it bears.
    token: Option<Id>,
    /// Whether it brought a root's credential into this process.
    owner: bool,
    /// Whether it came from the store's own host, as the user that the store belongs to or as root.
    host: bool,
    /// The one token that it may see through PKCS#11; `None` sees all of them.
    only: Option<Id>,
    origin: Origin,
    proof: Proof,
    /// How many requests a second all callers of its tenant may ask together.
    max_requests: Option<u32>,
    /// How many bytes it may bring in one request or stream.
    max_payload: Option<u64>,
    /// By which roles it came in, if by such.
    admission: Option<Arc<Admission>>,
    /// When its credential is over, in microseconds since 1970-01-01 UTC.
    ends: Option<i64>,
}

/// How somebody came in who bears no credential of this store.
pub(crate) struct Admission {
    /// The names of the roles that were about them, with commas between.
    pub(crate) roles: String,
    /// What they are called by who vouches for them: a certificate's name, a user, a token's subject and issuer.
    pub(crate) subject: String,
}

impl Caller {
    /// Nobody: may ask for the status only.
    #[must_use]
    pub fn anonymous() -> Self {
        Caller {
            tenant: None,
            rights: Rights::everywhere(Capabilities::NONE),
            application: None,
            token: None,
            owner: false,
            host: false,
            only: None,
            origin: Origin::OWN,
            proof: Proof::Nothing,
            admission: None,
            max_requests: None,
            max_payload: None,
            ends: None,
        }
    }

    /// Nobody in the store, but come from its own host as the user that it belongs to or as root: who asks there while no
    /// credential can be checked.
    #[must_use]
    pub fn stranger_on_host() -> Self {
        Caller { proof: Proof::User, ..Caller::anonymous().on_host() }
    }

    /// The bearer of a credential, which `proof` is.
    pub(crate) fn bearer(token: Id, tenant: Id, rights: Rights, proof: Proof) -> Self {
        Caller {
            tenant: Some(tenant),
            rights,
            token: Some(token),
            only: Some(tenant),
            proof,
            ..Caller::anonymous()
        }
    }

    /// The same, let in by roles.
    pub(crate) fn admitted(self, admission: Admission) -> Self {
        Caller { admission: Some(Arc::new(admission)), ..self }
    }

    /// The same, whose credential is over at this moment.
    pub(crate) fn until(self, ends: Option<i64>) -> Self {
        Caller { ends, ..self }
    }

    /// Whether its credential is over by now. No look at the clock for one without an end.
    pub(crate) fn is_over(&self, clock: &dyn Clock) -> bool {
        self.ends.is_some_and(|end| end <= clock.now_micros())
    }

    /// By which roles it came in.
    pub(crate) fn admission(&self) -> Option<&Admission> {
        self.admission.as_deref()
    }

    /// The same within the limits of its tenant.
    pub(crate) fn within(self, standing: &Standing) -> Self {
        Caller { max_requests: standing.max_requests, max_payload: standing.max_payload, ..self }
    }

    /// How many requests a second all callers of its tenant may ask together, if that is limited.
    #[must_use]
    pub fn max_requests(&self) -> Option<u32> {
        self.max_requests
    }

    /// How many bytes it may bring in one request or stream.
    pub(crate) fn max_payload(&self) -> u64 {
        self.max_payload.unwrap_or(u64::MAX)
    }

    /// The same, who came from there. Whoever lets somebody in says so.
    #[must_use]
    pub fn from(self, origin: Origin) -> Self {
        Caller { origin, ..self }
    }

    /// Where it came from.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// How it has proved who it is.
    #[must_use]
    pub fn proof(&self) -> Proof {
        self.proof
    }

    /// The same with a PKCS#11 application, looking at one token.
    pub(crate) fn at_token(&self, application: &Arc<Application>, token: Id) -> Self {
        Caller { tenant: Some(token), ..self.at_slots(application) }
    }

    /// The same with a PKCS#11 application, looking at the slots.
    #[must_use]
    pub fn at_slots(&self, application: &Arc<Application>) -> Self {
        let origin = Origin { door: Door::Pkcs11Remote, ..self.origin };
        Caller { application: Some(Arc::clone(application)), origin, ..self.clone() }
    }

    /// Whether a token is there for it.
    pub(crate) fn sees(&self, token: Id) -> bool {
        self.only.is_none_or(|only| only == token)
    }

    /// Whether it is who `other` is, whatever either may.
    #[must_use]
    pub fn is_the_same_as(&self, other: &Caller) -> bool {
        (self.tenant, self.token, self.host) == (other.tenant, other.token, other.host)
    }

    /// The credential that it came with; nobody else has the same.
    #[must_use]
    pub fn credential(&self) -> Id {
        self.identity()
    }

    /// The owner of the store, who opened it here with a root's credential; see [`crate::Core::owner`].
    pub(crate) fn owner(token: Id) -> Self {
        Caller { tenant: Some(token), ..Caller::operator(true) }
    }

    /// Who looks after a store in a process of his own, at no token in particular; see [`crate::Core::operator`].
    pub(crate) fn operator(owner: bool) -> Self {
        Caller {
            rights: Rights::everywhere(Capabilities::ALL),
            owner,
            host: true,
            proof: if owner { Proof::Root } else { Proof::Pin },
            ..Caller::anonymous()
        }
    }

    /// The server's own timer, which does in every tenant what schedules ask for.
    pub(crate) fn timer() -> Self {
        Caller { rights: Rights::everywhere(Capabilities::ALL), proof: Proof::Own, ..Caller::anonymous() }
    }

    /// A PKCS#11 application looking at one token. What it may do depends on who is logged in.
    #[must_use]
    pub fn pkcs11(application: &Arc<Application>, token: Id) -> Self {
        Caller { tenant: Some(token), ..Caller::pkcs11_slots(application) }
    }

    /// A PKCS#11 application looking at the slots, at no token in particular.
    #[must_use]
    pub fn pkcs11_slots(application: &Arc<Application>) -> Self {
        Caller {
            rights: Rights::everywhere(Capabilities::ALL),
            application: Some(Arc::clone(application)),
            proof: Proof::Pin,
            ..Caller::anonymous()
        }
    }

    /// The same, come from the store's own host: it sees every token, as a module in its process would.
    pub(crate) fn on_host(self) -> Self {
        Caller { host: true, only: None, ..self }
    }

    /// Its application and its token, if it came through PKCS#11 and looks at one.
    pub(crate) fn at_pkcs11(&self) -> Option<(&Arc<Application>, Id)> {
        self.application.as_ref().zip(self.tenant)
    }

    /// Who is logged in to its token, for those who come through PKCS#11.
    pub(crate) fn pin_role(&self) -> Option<&'static str> {
        let (application, token) = self.at_pkcs11()?;
        Some(match application.role(token) {
            Some(Role::User) => "user",
            Some(Role::So) => "so",
            None => "nobody",
        })
    }

    /// Whether it came from the store's own host and may say what code runs there.
    pub(crate) fn is_on_host(&self) -> bool {
        self.host
    }

    /// Whether it is the store's owner.
    pub(crate) fn is_owner(&self) -> bool {
        self.owner
    }

    /// What it may.
    pub(crate) fn rights(&self) -> &Rights {
        &self.rights
    }

    /// Who it is among the callers of its tenant: the token that it bears. Those without one are one.
    pub(crate) fn identity(&self) -> Id {
        self.token.unwrap_or(Id::STORE)
    }

    /// Its tenant, if it has one.
    #[must_use]
    pub fn tenant_if_known(&self) -> Option<Id> {
        self.tenant
    }

    /// Its tenant.
    pub(crate) fn tenant(&self) -> Result<Id> {
        self.tenant.ok_or_else(|| {
            Error::new(
                ErrorCode::Unauthenticated,
                "present a token first; `status` is all that is answered without one",
            )
        })
    }

    /// Its application; only the PKCS#11 door has one.
    pub(crate) fn application(&self) -> Result<&Arc<Application>> {
        self.application.as_ref().ok_or_else(|| {
            Error::new(ErrorCode::OperationNotSupported, "this operation is asked through PKCS#11 only")
        })
    }
}
