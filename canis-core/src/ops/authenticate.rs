//! Bearer tokens: `canis_` and base64url of a 16-byte id and a 32-byte secret. The store holds only a hash.
//!
//! Why this is safe here: the secret has 256 bits, so a plain hash cannot be searched; the row is found by the
//! public id and the hash compared in constant time, so that time tells nothing about either.

use crate::caller::Caller;
use crate::crypto::{Hash, MAX_DIGEST, Provider};
use crate::keyring::Keyring;
use crate::keyring::record::Token;
use crate::keyring::seal::fresh_id;
use crate::keyring::store_rows::place;
use crate::secret::SecretBytes;
use crate::setup::DEFAULT_TENANT;
use crate::store::{Row, TokenRow};
use base64ct::{Base64UrlUnpadded, Encoding};
use canis_proto::{Capabilities, Error, ErrorCode, Id, Result};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

const PREFIX: &str = "canis_";
const SECRET: usize = 32;
const TOKEN: usize = 16 + SECRET;

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
        let row = self.store.token(Id(*id))?.ok_or_else(refused)?;
        let record = self.read_token(&row)?;
        let fits = bool::from(hash(self.provider, secret).ct_eq(&record.hash));
        let expired = record.expires_at.is_some_and(|end| end <= self.clock.now_micros());
        if !fits || expired {
            return Err(refused());
        }
        Ok(Caller::bearer(row.id, row.tenant_id, Capabilities::from_bits(record.capabilities)))
    }

    /// The caller that the host's administrator is.
    pub(crate) fn administrator(&self) -> Result<Caller> {
        self.root_keys()?;
        let tenants = self.store.tenants()?;
        let tenant = tenants.iter().find(|tenant| tenant.name == DEFAULT_TENANT).ok_or_else(|| {
            Error::new(
                ErrorCode::TenantNotFound,
                format!("there is no tenant `{DEFAULT_TENANT}`; use a token"),
            )
        })?;
        Ok(Caller::bearer(Id::STORE, tenant.id, Capabilities::ALL))
    }

    /// Opens a token's row.
    pub(crate) fn read_token(&self, row: &TokenRow) -> Result<Token> {
        let place = place("tokens", row.tenant_id, row.id, row.revision);
        Token::decode(&self.open_store_row(&place, &row.sealed)?)
    }

    /// Draws a token for a tenant: its row, and its text, which is shown once and kept nowhere.
    pub(crate) fn new_token(&self, tenant: Id, capabilities: Capabilities) -> Result<(Row, SecretBytes)> {
        let id = fresh_id(self.provider)?;
        let mut bytes = Zeroizing::new([0; TOKEN]);
        bytes[..16].copy_from_slice(&id.0);
        self.provider.random.fill(&mut bytes[16..])?;
        let record = Token {
            hash: hash(self.provider, &bytes[16..]),
            capabilities: capabilities.bits(),
            created_at: self.clock.now_micros(),
            expires_at: None,
        };
        let place = place("tokens", tenant, id, 1);
        let sealed = self.seal_store_row(&place, &record.encode()?)?;
        let mut text = Zeroizing::new(PREFIX.to_owned());
        text.push_str(&Zeroizing::new(Base64UrlUnpadded::encode_string(&bytes[..])));
        let text = SecretBytes::copied_from(text.as_bytes());
        Ok((Row::Token(TokenRow { id, tenant_id: tenant, revision: 1, sealed }), text))
    }
}

fn hash(provider: &Provider, secret: &[u8]) -> [u8; 32] {
    let mut out = [0; MAX_DIGEST];
    provider.digest.hash(Hash::Sha256, secret, &mut out);
    let mut hash = [0; 32];
    hash.copy_from_slice(&out[..32]);
    hash
}
