//! Who a credential stands for. A bearer token is `canis_` and base64url of a 16-byte id and a 32-byte secret, of which
//! the store holds a hash only; a client certificate is known by the SHA-256 of its public key.
//!
//! Why this is safe here: the secret has 256 bits, so a plain hash cannot be searched; the row is found by the
//! public id and the hash compared in constant time, so that time tells nothing about either. A certificate proves
//! nothing to the core: who asks here has seen its owner sign a TLS handshake.

use crate::caller::Caller;
use crate::crypto::{Hash, MAX_DIGEST, Provider};
use crate::format::certificate::Certificate;
use crate::identity::UnixPeer;
use crate::jwt::looks_like_jwt;
use crate::keyring::Keyring;
use crate::keyring::record::{CredentialKind, Token};
use crate::keyring::seal::fresh_id;
use crate::keyring::store_rows::place;
use crate::keyring::tenant::Protection;
use crate::origin::Proof;
use crate::policy::{Rights, Source, network_holds};
use crate::secret::SecretBytes;
use crate::setup::DEFAULT_TENANT;
use crate::store::{Change, Row, TokenRow};
use base64ct::{Base64UrlUnpadded, Encoding};
use canis_proto::{Capabilities, Error, ErrorCode, Id, Result};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

const PREFIX: &str = "canis_";
const SECRET: usize = 32;
const TOKEN: usize = 16 + SECRET;

/// How often a token is looked at again because somebody else has used it meanwhile.
const TRIES: usize = 100;

/// What a new credential is to be.
#[derive(Default)]
pub(crate) struct NewCredential<'a> {
    pub(crate) name: &'a str,
    pub(crate) capabilities: Capabilities,
    /// When it ends, in microseconds since 1970-01-01 UTC.
    pub(crate) expires_at: Option<i64>,
    /// The names of its policies.
    pub(crate) policies: Vec<String>,
    /// The networks it is good from, each checked; from anywhere if there are none.
    pub(crate) networks: Vec<String>,
    /// How many connections it opens, if that is limited.
    pub(crate) uses: Option<u32>,
    /// The SHA-256 of the key of the certificate that must be shown beside it.
    pub(crate) bound_to: Option<[u8; 32]>,
    /// How long it lives from each renewal, in microseconds, if it can be renewed.
    pub(crate) renewal: Option<i64>,
    /// Who makes it, and who made that, and so on.
    pub(crate) lineage: Vec<[u8; 16]>,
}

/// What somebody shows of himself, and where he is seen to come from.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    /// A bearer token.
    pub token: Option<&'a str>,
    /// A client certificate, DER, which its bearer has proved to be his own. Beside a token it is what that may be bound
    /// to.
    pub certificate: Option<&'a [u8]>,
    /// Whose process the kernel says it is, if it came from this host without either.
    pub peer: Option<&'a UnixPeer>,
    /// Where it comes from.
    pub source: Source,
    /// Whether the same was shown and accepted on this connection before, so that it does not count as another use.
    pub again: bool,
}

impl<'a> Presented<'a> {
    /// A bearer token, shown on this machine.
    #[must_use]
    pub fn token(token: &'a str) -> Self {
        Presented { token: Some(token), certificate: None, peer: None, source: Source::Local, again: false }
    }
}

impl Keyring {
    /// The caller that what is presented stands for.
    pub(crate) fn recognise(&self, presented: &Presented<'_>) -> Result<Caller> {
        if self.is_sealed() {
            self.root_keys()?;
        }
        match (presented.token, presented.certificate, presented.peer) {
            (Some(token), _, _) if looks_like_jwt(token) => self.bearer_of_jwt(token),
            (Some(token), _, _) => self.bearer_of_token(token, presented),
            (None, Some(certificate), _) => self.bearer_of_certificate(certificate, presented),
            (None, None, Some(peer)) => self.peer(peer),
            (None, None, None) => {
                Err(Error::new(ErrorCode::Unauthenticated, "neither token nor certificate was shown"))
            }
        }
    }

    fn bearer_of_token(&self, token: &str, presented: &Presented<'_>) -> Result<Caller> {
        let refused = || Error::new(ErrorCode::Unauthenticated, "the token is unknown, expired or malformed");
        let mut bytes = Zeroizing::new([0; TOKEN]);
        let text = token.trim_end().strip_prefix(PREFIX).ok_or_else(refused)?;
        let decoded = Base64UrlUnpadded::decode(text, &mut bytes[..]).map_err(|_| refused())?;
        let (id, secret) =
            decoded.split_first_chunk::<16>().filter(|(_, s)| s.len() == SECRET).ok_or_else(refused)?;
        let hash = hash(self.provider, secret);
        self.caller_of(Id(*id), CredentialKind::Bearer, &hash, presented)?.ok_or_else(refused)
    }

    fn bearer_of_certificate(&self, certificate: &[u8], presented: &Presented<'_>) -> Result<Caller> {
        let refused = || {
            let why = "the client certificate stands for nobody here, or its time is over; an administrator binds it by \
                       `canis token create --certificate`, or writes a role";
            Error::new(ErrorCode::Unauthenticated, why)
        };
        let hash = self.key_hash(certificate).map_err(|_| refused())?;
        let id = certificate_id(&hash);
        if self.store.token(id)?.is_none() {
            return self.bearer_by_names(certificate)?.ok_or_else(refused);
        }
        // What is bound by its key is what it was bound to, and nobody else when that is over.
        self.caller_of(id, CredentialKind::Certificate, &hash, presented)?.ok_or_else(refused)
    }

    /// SHA-256 of the key of a certificate, PEM or DER.
    pub(crate) fn key_hash(&self, certificate: &[u8]) -> Result<[u8; 32]> {
        Ok(hash(self.provider, &Certificate::read(certificate)?.spki))
    }

    /// The caller of a credential that is there, of this kind and with this hash, and good here and now.
    fn caller_of(
        &self,
        id: Id,
        kind: CredentialKind,
        hash: &[u8; 32],
        presented: &Presented<'_>,
    ) -> Result<Option<Caller>> {
        for _ in 0..TRIES {
            let Some(row) = self.store.token(id)? else { return Ok(None) };
            let record = self.read_token(&row)?;
            let fits = bool::from(hash.ct_eq(&record.hash)) && record.kind == kind;
            if !fits || !self.is_good(&record, presented)? {
                return Ok(None);
            }
            let standing = self.standing(row.tenant_id)?;
            standing.refuse_disabled()?;
            if !self.count_connection(&row, &record, presented)? {
                continue;
            }
            let proof = match kind {
                CredentialKind::Bearer => Proof::Token,
                CredentialKind::Certificate => Proof::Certificate,
            };
            let own = Capabilities::from_bits(record.capabilities);
            let rights = self.rights(row.tenant_id, own, &record.policies)?;
            let caller = Caller::bearer(row.id, row.tenant_id, rights, proof).within(&standing);
            return Ok(Some(caller.until(record.expires_at)));
        }
        Err(Error::new(ErrorCode::Conflict, "others use up this token all the time; try again"))
    }

    /// Whether a credential is not over, not used up, and shown where and with what it may be shown.
    fn is_good(&self, record: &Token, presented: &Presented<'_>) -> Result<bool> {
        let over = record.expires_at.is_some_and(|end| end <= self.clock.now_micros());
        let used_up = record.uses_left == Some(0) && !presented.again;
        let networks = &record.networks;
        let here =
            networks.is_empty() || networks.iter().any(|network| network_holds(network, presented.source));
        let beside = match (&record.bound_to, presented.certificate) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(wanted), Some(shown)) => bool::from(self.key_hash(shown)?.ct_eq(wanted)),
        };
        Ok(!over && !used_up && here && beside)
    }

    /// Counts a connection of a credential that opens a limited number of them. `false` if it was used by others
    /// meanwhile and is to be looked at again.
    fn count_connection(&self, row: &TokenRow, record: &Token, presented: &Presented<'_>) -> Result<bool> {
        let Some(left) = record.uses_left.filter(|_| !presented.again) else { return Ok(true) };
        let left = Token { uses_left: Some(left.saturating_sub(1)), ..record.clone() };
        let counted = {
            let _steady = self.steady_root()?;
            self.store.commit(&[Change::Put(Row::Token(self.next_token_row(row, &left)?))])
        };
        match counted {
            Ok(()) => Ok(true),
            Err(error) if error.code == ErrorCode::Conflict => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The row that takes the place of a credential's.
    pub(crate) fn next_token_row(&self, row: &TokenRow, record: &Token) -> Result<TokenRow> {
        let revision = row.revision + 1;
        let sealed =
            self.seal_store_row(&place("tokens", row.tenant_id, row.id, revision), &record.encode()?)?;
        Ok(TokenRow { revision, sealed, ..row.clone() })
    }

    /// The caller that the host's administrator is.
    pub(crate) fn administrator(&self) -> Result<Caller> {
        self.root_keys()?;
        Ok(Caller::bearer(
            Id::STORE,
            self.first_tenant()?,
            Rights::everywhere(Capabilities::ALL),
            Proof::User,
        )
        .on_host())
    }

    /// The tenant that `canis init` made.
    pub(crate) fn first_tenant(&self) -> Result<Id> {
        for row in self.store.tenants()?.iter().filter(|row| row.name == DEFAULT_TENANT) {
            // A PKCS#11 token may be labelled so, too.
            let tenant = self.tenant_info(row.id)?;
            if tenant.protection == Protection::Root {
                return Ok(tenant.id);
            }
        }
        let why = format!("there is no tenant `{DEFAULT_TENANT}`; use a token");
        Err(Error::new(ErrorCode::TenantNotFound, why))
    }

    /// Opens a credential's row.
    pub(crate) fn read_token(&self, row: &TokenRow) -> Result<Token> {
        let place = place("tokens", row.tenant_id, row.id, row.revision);
        Token::decode(&self.open_store_row(&place, &row.sealed)?)
    }

    /// Draws a bearer token: its row, and its text, which is shown once and kept nowhere.
    pub(crate) fn new_token(&self, tenant: Id, new: &NewCredential<'_>) -> Result<(TokenRow, SecretBytes)> {
        let id = fresh_id(self.provider)?;
        let mut bytes = Zeroizing::new([0; TOKEN]);
        bytes[..16].copy_from_slice(&id.0);
        self.provider.random.fill(&mut bytes[16..])?;
        let hash = hash(self.provider, &bytes[16..]);
        let row = self.credential_row(tenant, id, CredentialKind::Bearer, hash, new)?;
        let mut text = Zeroizing::new(PREFIX.to_owned());
        text.push_str(&Zeroizing::new(Base64UrlUnpadded::encode_string(&bytes[..])));
        Ok((row, SecretBytes::copied_from(text.as_bytes())))
    }

    /// The row that makes a client certificate, PEM or DER, stand for a caller.
    pub(crate) fn new_certificate(
        &self,
        tenant: Id,
        certificate: &[u8],
        new: &NewCredential<'_>,
    ) -> Result<TokenRow> {
        let hash = self.key_hash(certificate)?;
        self.credential_row(tenant, certificate_id(&hash), CredentialKind::Certificate, hash, new)
    }

    fn credential_row(
        &self,
        tenant: Id,
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
            policies: new.policies.clone(),
            networks: new.networks.clone(),
            uses_left: new.uses,
            bound_to: new.bound_to,
            renewal: new.renewal,
            lineage: new.lineage.clone(),
        };
        let sealed = self.seal_store_row(&place("tokens", tenant, id, 1), &record.encode()?)?;
        Ok(TokenRow { id, tenant_id: tenant, revision: 1, sealed })
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
