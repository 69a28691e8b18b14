//! `encapsulate` and `decapsulate`: a secret shared with the holder of an ML-KEM key (FIPS 203, section 7) or a hybrid one.
//!
//! Why this is safe here: a secret is drawn anew each time and says nothing of the key (IND-CCA2), so that it is given out as it
//! is. A ciphertext that was altered leads to another secret, and nothing in the answer tells that.

use super::decrypt::made_by;
use crate::caller::Caller;
use crate::core::{Facts, Resource, Run};
use crate::crypto::Encapsulation;
use crate::keyring::Keyring;
use crate::keyring::key::Key;
use crate::keyring::ready::ReadyMaterial;
use crate::object::{DECAPSULATE_TEMPLATE, ENCAPSULATE_TEMPLATE, mechanism};
use canis_proto::answer::{Decapsulated, Encapsulated};
use canis_proto::message::{Decapsulate, Encapsulate};
use canis_proto::text::{Sealed, sealed_text};
use canis_proto::{Error, ErrorCode, Family, Result, Usage};

impl Run for Encapsulate<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Key(&self.name)
    }

    fn given(answer: &Self::Answer) -> Option<usize> {
        Some(answer.ciphertext.len() + answer.secret.len())
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<Encapsulated> {
        let tenant = keyring.tenant(caller.tenant()?)?;
        let key = keyring.usable(&tenant, &self.name)?;
        shares(&key)?;
        let by = (mechanism::ENCAPSULATION, Some(ENCAPSULATE_TEMPLATE));
        keyring.require_by_unless(&tenant, &key, (Usage::ENCRYPT, "encapsulate"), by)?;
        let version = key.version_to_use(self.version)?;
        let ready = keyring.ready(&tenant, &key, version)?;
        let Encapsulation { ciphertext, secret } = ready.public()?.encapsulate()?;
        keyring.used(&key, version);
        let ciphertext = sealed_text(&key.record.name, version, &ciphertext);
        Ok(Encapsulated { ciphertext, secret: secret.expose().to_vec() })
    }
}

impl Run for Decapsulate<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Key(&self.name)
    }

    fn facts(&self) -> Facts<'_> {
        Facts::payload(self.ciphertext.len())
    }

    fn given(answer: &Self::Answer) -> Option<usize> {
        Some(answer.secret.len())
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<Decapsulated> {
        let sealed = Sealed::parse(&self.ciphertext)?;
        made_by(&sealed, &self.name, "ciphertext")?;
        let tenant = keyring.tenant(caller.tenant()?)?;
        let key = keyring.usable(&tenant, &self.name)?;
        shares(&key)?;
        let by = (mechanism::ENCAPSULATION, Some(DECAPSULATE_TEMPLATE));
        keyring.require_by_unless(&tenant, &key, (Usage::DECRYPT, "decapsulate"), by)?;
        key.allow_old(sealed.version)?;
        let ready = keyring.ready(&tenant, &key, sealed.version)?;
        let ReadyMaterial::Pair { private, .. } = &ready.material else {
            return Err(Error::internal("a key that decapsulates without its private half"));
        };
        keyring.refuse_wrapper(&tenant, &key, private.public_spki())?;
        let secret = private.decapsulate(&sealed.bytes)?;
        keyring.used(&key, sealed.version);
        Ok(Decapsulated { secret: secret.expose().to_vec() })
    }
}

/// Refuses keys of other types, some of which encrypt.
fn shares(key: &Key) -> Result<()> {
    if matches!(key.kind.family(), Family::MlKem | Family::Hybrid) {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::OperationNotSupported,
        format!(
            "key `{}` is of type {}, which shares no secrets by encapsulation; ml-kem keys are for that",
            key.record.name, key.kind
        ),
    ))
}
