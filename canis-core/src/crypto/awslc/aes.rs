//! AES in every mode but the usual GCM, straight from the caller's buffer into the caller's buffer.

use super::binding::AesBlocks;
use super::cmac::Cmac;
use crate::crypto::refusal::decryption_failed;
use crate::crypto::{AesKey, BLOCK, Blocks, Chain, Direction, KeyWrap, MacKey, gcm, keywrap};
use crate::secret::SecretBytes;
use canis_proto::{Error, Result};
use std::sync::Arc;
use zeroize::Zeroize;

/// A ready key from 16, 24 or 32 bytes.
pub(super) fn ready(key: &[u8]) -> Result<Box<dyn AesKey>> {
    let wrong = |_| Error::invalid(format!("an AES key has 16, 24 or 32 bytes, not {}", key.len()));
    Ok(Box::new(Key { blocks: Arc::new(AesBlocks::new(key).map_err(wrong)?), cmac: Cmac::new(key)? }))
}

/// Runs under a key share its schedule.
struct Key {
    blocks: Arc<AesBlocks>,
    cmac: Cmac,
}

impl AesKey for Key {
    fn blocks(&self, chain: Chain, direction: Direction) -> Result<Box<dyn Blocks>> {
        Ok(Box::new(Run { key: Arc::clone(&self.blocks), chain, direction }))
    }

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

    fn cmac(&self) -> Result<Box<dyn MacKey>> {
        Ok(Box::new(self.cmac.clone()))
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

struct Run {
    key: Arc<AesBlocks>,
    chain: Chain,
    direction: Direction,
}

impl Blocks for Run {
    fn run(&mut self, input: &[u8], out: &mut [u8]) -> Result<()> {
        if input.len() != out.len() || !input.len().is_multiple_of(BLOCK) {
            return Err(Error::internal("AES was given parts of blocks"));
        }
        match &mut self.chain {
            Chain::Ecb => self.key.ecb(self.direction, input, out),
            Chain::Cbc(iv) => self.key.cbc(self.direction, iv, input, out),
            Chain::Ctr(counter) => self.key.ctr(counter, input, out),
        }
        Ok(())
    }
}
