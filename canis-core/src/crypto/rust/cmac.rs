//! CMAC (NIST SP 800-38B; RFC 4493 for AES).

use super::schedule::{Schedule, xor};
use crate::crypto::{BLOCK, MAX_DIGEST, MacKey, MacRun};
use canis_proto::Result;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A key with its two subkeys.
pub(super) struct Cmac {
    schedule: Arc<Schedule>,
    /// K1, for a last block that is whole, and K2, for one that was filled up.
    subkeys: Zeroizing<[[u8; BLOCK]; 2]>,
}

impl Cmac {
    pub(super) fn new(schedule: Arc<Schedule>) -> Self {
        let (mut zero, block) = (Zeroizing::new([0; BLOCK]), schedule.block());
        schedule.encrypt(&mut zero[..block]);
        let first = doubled(&zero, block);
        Cmac { schedule, subkeys: Zeroizing::new([first, doubled(&first, block)]) }
    }
}

/// Twice the first `block` bytes, a number of GF(2¹²⁸) with the polynomial x¹²⁸ + x⁷ + x² + x + 1 or of GF(2⁶⁴) with
/// x⁶⁴ + x⁴ + x³ + x + 1 (SP 800-38B, section 5.3), without a branch on the secret.
fn doubled(bytes: &[u8; BLOCK], block: usize) -> [u8; BLOCK] {
    let polynomial = if block == BLOCK { 0x87 } else { 0x1b };
    let unused = 8 * (BLOCK - block) as u32;
    let number = u128::from_be_bytes(*bytes) >> unused;
    let carry = number >> (8 * block - 1);
    (((number << 1) ^ (carry * polynomial)) << unused).to_be_bytes()
}

impl MacKey for Cmac {
    fn tag_len(&self) -> usize {
        self.schedule.block()
    }

    fn start(&self) -> Result<Box<dyn MacRun>> {
        Ok(Box::new(Run {
            schedule: Arc::clone(&self.schedule),
            subkeys: self.subkeys.clone(),
            state: Zeroizing::new([0; BLOCK]),
            held: Zeroizing::new([0; BLOCK]),
            filled: 0,
        }))
    }
}

struct Run {
    schedule: Arc<Schedule>,
    subkeys: Zeroizing<[[u8; BLOCK]; 2]>,
    state: Zeroizing<[u8; BLOCK]>,
    /// The last block so far, which may turn out to be the last one of all.
    held: Zeroizing<[u8; BLOCK]>,
    filled: usize,
}

impl MacRun for Run {
    fn update(&mut self, mut input: &[u8]) -> Result<()> {
        let block = self.schedule.block();
        while !input.is_empty() {
            if self.filled == block {
                xor(&mut *self.state, &*self.held);
                self.schedule.encrypt(&mut self.state[..block]);
                self.filled = 0;
            }
            let (part, rest) = input.split_at(input.len().min(block - self.filled));
            self.held[self.filled..self.filled + part.len()].copy_from_slice(part);
            self.filled += part.len();
            input = rest;
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut [u8; MAX_DIGEST]) -> Result<usize> {
        let ([whole, partial], block) = (&*self.subkeys, self.schedule.block());
        if self.filled == block {
            xor(&mut *self.held, whole);
        } else {
            self.held[self.filled..].fill(0);
            self.held[self.filled] = 0x80;
            xor(&mut *self.held, partial);
        }
        xor(&mut *self.state, &*self.held);
        self.schedule.encrypt(&mut self.state[..block]);
        out[..block].copy_from_slice(&self.state[..block]);
        Ok(block)
    }
}
