//! AES-GCM with IVs and tags of any length that NIST SP 800-38D allows, over the `ghash` crate. The usual lengths go
//! through `aes-gcm`, which knows them when it is compiled.

use super::schedule::{Schedule, xor};
use crate::crypto::refusal::decryption_failed;
use crate::crypto::{BLOCK, gcm};
use canis_proto::Result;
use ghash::GHash;
use ghash::universal_hash::UniversalHash;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

pub(super) fn seal(
    schedule: &Schedule,
    iv: &[u8],
    aad: &[u8],
    plaintext: &[u8],
    ciphertext: &mut [u8],
    tag: &mut [u8],
) -> Result<()> {
    gcm::check(iv, tag.len(), plaintext.len(), ciphertext.len())?;
    let mut counter = Counter::new(schedule, iv);
    let mask = counter.mask(schedule);
    schedule.count(&mut counter.block, low_bits, plaintext, ciphertext);
    let made = counter.authenticate(mask, aad, ciphertext);
    tag.copy_from_slice(&made[..tag.len()]);
    Ok(())
}

pub(super) fn open(
    schedule: &Schedule,
    iv: &[u8],
    aad: &[u8],
    ciphertext: &[u8],
    tag: &[u8],
    plaintext: &mut [u8],
) -> Result<()> {
    gcm::check(iv, tag.len(), plaintext.len(), ciphertext.len())?;
    let mut counter = Counter::new(schedule, iv);
    let mask = counter.mask(schedule);
    let made = counter.clone().authenticate(mask, aad, ciphertext);
    if !bool::from(made[..tag.len()].ct_eq(tag)) {
        plaintext.zeroize();
        return Err(decryption_failed());
    }
    schedule.count(&mut counter.block, low_bits, ciphertext, plaintext);
    Ok(())
}

/// The counter block and the hash under the same key.
#[derive(Clone)]
struct Counter {
    block: [u8; BLOCK],
    hash: GHash,
}

impl Counter {
    /// J0 (section 7.1, step 2): a 96-bit IV is counted from 1, any other is hashed.
    fn new(schedule: &Schedule, iv: &[u8]) -> Self {
        let mut key = Zeroizing::new([0; BLOCK]);
        schedule.encrypt(&mut *key);
        let hash = GHash::new((&*key).into());
        let mut block = [0; BLOCK];
        if iv.len() == 12 {
            block[..12].copy_from_slice(iv);
            block[15] = 1;
        } else {
            let mut of_iv = hash.clone();
            of_iv.update_padded(iv);
            of_iv.update(&[lengths(0, iv.len()).into()]);
            block.copy_from_slice(&of_iv.finalize());
        }
        Counter { block, hash }
    }

    /// The block that hides the tag; the counter goes on from the next.
    fn mask(&mut self, schedule: &Schedule) -> [u8; BLOCK] {
        let mut mask = self.block;
        schedule.encrypt(&mut mask);
        low_bits(&mut self.block);
        mask
    }

    fn authenticate(mut self, mask: [u8; BLOCK], aad: &[u8], ciphertext: &[u8]) -> [u8; BLOCK] {
        self.hash.update_padded(aad);
        self.hash.update_padded(ciphertext);
        self.hash.update(&[lengths(aad.len(), ciphertext.len()).into()]);
        let mut tag: [u8; BLOCK] = self.hash.finalize().into();
        xor(&mut tag, &mask);
        tag
    }
}

/// inc32 (section 6.2): only the last four bytes count.
fn low_bits(block: &mut [u8; BLOCK]) {
    if let Some(low) = block.last_chunk_mut() {
        *low = u32::from_be_bytes(*low).wrapping_add(1).to_be_bytes();
    }
}

/// Two lengths in bits, as 64-bit numbers.
fn lengths(first: usize, second: usize) -> [u8; BLOCK] {
    ((first as u128 * 8) << 64 | (second as u128 * 8)).to_be_bytes()
}
