//! AES Key Wrap, without padding (RFC 3394) and with (RFC 5649); both are NIST SP 800-38F.

use super::schedule::{Schedule, xor};
use crate::crypto::refusal::decryption_failed;
use crate::crypto::{BLOCK, KeyWrap, keywrap};
use crate::secret::SecretBytes;
use canis_proto::Result;
use subtle::{Choice, ConstantTimeEq};

/// Half a block, the unit of both.
const HALF: usize = 8;
/// What KW puts before a key (RFC 3394, section 2.2.3.1).
const KW_CHECK: [u8; HALF] = [0xa6; HALF];
/// What KWP puts before the key's length (RFC 5649, section 3).
const KWP_CHECK: [u8; 4] = [0xa6, 0x59, 0x59, 0xa6];

pub(super) fn wrap(schedule: &Schedule, how: KeyWrap, key: &[u8]) -> Result<Vec<u8>> {
    keywrap::check_key(how, key)?;
    let mut out = vec![0; HALF + key.len().next_multiple_of(HALF)];
    out[HALF..HALF + key.len()].copy_from_slice(key);
    match how {
        KeyWrap::Kw => out[..HALF].copy_from_slice(&KW_CHECK),
        KeyWrap::Kwp => {
            out[..4].copy_from_slice(&KWP_CHECK);
            out[4..HALF].copy_from_slice(&(key.len() as u32).to_be_bytes());
        }
    }
    if out.len() == BLOCK {
        schedule.encrypt(&mut out);
        return Ok(out);
    }
    let (check, rest) = out.split_at_mut(HALF);
    let mut block = [0; BLOCK];
    block[..HALF].copy_from_slice(check);
    let mut step = 0u64;
    for _ in 0..6 {
        for half in rest.chunks_exact_mut(HALF) {
            step += 1;
            block[HALF..].copy_from_slice(half);
            schedule.encrypt(&mut block);
            xor(&mut block[..HALF], &step.to_be_bytes());
            half.copy_from_slice(&block[HALF..]);
        }
    }
    check.copy_from_slice(&block[..HALF]);
    Ok(out)
}

pub(super) fn unwrap(schedule: &Schedule, how: KeyWrap, wrapped: &[u8]) -> Result<SecretBytes> {
    keywrap::check_wrapped(how, wrapped)?;
    let mut work = SecretBytes::copied_from(wrapped);
    let bytes = work.expose_mut();
    if bytes.len() == BLOCK {
        schedule.decrypt(bytes);
    } else {
        unroll(schedule, bytes);
    }
    let (check, key) = bytes.split_at(HALF);
    let (good, len) = match how {
        KeyWrap::Kw => (check.ct_eq(&KW_CHECK), key.len()),
        KeyWrap::Kwp => padded_len(check, key),
    };
    if !bool::from(good) {
        return Err(decryption_failed());
    }
    Ok(SecretBytes::copied_from(&key[..len]))
}

/// The unwrapping rounds (RFC 3394, section 2.2.2).
fn unroll(schedule: &Schedule, bytes: &mut [u8]) {
    let (check, rest) = bytes.split_at_mut(HALF);
    let mut block = [0; BLOCK];
    block[..HALF].copy_from_slice(check);
    let mut step = 6 * (rest.len() / HALF) as u64;
    for _ in 0..6 {
        for half in rest.chunks_exact_mut(HALF).rev() {
            xor(&mut block[..HALF], &step.to_be_bytes());
            block[HALF..].copy_from_slice(half);
            schedule.decrypt(&mut block);
            half.copy_from_slice(&block[HALF..]);
            step -= 1;
        }
    }
    check.copy_from_slice(&block[..HALF]);
}

/// The key's length and whether check, length and the zeros behind it are right (RFC 5649, section 3). The length is
/// only looked at through comparisons until all three are known to be.
fn padded_len(check: &[u8], key: &[u8]) -> (Choice, usize) {
    let mut number = [0; 4];
    number.copy_from_slice(&check[4..]);
    let len = u32::from_be_bytes(number) as usize;
    let fill = key.len().wrapping_sub(len);
    let mut good = check[..4].ct_eq(&KWP_CHECK);
    good &= Choice::from(u8::from(fill < HALF));
    for (from_end, byte) in key.iter().rev().take(HALF - 1).enumerate() {
        good &= Choice::from(u8::from(from_end >= fill)) | byte.ct_eq(&0);
    }
    (good, len)
}
