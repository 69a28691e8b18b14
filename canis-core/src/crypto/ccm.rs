//! AES-CCM (NIST SP 800-38C, RFC 3610) over a provider's CBC and CTR. One file for both providers: AWS-LC has it too,
//! but wants the length of the message ahead, through three control calls in one right order.

use super::refusal::decryption_failed;
use super::{AesKey, BLOCK, Chain, Direction, Iv};
use canis_proto::{Error, Result};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

/// Encrypts `plaintext` into `ciphertext` (same length) and writes a tag of `tag.len()` bytes.
///
/// # Errors
/// `invalid_argument` unless the nonce has 7 to 13 bytes, the tag 4, 6, 8, 10, 12, 14 or 16, and the length of the
/// plaintext fits the 15 bytes less the nonce that are there to write it.
pub fn seal(
    key: &dyn AesKey,
    nonce: &[u8],
    aad: &[u8],
    plaintext: &[u8],
    ciphertext: &mut [u8],
    tag: &mut [u8],
) -> Result<()> {
    check(nonce, tag.len(), plaintext.len(), ciphertext.len())?;
    let mac = authenticate(key, nonce, aad, plaintext, tag.len())?;
    let mask = count(key, nonce, plaintext, ciphertext)?;
    for ((out, mac), mask) in tag.iter_mut().zip(*mac).zip(*mask) {
        *out = mac ^ mask;
    }
    Ok(())
}

/// Decrypts `ciphertext` into `plaintext` (same length) and checks the tag. On failure `plaintext` holds zeros.
///
/// # Errors
/// As [`seal`]; `decryption_failed` for every wrong tag, nonce, aad or ciphertext alike.
pub fn open(
    key: &dyn AesKey,
    nonce: &[u8],
    aad: &[u8],
    ciphertext: &[u8],
    tag: &[u8],
    plaintext: &mut [u8],
) -> Result<()> {
    check(nonce, tag.len(), plaintext.len(), ciphertext.len())?;
    let mask = count(key, nonce, ciphertext, plaintext)?;
    let mac = authenticate(key, nonce, aad, plaintext, tag.len())?;
    let mut made = Zeroizing::new([0; BLOCK]);
    for ((out, mac), mask) in made.iter_mut().zip(*mac).zip(*mask) {
        *out = mac ^ mask;
    }
    if bool::from(made[..tag.len()].ct_eq(tag)) {
        return Ok(());
    }
    plaintext.zeroize();
    Err(decryption_failed())
}

fn check(nonce: &[u8], tag: usize, plaintext: usize, ciphertext: usize) -> Result<()> {
    if plaintext != ciphertext {
        return Err(Error::invalid("plaintext and ciphertext differ in length"));
    }
    if !(7..=13).contains(&nonce.len()) {
        return Err(Error::invalid(format!("a CCM nonce has 7 to 13 bytes, not {}", nonce.len())));
    }
    if !(4..=16).contains(&tag) || tag % 2 == 1 {
        return Err(Error::invalid(format!("a CCM tag has 4, 6, 8, 10, 12, 14 or 16 bytes, not {tag}")));
    }
    let width = 8 * (15 - nonce.len() as u32);
    if (plaintext as u64).checked_shr(width).is_some_and(|more| more > 0) {
        return Err(Error::invalid("the message is too long for a CCM nonce of this length"));
    }
    Ok(())
}

/// A block with flags, nonce, and a number in what the nonce leaves (SP 800-38C, appendices A.2.1 and A.3).
fn numbered(flags: u8, nonce: &[u8], number: u64) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    block[8..].copy_from_slice(&number.to_be_bytes());
    block[1..=nonce.len()].copy_from_slice(nonce);
    block[0] = flags | (14 - nonce.len() as u8);
    block
}

/// CTR from counter 1 over `input`; the answer is the key stream of counter 0, which hides the tag.
fn count(key: &dyn AesKey, nonce: &[u8], input: &[u8], out: &mut [u8]) -> Result<Zeroizing<[u8; BLOCK]>> {
    let mut blocks = key.blocks(Chain::Ctr(numbered(0, nonce, 0)), Direction::Encrypt)?;
    let mut mask = Zeroizing::new([0; BLOCK]);
    blocks.run(&[0; BLOCK], &mut *mask)?;
    let (body, tail) = input.split_at(input.len() / BLOCK * BLOCK);
    let (out_body, out_tail) = out.split_at_mut(body.len());
    blocks.run(body, out_body)?;
    let mut last = Zeroizing::new([0; BLOCK]);
    let mut padded = Zeroizing::new([0; BLOCK]);
    padded[..tail.len()].copy_from_slice(tail);
    blocks.run(&*padded, &mut *last)?;
    out_tail.copy_from_slice(&last[..tail.len()]);
    Ok(mask)
}

/// CBC-MAC over the formatted nonce, aad and plaintext (SP 800-38C, section 6.1, steps 1 to 4).
fn authenticate(
    key: &dyn AesKey,
    nonce: &[u8],
    aad: &[u8],
    plaintext: &[u8],
    tag: usize,
) -> Result<Zeroizing<[u8; BLOCK]>> {
    let flags = u8::from(!aad.is_empty()) << 6 | ((tag as u8 - 2) / 2) << 3;
    let mut mac = CbcMac {
        blocks: key.blocks(Chain::Cbc(Iv::new([0; BLOCK])), Direction::Encrypt)?,
        last: Zeroizing::new([0; BLOCK]),
    };
    mac.take(&numbered(flags, nonce, plaintext.len() as u64))?;
    if !aad.is_empty() {
        let len = aad.len() as u64;
        let mut head = Vec::with_capacity(BLOCK);
        match len {
            ..0xff00 => head.extend_from_slice(&(len as u16).to_be_bytes()),
            0xff00..=0xffff_ffff => {
                head.extend_from_slice(&[0xff, 0xfe]);
                head.extend_from_slice(&(len as u32).to_be_bytes());
            }
            _ => {
                head.extend_from_slice(&[0xff, 0xff]);
                head.extend_from_slice(&len.to_be_bytes());
            }
        }
        let (first, rest) = aad.split_at(aad.len().min(BLOCK - head.len()));
        head.extend_from_slice(first);
        mac.take(&head)?;
        mac.take(rest)?;
    }
    mac.take(plaintext)?;
    Ok(mac.last)
}

struct CbcMac {
    blocks: Box<dyn super::Blocks>,
    last: Zeroizing<[u8; BLOCK]>,
}

impl CbcMac {
    /// Takes whole blocks, the last one filled up with zeros.
    fn take(&mut self, input: &[u8]) -> Result<()> {
        let mut out = Zeroizing::new([0; 64 * BLOCK]);
        let mut padded = Zeroizing::new([0; BLOCK]);
        for part in input.chunks(out.len()) {
            let (body, tail) = part.split_at(part.len() / BLOCK * BLOCK);
            self.blocks.run(body, &mut out[..body.len()])?;
            if let Some(last) = out[..body.len()].last_chunk() {
                *self.last = *last;
            }
            if !tail.is_empty() {
                padded[..tail.len()].copy_from_slice(tail);
                self.blocks.run(&*padded, &mut *self.last)?;
            }
        }
        Ok(())
    }
}
