//! AES-CMAC (NIST SP 800-38B, RFC 4493).

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
        let mut zero = Zeroizing::new([0; BLOCK]);
        schedule.encrypt(&mut *zero);
        let first = doubled(&zero);
        Cmac { schedule, subkeys: Zeroizing::new([first, doubled(&first)]) }
    }
}

/// Twice the block in GF(2¹²⁸) with the polynomial x¹²⁸ + x⁷ + x² + x + 1, without a branch on the secret.
fn doubled(block: &[u8; BLOCK]) -> [u8; BLOCK] {
    let number = u128::from_be_bytes(*block);
    ((number << 1) ^ ((number >> 127) * 0x87)).to_be_bytes()
}

impl MacKey for Cmac {
    fn tag_len(&self) -> usize {
        BLOCK
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
        while !input.is_empty() {
            if self.filled == BLOCK {
                xor(&mut *self.state, &*self.held);
                self.schedule.encrypt(&mut *self.state);
                self.filled = 0;
            }
            let (part, rest) = input.split_at(input.len().min(BLOCK - self.filled));
            self.held[self.filled..self.filled + part.len()].copy_from_slice(part);
            self.filled += part.len();
            input = rest;
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut [u8; MAX_DIGEST]) -> Result<usize> {
        let [whole, partial] = &*self.subkeys;
        if self.filled == BLOCK {
            xor(&mut *self.held, whole);
        } else {
            self.held[self.filled..].fill(0);
            self.held[self.filled] = 0x80;
            xor(&mut *self.held, partial);
        }
        xor(&mut *self.state, &*self.held);
        self.schedule.encrypt(&mut *self.state);
        out[..BLOCK].copy_from_slice(&*self.state);
        Ok(BLOCK)
    }
}
