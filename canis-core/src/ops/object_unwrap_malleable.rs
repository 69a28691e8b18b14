//! Unwrapping what anybody can alter: PKCS#1 v1.5 and CBC with padding, by the policy `legacy`. Whoever alters a wrapping
//! learns nothing about the key in it, neither from what the answer is nor from how long it takes.

use super::object_keep::no_facts;
use super::object_unwrap::{Opened, private};
use super::object_wrap::{Means, unfit};
use crate::crypto::{BLOCK, BlockMode, CipherKey, CipherStream, Direction, Iv, padding};
use crate::keyring::Keyring;
use crate::keyring::tenant::OpenTenant;
use crate::object::{Content, Inside, KeyHandle, UnwrapKey, Wrapping};
use crate::secret::SecretBytes;
use canis_proto::{Error, ErrorCode, Family, Id, Result, Usage};
use subtle::{ConditionallySelectable, ConstantTimeEq};

/// What comes out of a wrapping that anybody can alter may be part of another key: it stays inside, and nothing more is
/// made of it that could be compared.
pub(super) fn confine(content: &mut Content) -> Result<()> {
    let facts = content.key.as_mut().ok_or_else(no_facts)?;
    if !facts.sensitive || facts.extractable {
        return Err(Error::new(
            ErrorCode::KeySensitive,
            "a key from a wrapping without authentication is sensitive and not extractable",
        ));
    }
    facts.usage = facts.usage.without(Usage::WRAP.with(Usage::UNWRAP).with(Usage::DERIVE));
    // Else it would be granted later what is taken from it here.
    (content.modifiable, content.copyable) = (false, false);
    content.withhold_check_value();
    Ok(())
}

/// Whoever alters the last bytes of a CBC ciphertext cuts the key in it. Of AES keys only whole blocks come off; a generic
/// secret would lose one byte, and HMAC, which fills keys up with zeros, would tell which. DES keys are short enough for
/// every value of a piece to be tried.
pub(super) fn refuse_cutting(how: &Wrapping<'_>, inside: Inside) -> Result<()> {
    match (how, inside) {
        (Wrapping::AesCbcPad { .. }, Inside::Secret { family, .. }) if family != Family::Aes => {
            Err(Error::new(
                ErrorCode::KeySensitive,
                "of secret keys CBC with padding unwraps AES keys only; wrap this one by AES Key Wrap with Padding",
            ))
        }
        _ => Ok(()),
    }
}

impl Keyring {
    /// What was decrypted without being authenticated.
    ///
    /// # Errors
    /// `invalid_argument` if the length of a secret key is not said; `decryption_failed` for what everybody can see is no
    /// ciphertext.
    pub(super) fn unwrap_malleable(
        &self,
        tenant: &OpenTenant,
        unwrapper: &KeyHandle,
        means: &Means,
        request: &UnwrapKey<'_>,
    ) -> Result<Opened> {
        let wrapped = request.wrapped;
        let (out, len) = match (&request.how, &means.aes) {
            (Wrapping::AesCbcPad { iv }, Some(aes)) => decrypted_cbc(&**aes, Iv::new(*iv), wrapped)?,
            (Wrapping::RsaPkcs1, None) if unwrapper.facts.is_of_api() => {
                return Err(Error::new(
                    ErrorCode::OperationNotAllowed,
                    "a key of the API unwraps by OAEP only",
                ));
            }
            (Wrapping::RsaPkcs1, None) => {
                let mut out = SecretBytes::zeroed(unwrapper.facts.kind.bytes());
                let len = private(unwrapper)?.decrypt_pkcs1(wrapped, out.expose_mut())?;
                (out, len)
            }
            _ => return Err(unfit()),
        };
        match request.inside {
            Inside::Private(family) => Ok(private_key(family, out, len)),
            Inside::Secret { len: wanted, .. } => {
                self.settle(tenant, means.value, (&request.how, wrapped), wanted, out, len)
            }
        }
    }

    /// A secret key of another length than the expected one, or with a wrong padding, gives way to another key, which
    /// nobody knows and which is the same each time (implicit rejection): an error would tell whoever alters the wrapping
    /// about the key in it (Bleichenbacher 1998, Vaudenay 2002).
    fn settle(
        &self,
        tenant: &OpenTenant,
        unwrapper: Id,
        (how, wrapped): (&Wrapping<'_>, &[u8]),
        wanted: Option<usize>,
        mut out: SecretBytes,
        len: usize,
    ) -> Result<Opened> {
        let wanted = wanted.filter(|wanted| *wanted <= out.len()).ok_or_else(|| {
            Error::invalid("a wrapping without authentication needs the length of the key: CKA_VALUE_LEN")
        })?;
        let mut other = SecretBytes::zeroed(wanted);
        let iv: &[u8] = if let Wrapping::AesCbcPad { iv } = how { iv } else { &[] };
        self.stand_in(tenant, unwrapper, (iv, wrapped), other.expose_mut());
        let wrong = !(len as u64).ct_eq(&(wanted as u64));
        for (byte, other) in out.expose_mut().iter_mut().zip(other.expose()) {
            byte.conditional_assign(other, wrong);
        }
        Ok(Opened { bytes: out.truncated(wanted), sound: true, decoy: None })
    }
}

/// All blocks decrypted, and how many bytes of them are no padding: more than there are if it was wrong.
fn decrypted_cbc(key: &dyn CipherKey, iv: Iv, wrapped: &[u8]) -> Result<(SecretBytes, usize)> {
    let mut out = SecretBytes::zeroed(wrapped.len());
    let mut stream = CipherStream::new(key, BlockMode::Cbc { iv }, Direction::Decrypt)?;
    let whole = stream.update(wrapped, out.expose_mut())?;
    let last = whole.checked_sub(BLOCK).ok_or_else(unfit)?;
    let message = padding::unpad(&out.expose()[last..whole]);
    Ok((out, message.map_or(usize::MAX, |message| last + message)))
}

/// A private key cannot give way to another one: where it ends is read from itself, not from the padding, which is compared
/// with that when all the rest is done.
fn private_key(family: Family, out: SecretBytes, len: usize) -> Opened {
    let whole = out.len();
    let fits = |len: &usize| (whole.saturating_sub(BLOCK)..whole).contains(len);
    let own = sequence_len(out.expose()).filter(fits).unwrap_or(whole);
    let sound = (own as u64).ct_eq(&(len as u64)).into();
    Opened { bytes: out.truncated(own), sound, decoy: Some((family, whole)) }
}

/// How long the DER SEQUENCE is that these bytes begin with, header and all.
fn sequence_len(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [0x30, short @ ..=0x7f, ..] => Some(2 + usize::from(*short)),
        [0x30, 0x81, len, ..] => Some(3 + usize::from(*len)),
        [0x30, 0x82, high, low, ..] => Some(4 + usize::from(u16::from_be_bytes([*high, *low]))),
        _ => None,
    }
}
