//! `credential.…`: the bearer tokens and client certificates of a tenant. Nobody gives away more than he has, and only
//! who comes from the store's own host makes credentials of other tenants.

use super::authenticate::NewCredential;
use crate::caller::Caller;
use crate::core::{Facts, Resource, Run};
use crate::keyring::Keyring;
use crate::keyring::intent::Intent;
use crate::keyring::record::{CredentialKind, Token};
use crate::policy::{Rights, is_network};
use crate::store::{Change, Row, TokenRow};
use canis_proto::credential::{
    CreateCredential, CredentialInfo, CredentialList, CredentialMade, CredentialRevoked, ListCredentials,
    MAX_CREDENTIAL_NAME, RenewCredential, RevokeCredential, ShowCredential,
};
use canis_proto::message::WireRequest;
use canis_proto::{Capabilities, Capability, Error, ErrorCode, Id, Result, quote};

/// The most credentials of one tenant: as many as one answer lists.
const MOST: usize = 10_000;

/// The most policies and networks of one credential.
const MOST_NAMED: usize = 256;

impl Run for CreateCredential<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Part("credentials")
    }

    fn intent(&self, keyring: &Keyring, caller: &Caller) -> Result<Option<Intent>> {
        let told = CreateCredential::FIELDS.iter().map(|field| field.name).collect::<Vec<_>>();
        let tenant = keyring.tenant_meant(caller, &self.tenant)?;
        Ok(Some(Intent::of(Capability::Admin, self, &told).in_tenant(tenant)))
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<CredentialMade> {
        let tenant = keyring.tenant_meant(caller, &self.tenant)?;
        let new = keyring.new_credential(caller, tenant, &self)?;
        if keyring.store.tokens(tenant)?.len() >= MOST {
            let why = format!("a tenant has at most {MOST} credentials; revoke those that are not used");
            return Err(Error::new(ErrorCode::TooLarge, why));
        }
        let (row, token) = match self.certificate.is_empty() {
            true => keyring.new_token(tenant, &new).map(|(row, token)| (row, Some(token)))?,
            false => (keyring.new_certificate(tenant, &self.certificate, &new)?, None),
        };
        let credential = keyring.told_credential(&row)?;
        keyring.change_credentials(&[Change::Put(Row::Token(row))]).map_err(|error| match error.code {
            ErrorCode::Conflict => Error::new(
                ErrorCode::Conflict,
                "this certificate's key stands for a caller already; revoke that credential first",
            ),
            _ => error,
        })?;
        let token = token.map(|token| String::from_utf8_lossy(token.expose()).into_owned());
        Ok(CredentialMade { credential, token })
    }
}

impl Run for ShowCredential<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Part("credentials")
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<CredentialInfo> {
        keyring.told_credential(&keyring.credential_meant(caller, &self.id)?)
    }
}

impl Run for RenewCredential<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Part("credentials")
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<CredentialInfo> {
        let row = keyring.credential_meant(caller, &self.id)?;
        let record = keyring.read_token(&row)?;
        let renewal = record.renewal.ok_or_else(|| {
            Error::new(ErrorCode::OperationNotAllowed, "this credential was not made to be renewed")
        })?;
        let now = keyring.clock.now_micros();
        if record.expires_at.is_some_and(|end| end <= now) {
            let why = "this credential is over; what is over cannot be renewed";
            return Err(Error::new(ErrorCode::OperationNotAllowed, why));
        }
        let renewed = Token { expires_at: Some(now.saturating_add(renewal)), ..record };
        let row = keyring.next_token_row(&row, &renewed)?;
        let told = keyring.told_credential(&row)?;
        keyring.change_credentials(&[Change::Put(Row::Token(row))])?;
        Ok(told)
    }
}

impl Run for ListCredentials<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Part("credentials")
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<CredentialList> {
        let rows = keyring.store.tokens(keyring.tenant_meant(caller, &self.tenant)?)?;
        let told: Result<Vec<_>> = rows.iter().map(|row| keyring.told_credential(row)).collect();
        let mut credentials = told?;
        credentials.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        Ok(CredentialList { credentials })
    }
}

impl Run for RevokeCredential<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Part("credentials")
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<CredentialRevoked> {
        // Nobody's slip, an empty variable, is to end his own.
        if self.id.is_empty() {
            return Err(no_credential(&self.id));
        }
        let row = keyring.credential_meant(caller, &self.id)?;
        keyring.change_credentials(&[Change::RemoveToken(row.id, row.revision)])?;
        keyring.purge();
        Ok(CredentialRevoked { id: row.id.to_string() })
    }
}

impl Keyring {
    /// The tenant that a request about credentials means: the caller's own unless it names one.
    pub(super) fn tenant_meant(&self, caller: &Caller, label: &str) -> Result<Id> {
        let own = caller.tenant()?;
        if label.is_empty() {
            return Ok(own);
        }
        let named = match caller.is_on_host() {
            true => self.token_labelled(caller, label)?.id,
            false if self.tenant_info(own)?.record.name == label => own,
            false => {
                let why = "credentials of other tenants are made and seen on the server's own host only, by its socket";
                return Err(Error::new(ErrorCode::PermissionDenied, why));
            }
        };
        Ok(named)
    }

    /// What a request asks a new credential to be, if the caller may give that away.
    fn new_credential<'a>(
        &self,
        caller: &Caller,
        tenant: Id,
        request: &'a CreateCredential<'_>,
    ) -> Result<NewCredential<'a>> {
        if request.name.len() > MAX_CREDENTIAL_NAME {
            let why = format!("a credential's name has at most {MAX_CREDENTIAL_NAME} bytes");
            return Err(Error::invalid(why));
        }
        if let Some(wrong) = request.networks.iter().find(|text| !is_network(text)) {
            let why =
                format!("`{}` is not a network like `10.0.0.0/8`, an address, or `local`", quote(wrong));
            return Err(Error::invalid(why));
        }
        if request.policies.len() + request.networks.len() > MOST_NAMED {
            let why = format!("a credential names at most {MOST_NAMED} policies and networks together");
            return Err(Error::invalid(why));
        }
        let policies = owned(&request.policies);
        for name in &policies {
            self.policy(tenant, name)?;
        }
        self.may_give(caller, &self.rights(tenant, request.capabilities, &policies)?)?;
        let lifetime = (!request.lifetime.is_never()).then(|| request.lifetime.micros());
        if request.renewable && lifetime.is_none() {
            return Err(Error::invalid("what never ends is not renewed; say a lifetime"));
        }
        let bound_to = match (&*request.bound_to, request.certificate.is_empty()) {
            ([], _) => None,
            (certificate, true) => Some(self.key_hash(certificate)?),
            (_, false) => {
                return Err(Error::invalid("a token is bound to a certificate, a certificate to nothing"));
            }
        };
        Ok(NewCredential {
            name: &request.name,
            capabilities: request.capabilities,
            expires_at: lifetime.map(|span| self.clock.now_micros().saturating_add(span)),
            policies,
            networks: owned(&request.networks),
            uses: (request.uses > 0).then_some(request.uses),
            bound_to,
            renewal: lifetime.filter(|_| request.renewable),
            lineage: self.lineage_of_child(caller)?,
        })
    }

    /// Refuses rights that the caller has not himself.
    ///
    /// # Errors
    /// `permission_denied`.
    pub(super) fn may_give(&self, caller: &Caller, given: &Rights) -> Result<()> {
        caller.rights().hold(given).map_err(|lacked| {
            let why = format!(
                "you cannot grant a capability that you lack yourself: `{}` on \"{}\"",
                lacked.capability, lacked.path
            );
            Error::new(ErrorCode::PermissionDenied, why)
        })
    }

    /// The credential that a request means: the caller's own if it names none or that one; another takes `admin`.
    fn credential_meant(&self, caller: &Caller, id: &str) -> Result<TokenRow> {
        caller.tenant()?;
        if id.is_empty() || Id::parse(id) == Some(caller.credential()) {
            let why = "what you came with is no credential that is kept";
            return self
                .store
                .token(caller.credential())?
                .ok_or_else(|| Error::new(ErrorCode::ObjectNotFound, why));
        }
        self.require(caller, Capability::Admin, Resource::Part("credentials"), Facts::default())?;
        self.credential_named(caller, id)?.ok_or_else(|| no_credential(id))
    }

    /// The credential of this id. Another tenant's is not there, for who is not this host's administrator.
    pub(super) fn credential_named(&self, caller: &Caller, id: &str) -> Result<Option<TokenRow>> {
        let own = caller.tenant()?;
        let row = Id::parse(id).map(|id| self.store.token(id)).transpose()?.flatten();
        Ok(row.filter(|row| row.tenant_id == own || caller.is_on_host()))
    }

    pub(super) fn told_credential(&self, row: &TokenRow) -> Result<CredentialInfo> {
        let record = self.read_token(row)?;
        let certificate = record.kind == CredentialKind::Certificate;
        Ok(CredentialInfo {
            id: row.id.to_string(),
            kind: if certificate { "certificate" } else { "token" }.to_owned(),
            name: record.name,
            capabilities: Capabilities::from_bits(record.capabilities),
            created_at: record.created_at,
            expires_at: record.expires_at,
            spki_sha256: certificate.then(|| record.hash.to_vec()),
            policies: record.policies,
            networks: record.networks,
            uses_left: record.uses_left,
            bound_to: record.bound_to.map(|hash| hash.to_vec()),
            renewable: record.renewal.is_some(),
        })
    }
}

fn owned(texts: &[std::borrow::Cow<'_, str>]) -> Vec<String> {
    texts.iter().map(|text| text.clone().into_owned()).collect()
}

pub(super) fn no_credential(id: &str) -> Error {
    Error::new(ErrorCode::ObjectNotFound, format!("there is no credential `{}`", quote(id)))
}
