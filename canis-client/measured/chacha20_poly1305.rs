//! How fast the provider's ChaCha20-Poly1305 is on one thread, in MiB/s: what no encrypted file can exceed. `scripts/bench file`.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use std::time::{Duration, Instant};

/// Bytes that are sealed at a time, as in a file.
const CHUNK: usize = 64 << 10;

fn main() {
    let key = UnboundKey::new(&CHACHA20_POLY1305, &[7; 32]).map(LessSafeKey::new);
    let key = key.unwrap_or_else(|_| unreachable!("a key of 32 bytes"));
    let mut chunk = vec![0; CHUNK];
    let (begun, mut sealed) = (Instant::now(), 0u64);
    while begun.elapsed() < Duration::from_secs(1) {
        for _ in 0..64 {
            let mut nonce = [0; 12];
            nonce[..8].copy_from_slice(&sealed.to_le_bytes());
            let nonce = Nonce::assume_unique_for_key(nonce);
            let tag = key.seal_in_place_separate_tag(nonce, Aad::empty(), &mut chunk);
            assert!(tag.is_ok());
            sealed += CHUNK as u64;
        }
    }
    println!("{:.0}", sealed as f64 / begun.elapsed().as_secs_f64() / f64::from(1 << 20));
}
