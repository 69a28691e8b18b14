//! The audit log's key in the store's HSM, and the public halves of all such keys, which the store keeps: ADR 0044.

use super::Keyring;
use super::seal::Place;
use super::store_rows::fact_place;
use crate::core::Core;
use crate::crypto::SignScheme;
use crate::crypto::public_parts::PublicParts;
use crate::root::{AuditToken, Credential};
use crate::store::{Change, MetaRow, Row};
use canis_proto::{Error, ErrorCode, KeyType, Result};

/// The row that holds the public halves, one after the other.
const KEYS: &str = "audit-hsm-keys";

/// The length of the SubjectPublicKeyInfo of a P-256 key (RFC 5480).
const LENGTH: usize = 91;

/// How many keys a store has had at most: whoever replaces HSMs more often than that has another log by then.
const MOST: usize = 64;

/// What an HSM has signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HsmSignature {
    /// r and s of ECDSA on P-256, 32 bytes each.
    pub signature: Vec<u8>,
    /// The public key, SubjectPublicKeyInfo DER.
    pub public: Vec<u8>,
}

impl Core {
    /// Has the HSM that the credential is for sign a digest of the audit log; `None` in a store without such a root. A key is
    /// made in the token at the first time, and its public half kept in the store.
    ///
    /// # Errors
    /// `root_unavailable`, `root_credential_wrong`, `sealed`, `store_unavailable`.
    pub fn sign_audit(&self, credential: &Credential, digest: &[u8; 32]) -> Result<Option<HsmSignature>> {
        self.keyring.sign_audit(credential, digest)
    }

    /// Whether an HSM of the store has a key for the audit log.
    ///
    /// # Errors
    /// `sealed`, `store_unavailable`.
    pub fn has_audit_key(&self) -> Result<bool> {
        Ok(!self.keyring.audit_hsm_keys()?.is_empty())
    }
}

impl Keyring {
    fn sign_audit(&self, credential: &Credential, digest: &[u8; 32]) -> Result<Option<HsmSignature>> {
        self.root_keys()?;
        let mut refusal = None;
        for slot in self.store.root_slots()? {
            let Some(token) = AuditToken::of(self.store_id(), &slot, credential)? else { continue };
            match token.sign(digest) {
                Ok((signature, points)) => {
                    let mut publics = points.into_iter().filter_map(|point| {
                        PublicParts::Ec { curve: KeyType::EcdsaP256, point }.to_spki().ok()
                    });
                    let is_right = |public: &Vec<u8>| self.is_signed_by_hsm(public, digest, &signature);
                    let public = publics.find(is_right).ok_or_else(unknown_key)?;
                    self.keep_audit_key(&public)?;
                    return Ok(Some(HsmSignature { signature, public }));
                }
                // What one token refused is not tried on the next.
                Err(error) if error.code == ErrorCode::RootCredentialWrong => return Err(error),
                Err(error) => refusal = Some(error),
            }
        }
        refusal.map_or(Ok(None), Err)
    }

    /// Whether a key of an HSM has signed this.
    pub(crate) fn is_signed_by_hsm(&self, public: &[u8], digest: &[u8; 32], signature: &[u8]) -> bool {
        let key = if public.len() == LENGTH { Some(public) } else { None };
        let key = key.and_then(|public| self.provider.keys.public(KeyType::EcdsaP256, public).ok());
        key.is_some_and(|key| key.verify(SignScheme::Ecdsa, digest, signature).is_ok_and(|valid| valid))
    }

    /// The public halves of every key of the log that an HSM has had.
    pub(crate) fn audit_hsm_keys(&self) -> Result<Vec<Vec<u8>>> {
        let Some(row) = self.store.meta(KEYS)?.filter(|_| self.has_root()) else { return Ok(Vec::new()) };
        let keys = self.root_keys()?;
        let kept = keys.rows.open_secret(&fact_place(KEYS, row.revision), &row.body)?;
        Ok(kept.expose().chunks_exact(LENGTH).map(<[u8]>::to_vec).collect())
    }

    fn keep_audit_key(&self, public: &[u8]) -> Result<()> {
        // Another server may write its own first.
        for _ in 0..MOST {
            let mut kept = self.audit_hsm_keys()?;
            if kept.iter().any(|one| one == public) {
                return Ok(());
            }
            if kept.len() >= MOST {
                return Err(too_many());
            }
            kept.push(public.to_vec());
            match self.write_audit_keys(&kept.concat()) {
                Err(error) if error.code == ErrorCode::Conflict => {}
                done => {
                    done?;
                    self.log.iter().try_for_each(|log| log.note_key(public))?;
                    return Ok(());
                }
            }
        }
        Err(Error::new(
            ErrorCode::Conflict,
            "the store changes faster than the audit log's key can be written; it is tried again by itself",
        ))
    }

    fn write_audit_keys(&self, kept: &[u8]) -> Result<()> {
        let _steady = self.steady_root()?;
        let revision = self.store.meta(KEYS)?.map_or(1, |row| row.revision + 1);
        let place: Place<'_> = fact_place(KEYS, revision);
        let body = self.root_keys()?.rows.seal(&place, kept)?;
        self.store.commit(&[Change::Put(Row::Meta(MetaRow { name: KEYS.to_owned(), revision, body }))])
    }
}

fn too_many() -> Error {
    let why = format!(
        "HSMs have made {MOST} keys for this store's audit log, and a log that an older one has signed must stay readable; \
         see why the token loses its key"
    );
    Error::new(ErrorCode::LimitReached, why)
}

fn unknown_key() -> Error {
    let why = "the HSM signed the audit log by a key whose public half is not under the same name in the token; delete that key \
         there, and another pair is made";
    Error::new(ErrorCode::RootUnavailable, why)
}
