//! AES on whole blocks in the three chainings (NIST SP 800-38A), by the `aes` crate.

use crate::crypto::{BLOCK, Blocks, Chain, Direction};
use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Aes192, Aes256, Block};
use canis_proto::{Error, Result};
use std::sync::Arc;

/// An expanded key.
pub(super) enum Schedule {
    Aes128(Aes128),
    Aes192(Aes192),
    Aes256(Aes256),
}

impl Schedule {
    pub(super) fn new(key: &[u8]) -> Result<Self> {
        let wrong = |_| Error::invalid(format!("an AES key has 16, 24 or 32 bytes, not {}", key.len()));
        match key.len() {
            16 => Aes128::new_from_slice(key).map(Schedule::Aes128).map_err(wrong),
            24 => Aes192::new_from_slice(key).map(Schedule::Aes192).map_err(wrong),
            _ => Aes256::new_from_slice(key).map(Schedule::Aes256).map_err(wrong),
        }
    }

    /// Encrypts whole blocks in place, several at once where the CPU can.
    pub(super) fn encrypt(&self, data: &mut [u8]) {
        let (blocks, _) = Block::slice_as_chunks_mut(data);
        match self {
            Schedule::Aes128(aes) => aes.encrypt_blocks(blocks),
            Schedule::Aes192(aes) => aes.encrypt_blocks(blocks),
            Schedule::Aes256(aes) => aes.encrypt_blocks(blocks),
        }
    }

    /// Decrypts whole blocks in place.
    pub(super) fn decrypt(&self, data: &mut [u8]) {
        let (blocks, _) = Block::slice_as_chunks_mut(data);
        match self {
            Schedule::Aes128(aes) => aes.decrypt_blocks(blocks),
            Schedule::Aes192(aes) => aes.decrypt_blocks(blocks),
            Schedule::Aes256(aes) => aes.decrypt_blocks(blocks),
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

/// A message in the making.
pub(super) struct Run {
    pub(super) schedule: Arc<Schedule>,
    pub(super) chain: Chain,
    pub(super) direction: Direction,
}

impl Blocks for Run {
    fn run(&mut self, input: &[u8], out: &mut [u8]) -> Result<()> {
        if input.len() != out.len() || !input.len().is_multiple_of(BLOCK) {
            return Err(Error::internal("AES was given parts of blocks"));
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
            (Chain::Cbc(chain), Direction::Encrypt) => {
                for (input, out) in input.chunks_exact(BLOCK).zip(out.chunks_exact_mut(BLOCK)) {
                    xor(chain, input);
                    self.schedule.encrypt(chain);
                    out.copy_from_slice(chain);
                }
            }
            (Chain::Cbc(chain), Direction::Decrypt) => {
                out.copy_from_slice(input);
                self.schedule.decrypt(out);
                for (input, out) in input.chunks_exact(BLOCK).zip(out.chunks_exact_mut(BLOCK)) {
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
