//! `rewrap`: ciphertexts of older versions become ciphertexts of the current one; the plaintext is not shown.

use super::decrypt::{made_by, opened_len};
use crate::caller::Caller;
use crate::core::{Facts, Resource, Run};
use crate::keyring::Keyring;
use crate::keyring::key::Key;
use crate::keyring::tenant::OpenTenant;
use canis_proto::answer::Rewrapped;
use canis_proto::message::{MAX_REWRAP, Rewrap};
use canis_proto::text::Sealed;
use canis_proto::{Capability, Error, ErrorCode, Result, Usage};
use zeroize::Zeroizing;

impl Run for Rewrap<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Key(&self.name)
    }

    fn facts(&self) -> Facts<'_> {
        Facts::payload(self.ciphertexts.iter().map(|one| opened_len(one)).max().unwrap_or_default())
            .within(&self.context)
    }

    fn brings(&self) -> Option<usize> {
        Some(self.ciphertexts.iter().map(|one| one.len()).sum())
    }

    fn given(answer: &Self::Answer) -> Option<usize> {
        Some(answer.items.iter().flatten().map(String::len).sum())
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<Rewrapped> {
        keyring.require(caller, Capability::Encrypt, self.resource(), self.facts())?;
        if self.ciphertexts.is_empty() || self.ciphertexts.len() > MAX_REWRAP {
            return Err(Error::new(
                ErrorCode::TooLarge,
                format!("one request rewraps 1 to {MAX_REWRAP} ciphertexts, not {}", self.ciphertexts.len()),
            ));
        }
        let tenant = keyring.tenant(caller.tenant()?)?;
        let key = keyring.usable(&tenant, &self.name)?;
        keyring.require_cipher(&tenant, &key, (Usage::DECRYPT, "decrypt"))?;
        keyring.require_cipher(&tenant, &key, (Usage::ENCRYPT, "encrypt"))?;
        let one = |text: &std::borrow::Cow<'_, str>| keyring.rewrap(&tenant, &key, text, &self.context);
        Ok(Rewrapped { items: self.ciphertexts.iter().map(one).collect() })
    }
}

impl Keyring {
    fn rewrap(&self, tenant: &OpenTenant, key: &Key, text: &str, context: &[u8]) -> Result<String> {
        let sealed = Sealed::parse(text)?;
        made_by(&sealed, &key.record.name, "ciphertext")?;
        key.allow_old(sealed.version)?;
        let plaintext = Zeroizing::new(self.decrypt(tenant, key, &sealed, context)?);
        self.encrypt(tenant, key, key.record.current_version, &plaintext, context)
    }
}
