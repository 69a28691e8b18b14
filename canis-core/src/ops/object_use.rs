//! The uses of an opened key with the caller's mechanism, in one piece.

use crate::at_once::may_compute;
use crate::caller::Caller;
use crate::core::{Facts, Resource, Run};
use crate::crypto::{
    AesKey, BlockMode, CipherKey, CipherStream, Direction, GCM_TAG, GcmKey, Hash, MAX_DIGEST, MacKey,
    PrivateKey, PublicKey, SignScheme, ccm, digest_info,
};
use crate::keyring::Keyring;
use crate::keyring::ready::{ReadyKey, ReadyMaterial};
use crate::object::mechanism::RSA_X_509;
use crate::object::{
    CipherScheme, HandleKey, KeyFacts, KeyHandle, MacScheme, MacWith, NO_MECHANISM, SignWith, UseToDecrypt,
    UseToEncrypt, UseToRecover, UseToSign, UseToVerify,
};
use canis_proto::{Error, ErrorCode, Family, Result, Usage};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

impl KeyHandle {
    fn ready(&self) -> Result<&ReadyKey> {
        match &self.key {
            HandleKey::Ready(ready) => Ok(ready),
            HandleKey::Public(_) => Err(unfit()),
        }
    }

    fn private(&self) -> Result<&dyn PrivateKey> {
        match &self.ready()?.material {
            ReadyMaterial::Pair { private, .. } => Ok(&**private),
            _ => Err(unfit()),
        }
    }

    pub(super) fn public(&self) -> Result<&dyn PublicKey> {
        match &self.key {
            HandleKey::Public(public) => Ok(&**public),
            HandleKey::Ready(_) => Err(unfit()),
        }
    }

    fn gcm(&self) -> Result<&dyn GcmKey> {
        match &self.ready()?.material {
            ReadyMaterial::Aes { gcm, .. } => Ok(&**gcm),
            _ => Err(unfit()),
        }
    }

    fn aes(&self) -> Result<&dyn AesKey> {
        match &self.ready()?.material {
            ReadyMaterial::Aes { blocks, .. } => Ok(&**blocks),
            _ => Err(unfit()),
        }
    }

    pub(super) fn blocks(&self) -> Result<&dyn CipherKey> {
        match &self.ready()?.material {
            ReadyMaterial::Aes { blocks, .. } => Ok(&**blocks),
            ReadyMaterial::Des { blocks, .. } => Ok(&**blocks),
            _ => Err(unfit()),
        }
    }

    pub(super) fn mac(&self, keyring: &Keyring, with: MacWith) -> Result<&dyn MacKey> {
        let ready = self.ready()?;
        match (&ready.material, with) {
            (ReadyMaterial::Aes { blocks, cmac, .. }, MacWith::Cmac(Family::Aes)) => {
                cmac.key(|| blocks.cmac())
            }
            (ReadyMaterial::Des { blocks, cmac }, MacWith::Cmac(Family::TripleDes)) => {
                cmac.key(|| blocks.cmac())
            }
            (ReadyMaterial::Generic { .. }, MacWith::Hmac(hash)) => {
                ready.hmac(keyring.provider, hash)?.ok_or_else(unfit)
            }
            _ => Err(unfit()),
        }
    }
}

pub(super) fn unfit() -> Error {
    Error::new(ErrorCode::OperationNotSupported, "the key is not of the kind the mechanism needs")
}

impl Run for UseToSign<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Object(self.key.object)
    }

    fn facts(&self) -> Facts<'_> {
        Facts::payload(self.input.len()).within(self.scheme.context())
    }

    fn given(answer: &Self::Answer) -> Option<usize> {
        Some(*answer)
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<usize> {
        // What a signature gives back, and how it is made, is the same.
        let usage = if self.key.usage == Usage::RECOVER { Usage::RECOVER } else { Usage::SIGN };
        // Before a PIN that was given for this use is spent.
        may_compute(self.key.facts.kind)?;
        let key = keyring.still(caller, self.key, usage)?;
        let len = match self.scheme {
            SignWith::Pair(scheme) => {
                check_rsa_use(&key.facts, scheme, self.input)?;
                if scheme == SignScheme::RsaRaw {
                    // It decrypts as well, so the value is one for data from now on, or must not be used so.
                    keyring.open_key(caller, key.object, Usage::DECRYPT, &[RSA_X_509])?;
                }
                key.private()?.sign(scheme, self.input, self.out)?
            }
            SignWith::Mac(scheme) => {
                let tag = one_tag(key.mac(keyring, scheme.with)?, scheme, self.input)?;
                let tag = tag.get(..scheme.len).ok_or_else(too_small)?;
                self.out.get_mut(..scheme.len).ok_or_else(too_small)?.copy_from_slice(tag);
                scheme.len
            }
            SignWith::MlDsa(how) => {
                let (mu, private) = (how.mu(key.ready()?.public()?, self.input)?, key.private()?);
                match how.deterministic {
                    true => private.sign_deterministic(&mu, self.out)?,
                    false => private.sign(SignScheme::MlDsa, &mu, self.out)?,
                }
            }
            SignWith::SlhDsa(how) => {
                let (message, private) = (how.message(self.input)?, key.private()?);
                match (key.facts.kind.family(), how.deterministic) {
                    (Family::SlhDsa, true) => private.sign_deterministic(&message, self.out)?,
                    _ => private.sign(SignScheme::SlhDsa, &message, self.out)?,
                }
            }
        };
        keyring.count(&key);
        Ok(len)
    }
}

impl Run for UseToVerify<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Object(self.key.object)
    }

    fn facts(&self) -> Facts<'_> {
        Facts::payload(self.input.len()).within(self.scheme.context())
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<bool> {
        let key = keyring.still(caller, self.key, Usage::VERIFY)?;
        let valid = match self.scheme {
            SignWith::Pair(scheme) => key.public()?.verify(scheme, self.input, self.signature)?,
            SignWith::Mac(scheme) => {
                let tag = one_tag(key.mac(keyring, scheme.with)?, scheme, self.input)?;
                let tag = tag.get(..scheme.len).ok_or_else(too_small)?;
                tag.ct_eq(self.signature).into()
            }
            SignWith::MlDsa(how) => {
                let public = key.public()?;
                public.verify(SignScheme::MlDsa, &how.mu(public, self.input)?, self.signature)?
            }
            SignWith::SlhDsa(how) => {
                key.public()?.verify(SignScheme::SlhDsa, &how.message(self.input)?, self.signature)?
            }
        };
        keyring.count(&key);
        Ok(valid)
    }
}

fn one_tag(key: &dyn MacKey, scheme: MacScheme, input: &[u8]) -> Result<Zeroizing<[u8; MAX_DIGEST]>> {
    let mut tag = Zeroizing::new([0; MAX_DIGEST]);
    let len = key.tag(&[input], &mut tag)?;
    if (1..=len).contains(&scheme.len) { Ok(tag) } else { Err(Error::invalid("no tag has that length")) }
}

impl KeyFacts {
    /// Whether the key is one of the API. Of those made here before records said so, no PKCS#11 mechanism is known.
    pub(super) fn is_of_api(&self) -> bool {
        self.by_api || (self.local && self.mechanism == NO_MECHANISM)
    }
}

/// The bare private operation of RSA signs anything and decrypts anything, so it needs both usages; keys of the
/// API sign what is padded and hashed alone, so that no other protocol's message can be had from them.
fn check_rsa_use(facts: &KeyFacts, scheme: SignScheme, input: &[u8]) -> Result<()> {
    match scheme {
        SignScheme::RsaRaw => check_raw(facts),
        SignScheme::RsaPkcs1 if facts.is_of_api() && !is_sound_digest(input) => Err(Error::new(
            ErrorCode::OperationNotAllowed,
            "a key of the API signs a DigestInfo of a known hash; hash the message first",
        )),
        _ => Ok(()),
    }
}

/// Whether it is a DigestInfo of a hash that the API has.
fn is_sound_digest(input: &[u8]) -> bool {
    digest_info::parse(input).is_some_and(|(hash, _)| hash != Hash::Md5)
}

fn check_raw(facts: &KeyFacts) -> Result<()> {
    if facts.is_of_api() || !facts.usage.allows(Usage::SIGN.with(Usage::DECRYPT)) {
        return Err(Error::new(
            ErrorCode::OperationNotAllowed,
            "unpadded RSA needs a key that may both sign and decrypt and is none of the API",
        ));
    }
    Ok(())
}

impl Run for UseToRecover<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Object(self.key.object)
    }

    fn facts(&self) -> Facts<'_> {
        Facts::payload(self.signature.len())
    }

    fn given(answer: &Self::Answer) -> Option<usize> {
        Some(answer.as_ref().map_or(0, Vec::len))
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<Option<Vec<u8>>> {
        let key = keyring.still(caller, self.key, Usage::RECOVER)?;
        let recovered = match self.scheme {
            SignScheme::RsaPkcs1 => key.public()?.recover_pkcs1(self.signature)?,
            // A number that is not below the modulus signs nothing.
            SignScheme::RsaRaw => key.public()?.encrypt_raw(self.signature).ok(),
            _ => return Err(unfit()),
        };
        keyring.count(&key);
        Ok(recovered)
    }
}

impl Run for UseToEncrypt<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Object(self.key.object)
    }

    fn facts(&self) -> Facts<'_> {
        Facts::payload(self.input.len()).within(self.cipher.associated_data())
    }

    fn given(answer: &Self::Answer) -> Option<usize> {
        Some(*answer)
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<usize> {
        let key = keyring.still(caller, self.key, Usage::ENCRYPT)?;
        let (input, out) = (self.input, self.out);
        let done = match self.cipher {
            CipherScheme::AesGcm { iv, aad } => {
                let (ciphertext, tag) = with_tag(out, input.len(), GCM_TAG)?;
                let tag = tag.try_into().map_err(|_| too_small())?;
                key.gcm()?.seal(iv, aad, input, ciphertext, tag)?;
                Ok(input.len() + GCM_TAG)
            }
            CipherScheme::AesGcmSized { iv, aad, tag: len } => {
                let (ciphertext, tag) = with_tag(out, input.len(), len)?;
                key.aes()?.gcm_seal(iv, aad, input, ciphertext, tag)?;
                Ok(input.len() + len)
            }
            CipherScheme::AesCcm { nonce, aad, tag: len } => {
                let (ciphertext, tag) = with_tag(out, input.len(), len)?;
                ccm::seal(key.aes()?, nonce, aad, input, ciphertext, tag)?;
                Ok(input.len() + len)
            }
            CipherScheme::Blocks(mode) => run_blocks(key.blocks()?, mode, Direction::Encrypt, input, out),
            CipherScheme::RsaOaep(oaep) => put(&key.public()?.encrypt_oaep(oaep, input)?, out),
            CipherScheme::RsaPkcs1 => put(&key.public()?.encrypt_pkcs1(input)?, out),
            CipherScheme::RsaRaw => put(&key.public()?.encrypt_raw(input)?, out),
        }?;
        keyring.count(&key);
        Ok(done)
    }
}

impl Run for UseToDecrypt<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Object(self.key.object)
    }

    fn facts(&self) -> Facts<'_> {
        Facts::payload(self.input.len()).within(self.cipher.associated_data())
    }

    fn given(answer: &Self::Answer) -> Option<usize> {
        Some(*answer)
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<usize> {
        let key = keyring.still(caller, self.key, Usage::DECRYPT)?;
        let (input, out) = (self.input, self.out);
        let done = match self.cipher {
            CipherScheme::AesGcm { iv, aad } => {
                let (ciphertext, tag) = input.split_last_chunk::<GCM_TAG>().ok_or_else(short)?;
                let plaintext = out.get_mut(..ciphertext.len()).ok_or_else(too_small)?;
                key.gcm()?.open(iv, aad, ciphertext, tag, plaintext)?;
                Ok(ciphertext.len())
            }
            CipherScheme::AesGcmSized { iv, aad, tag: len } => {
                let (ciphertext, tag) = without_tag(input, len)?;
                let plaintext = out.get_mut(..ciphertext.len()).ok_or_else(too_small)?;
                key.aes()?.gcm_open(iv, aad, ciphertext, tag, plaintext)?;
                Ok(ciphertext.len())
            }
            CipherScheme::AesCcm { nonce, aad, tag: len } => {
                let (ciphertext, tag) = without_tag(input, len)?;
                let plaintext = out.get_mut(..ciphertext.len()).ok_or_else(too_small)?;
                ccm::open(key.aes()?, nonce, aad, ciphertext, tag, plaintext)?;
                Ok(ciphertext.len())
            }
            CipherScheme::Blocks(mode) => run_blocks(key.blocks()?, mode, Direction::Decrypt, input, out),
            CipherScheme::RsaOaep(oaep) => key.private()?.decrypt_oaep(oaep, input, out),
            CipherScheme::RsaPkcs1 if key.facts.is_of_api() => {
                Err(Error::new(ErrorCode::OperationNotAllowed, "a key of the API decrypts by OAEP only"))
            }
            CipherScheme::RsaPkcs1 => key.private()?.decrypt_pkcs1(input, out),
            CipherScheme::RsaRaw => {
                check_raw(&key.facts)?;
                key.private()?.decrypt_raw(input, out)
            }
        }?;
        keyring.count(&key);
        Ok(done)
    }
}

fn run_blocks(
    key: &dyn CipherKey,
    mode: BlockMode,
    direction: Direction,
    input: &[u8],
    out: &mut [u8],
) -> Result<usize> {
    let mut stream = CipherStream::new(key, mode, direction)?;
    let done = stream.update(input, out)?;
    Ok(done + stream.finish(&mut out[done..])?)
}

/// The places of the ciphertext and its tag.
fn with_tag(out: &mut [u8], len: usize, tag: usize) -> Result<(&mut [u8], &mut [u8])> {
    let whole = len.checked_add(tag).and_then(|whole| out.get_mut(..whole)).ok_or_else(too_small)?;
    Ok(whole.split_at_mut(len))
}

fn without_tag(input: &[u8], tag: usize) -> Result<(&[u8], &[u8])> {
    input.len().checked_sub(tag).map(|len| input.split_at(len)).ok_or_else(short)
}

fn put(bytes: &[u8], out: &mut [u8]) -> Result<usize> {
    out.get_mut(..bytes.len()).ok_or_else(too_small)?.copy_from_slice(bytes);
    Ok(bytes.len())
}

fn short() -> Error {
    Error::new(ErrorCode::DecryptionFailed, "the ciphertext is shorter than its tag")
}

pub(super) fn too_small() -> Error {
    Error::invalid("the output buffer is too small")
}
