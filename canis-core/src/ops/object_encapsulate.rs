//! `object.encapsulate` and `object.decapsulate`: secrets shared with the holder of an ML-KEM key (FIPS 203, section 7), as
//! secret keys (PKCS#11 3.2, sections 5.18.8 and 5.18.9).
//!
//! Why this is safe here: as in `encapsulation`; and the secret goes into an object without being seen. What the object says of
//! itself is the caller's, as with ECDH: whoever may decapsulate has the secret anyway, unless the private key's
//! CKA_DECAPSULATE_TEMPLATE says what comes of it. Then no door gives it in plain (docs/adr/0047-encapsulation-in-pkcs11.md).

use super::create_key::NewMaterial;
use super::object_derive::kind_of;
use super::object_derived_bytes::unfit_length;
use super::object_keep::{NewKey, Origin};
use super::object_unwrap::private;
use crate::caller::Caller;
use crate::core::{Facts, Resource, Run};
use crate::crypto::Encapsulation;
use crate::keyring::Keyring;
use crate::keyring::role::Roles;
use crate::object::{
    Content, DECAPSULATE_TEMPLATE, DecapsulateKey, ENCAPSULATE_TEMPLATE, EncapsulateKey, EncapsulatedKey,
    KeyHandle, mechanism,
};
use crate::secret::SecretBytes;
use canis_proto::{Capability, Family, Id, Result, Usage};
use std::sync::Arc;

impl Run for EncapsulateKey {
    fn resource(&self) -> Resource<'_> {
        Resource::Object(self.key)
    }

    fn given(answer: &Self::Answer) -> Option<usize> {
        Some(answer.ciphertext.len())
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<EncapsulatedKey> {
        let key = keyring.open_to_share(caller, self.key, Usage::ENCRYPT)?;
        let Encapsulation { ciphertext, secret } = key.public()?.encapsulate()?;
        let wanted = Wanted { family: self.family, len: self.len, session: self.session };
        let id = keyring.keep_shared(caller, &key, ENCAPSULATE_TEMPLATE, wanted, (secret, self.content))?;
        Ok(EncapsulatedKey { id, ciphertext })
    }
}

impl Run for DecapsulateKey<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Object(self.key)
    }

    fn facts(&self) -> Facts<'_> {
        Facts::payload(self.ciphertext.len())
    }

    fn brings(&self) -> Option<usize> {
        Some(self.ciphertext.len())
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<Id> {
        let key = keyring.open_to_share(caller, self.key, Usage::DECRYPT)?;
        let secret = private(&key)?.decapsulate(self.ciphertext)?;
        let wanted = Wanted { family: self.family, len: self.len, session: self.session };
        keyring.keep_shared(caller, &key, DECAPSULATE_TEMPLATE, wanted, (secret, self.content))
    }
}

/// What a secret is to become.
struct Wanted {
    family: Family,
    len: Option<usize>,
    session: Option<u64>,
}

impl Keyring {
    /// A half of a pair, opened for one call. Keys that want a PIN for each use are refused: no function of PKCS#11 begins such a
    /// use, so that there is nothing that a PIN could be given for.
    fn open_to_share(&self, caller: &Caller, key: Id, usage: Usage) -> Result<Arc<KeyHandle>> {
        self.require(caller, Capability::Create, Resource::Objects, Facts::default())?;
        self.require_login(caller, true)?;
        let opened = self.open_key(caller, key, usage, mechanism::ENCAPSULATION)?;
        opened.take_confirmation()?;
        Ok(opened)
    }

    /// Keeps the secret. What is derived from a secret whose maker says what becomes of it is remembered with the token: it can be
    /// had again, but by those rules only. Others can be had in plain, and no rule about them would hold.
    fn keep_shared(
        &self,
        caller: &Caller,
        key: &KeyHandle,
        template: u64,
        wanted: Wanted,
        (secret, content): (SecretBytes, Content),
    ) -> Result<Id> {
        let Wanted { family, len, session } = wanted;
        let whole = secret.expose().len();
        let len = len.unwrap_or(whole);
        let cut = len < whole;
        // What is cut is a key of its own only as AES, whose lengths are few: of generic secrets each length would tell a byte.
        if len > whole || (cut && family != Family::Aes) {
            return Err(unfit_length());
        }
        let kind = kind_of(family, len)?;
        let secret = secret.truncated(len);
        let made = NewMaterial::given(self.provider, kind, secret).map_err(|_| unfit_length())?;
        let new = NewKey::new(self.provider, &Origin::Shared { cut }, made, content, None)?;
        let by = self.visible(caller, key.object)?;
        let limits = by.content.kept(template);
        new.require_fit(session, limits.into_iter())?;
        let new = new.knowing(Roles::NONE, limits.is_some());
        let (id, _) = self.keep(caller, session, new)?;
        self.count(key);
        Ok(id)
    }
}
