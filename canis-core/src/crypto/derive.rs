//! Key derivation over a provider's HMAC, CMAC and hash functions: HKDF with every hash, the counter mode of
//! SP 800-108 and the KDF of X9.63. One file for both providers: the constructions are a few lines each, and what has
//! to be fast in them is the provider's.

use super::{Hash, MAX_DIGEST, MacKey, Provider};
use canis_proto::{Error, Result};
use zeroize::Zeroizing;

/// HKDF-Extract (RFC 5869, section 2.2): writes a pseudorandom key of `hash.len()` bytes into the start of `out` and
/// returns that length. An empty `salt` is one of zeros.
///
/// # Errors
/// `internal` when memory runs out.
pub fn hkdf_extract(
    provider: &Provider,
    hash: Hash,
    salt: &[u8],
    secret: &[u8],
    out: &mut [u8; MAX_DIGEST],
) -> Result<usize> {
    // HMAC fills keys up with zeros, so that the empty key and one of zeros are the same.
    provider.mac.hmac(hash, salt)?.tag(&[secret], out)
}

/// HKDF-Expand (RFC 5869, section 2.3) of the pseudorandom key `prk` into all of `out`, at most 255 digests.
///
/// # Errors
/// `invalid_argument` for more, or for a `prk` shorter than a digest, which the RFC does not allow.
pub fn hkdf_expand(provider: &Provider, hash: Hash, prk: &[u8], info: &[u8], out: &mut [u8]) -> Result<()> {
    if out.len() > 255 * hash.len() {
        return Err(Error::invalid(format!("HKDF with this hash gives at most {} bytes", 255 * hash.len())));
    }
    if prk.len() < hash.len() {
        return Err(Error::invalid("the pseudorandom key of HKDF is shorter than a digest"));
    }
    let key = provider.mac.hmac(hash, prk)?;
    let mut block = Zeroizing::new([0; MAX_DIGEST]);
    let mut len = 0;
    for (counter, chunk) in (1u8..=255).zip(out.chunks_mut(hash.len())) {
        let mut next = Zeroizing::new([0; MAX_DIGEST]);
        len = key.tag(&[&block[..len], info, &[counter]], &mut next)?;
        block = next;
        chunk.copy_from_slice(&block[..chunk.len()]);
    }
    Ok(())
}

/// A number as [`sp_800_108_counter`] writes it into what it hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Width {
    /// 8, 16, 24 or 32 bits; 64 for a length.
    pub bits: u32,
    /// The lowest byte first.
    pub little_endian: bool,
}

/// What a block of SP 800-108 is computed over, in the caller's order (PKCS#11 3.1, section 6.42.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field<'a> {
    /// The number of the block, from 1 on.
    Counter(Width),
    /// The caller's bytes: a label, a zero, a context.
    Bytes(&'a [u8]),
    /// The length of all that is derived, in bits.
    Length(Width),
}

/// The KDF in counter mode (NIST SP 800-108, section 4.1) with HMAC or CMAC as its PRF, into all of `out`.
///
/// # Errors
/// `invalid_argument` unless there is exactly one counter, all widths are of those named, counter and length fit
/// them, and something is to be derived.
pub fn sp_800_108_counter(prf: &dyn MacKey, fields: &[Field<'_>], out: &mut [u8]) -> Result<()> {
    let blocks = out.len().div_ceil(prf.tag_len()) as u64;
    let bits = out.len() as u64 * 8;
    check_fields(fields, blocks, bits)?;
    for (number, chunk) in (1u64..).zip(out.chunks_mut(prf.tag_len())) {
        let mut run = prf.start()?;
        for field in fields {
            match field {
                Field::Bytes(bytes) => run.update(bytes)?,
                Field::Counter(width) => write(width, number, |bytes| run.update(bytes))?,
                Field::Length(width) => write(width, bits, |bytes| run.update(bytes))?,
            }
        }
        let mut block = Zeroizing::new([0; MAX_DIGEST]);
        run.finish(&mut block)?;
        chunk.copy_from_slice(&block[..chunk.len()]);
    }
    Ok(())
}

fn check_fields(fields: &[Field<'_>], blocks: u64, bits: u64) -> Result<()> {
    if blocks == 0 {
        return Err(Error::invalid("there is nothing to derive"));
    }
    let mut counters = 0;
    for field in fields {
        let (width, number, widths): (_, _, &[u32]) = match field {
            Field::Bytes(_) => continue,
            Field::Counter(width) => (width, blocks, &[8, 16, 24, 32]),
            Field::Length(width) => (width, bits, &[8, 16, 24, 32, 64]),
        };
        counters += usize::from(matches!(field, Field::Counter(_)));
        if !widths.contains(&width.bits) {
            return Err(Error::invalid("counters have 8, 16, 24 or 32 bits, lengths those or 64"));
        }
        if number.checked_shr(width.bits).is_some_and(|more| more > 0) {
            return Err(Error::invalid("so much cannot be derived with a counter or length of so few bits"));
        }
    }
    if counters == 1 { Ok(()) } else { Err(Error::invalid("the data of the KDF hold exactly one counter")) }
}

fn write(width: &Width, number: u64, take: impl FnOnce(&[u8]) -> Result<()>) -> Result<()> {
    let len = (width.bits / 8) as usize;
    if width.little_endian {
        take(&number.to_le_bytes()[..len])
    } else {
        take(&number.to_be_bytes()[8 - len..])
    }
}

/// The KDF of ANSI X9.63 (SEC 1, section 3.6.1) of a shared secret into all of `out`: what CKD_SHA1_KDF to
/// CKD_SHA512_KDF do after ECDH.
///
/// # Errors
/// `invalid_argument` if nothing is to be derived, or more than 2³² − 1 digests.
pub fn x963(provider: &Provider, hash: Hash, shared: &[u8], info: &[u8], out: &mut [u8]) -> Result<()> {
    let blocks = out.len().div_ceil(hash.len());
    if blocks == 0 || u32::try_from(blocks).is_err() {
        return Err(Error::invalid("the KDF of X9.63 gives 1 to 2^32 - 1 digests"));
    }
    for (counter, chunk) in (1u32..).zip(out.chunks_mut(hash.len())) {
        let mut block = Zeroizing::new([0; MAX_DIGEST]);
        let mut hasher = provider.digest.start(hash);
        hasher.update(shared);
        hasher.update(&counter.to_be_bytes());
        hasher.update(info);
        hasher.finish(&mut block);
        chunk.copy_from_slice(&block[..chunk.len()]);
    }
    Ok(())
}
