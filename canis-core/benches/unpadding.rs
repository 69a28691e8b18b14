//! Does the time of PKCS#1 v1.5 unpadding tell whether the padding was right? Measured as dudect does (Reparaz, Balasch
//! and Verbauwhede, 2017): two classes of blocks in random order, Welch's t-test on their times. A |t| that stays below
//! 4.5 as the measurements grow is no evidence of a difference; one that grows with them is a leak.
//!
//! `cargo bench -p canis-core --bench unpadding [-- MEASUREMENTS]`
#![allow(clippy::unwrap_used)] // a failing unwrap is a failing measurement

use canis_core::crypto::{Provider, providers, rsa_pkcs1};
use std::hint::black_box;
use std::time::Instant;

/// The length of an RSA-2048 block.
const LEN: usize = 256;

/// Makes a block with right padding into one of another sort.
type Spoil = fn(&mut [u8; LEN]);

/// What the second class holds instead of the first one's right padding.
const CLASSES: [(&str, Spoil); 4] = [
    ("right padding again", |_| {}),
    ("a wrong first byte", |block| block[0] = 1),
    ("no end of the padding", |block| block.iter_mut().skip(2).for_each(|byte| *byte |= 1)),
    ("an end after four bytes", |block| block[6] = 0),
];

fn main() {
    let measurements = std::env::args().filter_map(|word| word.parse().ok()).next().unwrap_or(100_000);
    println!("{measurements} measurements each; |t| < 4.5: no evidence of a difference");
    for provider in providers() {
        for (name, spoil) in CLASSES {
            let t = measure(provider, spoil, measurements);
            let verdict = if t.abs() < 4.5 { "ok" } else { "LOOK" };
            println!("{:<7} right padding against {name:<24} t = {t:>7.2}  {verdict}", provider.name);
        }
    }
}

fn measure(provider: &Provider, spoil: Spoil, measurements: usize) -> f64 {
    let mut times = [Vec::with_capacity(measurements), Vec::with_capacity(measurements)];
    let mut random = [0; 1 + LEN];
    for _ in 0..measurements {
        provider.random.fill(&mut random).unwrap();
        let class = usize::from(random[LEN] & 1);
        let mut block = [0; LEN];
        block.copy_from_slice(&random[..LEN]);
        block[2..].iter_mut().for_each(|byte| *byte = (*byte).max(1));
        // The message begins anywhere behind the least padding.
        let end = 10 + usize::from(random[0]) % (LEN - 10);
        (block[0], block[1], block[end]) = (0, 2, 0);
        // Both classes go through the same steps, so that caches and predictors are in the same state for both.
        let mut spoiled = block;
        spoil(&mut spoiled);
        let mut input = [block, spoiled][class];
        let key = [random[1]; 32];
        let start = Instant::now();
        let message = rsa_pkcs1::unpad(provider.mac, &key, black_box(&mut input)).unwrap();
        black_box(message);
        times[class].push(start.elapsed().as_nanos() as f64);
    }
    welch(&times)
}

/// The t value of two samples, without their slowest tenths: what the operating system was doing then is not in
/// question.
fn welch(times: &[Vec<f64>; 2]) -> f64 {
    let mut all: Vec<f64> = times.concat();
    all.sort_by(f64::total_cmp);
    let limit = all[all.len() * 9 / 10];
    let [a, b] = times.each_ref().map(|sample| {
        let kept: Vec<f64> = sample.iter().copied().filter(|time| *time <= limit).collect();
        let count = kept.len() as f64;
        let mean = kept.iter().sum::<f64>() / count;
        let variance = kept.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / (count - 1.0);
        (mean, variance / count)
    });
    (a.0 - b.0) / (a.1 + b.1).sqrt()
}
