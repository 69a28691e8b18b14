//! `decrypt`: with the version that stands in the ciphertext.

use super::encrypt::{aad, oaep};
use crate::at_once::may_decrypt;
use crate::caller::Caller;
use crate::core::{Facts, Resource, Run};
use crate::crypto::xaes;
use crate::keyring::Keyring;
use crate::keyring::key::Key;
use crate::keyring::ready::ReadyMaterial;
use crate::keyring::role::Roles;
use crate::keyring::tenant::OpenTenant;
use canis_proto::answer::Decrypted;
use canis_proto::message::Decrypt;
use canis_proto::text::Sealed;
use canis_proto::{Error, ErrorCode, Result, Usage};

impl Run for Decrypt<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Key(&self.name)
    }

    fn facts(&self) -> Facts<'_> {
        Facts::payload(opened_len(&self.ciphertext)).within(&self.context)
    }

    fn brings(&self) -> Option<usize> {
        Some(self.ciphertext.len())
    }

    fn given(answer: &Self::Answer) -> Option<usize> {
        Some(answer.plaintext.len())
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<Decrypted> {
        let sealed = Sealed::parse(&self.ciphertext)?;
        made_by(&sealed, &self.name, "ciphertext")?;
        let tenant = keyring.tenant(caller.tenant()?)?;
        let key = keyring.usable(&tenant, &self.name)?;
        keyring.require_cipher(&tenant, &key, (Usage::DECRYPT, "decrypt"))?;
        key.allow_old(sealed.version)?;
        keyring.decrypt(&tenant, &key, &sealed, &self.context).map(|plaintext| Decrypted { plaintext })
    }
}

impl Keyring {
    /// The plaintext of a ciphertext that this key has made, with the version that stands in it, which was allowed.
    pub(super) fn decrypt(
        &self,
        tenant: &OpenTenant,
        key: &Key,
        sealed: &Sealed,
        context: &[u8],
    ) -> Result<Vec<u8>> {
        let plaintext = match &self.ready(tenant, key, sealed.version)?.material {
            ReadyMaterial::Aes { api: Some(api), .. } => {
                let len = xaes::plaintext_len(sealed.bytes.len()).ok_or_else(refused)?;
                let mut plaintext = vec![0; len];
                let aad = aad(tenant, key, sealed.version, context);
                api.open_from_slice(&aad, &sealed.bytes, &mut plaintext)?;
                plaintext
            }
            ReadyMaterial::Aes { api: None, .. }
            | ReadyMaterial::Des { .. }
            | ReadyMaterial::Public { .. }
            | ReadyMaterial::Generic { .. } => {
                return Err(Error::internal("a named key that decrypts without what decrypts"));
            }
            ReadyMaterial::Pair { private, .. } => {
                may_decrypt(key.kind)?;
                self.refuse_wrapper(tenant, key, private.public_spki())?;
                let mut plaintext = vec![0; key.kind.bits() / 8];
                let len = private.decrypt_oaep(oaep(context), &sealed.bytes, &mut plaintext)?;
                plaintext.truncate(len);
                plaintext
            }
        };
        self.used(key, sealed.version);
        Ok(plaintext)
    }
}

impl Keyring {
    /// A pair that has wrapped sensitive keys does not decrypt or decapsulate: what it wrapped begins with a ciphertext of this kind
    /// (ADR 0007). AES keys wrap under their material and decrypt under a key derived from it.
    pub(super) fn refuse_wrapper(&self, tenant: &OpenTenant, key: &Key, spki: &[u8]) -> Result<()> {
        let (roles, _) = self.value_roles(tenant, self.pair_fingerprint(tenant, spki))?;
        if !roles.has(Roles::KEYS) {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::OperationNotAllowed,
            format!(
                "key `{}` has wrapped or unwrapped sensitive keys; it decrypts no data any more",
                key.record.name
            ),
        ))
    }
}

fn refused() -> Error {
    Error::new(
        ErrorCode::DecryptionFailed,
        "the ciphertext, key or context does not fit; nothing was decrypted",
    )
}

/// How many bytes a ciphertext opens to, as far as its text tells without being read: with AES keys,
/// exactly.
pub(super) fn opened_len(ciphertext: &str) -> usize {
    let base64 = ciphertext.rsplit(':').next().unwrap_or_default().trim_end_matches('=');
    (base64.len() / 4 * 3 + base64.len() % 4 * 3 / 4).saturating_sub(xaes::OVERHEAD)
}

/// A ciphertext or signature names the key that made it; another key is refused before anything is computed.
pub(super) fn made_by(sealed: &Sealed, name: &str, what: &str) -> Result<()> {
    if sealed.name == name {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "this {what} was made by key `{}`, not by `{}`",
        canis_proto::quote(&sealed.name),
        canis_proto::quote(name)
    )))
}
