//! How a passphrase opens a PKCS#12 file (RFC 7292): the derivation of appendix B, which MACs use to this day, and the
//! schemes of appendix C, triple DES and RC2, in which older files stand. Nothing is ever written by them.

use super::pbes2::{self, Iterations, wrong_passphrase};
use crate::crypto::refusal::bad_private_key;
use crate::crypto::{Hash, MAX_DIGEST, Provider};
use crate::secret::SecretBytes;
use canis_proto::{Error, Result};
use der::Sequence;
use der::asn1::{ObjectIdentifier, OctetStringRef};
use des::TdesEde3;
use des::cipher::{BlockCipherDecrypt, KeyInit};
use rc2::Rc2;
use spki::AlgorithmIdentifierRef;
use zeroize::Zeroizing;

/// The block of both old ciphers, in bytes.
const OLD_BLOCK: usize = 8;
/// The longest passphrase taken, in bytes.
const MAX_PASSPHRASE: usize = 1024;

/// What a derivation is for (appendix B.3).
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    /// The key of a cipher.
    Key = 1,
    /// Its IV.
    Iv = 2,
    /// The key of the MAC.
    Mac = 3,
}

/// The old ciphers, both in CBC.
#[derive(Clone, Copy)]
enum OldCipher {
    /// Three keys.
    TripleDes,
    /// RC2 with keys of so many bytes, all of them effective.
    Rc2(usize),
}

/// The schemes of appendix C without RC4, which would let whoever altered a file choose what changes in it.
const OLD_SCHEMES: [(ObjectIdentifier, OldCipher); 3] = [
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.3"), OldCipher::TripleDes),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.5"), OldCipher::Rc2(16)),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.6"), OldCipher::Rc2(5)),
];

#[derive(Sequence)]
struct OldParams<'a> {
    salt: &'a OctetStringRef,
    iterations: u32,
}

/// A passphrase in both forms that a file wants: UTF-8 for PBES2, and UTF-16 with a zero at the end for all else
/// (appendix B.1).
pub(super) struct Passphrase {
    utf8: SecretBytes,
    utf16: SecretBytes,
}

impl Passphrase {
    /// # Errors
    /// `invalid_argument` for what is no UTF-8, or too long.
    pub(super) fn new(utf8: SecretBytes) -> Result<Self> {
        let text = std::str::from_utf8(utf8.expose()).ok().filter(|text| text.len() <= MAX_PASSPHRASE);
        let text =
            text.ok_or_else(|| Error::invalid("the passphrase is not UTF-8, or longer than 1024 bytes"))?;
        let mut utf16 = SecretBytes::zeroed(2 * (text.encode_utf16().count() + 1));
        for (unit, place) in text.encode_utf16().zip(utf16.expose_mut().chunks_exact_mut(2)) {
            place.copy_from_slice(&unit.to_be_bytes());
        }
        Ok(Passphrase { utf8, utf16 })
    }

    /// The derivation of appendix B.2.
    ///
    /// # Errors
    /// `invalid_argument` for too much work or no iteration at all.
    pub(super) fn derive(
        &self,
        provider: &Provider,
        how: (Hash, Purpose),
        salt: &[u8],
        iterations: u32,
        left: &mut Iterations,
        len: usize,
    ) -> Result<SecretBytes> {
        left.take(iterations, salt)?;
        if iterations == 0 {
            return Err(bad_private_key("its passphrase is to go through no iteration"));
        }
        let (hash, purpose) = how;
        // v, the block of the hash.
        let block = if hash.len() > 32 { 128 } else { 64 };
        let mut input = Zeroizing::new(vec![purpose as u8; block]);
        input.reserve_exact(salt.len() + self.utf16.len() + 2 * block);
        for part in [salt, self.utf16.expose()] {
            let whole = part.len().div_ceil(block) * block;
            input.extend(part.iter().cycle().take(whole));
        }
        let mut out = SecretBytes::zeroed(len);
        let mut digest = Zeroizing::new([0; MAX_DIGEST]);
        for piece in out.expose_mut().chunks_mut(hash.len()) {
            provider.digest.hash(hash, &input, &mut digest);
            for _ in 1..iterations {
                let last = Zeroizing::new(*digest);
                provider.digest.hash(hash, &last[..hash.len()], &mut digest);
            }
            piece.copy_from_slice(&digest[..piece.len()]);
            let added: Zeroizing<Vec<u8>> =
                Zeroizing::new(digest[..hash.len()].iter().copied().cycle().take(block).collect());
            input[block..].chunks_exact_mut(block).for_each(|part| add(part, &added));
        }
        Ok(out)
    }

    /// Opens what is encrypted by PBES2 or one of the old schemes.
    ///
    /// # Errors
    /// `invalid_argument` for another scheme or absurd parameters; `decryption_failed` for another passphrase.
    pub(super) fn open(
        &self,
        provider: &Provider,
        algorithm: &AlgorithmIdentifierRef<'_>,
        encrypted: &[u8],
        left: &mut Iterations,
    ) -> Result<SecretBytes> {
        if algorithm.oid == pbes2::PBES2 {
            return pbes2::open_scheme(provider, algorithm, encrypted, self.utf8.expose(), left);
        }
        let scheme = OLD_SCHEMES.into_iter().find(|(oid, _)| *oid == algorithm.oid);
        let (Some((_, cipher)), Some(parameters)) = (scheme, algorithm.parameters) else {
            return Err(bad_private_key(&format!(
                "its encryption {} is none that is read here; open it with `openssl pkcs12 -nodes`",
                algorithm.oid
            )));
        };
        let OldParams { salt, iterations } = pbes2::inner(parameters)?;
        let mut derive = |purpose, len| {
            self.derive(provider, (Hash::Sha1, purpose), salt.as_bytes(), iterations, left, len)
        };
        let (key, iv) = (derive(Purpose::Key, cipher.key_len())?, derive(Purpose::Iv, OLD_BLOCK)?);
        cipher.open(&key, &iv, encrypted).ok_or_else(wrong_passphrase)
    }
}

/// `part + added + 1`, both numbers as long as a block, without the carry (appendix B.2, step 6 C).
fn add(part: &mut [u8], added: &[u8]) {
    let mut carry = 1;
    for (digit, more) in part.iter_mut().zip(added).rev() {
        let sum = u16::from(*digit) + u16::from(*more) + carry;
        *digit = sum.to_be_bytes()[1];
        carry = sum >> 8;
    }
}

impl OldCipher {
    fn key_len(self) -> usize {
        match self {
            OldCipher::TripleDes => 24,
            OldCipher::Rc2(len) => len,
        }
    }

    /// CBC with the padding of PKCS#7; `None` if that does not come out. The MAC was right before anything is opened,
    /// so the padding tells nobody anything.
    fn open(self, key: &SecretBytes, iv: &SecretBytes, encrypted: &[u8]) -> Option<SecretBytes> {
        if encrypted.is_empty() || !encrypted.len().is_multiple_of(OLD_BLOCK) {
            return None;
        }
        let mut out = SecretBytes::copied_from(encrypted);
        match self {
            OldCipher::TripleDes => blocks(&TdesEde3::new_from_slice(key.expose()).ok()?, &mut out),
            OldCipher::Rc2(len) => blocks(&Rc2::new_with_eff_key_len(key.expose(), 8 * len), &mut out),
        }
        let before = iv.expose().iter().chain(encrypted);
        out.expose_mut().iter_mut().zip(before).for_each(|(byte, before)| *byte ^= before);
        let (padding, len) = (*out.expose().last()?, out.len());
        let count = usize::from(padding);
        let padded = (1..=OLD_BLOCK).contains(&count)
            && out.expose()[len - count..].iter().all(|byte| *byte == padding);
        padded.then(|| out.truncated(len - count))
    }
}

fn blocks<C: BlockCipherDecrypt>(cipher: &C, bytes: &mut SecretBytes) {
    for block in bytes.expose_mut().chunks_exact_mut(C::block_size()) {
        if let Ok(block) = block.try_into() {
            cipher.decrypt_block(block);
        }
    }
}
