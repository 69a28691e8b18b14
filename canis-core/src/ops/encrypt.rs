//! `encrypt`: under the current version as a rule. AES keys by XAES-256-GCM, RSA keys by OAEP.

use crate::caller::Caller;
use crate::core::{Facts, Resource, Run};
use crate::crypto::{Hash, Oaep};
use crate::keyring::Keyring;
use crate::keyring::key::Key;
use crate::keyring::ready::ReadyMaterial;
use crate::keyring::tenant::OpenTenant;
use crate::object::mechanism;
use canis_proto::answer::Encrypted;
use canis_proto::message::Encrypt;
use canis_proto::text::sealed_text;
use canis_proto::value::Value;
use canis_proto::{Error, ErrorCode, Family, Result, Usage};

impl Run for Encrypt<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Key(&self.name)
    }

    fn facts(&self) -> Facts<'_> {
        Facts::payload(self.plaintext.len()).within(&self.context)
    }

    fn given(answer: &Self::Answer) -> Option<usize> {
        Some(answer.ciphertext.len())
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<Encrypted> {
        let tenant = keyring.tenant(caller.tenant()?)?;
        let key = keyring.usable(&tenant, &self.name)?;
        keyring.require_cipher(&tenant, &key, (Usage::ENCRYPT, "encrypt"))?;
        let version = key.version_to_use(self.version)?;
        let ciphertext = keyring.encrypt(&tenant, &key, version, &self.plaintext, &self.context)?;
        Ok(Encrypted { ciphertext })
    }
}

impl Keyring {
    /// [`Keyring::require_by`] for the API's ciphertexts.
    ///
    /// # Errors
    /// As there; `operation_not_supported` for keys that share secrets and encrypt nothing.
    pub(super) fn require_cipher(&self, tenant: &OpenTenant, key: &Key, asked: (Usage, &str)) -> Result<()> {
        if matches!(key.kind.family(), Family::MlKem | Family::Hybrid) {
            return Err(Error::new(
                ErrorCode::OperationNotSupported,
                format!(
                    "key `{}` is of type {}, which shares secrets and encrypts nothing; use encapsulate and decapsulate",
                    key.record.name, key.kind
                ),
            ));
        }
        self.require_by(tenant, key, asked, mechanism::of_encryption(key.kind))
    }

    /// The text form of `plaintext` encrypted under a version of `key`, whose use was allowed.
    pub(super) fn encrypt(
        &self,
        tenant: &OpenTenant,
        key: &Key,
        version: u32,
        plaintext: &[u8],
        context: &[u8],
    ) -> Result<String> {
        let ready = self.ready(tenant, key, version)?;
        let bytes = match &ready.material {
            ReadyMaterial::Aes { api: Some(api), .. } => {
                api.seal_to_vec(&aad(tenant, key, version, context), plaintext)?
            }
            ReadyMaterial::Aes { api: None, .. }
            | ReadyMaterial::Des { .. }
            | ReadyMaterial::Generic { .. } => {
                return Err(Error::internal("a named key without its API key"));
            }
            ReadyMaterial::Pair { public, .. } | ReadyMaterial::Public { public, .. } => {
                fits_oaep(key, plaintext.len())?;
                public.encrypt_oaep(oaep(context), plaintext)?
            }
        };
        self.used(key, version);
        Ok(sealed_text(&key.record.name, version, &bytes))
    }
}

/// What a ciphertext is bound to. The context is the caller's own; it is not in the ciphertext.
pub(super) fn aad(tenant: &OpenTenant, key: &Key, version: u32, context: &[u8]) -> Vec<u8> {
    bound_to("canis:v1", tenant, key, version, context)
}

/// The same for a ciphertext of this format.
pub(super) fn bound_to(
    format: &str,
    tenant: &OpenTenant,
    key: &Key,
    version: u32,
    context: &[u8],
) -> Vec<u8> {
    Value::Array(vec![
        Value::from(format),
        Value::from(&tenant.id.0[..]),
        Value::from(key.record.name.as_str()),
        Value::from(version),
        Value::from(context),
    ])
    .encode()
}

/// RSAES-OAEP with SHA-256 (RFC 8017, section 7.1). The context is the label, so that without one `openssl pkeyutl`
/// makes and opens the same ciphertexts.
pub(super) fn oaep(context: &[u8]) -> Oaep<'_> {
    Oaep { hash: Hash::Sha256, mgf: Hash::Sha256, label: context }
}

fn fits_oaep(key: &Key, len: usize) -> Result<()> {
    let most = key.kind.bits() / 8 - 2 * Hash::Sha256.len() - 2;
    if len <= most {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::TooLarge,
        format!(
            "key `{}` ({}) encrypts at most {most} bytes, not {len}; use an aes256-gcm key for more",
            key.record.name, key.kind
        ),
    ))
}
