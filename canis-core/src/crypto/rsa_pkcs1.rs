//! RSAES-PKCS1-v1_5 (RFC 8017, section 7.2) over raw RSA, with implicit rejection: a ciphertext whose padding is wrong
//! decrypts to another message, which nobody can predict and which is the same each time, instead of to an error. So
//! neither the answer nor its time tells what Bleichenbacher's attack (1998) and its many children ask. One file for
//! both providers: AWS-LC has no implicit rejection, and the `rsa` crate's is its own.
//!
//! The other message is that of draft-irtf-cfrg-rsa-guidance (section 7) as OpenSSL 3.2 makes it, so that a key moved
//! between the two does not betray by its answers which one holds it.

use super::refusal::{bad_private_key, decryption_failed, room};
use super::{Hash, MAX_DIGEST, Mac, Provider};
use canis_proto::{Error, Result};
use der::Decode;
use der::asn1::UintRef;
use rsa::pkcs1::RsaPrivateKey;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq, ConstantTimeGreater, ConstantTimeLess};
use zeroize::Zeroizing;

/// The bytes before the message that are no padding string: 0, 2 and the 0 that ends it.
const FRAME: usize = 3;
/// The least padding (section 7.2.1, step 2).
const LEAST_PADDING: usize = 8;
/// How many lengths are drawn for the other message; that none of them fits has a chance of 2⁻¹²⁸.
const TRIES: usize = 128;

/// Pads `plaintext` for a modulus of `len` bytes with random bytes that are not zero.
///
/// # Errors
/// `invalid_argument` if it is longer than `len` less 11 bytes.
pub(super) fn pad(provider: &Provider, plaintext: &[u8], len: usize) -> Result<Zeroizing<Vec<u8>>> {
    let filling = len.checked_sub(FRAME + plaintext.len()).filter(|filling| *filling >= LEAST_PADDING);
    let Some(filling) = filling else {
        return Err(Error::invalid("the plaintext is longer than the modulus less 11 bytes"));
    };
    let mut block = Zeroizing::new(vec![0; len]);
    block[1] = 2;
    let padding = &mut block[2..2 + filling];
    provider.random.fill(padding)?;
    for byte in padding {
        while *byte == 0 {
            provider.random.fill(std::slice::from_mut(byte))?;
        }
    }
    block[FRAME + filling..].copy_from_slice(plaintext);
    Ok(block)
}

/// What a private key needs besides itself: the hash of its exponent, from which the other messages are made.
pub(super) struct Rejection(Zeroizing<[u8; 32]>);

impl Rejection {
    /// For the RSAPrivateKey in `key`, whose modulus has `len` bytes.
    pub(super) fn new(provider: &Provider, key: &[u8], len: usize) -> Result<Self> {
        let parsed = RsaPrivateKey::<UintRef<'_>>::from_der(key)
            .map_err(|_| bad_private_key("it is no RSAPrivateKey DER"))?;
        let exponent = parsed.private_exponent.as_bytes();
        let mut number = Zeroizing::new(vec![0; len]);
        let at = len.checked_sub(exponent.len());
        let at = at.ok_or_else(|| bad_private_key("its exponent is longer than its modulus"))?;
        number[at..].copy_from_slice(exponent);
        let mut hash = Zeroizing::new([0; MAX_DIGEST]);
        provider.digest.hash(Hash::Sha256, &number, &mut hash);
        let mut first = Zeroizing::new([0; 32]);
        first.copy_from_slice(&hash[..32]);
        Ok(Rejection(first))
    }

    /// Decrypts into the start of `out`, which has room for the modulus; `raw` is the private operation.
    ///
    /// # Errors
    /// `decryption_failed` for a ciphertext that has not the modulus' length or is not between 1 and modulus − 1,
    /// which everybody can see; never for its padding.
    pub(super) fn decrypt(
        &self,
        mac: &dyn Mac,
        raw: impl FnOnce(&[u8]) -> Option<Zeroizing<Vec<u8>>>,
        ciphertext: &[u8],
        out: &mut [u8],
    ) -> Result<usize> {
        let mut block = raw(ciphertext).ok_or_else(decryption_failed)?;
        let out = room(out, block.len())?;
        let key = Zeroizing::new(mac.hmac_sha256(&*self.0, &[ciphertext]));
        let message = unpad(mac, &key, &mut block)?;
        out[..message.len()].copy_from_slice(message);
        Ok(message.len())
    }
}

/// The message in a decrypted `block`, or the one made from `key`. Everything up to the choice of the length, which is
/// what the caller learns, goes through the same steps whatever the block holds; `benches/unpadding.rs` measures that.
///
/// # Errors
/// `decryption_failed` for a block too short to be padded, whatever it holds.
pub fn unpad<'a>(mac: &dyn Mac, key: &[u8; 32], block: &'a mut [u8]) -> Result<&'a [u8]> {
    if block.len() < FRAME + LEAST_PADDING {
        return Err(decryption_failed());
    }
    let mut other = Zeroizing::new(vec![0; block.len()]);
    expand(mac, key, b"message", &mut other);
    let other_len = other_length(mac, key, block.len());

    let mut good = block[0].ct_eq(&0) & block[1].ct_eq(&2);
    let (mut looking, mut zero) = (Choice::from(1), 0u32);
    for (at, byte) in (0u32..).zip(&*block).skip(2) {
        let here = looking & byte.ct_eq(&0);
        zero.conditional_assign(&at, here);
        looking &= !here;
    }
    good &= !looking;
    good &= zero.ct_gt(&((2 + LEAST_PADDING - 1) as u32));

    let start = u32::conditional_select(&(block.len() as u32 - other_len), &(zero + 1), good);
    for (byte, other) in block.iter_mut().zip(&*other) {
        byte.conditional_assign(other, !good);
    }
    Ok(&block[start as usize..])
}

/// The length of the other message: the last of the drawn ones that fits.
fn other_length(mac: &dyn Mac, key: &[u8; 32], block: usize) -> u32 {
    let mut drawn = Zeroizing::new([0; 2 * TRIES]);
    expand(mac, key, b"length", &mut *drawn);
    let most = (block - 2 - LEAST_PADDING) as u32;
    let mask = (most + 1).next_power_of_two() - 1;
    let mut len = 0u32;
    for pair in drawn.chunks_exact(2) {
        let candidate = (u32::from(pair[0]) << 8 | u32::from(pair[1])) & mask;
        len.conditional_assign(&candidate, candidate.ct_lt(&most));
    }
    len
}

/// The draft's PRF: HMAC-SHA-256 of counter, label and length in bits, one after the other.
fn expand(mac: &dyn Mac, key: &[u8; 32], label: &[u8], out: &mut [u8]) {
    let bits = (out.len() as u16).wrapping_mul(8).to_be_bytes();
    for (counter, chunk) in (0u16..).zip(out.chunks_mut(32)) {
        let part = Zeroizing::new(mac.hmac_sha256(key, &[&counter.to_be_bytes(), label, &bits]));
        chunk.copy_from_slice(&part[..chunk.len()]);
    }
}
