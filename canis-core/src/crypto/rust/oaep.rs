//! EME-OAEP (RFC 8017, section 7.1) for moduli of whole bytes. The `rsa` crate has it too, but with the two hashes as
//! types: eighty-one copies of the code for nine hashes.

use super::{RUST, mgf1};
use crate::crypto::refusal::decryption_failed;
use crate::crypto::{MAX_DIGEST, Oaep};
use canis_proto::{Error, Result};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::Zeroizing;

/// Encodes `plaintext` for a modulus of `len` bytes.
///
/// # Errors
/// `invalid_argument` if it is longer than `len` − 2·hash − 2 bytes.
pub(super) fn encode(scheme: Oaep<'_>, plaintext: &[u8], len: usize) -> Result<Zeroizing<Vec<u8>>> {
    let hash = scheme.hash.len();
    let most = len.checked_sub(2 * hash + 2).filter(|most| plaintext.len() <= *most);
    if most.is_none() {
        return Err(Error::invalid("the plaintext is too long for this key and hash"));
    }
    let mut encoded = Zeroizing::new(vec![0; len]);
    let (seed, db) = encoded[1..].split_at_mut(hash);
    RUST.random.fill(seed)?;
    db[..hash].copy_from_slice(&label_hash(scheme)[..hash]);
    let start = db.len() - plaintext.len();
    db[start - 1] = 1;
    db[start..].copy_from_slice(plaintext);
    mgf1::mask(scheme.mgf, seed, db);
    mgf1::mask(scheme.mgf, db, seed);
    Ok(encoded)
}

/// Decodes in place and returns the plaintext. What is wrong with a wrong encoding decides neither what is answered
/// nor how long it takes (Manger's attack, RFC 8017, section 7.1.2, note).
///
/// # Errors
/// `decryption_failed` for every wrong encoding alike.
pub(super) fn decode<'a>(scheme: Oaep<'_>, encoded: &'a mut [u8]) -> Result<&'a [u8]> {
    let hash = scheme.hash.len();
    if encoded.len() < 2 * hash + 2 {
        return Err(decryption_failed());
    }
    let (first, rest) = encoded.split_at_mut(1);
    let (seed, db) = rest.split_at_mut(hash);
    mgf1::mask(scheme.mgf, db, seed);
    mgf1::mask(scheme.mgf, seed, db);
    let mut good = first[0].ct_eq(&0) & db[..hash].ct_eq(&label_hash(scheme)[..hash]);
    let mut looking = Choice::from(1);
    let mut start = 0u32;
    for (at, byte) in (0u32..).zip(&*db).skip(hash) {
        let one = looking & byte.ct_eq(&1);
        start.conditional_assign(&(at + 1), one);
        good &= !looking | one | byte.ct_eq(&0);
        looking &= !one;
    }
    if bool::from(good & !looking) { Ok(&db[start as usize..]) } else { Err(decryption_failed()) }
}

fn label_hash(scheme: Oaep<'_>) -> [u8; MAX_DIGEST] {
    let mut out = [0; MAX_DIGEST];
    RUST.digest.hash(scheme.hash, scheme.label, &mut out);
    out
}
