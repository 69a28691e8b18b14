//! AES and DES on whole blocks in the three chainings (NIST SP 800-38A), by the `aes` and `des` crates.

use crate::crypto::{BLOCK, Blocks, Chain, Direction};
use aes::cipher::{Block, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Aes192, Aes256};
use canis_proto::{Error, Result};
use des::{Des, TdesEde2, TdesEde3};
use std::sync::Arc;

/// An expanded key.
pub(super) enum Schedule {
    Aes128(Aes128),
    Aes192(Aes192),
    Aes256(Aes256),
    Des(Des),
    Des2(TdesEde2),
    Des3(TdesEde3),
}

impl Schedule {
    /// Of an AES key.
    pub(super) fn aes(key: &[u8]) -> Result<Self> {
        let wrong = |_| Error::invalid(format!("an AES key has 16, 24 or 32 bytes, not {}", key.len()));
        match key.len() {
            16 => Aes128::new_from_slice(key).map(Schedule::Aes128).map_err(wrong),
            24 => Aes192::new_from_slice(key).map(Schedule::Aes192).map_err(wrong),
            _ => Aes256::new_from_slice(key).map(Schedule::Aes256).map_err(wrong),
        }
    }

    /// Of a DES key, or one of triple DES with two keys or three.
    pub(super) fn des(key: &[u8]) -> Result<Self> {
        let wrong = |_| Error::invalid(format!("a DES key has 8, 16 or 24 bytes, not {}", key.len()));
        match key.len() {
            8 => Des::new_from_slice(key).map(Schedule::Des).map_err(wrong),
            16 => TdesEde2::new_from_slice(key).map(Schedule::Des2).map_err(wrong),
            _ => TdesEde3::new_from_slice(key).map(Schedule::Des3).map_err(wrong),
        }
    }

    /// The length of a block in bytes.
    pub(super) fn block(&self) -> usize {
        match self {
            Schedule::Aes128(_) | Schedule::Aes192(_) | Schedule::Aes256(_) => BLOCK,
            Schedule::Des(_) | Schedule::Des2(_) | Schedule::Des3(_) => 8,
        }
    }

    /// Encrypts whole blocks in place, several at once where the CPU can.
    pub(super) fn encrypt(&self, data: &mut [u8]) {
        match self {
            Schedule::Aes128(aes) => encrypt_by(aes, data),
            Schedule::Aes192(aes) => encrypt_by(aes, data),
            Schedule::Aes256(aes) => encrypt_by(aes, data),
            Schedule::Des(des) => encrypt_by(des, data),
            Schedule::Des2(des) => encrypt_by(des, data),
            Schedule::Des3(des) => encrypt_by(des, data),
        }
    }

    /// Decrypts whole blocks in place.
    pub(super) fn decrypt(&self, data: &mut [u8]) {
        match self {
            Schedule::Aes128(aes) => decrypt_by(aes, data),
            Schedule::Aes192(aes) => decrypt_by(aes, data),
            Schedule::Aes256(aes) => decrypt_by(aes, data),
            Schedule::Des(des) => decrypt_by(des, data),
            Schedule::Des2(des) => decrypt_by(des, data),
            Schedule::Des3(des) => decrypt_by(des, data),
        }
    }

    /// XORs the key stream of consecutive counters over `input`, of any length; `next` counts.
    pub(super) fn count(
        &self,
        counter: &mut [u8; BLOCK],
        next: fn(&mut [u8; BLOCK]),
        input: &[u8],
        out: &mut [u8],
    ) {
        let mut stream = [0; 8 * BLOCK];
        for (input, out) in input.chunks(stream.len()).zip(out.chunks_mut(stream.len())) {
            let stream = &mut stream[..input.len().next_multiple_of(BLOCK)];
            for block in stream.chunks_exact_mut(BLOCK) {
                block.copy_from_slice(counter);
                next(counter);
            }
            self.encrypt(stream);
            for ((out, byte), key) in out.iter_mut().zip(input).zip(stream) {
                *out = byte ^ *key;
            }
        }
    }
}

fn encrypt_by<C: BlockCipherEncrypt>(cipher: &C, data: &mut [u8]) {
    cipher.encrypt_blocks(Block::<C>::slice_as_chunks_mut(data).0);
}

fn decrypt_by<C: BlockCipherDecrypt>(cipher: &C, data: &mut [u8]) {
    cipher.decrypt_blocks(Block::<C>::slice_as_chunks_mut(data).0);
}

/// A message in the making.
pub(super) struct Run {
    pub(super) schedule: Arc<Schedule>,
    pub(super) chain: Chain,
    pub(super) direction: Direction,
}

impl Blocks for Run {
    fn run(&mut self, input: &[u8], out: &mut [u8]) -> Result<()> {
        let block = self.schedule.block();
        if input.len() != out.len() || !input.len().is_multiple_of(block) {
            return Err(Error::internal("a block cipher was given parts of blocks"));
        }
        match (&mut self.chain, self.direction) {
            (Chain::Ecb, Direction::Encrypt) => {
                out.copy_from_slice(input);
                self.schedule.encrypt(out);
            }
            (Chain::Ecb, Direction::Decrypt) => {
                out.copy_from_slice(input);
                self.schedule.decrypt(out);
            }
            (Chain::Cbc(iv), Direction::Encrypt) => {
                let chain = iv.as_mut_slice();
                for (input, out) in input.chunks_exact(block).zip(out.chunks_exact_mut(block)) {
                    xor(chain, input);
                    self.schedule.encrypt(chain);
                    out.copy_from_slice(chain);
                }
            }
            (Chain::Cbc(iv), Direction::Decrypt) => {
                let chain = iv.as_mut_slice();
                out.copy_from_slice(input);
                self.schedule.decrypt(out);
                for (input, out) in input.chunks_exact(block).zip(out.chunks_exact_mut(block)) {
                    xor(out, chain);
                    chain.copy_from_slice(input);
                }
            }
            (Chain::Ctr(counter), _) => self.schedule.count(counter, all_bits, input, out),
        }
        Ok(())
    }
}

/// The next counter of SP 800-38A, appendix B.1, in all 128 bits.
fn all_bits(counter: &mut [u8; BLOCK]) {
    *counter = u128::from_be_bytes(*counter).wrapping_add(1).to_be_bytes();
}

pub(super) fn xor(target: &mut [u8], other: &[u8]) {
    target.iter_mut().zip(other).for_each(|(target, other)| *target ^= other);
}
