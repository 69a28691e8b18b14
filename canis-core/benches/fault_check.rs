//! What it costs to verify a signature before it is released, which keeps a fault in the computation from giving the
//! key away: sign and verify on the default provider, in microseconds, and the share that a check would add.
//!
//! RSA is here for comparison: AWS-LC and the `rsa` crate both check every private operation themselves.
//!
//! `cargo bench -p canis-core --bench fault_check`
#![allow(clippy::unwrap_used)] // a failing unwrap is a failing measurement

use canis_core::crypto::{SignScheme, default_provider};
use canis_proto::{Family, KeyType};
use std::time::Instant;

const ROUNDS: usize = 15;

fn main() {
    println!("{:<16} {:>10} {:>10} {:>8}", "type", "sign", "verify", "added");
    for kind in KeyType::ALL.iter().copied().filter(|kind| kind.is_asymmetric() && kind.bits() <= 4096) {
        let (scheme, times) = match kind.family() {
            Family::Rsa => (SignScheme::RsaPkcs1, 40),
            Family::Ec => (SignScheme::Ecdsa, 400),
            Family::Edwards => (SignScheme::Ed25519, 400),
            _ => continue,
        };
        let keys = default_provider().keys;
        let pkcs8 = keys.generate(kind).unwrap();
        let private = keys.private(kind, pkcs8.expose()).unwrap();
        let public = keys.public(kind, private.public_spki()).unwrap();
        let mut out = vec![0; private.signature_len()];
        private.sign(scheme, &[7; 32], &mut out).unwrap();
        let verify = median(times, || assert!(public.verify(scheme, &[7; 32], &out).unwrap()));
        let mut out = out.clone();
        let sign = median(times, || assert!(private.sign(scheme, &[7; 32], &mut out).is_ok()));
        println!("{:<16} {sign:>10.1} {verify:>10.1} {:>7.1}%", kind.name(), 100.0 * verify / sign);
    }
}

/// The median over rounds of the time of one call, in microseconds.
fn median(times: usize, mut call: impl FnMut()) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            (0..times).for_each(|_| call());
            start.elapsed().as_secs_f64() * 1e6 / times as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}
