//! RSA keys from outside that are keys and yet not safe: each weakness that is known to have been in use, looked for
//! before a key is taken. Keys drawn here have none of them.

use super::private_parts::RsaParts;
use super::refusal::{bad_private_key, bad_public_key};
use canis_proto::Result;
use crypto_primes::{Flavor, is_prime};
use rsa::BoxedUint;
use std::sync::LazyLock;

/// Prime factors below this are looked for.
const TINY: u64 = 1 << 14;
/// How many steps of Fermat's method are tried: enough for primes that share half their bits and some more.
const FERMAT_STEPS: u32 = 64;
/// The ROCA fingerprint's primes: the first 39, whose product divides that of every size of key.
const ROCA_LARGEST: u64 = 167;
/// The generator of the primes that Infineon's library made (CVE-2017-15361).
const ROCA_GENERATOR: u64 = 65537;

static PRIMES: LazyLock<Vec<u64>> = LazyLock::new(|| {
    let prime = |n: &u64| (2..).take_while(|d| d * d <= *n).all(|d| !n.is_multiple_of(d));
    (2..TINY).filter(prime).collect()
});

/// Looks at the modulus alone.
///
/// # Errors
/// `invalid_argument` naming the weakness.
pub(super) fn check_modulus(modulus: &[u8]) -> Result<()> {
    if let Some(prime) = PRIMES.iter().find(|prime| remainder(modulus, **prime) == 0) {
        return Err(bad_public_key(&format!("its modulus is divisible by {prime}")));
    }
    if is_roca(modulus) {
        return Err(bad_public_key(
            "its modulus has the ROCA fingerprint (CVE-2017-15361): it can be factored",
        ));
    }
    if fermat_factors(modulus) {
        return Err(bad_public_key("its primes are so close that Fermat's method finds them"));
    }
    Ok(())
}

/// Looks at the primes and the private exponent (FIPS 186-5, appendix A.1.1), which are known to fit the modulus.
///
/// # Errors
/// `invalid_argument` naming the weakness.
pub(super) fn check_private(parts: &RsaParts) -> Result<()> {
    let bits = bits(&parts.modulus);
    if bits_of(&parts.private_exponent)? <= bits / 2 {
        return Err(bad_private_key("its private exponent is so small that it can be computed"));
    }
    let (Some(p), Some(q)) = (&parts.prime_1, &parts.prime_2) else {
        return Err(bad_private_key("its primes are missing"));
    };
    let (p, q) = (number(p)?, number(q)?);
    if p.bits_vartime() != bits / 2 || q.bits_vartime() != bits / 2 {
        return Err(bad_private_key("its primes are not half as long as its modulus"));
    }
    let (larger, smaller) = if p > q { (&p, &q) } else { (&q, &p) };
    if larger.wrapping_sub(smaller).bits_vartime() <= bits / 2 - 100 {
        return Err(bad_private_key("its primes are too close to each other"));
    }
    if !is_prime(Flavor::Any, &p) || !is_prime(Flavor::Any, &q) {
        return Err(bad_private_key("one of its primes is no prime"));
    }
    Ok(())
}

fn bits(number: &[u8]) -> u32 {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let high = number.get(zeros).map_or(8, |byte| byte.leading_zeros());
    ((number.len() - zeros) * 8) as u32 - if number.len() == zeros { 0 } else { high }
}

fn bits_of(secret: &[u8]) -> Result<u32> {
    number(secret).map(|number| number.bits())
}

fn number(bytes: &[u8]) -> Result<BoxedUint> {
    BoxedUint::from_be_slice(bytes, (bytes.len() * 8) as u32)
        .map_err(|_| bad_private_key("one of its numbers is too large"))
}

/// The remainder of a big-endian number.
fn remainder(number: &[u8], divisor: u64) -> u64 {
    number.iter().fold(0, |rest, byte| (rest * 256 + u64::from(*byte)) % divisor)
}

/// Whether the modulus is a power of 65537 modulo every one of the primes, as one in 2²⁷ others is.
fn is_roca(modulus: &[u8]) -> bool {
    PRIMES.iter().take_while(|prime| **prime <= ROCA_LARGEST).all(|prime| {
        let (rest, step) = (remainder(modulus, *prime), ROCA_GENERATOR % prime);
        std::iter::successors(Some(1), |power| Some(power * step % prime))
            .take(*prime as usize)
            .any(|power| power == rest)
    })
}

/// Fermat: n = a² − b² with a just above √n, if the primes are close.
fn fermat_factors(modulus: &[u8]) -> bool {
    // Room for a², which is a little above n.
    let wide = (modulus.len() * 8 + 64) as u32;
    let Ok(n) = BoxedUint::from_be_slice(modulus, wide) else { return false };
    let mut a = n.floor_sqrt_vartime();
    (0..FERMAT_STEPS).any(|_| {
        a = a.wrapping_add(BoxedUint::one_with_precision(wide));
        let b_squared = a.wrapping_mul(&a).wrapping_sub(&n);
        b_squared.checked_sqrt_vartime().is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::private_parts::PrivateParts;
    use crate::crypto::providers;
    use canis_proto::KeyType;

    fn drawn() -> RsaParts {
        let key = providers()[0].keys.generate(KeyType::Rsa2048).unwrap();
        match PrivateParts::of_material(KeyType::Rsa2048, key.expose()).unwrap() {
            PrivateParts::Rsa(parts) => parts,
            _ => unreachable!(),
        }
    }

    #[test]
    fn sound_keys_pass() {
        for _ in 0..3 {
            let parts = drawn();
            check_modulus(&parts.modulus).unwrap();
            check_private(&parts).unwrap();
        }
        assert_eq!((bits(&[]), bits(&[0]), bits(&[0, 1]), bits(&[0x80, 0])), (0, 0, 1, 16));
    }

    /// Any number that is a power of 65537 modulo the primorial has the fingerprint; 2048 bits of them are enough here.
    #[test]
    fn roca() {
        let mut power = BoxedUint::from_be_slice(&[1, 0, 1], 2112).unwrap();
        for _ in 0..6 {
            power = power.wrapping_mul(&power);
        }
        let bytes = power.to_be_bytes();
        assert!(is_roca(&bytes));
        assert!(check_modulus(&bytes).is_err());
        assert!(!is_roca(&drawn().modulus));
    }

    #[test]
    fn tiny_factors_and_close_primes() {
        let message = |modulus: &[u8]| check_modulus(modulus).unwrap_err().message;
        let parts = drawn();
        let q = BoxedUint::from_be_slice(parts.prime_2.as_ref().unwrap(), 2048).unwrap();
        let tiny = q.wrapping_mul(BoxedUint::from(16381u64));
        assert!(message(&tiny.to_be_bytes()).contains("16381"));
        let near = q.wrapping_add(BoxedUint::from(2u64 << 20));
        let close = q.wrapping_mul(&near).to_be_bytes();
        assert!(fermat_factors(&close));
    }

    #[test]
    fn primes_that_are_none() {
        let mut parts = drawn();
        // Odd, as long as it was, and no prime: a square root's square.
        let p = parts.prime_1.as_mut().unwrap();
        let last = p.len() - 1;
        p[last] = 5;
        p[last - 1] = 0;
        assert!(check_private(&parts).unwrap_err().message.contains("no prime"));
        let mut short = drawn();
        short.private_exponent = vec![0x7f; 128].into();
        assert!(check_private(&short).unwrap_err().message.contains("so small"));
    }
}
