//! The IVs of a session's messages: made here or given by the host, and never the same twice.

use crate::rv::{Result, fail};
use canis_core::crypto::Random;
use pkcs11_sys::*;
use std::collections::HashSet;

/// How many IVs are remembered; a million is no real limit to a session and some tens of megabytes.
const MOST: usize = 1 << 20;
/// The fewest bits that may be left to the module.
const LEAST_FREE: usize = 32;
/// Where so many bits are random nobody needs to remember them (NIST SP 800-38D, section 8.2.2).
const RANDOM_ENOUGH: usize = 96;

/// The IVs so far. The first message says how they are made, and the others keep to it.
#[derive(Default)]
pub(crate) struct Ivs {
    manner: Option<(CK_GENERATOR_FUNCTION, usize, usize)>,
    used: HashSet<Vec<u8>>,
    /// Where the counter began, at random, so that two sessions with one fixed part do not meet; and how many it made.
    counter: Option<(u64, u64)>,
}

impl Ivs {
    /// Makes the next IV in `iv`, which holds the host's, or takes that. `fixed` bits of it stay, from the first on.
    ///
    /// # Errors
    /// CKR_MECHANISM_PARAM_INVALID for one that was used before, for another manner than the first message's, and if fewer
    /// than 32 bits are left to the module; CKR_TOKEN_RESOURCE_EXCEEDED when no more can be remembered or made.
    pub(super) fn next(
        &mut self,
        random: &dyn Random,
        generator: CK_GENERATOR_FUNCTION,
        fixed: usize,
        iv: &mut [u8],
    ) -> Result {
        let manner = (generator, iv.len(), fixed);
        let free = (8 * iv.len()).checked_sub(fixed).ok_or(CKR_MECHANISM_PARAM_INVALID)?;
        if *self.manner.get_or_insert(manner) != manner {
            return fail(CKR_MECHANISM_PARAM_INVALID);
        }
        match generator {
            CKG_NO_GENERATE => {
                self.remember(iv)?.then_some(()).ok_or_else(|| CKR_MECHANISM_PARAM_INVALID.into())
            }
            _ if free < LEAST_FREE => fail(CKR_MECHANISM_PARAM_INVALID),
            CKG_GENERATE | CKG_GENERATE_RANDOM => loop {
                let mut drawn = vec![0; iv.len()];
                random.fill(&mut drawn)?;
                keep_fixed(iv, &drawn, fixed);
                if free >= RANDOM_ENOUGH || self.remember(iv)? {
                    return Ok(());
                }
            },
            CKG_GENERATE_COUNTER => {
                let count = self.count(random, free)?.to_be_bytes();
                let mut counted = vec![0; iv.len()];
                let low = count.len().min(iv.len());
                counted[iv.len() - low..].copy_from_slice(&count[count.len() - low..]);
                keep_fixed(iv, &counted, fixed);
                Ok(())
            }
            _ => fail(CKR_MECHANISM_PARAM_INVALID),
        }
    }

    /// Notes an IV; says whether it is new.
    fn remember(&mut self, iv: &[u8]) -> Result<bool> {
        if self.used.len() >= MOST {
            return fail(CKR_TOKEN_RESOURCE_EXCEEDED);
        }
        Ok(self.used.insert(iv.to_vec()))
    }

    fn count(&mut self, random: &dyn Random, free: usize) -> Result<u64> {
        let (begin, made) = match &mut self.counter {
            Some(counter) => counter,
            None => {
                let mut begin = [0; 8];
                random.fill(&mut begin)?;
                self.counter.insert((u64::from_be_bytes(begin), 0))
            }
        };
        let end = 1u64.checked_shl(free as u32).unwrap_or(u64::MAX);
        if *made >= end {
            return fail(CKR_TOKEN_RESOURCE_EXCEEDED);
        }
        let count = begin.wrapping_add(*made);
        *made += 1;
        Ok(count)
    }
}

/// Replaces all but the first `fixed` bits.
fn keep_fixed(iv: &mut [u8], made: &[u8], fixed: usize) {
    for (at, (byte, made)) in iv.iter_mut().zip(made).enumerate() {
        let mask = match fixed.saturating_sub(8 * at) {
            0 => 0,
            bits @ 1..8 => 0xff << (8 - bits),
            _ => 0xff,
        };
        *byte = *byte & mask | made & !mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use canis_core::crypto::default_provider;

    fn next(ivs: &mut Ivs, how: CK_GENERATOR_FUNCTION, fixed: usize, iv: &mut [u8]) -> CK_RV {
        let random = default_provider().random;
        ivs.next(random, how, fixed, iv).map_or_else(|f| f.rv, |()| CKR_OK)
    }

    #[test]
    fn fixed_bits_stay() {
        let mut iv = [0xff; 4];
        keep_fixed(&mut iv, &[0; 4], 13);
        assert_eq!(iv, [0xff, 0xf8, 0, 0]);
        keep_fixed(&mut iv, &[0xaa; 4], 0);
        assert_eq!(iv, [0xaa; 4]);
        keep_fixed(&mut iv, &[0; 4], 32);
        assert_eq!(iv, [0xaa; 4]);
    }

    #[test]
    fn counters_run_and_no_iv_comes_twice() {
        let mut ivs = Ivs::default();
        let (mut first, mut second) = ([7; 12], [7; 12]);
        assert_eq!(next(&mut ivs, CKG_GENERATE_COUNTER, 32, &mut first), CKR_OK);
        assert_eq!(next(&mut ivs, CKG_GENERATE_COUNTER, 32, &mut second), CKR_OK);
        assert!(first.starts_with(&[7; 4]) && second.starts_with(&[7; 4]));
        let number = |iv: [u8; 12]| u64::from_be_bytes(iv[4..].try_into().unwrap());
        assert_eq!(number(second), number(first).wrapping_add(1));

        for (how, fixed) in [(CKG_GENERATE, 0), (CKG_GENERATE_RANDOM, 64), (CKG_GENERATE_COUNTER, 60)] {
            let mut ivs = Ivs::default();
            let made = (0..500).map(|_| {
                let mut iv = [7; 12];
                assert_eq!(next(&mut ivs, how, fixed, &mut iv), CKR_OK);
                iv
            });
            assert_eq!(made.collect::<HashSet<_>>().len(), 500);
        }
    }

    #[test]
    fn the_hosts_ivs_are_taken_once_and_manners_are_kept() {
        let mut ivs = Ivs::default();
        assert_eq!(next(&mut ivs, CKG_NO_GENERATE, 0, &mut [1; 12]), CKR_OK);
        assert_eq!(next(&mut ivs, CKG_NO_GENERATE, 0, &mut [2; 12]), CKR_OK);
        assert_eq!(next(&mut ivs, CKG_NO_GENERATE, 0, &mut [1; 12]), CKR_MECHANISM_PARAM_INVALID);
        assert_eq!(next(&mut ivs, CKG_GENERATE, 0, &mut [3; 12]), CKR_MECHANISM_PARAM_INVALID);
        assert_eq!(next(&mut ivs, CKG_NO_GENERATE, 0, &mut [3; 11]), CKR_MECHANISM_PARAM_INVALID);
        for (how, fixed) in
            [(CKG_GENERATE_COUNTER, 65), (CKG_GENERATE, 97), (CKG_GENERATE_COUNTER_XOR, 0), (9, 0)]
        {
            let refused = next(&mut Ivs::default(), how, fixed, &mut [0; 12]);
            assert_eq!(refused, CKR_MECHANISM_PARAM_INVALID, "{how} {fixed}");
        }
    }
}
