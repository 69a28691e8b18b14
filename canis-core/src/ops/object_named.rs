//! The uses of a key by a request that names it. The key is opened, or found opened, and used as ever.

use crate::caller::Caller;
use crate::core::{Facts, Resource, Run};
use crate::crypto::{GCM_TAG, MAX_DIGEST};
use crate::keyring::Keyring;
use crate::object::mechanism_scheme::agree;
use crate::object::{
    CipherScheme, ConfirmNamed, ConfirmUse, DecryptNamed, EncryptNamed, EndSession, FindObjects, FindPage,
    FoundPage, KeyHandle, NamedKey, OpenNamed, OpenedKey, RecoverNamed, Recovered, SignNamed, SignWith,
    UseToDecrypt, UseToEncrypt, UseToRecover, UseToSign, UseToVerify, Used, VerifyNamed,
};
use canis_proto::answer::Verified;
use canis_proto::{Error, ErrorCode, Result, Usage};
use std::sync::Arc;
use zeroize::Zeroizing;

/// The most objects of one page, and the bytes of their attributes from which on no more are added. Both leave room in
/// the largest payload for what stands around them.
const PAGE: usize = 16_384;
const PAGE_BYTES: usize = 4 << 20;

impl Keyring {
    /// The key, opened for one of these usages. What was opened before serves while nothing has changed since; a key
    /// that wants a PIN for each use stays opened for the PIN that was given, and every use looks at it anew.
    fn named(&self, caller: &Caller, key: &NamedKey, usages: &[Usage]) -> Result<Arc<KeyHandle>> {
        if !usages.contains(&key.usage) {
            return Err(Error::invalid("the usage of the key is not that of the operation"));
        }
        let (application, token) = (caller.application()?, caller.tenant()?);
        let now = self.known_moment(caller)?;
        let serves = |opened: &Arc<KeyHandle>| self.is_still(opened, now) || opened.facts.always_authenticate;
        if let Some(opened) = application.opened(token, key).filter(serves) {
            return Ok(opened);
        }
        let opened = self.open_key(caller, key.object, key.usage, &[key.mechanism])?;
        // Without a number of its own there is nothing that a PIN could be given for.
        if key.opening.is_some() || !opened.facts.always_authenticate {
            application.keep_opened(token, key, &opened);
        }
        Ok(opened)
    }
}

impl Run for OpenNamed {
    fn resource(&self) -> Resource<'_> {
        Resource::Object(self.key.object)
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<OpenedKey> {
        let opened = keyring.named(caller, &self.key, &[self.key.usage])?;
        Ok(OpenedKey { facts: opened.facts.clone(), wants_pin: opened.wants_pin() })
    }
}

impl Run for ConfirmNamed<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Object(self.key.object)
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<()> {
        if self.key.opening.is_none() {
            return Err(Error::invalid("a PIN is given for one opening of the key; name its number"));
        }
        let key = &*keyring.named(caller, &self.key, &[self.key.usage])?;
        ConfirmUse { key, pin: &self.pin }.run(keyring, caller)
    }
}

impl Run for SignNamed<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Object(self.key.object)
    }

    fn facts(&self) -> Facts<'_> {
        Facts::payload(self.input.len()).within(self.scheme.context())
    }

    fn given(answer: &Self::Answer) -> Option<usize> {
        Some(answer.bytes.len())
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<Used> {
        let (scheme, input) = (self.scheme, self.input);
        agree(scheme.is_of(self.key.mechanism, input))?;
        let key = &*keyring.named(caller, &self.key, &[Usage::SIGN, Usage::RECOVER])?;
        let room = match scheme {
            SignWith::Pair(_) | SignWith::MlDsa(_) | SignWith::SlhDsa(_) => key.facts.signature_len(),
            SignWith::Mac(_) => MAX_DIGEST,
        };
        filled(room, |out| UseToSign { key, scheme, input, out }.run(keyring, caller))
    }
}

impl Run for VerifyNamed<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Object(self.key.object)
    }

    fn facts(&self) -> Facts<'_> {
        Facts::payload(self.input.len()).within(self.scheme.context())
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<Verified> {
        let (scheme, input, signature) = (self.scheme, self.input, self.signature);
        agree(scheme.is_of(self.key.mechanism, input))?;
        let key = &*keyring.named(caller, &self.key, &[Usage::VERIFY])?;
        let valid = UseToVerify { key, scheme, input, signature }.run(keyring, caller)?;
        Ok(Verified { valid })
    }
}

impl Run for RecoverNamed<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Object(self.key.object)
    }

    fn facts(&self) -> Facts<'_> {
        Facts::payload(self.signature.len())
    }

    fn given(answer: &Self::Answer) -> Option<usize> {
        Some(answer.signed.as_ref().map_or(0, Vec::len))
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<Recovered> {
        let (scheme, signature) = (self.scheme, self.signature);
        agree(SignWith::Pair(scheme).is_of(self.key.mechanism, signature))?;
        let key = &*keyring.named(caller, &self.key, &[Usage::RECOVER])?;
        let signed = UseToRecover { key, scheme, signature }.run(keyring, caller)?;
        Ok(Recovered { signed })
    }
}

impl Run for EncryptNamed<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Object(self.key.object)
    }

    fn facts(&self) -> Facts<'_> {
        Facts::payload(self.input.len()).within(self.cipher.associated_data())
    }

    fn given(answer: &Self::Answer) -> Option<usize> {
        Some(answer.bytes.len())
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<Used> {
        let (cipher, input) = (self.cipher, self.input);
        check_tag(&cipher)?;
        agree(cipher.is_of(self.key.mechanism))?;
        let key = &*keyring.named(caller, &self.key, &[Usage::ENCRYPT])?;
        let room = cipher.encrypted_len(input.len(), key.facts.block_len()).ok_or_else(unfit_length)?;
        filled(room, |out| UseToEncrypt { key, cipher, input, out }.run(keyring, caller))
    }
}

impl Run for DecryptNamed<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Object(self.key.object)
    }

    fn facts(&self) -> Facts<'_> {
        Facts::payload(self.input.len()).within(self.cipher.associated_data())
    }

    fn given(answer: &Self::Answer) -> Option<usize> {
        Some(answer.bytes.len())
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<Used> {
        let (cipher, input) = (self.cipher, self.input);
        check_tag(&cipher)?;
        agree(cipher.is_of(self.key.mechanism))?;
        let key = &*keyring.named(caller, &self.key, &[Usage::DECRYPT])?;
        let (room, _) = cipher.decrypted_len(input.len(), key.facts.block_len()).ok_or_else(unfit_length)?;
        filled(room, |out| UseToDecrypt { key, cipher, input, out }.run(keyring, caller))
    }
}

/// A tag that no mode has would be asked memory for.
fn check_tag(cipher: &CipherScheme<'_>) -> Result<()> {
    match cipher {
        CipherScheme::AesGcmSized { tag, .. } | CipherScheme::AesCcm { tag, .. } if *tag > GCM_TAG => {
            Err(Error::invalid(format!("a tag has at most {GCM_TAG} bytes, not {tag}")))
        }
        _ => Ok(()),
    }
}

fn unfit_length() -> Error {
    Error::invalid("no message of the mechanism has this length")
}

/// What `work` writes into at most `room` bytes.
fn filled(room: usize, work: impl FnOnce(&mut [u8]) -> Result<usize>) -> Result<Used> {
    let mut bytes = Zeroizing::new(vec![0; room]);
    let len = work(&mut bytes)?;
    bytes.truncate(len);
    Ok(Used { bytes })
}

impl Run for FindPage<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Objects
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<FoundPage> {
        let found = FindObjects { wanted: self.wanted }.run(keyring, caller)?;
        let (begin, refused) = match self.after {
            None => (0, found.refused),
            Some(last) => match found.objects.iter().position(|object| object.id == last) {
                Some(at) => (at + 1, Vec::new()),
                None => return Err(gone()),
            },
        };
        let mut objects: Vec<_> = found.objects.into_iter().skip(begin).collect();
        let all = objects.len();
        let mut bytes = 0;
        let fits = |object: &&Arc<crate::object::Object>| {
            let fits = bytes < PAGE_BYTES;
            bytes += object.content.size();
            fits
        };
        let len = objects.iter().take(PAGE).take_while(fits).count();
        objects.truncate(len);
        Ok(FoundPage { objects, refused, more: len < all })
    }
}

fn gone() -> Error {
    Error::new(ErrorCode::Conflict, "the last object of the page before is gone; search again from the start")
}

impl Run for EndSession {
    fn resource(&self) -> Resource<'_> {
        Resource::Token
    }

    fn run(self, _: &Keyring, caller: &Caller) -> Result<()> {
        caller.application()?.end_session(self.session);
        Ok(())
    }
}
