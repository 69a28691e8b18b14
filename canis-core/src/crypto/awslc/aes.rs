//! AES in every mode but the usual GCM, straight from the caller's buffer into the caller's buffer. ECB is
//! RustCrypto's: AWS-LC's takes a block a call, which is four times slower.

use super::binding::AesBlocks;
use super::cmac::Cmac;
use crate::crypto::refusal::decryption_failed;
use crate::crypto::{
    AesKey, BLOCK, Blocks, Chain, CipherKey, Direction, KeyWrap, MacKey, RUST, gcm, keywrap,
};
use crate::secret::SecretBytes;
use canis_proto::{Error, Result};
use std::sync::Arc;
use zeroize::Zeroize;

/// A ready key from 16, 24 or 32 bytes.
pub(super) fn ready(key: &[u8]) -> Result<Box<dyn AesKey>> {
    let wrong = |_| Error::invalid(format!("an AES key has 16, 24 or 32 bytes, not {}", key.len()));
    let blocks = Arc::new(AesBlocks::new(key).map_err(wrong)?);
    Ok(Box::new(Key { blocks, ecb: RUST.cipher.aes(key)?, cmac: Cmac::new(key)? }))
}

/// Runs under a key share its schedule.
struct Key {
    blocks: Arc<AesBlocks>,
    ecb: Box<dyn AesKey>,
    cmac: Cmac,
}

impl CipherKey for Key {
    fn block(&self) -> usize {
        BLOCK
    }

    fn blocks(&self, chain: Chain, direction: Direction) -> Result<Box<dyn Blocks>> {
        chain.check(BLOCK)?;
        let key = Arc::clone(&self.blocks);
        match chain {
            Chain::Ecb => self.ecb.blocks(chain, direction),
            Chain::Cbc(iv) => Ok(Box::new(Cbc { key, iv: iv.filled_up(), direction })),
            Chain::Ctr(counter) => Ok(Box::new(Ctr { key, counter })),
        }
    }

    fn cmac(&self) -> Result<Box<dyn MacKey>> {
        Ok(Box::new(self.cmac.clone()))
    }
}

impl AesKey for Key {
    fn gcm_seal(
        &self,
        iv: &[u8],
        aad: &[u8],
        plaintext: &[u8],
        ciphertext: &mut [u8],
        tag: &mut [u8],
    ) -> Result<()> {
        gcm::check(iv, tag.len(), plaintext.len(), ciphertext.len())?;
        self.blocks
            .gcm_seal(iv, aad, plaintext, ciphertext, tag)
            .map_err(|_| Error::internal("AES-GCM gave no ciphertext"))
    }

    fn gcm_open(
        &self,
        iv: &[u8],
        aad: &[u8],
        ciphertext: &[u8],
        tag: &[u8],
        plaintext: &mut [u8],
    ) -> Result<()> {
        gcm::check(iv, tag.len(), plaintext.len(), ciphertext.len())?;
        self.blocks.gcm_open(iv, aad, ciphertext, tag, plaintext).map_err(|_| {
            // The library decrypts before it finds the tag wrong.
            plaintext.zeroize();
            decryption_failed()
        })
    }

    fn wrap_key(&self, how: KeyWrap, key: &[u8]) -> Result<Vec<u8>> {
        keywrap::check_key(how, key)?;
        let mut out = vec![0; 8 + key.len().next_multiple_of(8)];
        let len = match how {
            KeyWrap::Kw => self.blocks.wrap(key, &mut out),
            KeyWrap::Kwp => self.blocks.wrap_padded(key, &mut out),
        };
        match len {
            Ok(len) if len == out.len() => Ok(out),
            _ => Err(Error::internal("AES Key Wrap gave no wrapped key")),
        }
    }

    fn unwrap_key(&self, how: KeyWrap, wrapped: &[u8]) -> Result<SecretBytes> {
        keywrap::check_wrapped(how, wrapped)?;
        let mut key = SecretBytes::zeroed(wrapped.len() - 8);
        let len = match how {
            KeyWrap::Kw => self.blocks.unwrap(wrapped, key.expose_mut()),
            KeyWrap::Kwp => self.blocks.unwrap_padded(wrapped, key.expose_mut()),
        };
        len.map(|len| key.truncated(len)).map_err(|_| decryption_failed())
    }
}

struct Cbc {
    key: Arc<AesBlocks>,
    iv: [u8; BLOCK],
    direction: Direction,
}

impl Blocks for Cbc {
    fn run(&mut self, input: &[u8], out: &mut [u8]) -> Result<()> {
        whole_blocks(input, out)?;
        self.key.cbc(self.direction, &mut self.iv, input, out);
        Ok(())
    }
}

struct Ctr {
    key: Arc<AesBlocks>,
    counter: [u8; BLOCK],
}

impl Blocks for Ctr {
    fn run(&mut self, input: &[u8], out: &mut [u8]) -> Result<()> {
        whole_blocks(input, out)?;
        self.key.ctr(&mut self.counter, input, out);
        Ok(())
    }
}

fn whole_blocks(input: &[u8], out: &[u8]) -> Result<()> {
    if input.len() == out.len() && input.len().is_multiple_of(BLOCK) {
        return Ok(());
    }
    Err(Error::internal("AES was given parts of blocks"))
}
