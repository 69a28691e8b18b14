//! `credential.…`: the bearer tokens and client certificates of a tenant. Nobody gives away more than he has, and only
//! who comes from the store's own host makes credentials of other tenants.

use super::authenticate::NewCredential;
use crate::caller::Caller;
use crate::core::{Resource, Run};
use crate::keyring::Keyring;
use crate::keyring::record::CredentialKind;
use crate::store::{Change, Row, TokenRow};
use canis_proto::credential::{
    CreateCredential, CredentialInfo, CredentialList, CredentialMade, CredentialRevoked, ListCredentials,
    MAX_CREDENTIAL_NAME, RevokeCredential,
};
use canis_proto::{Capabilities, Error, ErrorCode, Id, Result, quote};

/// The most credentials of one tenant: as many as one answer lists.
const MOST: usize = 10_000;

impl Run for CreateCredential<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::System
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<CredentialMade> {
        if self.name.len() > MAX_CREDENTIAL_NAME {
            let why = format!("a credential's name has at most {MAX_CREDENTIAL_NAME} bytes");
            return Err(Error::invalid(why));
        }
        if !caller.capabilities().covers(self.capabilities) {
            let why = "you cannot grant a capability that you lack yourself";
            return Err(Error::new(ErrorCode::PermissionDenied, why));
        }
        let tenant = keyring.tenant_meant(caller, &self.tenant)?;
        if keyring.store.tokens(tenant)?.len() >= MOST {
            let why = format!("a tenant has at most {MOST} credentials; revoke those that are not used");
            return Err(Error::new(ErrorCode::TooLarge, why));
        }
        let lifetime = (!self.lifetime.is_never()).then(|| self.lifetime.micros());
        let new = NewCredential {
            tenant,
            name: &self.name,
            capabilities: self.capabilities,
            expires_at: lifetime.map(|span| keyring.clock.now_micros().saturating_add(span)),
        };
        let (row, token) = match self.certificate.is_empty() {
            true => keyring.new_token(&new).map(|(row, token)| (row, Some(token)))?,
            false => (keyring.new_certificate(&self.certificate, &new)?, None),
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

impl Run for ListCredentials<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::System
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
        Resource::System
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<CredentialRevoked> {
        let own = caller.tenant()?;
        let row = Id::parse(&self.id).map(|id| keyring.store.token(id)).transpose()?.flatten();
        // Another tenant's is not there, for who is not this host's administrator.
        let row = row.filter(|row| row.tenant_id == own || caller.is_on_host()).ok_or_else(|| {
            let why = format!("there is no credential `{}`", quote(&self.id));
            Error::new(ErrorCode::ObjectNotFound, why)
        })?;
        keyring.change_credentials(&[Change::RemoveToken(row.id, row.revision)])?;
        keyring.purge();
        Ok(CredentialRevoked { id: row.id.to_string() })
    }
}

impl Keyring {
    /// The tenant that a request about credentials means: the caller's own unless it names one.
    fn tenant_meant(&self, caller: &Caller, label: &str) -> Result<Id> {
        let own = caller.tenant()?;
        if label.is_empty() {
            return Ok(own);
        }
        let named = match caller.is_on_host() {
            true => self.token_labelled(label)?.id,
            false if self.tenant_info(own)?.record.name == label => own,
            false => {
                let why = "credentials of other tenants are made and seen on the server's own host only, by its socket";
                return Err(Error::new(ErrorCode::PermissionDenied, why));
            }
        };
        Ok(named)
    }

    /// Changes credentials; from then on those that callers have shown are looked at again.
    pub(super) fn change_credentials(&self, changes: &[Change]) -> Result<()> {
        self.store.commit(changes)?;
        self.credentials_changed();
        Ok(())
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
        })
    }
}
