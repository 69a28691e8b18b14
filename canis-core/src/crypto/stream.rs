//! Block ciphers in parts: what PKCS#11 calls Init, Update, Final, over the whole blocks that a provider runs. One file for both
//! providers: how bytes are held back between calls is the same for each.

use super::padding;
use super::refusal::{decryption_failed, room};
use super::{BLOCK, BlockMode, Blocks, CipherKey, Direction};
use canis_proto::{Error, Result};
use zeroize::Zeroizing;

/// A message being encrypted or decrypted.
pub struct CipherStream {
    blocks: Box<dyn Blocks>,
    shape: Shape,
    /// Input waiting for a whole block; with CTR the rest of the last key stream block.
    held: Zeroizing<[u8; BLOCK]>,
    /// The length of a block of this cipher.
    block: usize,
    /// How much of it counts: its first bytes, with CTR its last.
    filled: usize,
}

/// What a mode makes of a last part that is no whole block.
enum Shape {
    /// There is none (ECB, CBC).
    Whole,
    /// It is filled up when encrypting; when decrypting, one block is held back, as it may be the last one.
    Padded(Direction),
    /// It is as good as any (CTR). So many more blocks may be taken before the counter would repeat.
    Counted(u128),
}

impl Shape {
    fn of(mode: BlockMode, direction: Direction) -> Result<Self> {
        Ok(match mode {
            BlockMode::Ecb | BlockMode::Cbc { .. } => Shape::Whole,
            BlockMode::CbcPad { .. } => Shape::Padded(direction),
            BlockMode::Ctr { counter, bits } => Shape::Counted(blocks_left(counter, bits)?),
        })
    }
}

impl CipherStream {
    /// Starts a message.
    ///
    /// # Errors
    /// `invalid_argument` for a counter of no bits or more than 128; as [`CipherKey::blocks`].
    pub fn new(key: &dyn CipherKey, mode: BlockMode, direction: Direction) -> Result<Self> {
        let shape = Shape::of(mode, direction)?;
        let blocks = key.blocks(mode.chain(), direction)?;
        Ok(CipherStream::with(blocks, key.block(), shape))
    }

    /// Starts a message whose blocks are run elsewhere: `blocks` stands for a key with blocks of `block` bytes, begun
    /// for [`BlockMode::chain`] and this direction.
    ///
    /// # Errors
    /// `invalid_argument` for a counter of no bits or more than 128, and for a block that no cipher has.
    pub fn over(
        blocks: Box<dyn Blocks>,
        block: usize,
        mode: BlockMode,
        direction: Direction,
    ) -> Result<Self> {
        if block == 0 {
            return Err(Error::invalid("the key is of no block cipher"));
        }
        mode.chain().check(block)?;
        Ok(CipherStream::with(blocks, block, Shape::of(mode, direction)?))
    }

    fn with(blocks: Box<dyn Blocks>, block: usize, shape: Shape) -> Self {
        CipherStream { blocks, shape, held: Zeroizing::new([0; BLOCK]), block, filled: 0 }
    }

    /// How many bytes [`CipherStream::update`] gives for an input of `len` bytes.
    #[must_use]
    pub fn update_len(&self, len: usize) -> usize {
        match self.shape {
            Shape::Counted(_) => len,
            Shape::Padded(Direction::Decrypt) => {
                (self.filled + len).saturating_sub(1) / self.block * self.block
            }
            Shape::Whole | Shape::Padded(Direction::Encrypt) => (self.filled + len) / self.block * self.block,
        }
    }

    /// The most bytes that [`CipherStream::finish`] gives now.
    #[must_use]
    pub fn finish_len(&self) -> usize {
        if matches!(self.shape, Shape::Padded(_)) { self.block } else { 0 }
    }

    /// Takes more input and writes what it gives, [`CipherStream::update_len`] bytes, into the start of `out`.
    ///
    /// # Errors
    /// `invalid_argument` if `out` is too short or the counter of CTR would repeat; the stream stands as it stood.
    pub fn update(&mut self, input: &[u8], out: &mut [u8]) -> Result<usize> {
        let len = self.update_len(input.len());
        let out = room(out, len)?;
        if let Shape::Counted(left) = self.shape {
            self.count(left, input, out)?;
            return Ok(len);
        }
        if len == 0 {
            self.hold(input);
            return Ok(0);
        }
        // A block begun earlier is finished first; what follows runs straight from the input.
        let (head, input) = input.split_at(if self.filled == 0 { 0 } else { self.block - self.filled });
        let mut at = 0;
        if self.filled > 0 {
            self.hold(head);
            self.blocks.run(&self.held[..self.block], &mut out[..self.block])?;
            (self.filled, at) = (0, self.block);
        }
        let (body, tail) = input.split_at(len - at);
        self.blocks.run(body, &mut out[at..])?;
        self.hold(tail);
        Ok(len)
    }

    /// Ends the message and writes what is left, at most [`CipherStream::finish_len`] bytes, into the start of `out`,
    /// which has room for so many. The stream must not be used again.
    ///
    /// # Errors
    /// `invalid_argument` if the message was no whole number of blocks (ECB, CBC) or `out` is too short;
    /// `decryption_failed`, and nothing else, for padding or a length that no encryption makes.
    pub fn finish(&mut self, out: &mut [u8]) -> Result<usize> {
        match self.shape {
            Shape::Counted(_) => Ok(0),
            Shape::Whole if self.filled == 0 => Ok(0),
            Shape::Whole => {
                let block = self.block;
                Err(Error::invalid(format!("the message is no whole number of blocks of {block} bytes")))
            }
            Shape::Padded(Direction::Encrypt) => {
                let out = room(out, self.block)?;
                let held = &mut self.held[..self.block];
                padding::pad(held, self.filled);
                self.blocks.run(held, out)?;
                Ok(self.block)
            }
            Shape::Padded(Direction::Decrypt) => {
                let out = room(out, self.block)?;
                let mut last = Zeroizing::new([0; BLOCK]);
                let last = &mut last[..self.block];
                // A length that is wrong is public; the block is run all the same, so that one path answers.
                self.blocks.run(&self.held[..self.block], last)?;
                let len = padding::unpad(last).filter(|_| self.filled == self.block);
                let len = len.ok_or_else(decryption_failed)?;
                out[..len].copy_from_slice(&last[..len]);
                Ok(len)
            }
        }
    }

    fn hold(&mut self, input: &[u8]) {
        self.held[self.filled..self.filled + input.len()].copy_from_slice(input);
        self.filled += input.len();
    }

    /// CTR: first the rest of the last key stream block, then whole blocks, then the start of a new one.
    fn count(&mut self, left: u128, input: &[u8], out: &mut [u8]) -> Result<()> {
        let (head, input) = input.split_at(input.len().min(self.filled));
        let needed = input.len().div_ceil(self.block) as u128;
        if needed > left {
            return Err(Error::invalid(
                "the counter of CTR would repeat: the message is too long for its bits",
            ));
        }
        self.shape = Shape::Counted(left - needed);
        let (out_head, out) = out.split_at_mut(head.len());
        self.mix(head, out_head);
        let (body, tail) = input.split_at(input.len() / self.block * self.block);
        let (out_body, out_tail) = out.split_at_mut(body.len());
        self.blocks.run(body, out_body)?;
        if !tail.is_empty() {
            self.blocks.run(&[0; BLOCK][..self.block], &mut self.held[..self.block])?;
            self.filled = self.block;
            self.mix(tail, out_tail);
        }
        Ok(())
    }

    fn mix(&mut self, input: &[u8], out: &mut [u8]) {
        let stream = &self.held[self.block - self.filled..self.block];
        for ((out, byte), key) in out.iter_mut().zip(input).zip(stream) {
            *out = byte ^ key;
        }
        self.filled -= input.len();
    }
}

/// How many blocks a counter in the low `bits` bits of `counter` numbers before it repeats or wraps into the nonce
/// (PKCS#11 3.1, section 6.13.5).
fn blocks_left(counter: [u8; BLOCK], bits: u32) -> Result<u128> {
    if !(1..=128).contains(&bits) {
        return Err(Error::invalid(format!("a CTR counter has 1 to 128 bits, not {bits}")));
    }
    let highest = u128::MAX >> (128 - bits);
    Ok((highest - (u128::from_be_bytes(counter) & highest)).saturating_add(1))
}
