//! Messages in parts with a key of a server, which holds no half of a message: block modes are chained here, what cannot
//! be cut is kept and sent in one.

use super::Remote;
use super::door::Door;
use super::key::{OpenedThere, put, used};
use crate::message::Kept;
use canis_core::crypto::{BLOCK, BlockMode, Blocks, Chain, CipherStream, Direction, Iv};
use canis_core::object::{
    CipherScheme, CipherUse, DecryptNamed, EncryptNamed, MacScheme, NamedKey, SignWith,
};
use canis_proto::{Error, ErrorCode, Id, Result};
use std::sync::Arc;

/// So many bytes go in one request; a whole number of blocks.
const PIECE: usize = 1 << 20;

/// Blocks that the server runs, request by request.
struct RemoteBlocks {
    door: Arc<Door>,
    token: Id,
    key: NamedKey,
    chain: Chain,
    direction: Direction,
}

impl Remote {
    /// Begins a message.
    pub(in crate::token) fn start_cipher<U: CipherUse>(
        &self,
        key: &OpenedThere,
        mode: BlockMode,
    ) -> Result<CipherStream> {
        let blocks = RemoteBlocks {
            door: Arc::clone(&self.door),
            token: key.token,
            key: key.key,
            chain: mode.chain(),
            direction: U::DIRECTION,
        };
        CipherStream::over(Box::new(blocks), key.facts.block_len(), mode, U::DIRECTION)
    }
}

impl Blocks for RemoteBlocks {
    fn run(&mut self, input: &[u8], out: &mut [u8]) -> Result<()> {
        for (input, out) in input.chunks(PIECE).zip(out.chunks_mut(PIECE)) {
            self.piece(input, out)?;
        }
        Ok(())
    }
}

impl RemoteBlocks {
    fn piece(&mut self, input: &[u8], out: &mut [u8]) -> Result<()> {
        let (token, key) = (self.token, self.key);
        let cipher = CipherScheme::Blocks(match self.chain {
            Chain::Ecb => BlockMode::Ecb,
            Chain::Cbc(iv) => BlockMode::Cbc { iv },
            Chain::Ctr(counter) => BlockMode::Ctr { counter, bits: 128 },
        });
        let outcome = match self.direction {
            Direction::Encrypt => self.door.call(token, EncryptNamed { key, cipher, input }),
            Direction::Decrypt => self.door.call(token, DecryptNamed { key, cipher, input }),
        };
        if put(&used(outcome)?, out)? != out.len() {
            return Err(Error::internal("the server gave less than there must be"));
        }
        let ciphertext = if self.direction == Direction::Encrypt { &*out } else { input };
        self.chain = next(self.chain, ciphertext)?;
        Ok(())
    }
}

/// What the next blocks hang on, after these (NIST SP 800-38A, sections 6.2 and 6.5).
fn next(chain: Chain, ciphertext: &[u8]) -> Result<Chain> {
    Ok(match chain {
        Chain::Ecb => Chain::Ecb,
        Chain::Cbc(iv) => {
            let block = iv.as_slice().len();
            let last = ciphertext.len().checked_sub(block).map(|at| &ciphertext[at..]);
            let iv = last.and_then(|last| Iv::for_block(block, last));
            Chain::Cbc(iv.ok_or_else(|| Error::internal("a part of a block"))?)
        }
        Chain::Ctr(counter) => {
            let blocks = (ciphertext.len() / BLOCK) as u128;
            Chain::Ctr(u128::from_be_bytes(counter).wrapping_add(blocks).to_be_bytes())
        }
    })
}

/// A message whose MAC is to be computed: kept until its end.
pub(crate) struct RemoteMac {
    kept: Kept,
    scheme: SignWith<'static>,
}

impl RemoteMac {
    /// Begins a message.
    pub(in crate::token) fn new(scheme: MacScheme) -> Self {
        RemoteMac { kept: Kept::default(), scheme: SignWith::Mac(scheme) }
    }

    /// Takes more of it.
    pub(in crate::token) fn update(&mut self, input: &[u8]) -> Result<()> {
        let too_long = || Error::new(ErrorCode::TooLarge, "the message is longer than what is kept of one");
        self.kept.push(input).map_err(|_| too_long())
    }

    /// Ends it and gives its tag.
    pub(in crate::token) fn finish(
        &self,
        remote: &Remote,
        key: &OpenedThere,
        out: &mut [u8],
    ) -> Result<usize> {
        remote.sign(key, self.scheme, self.kept.whole(), out)
    }

    /// Ends it and says whether its tag is right.
    pub(in crate::token) fn check(&self, remote: &Remote, key: &OpenedThere, tag: &[u8]) -> Result<bool> {
        remote.verify(key, self.scheme, self.kept.whole(), tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_blocks_hang_on_these() {
        let text: Vec<u8> = (0..48).collect();
        assert_eq!(next(Chain::Ecb, &text).unwrap(), Chain::Ecb);
        let iv = Iv::for_block(16, &text[32..]).unwrap();
        assert_eq!(next(Chain::Cbc(Iv::new([0; 16])), &text).unwrap(), Chain::Cbc(iv));
        let iv = Iv::for_block(8, &text[40..]).unwrap();
        assert_eq!(next(Chain::Cbc(Iv::new([0; 8])), &text).unwrap(), Chain::Cbc(iv));
        let mut counter = [0xff; 16];
        counter[0] = 0xfe;
        assert_eq!(
            next(Chain::Ctr(counter), &text[..16]).unwrap(),
            Chain::Ctr({
                let mut next = [0; 16];
                next[0] = 0xff;
                next
            })
        );
        assert!(next(Chain::Cbc(Iv::new([0; 16])), &text[..8]).is_err());
    }
}
