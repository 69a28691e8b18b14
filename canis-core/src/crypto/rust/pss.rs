//! EMSA-PSS (RFC 8017, section 9.1) for moduli of whole bytes. The `rsa` crate has it too, but only with one and the
//! same hash for the message and MGF1.

use super::RUST;
use super::mgf1::mask;
use crate::crypto::{Hash, MAX_DIGEST};
use canis_proto::{Error, Result};
use subtle::ConstantTimeEq;

/// The trailer field of every PSS encoding made today.
const TRAILER: u8 = 0xbc;

/// Encodes `digest` with `salt` for a modulus of `8 * len` bits.
///
/// # Errors
/// `invalid_argument` if the modulus is too short for hash and salt.
pub(super) fn encode(hash: Hash, mgf: Hash, digest: &[u8], salt: &[u8], len: usize) -> Result<Vec<u8>> {
    let zeros = padding(hash, salt.len(), len)
        .ok_or_else(|| Error::invalid("the PSS salt is too long for this modulus"))?;
    let mut encoded = vec![0; len];
    let (db, tail) = encoded.split_at_mut(len - hash.len() - 1);
    db[zeros] = 1;
    db[zeros + 1..].copy_from_slice(salt);
    let h = salted_hash(hash, digest, salt);
    tail[..hash.len()].copy_from_slice(&h[..hash.len()]);
    tail[hash.len()] = TRAILER;
    mask(mgf, &h[..hash.len()], db);
    db[0] &= 0x7f; // emBits is 8·len − 1
    Ok(encoded)
}

/// Whether `encoded` is an encoding of `digest` with a salt of exactly `salt` bytes.
pub(super) fn verify(hash: Hash, mgf: Hash, digest: &[u8], salt: usize, encoded: &[u8]) -> bool {
    let Some(zeros) = padding(hash, salt, encoded.len()) else { return false };
    let mut db = encoded.to_vec();
    let tail = db.split_off(encoded.len() - hash.len() - 1);
    let Some((&TRAILER, h)) = tail.split_last() else { return false };
    if db[0] & 0x80 != 0 {
        return false;
    }
    mask(mgf, h, &mut db);
    db[0] &= 0x7f;
    let (front, salt) = db.split_at(zeros + 1);
    let Some((&1, front)) = front.split_last() else { return false };
    let again = salted_hash(hash, digest, salt);
    front.iter().all(|&b| b == 0) && bool::from(again[..hash.len()].ct_eq(h))
}

/// The number of zero bytes before the 01 that ends the padding (PS, section 9.1.1, step 7).
fn padding(hash: Hash, salt: usize, len: usize) -> Option<usize> {
    len.checked_sub(hash.len())?.checked_sub(2)?.checked_sub(salt)
}

/// H = Hash(eight zeros ‖ mHash ‖ salt), steps 5 and 6.
fn salted_hash(hash: Hash, digest: &[u8], salt: &[u8]) -> [u8; MAX_DIGEST] {
    let mut out = [0; MAX_DIGEST];
    let mut hasher = RUST.digest.start(hash);
    hasher.update(&[0; 8]);
    hasher.update(digest);
    hasher.update(salt);
    hasher.finish(&mut out);
    out
}
