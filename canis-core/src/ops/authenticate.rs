//! Who a credential stands for. A bearer token is `canis_` and base64url of a 16-byte id and a 32-byte secret, of which
//! the store holds a hash only; a client certificate is known by the SHA-256 of its public key.
//!
//! Why this is safe here: the secret has 256 bits, so a plain hash cannot be searched; the row is found by the
//! public id and the hash compared in constant time, so that time tells nothing about either. A certificate proves
//! nothing to the core: who asks here has seen its owner sign a TLS handshake.

use crate::caller::Caller;
use crate::crypto::{Hash, MAX_DIGEST, Provider};
use crate::format::certificate::Certificate;
use crate::keyring::Keyring;
use crate::keyring::record::{CredentialKind, Token};
use crate::keyring::seal::fresh_id;
use crate::keyring::store_rows::place;
use crate::origin::Proof;
use crate::secret::SecretBytes;
use crate::setup::DEFAULT_TENANT;
use crate::store::TokenRow;
use base64ct::{Base64UrlUnpadded, Encoding};
use canis_proto::{Capabilities, Error, ErrorCode, Id, Result};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

const PREFIX: &str = "canis_";
const SECRET: usize = 32;
const TOKEN: usize = 16 + SECRET;

/// What a new credential is to be.
pub(crate) struct NewCredential<'a> {
    pub(crate) tenant: Id,
    pub(crate) name: &'a str,
    pub(crate) capabilities: Capabilities,
    /// When it ends, in microseconds since 1970-01-01 UTC.
    pub(crate) expires_at: Option<i64>,
}

impl Keyring {
    /// The caller that `token` stands for.
    pub(crate) fn authenticate(&self, token: &str) -> Result<Caller> {
        let refused = || Error::new(ErrorCode::Unauthenticated, "the token is unknown, expired or malformed");
        if self.is_sealed() {
            self.root_keys()?;
        }
        let mut bytes = Zeroizing::new([0; TOKEN]);
        let text = token.trim_end().strip_prefix(PREFIX).ok_or_else(refused)?;
        let decoded = Base64UrlUnpadded::decode(text, &mut bytes[..]).map_err(|_| refused())?;
        let (id, secret) =
            decoded.split_first_chunk::<16>().filter(|(_, s)| s.len() == SECRET).ok_or_else(refused)?;
        self.caller_of(Id(*id), CredentialKind::Bearer, &hash(self.provider, secret))?.ok_or_else(refused)
    }

    /// The caller that the bearer of a client certificate (DER) is.
    pub(crate) fn authenticate_certificate(&self, certificate: &[u8]) -> Result<Caller> {
        let refused = || {
            let why = "the client certificate stands for nobody here, or its time is over; an administrator binds it by \
                       `canis token create --certificate`";
            Error::new(ErrorCode::Unauthenticated, why)
        };
        if self.is_sealed() {
            self.root_keys()?;
        }
        let certificate = Certificate::read(certificate).map_err(|_| refused())?;
        let hash = hash(self.provider, &certificate.spki);
        self.caller_of(certificate_id(&hash), CredentialKind::Certificate, &hash)?.ok_or_else(refused)
    }

    /// The caller of a credential that is there, of this kind and with this hash, and not over.
    fn caller_of(&self, id: Id, kind: CredentialKind, hash: &[u8; 32]) -> Result<Option<Caller>> {
        let Some(row) = self.store.token(id)? else { return Ok(None) };
        let record = self.read_token(&row)?;
        let fits = bool::from(hash.ct_eq(&record.hash)) && record.kind == kind;
        let over = record.expires_at.is_some_and(|end| end <= self.clock.now_micros());
        let proof = match kind {
            CredentialKind::Bearer => Proof::Token,
            CredentialKind::Certificate => Proof::Certificate,
        };
        let caller =
            Caller::bearer(row.id, row.tenant_id, Capabilities::from_bits(record.capabilities), proof);
        Ok((fits && !over).then_some(caller))
    }

    /// The caller that the host's administrator is.
    pub(crate) fn administrator(&self) -> Result<Caller> {
        self.root_keys()?;
        Ok(Caller::bearer(Id::STORE, self.first_tenant()?, Capabilities::ALL, Proof::User).on_host())
    }

    /// The tenant that `canis init` made.
    pub(crate) fn first_tenant(&self) -> Result<Id> {
        let tenants = self.store.tenants()?;
        let tenant = tenants.iter().find(|tenant| tenant.name == DEFAULT_TENANT).ok_or_else(|| {
            Error::new(
                ErrorCode::TenantNotFound,
                format!("there is no tenant `{DEFAULT_TENANT}`; use a token"),
            )
        })?;
        Ok(tenant.id)
    }

    /// Opens a credential's row.
    pub(crate) fn read_token(&self, row: &TokenRow) -> Result<Token> {
        let place = place("tokens", row.tenant_id, row.id, row.revision);
        Token::decode(&self.open_store_row(&place, &row.sealed)?)
    }

    /// Draws a bearer token: its row, and its text, which is shown once and kept nowhere.
    pub(crate) fn new_token(&self, new: &NewCredential<'_>) -> Result<(TokenRow, SecretBytes)> {
        let id = fresh_id(self.provider)?;
        let mut bytes = Zeroizing::new([0; TOKEN]);
        bytes[..16].copy_from_slice(&id.0);
        self.provider.random.fill(&mut bytes[16..])?;
        let hash = hash(self.provider, &bytes[16..]);
        let row = self.credential_row(id, CredentialKind::Bearer, hash, new)?;
        let mut text = Zeroizing::new(PREFIX.to_owned());
        text.push_str(&Zeroizing::new(Base64UrlUnpadded::encode_string(&bytes[..])));
        Ok((row, SecretBytes::copied_from(text.as_bytes())))
    }

    /// The row that makes a client certificate, PEM or DER, stand for a caller.
    pub(crate) fn new_certificate(&self, certificate: &[u8], new: &NewCredential<'_>) -> Result<TokenRow> {
        let hash = hash(self.provider, &Certificate::read(certificate)?.spki);
        self.credential_row(certificate_id(&hash), CredentialKind::Certificate, hash, new)
    }

    fn credential_row(
        &self,
        id: Id,
        kind: CredentialKind,
        hash: [u8; 32],
        new: &NewCredential<'_>,
    ) -> Result<TokenRow> {
        let record = Token {
            kind,
            name: new.name.to_owned(),
            hash,
            capabilities: new.capabilities.bits(),
            created_at: self.clock.now_micros(),
            expires_at: new.expires_at,
        };
        let place = place("tokens", new.tenant, id, 1);
        let sealed = self.seal_store_row(&place, &record.encode()?)?;
        Ok(TokenRow { id, tenant_id: new.tenant, revision: 1, sealed })
    }
}

/// The row of a certificate is found by the hash of its key, so that a key stands for one caller only. The whole hash
/// is in the record.
fn certificate_id(hash: &[u8; 32]) -> Id {
    let mut id = [0; 16];
    id.copy_from_slice(&hash[..16]);
    Id::from_random(id)
}

fn hash(provider: &Provider, bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; MAX_DIGEST];
    provider.digest.hash(Hash::Sha256, bytes, &mut out);
    let mut hash = [0; 32];
    hash.copy_from_slice(&out[..32]);
    hash
}
