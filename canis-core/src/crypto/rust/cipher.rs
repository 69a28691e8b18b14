//! AES, by the `aes` and `aes-gcm` crates (hardware AES where the CPU has it, constant-time
//! bit-slicing elsewhere), and DES, by the `des` crate (tables, whose cache lines tell a neighbour on the CPU something
//! of keys and data: one more reason for the policy `legacy`).

use super::cmac::Cmac;
use super::schedule::{Run, Schedule};
use super::{gcm, keywrap};
use crate::crypto::refusal::decryption_failed;
use crate::crypto::{
    AesKey, BlockKey, Blocks, Chain, Cipher, CipherKey, Direction, GCM_NONCE, GCM_TAG, GcmKey, KeyWrap,
    MacKey,
};
use crate::secret::SecretBytes;
use aes_gcm::aead::consts::U12;
use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::aes::cipher::BlockCipherEncrypt;
use aes_gcm::{AeadInOut, Aes128Gcm, Aes256Gcm, AesGcm, KeyInit};
use canis_proto::{Error, Result};
use std::sync::Arc;
use zeroize::Zeroize;

/// AES in all three key sizes.
pub(super) struct Aes;

impl Cipher for Aes {
    fn aes_gcm(&self, key: &[u8]) -> Result<Box<dyn GcmKey>> {
        fn ready<C: KeyInit + AeadInOut + Send + Sync + 'static>(key: &[u8]) -> Result<Box<dyn GcmKey>>
        where
            Gcm<C>: GcmKey,
        {
            let cipher =
                C::new_from_slice(key).map_err(|_| Error::internal("the AES key has a wrong length"))?;
            Ok(Box::new(Gcm(cipher)))
        }
        match key.len() {
            16 => ready::<Aes128Gcm>(key),
            24 => ready::<AesGcm<aes::Aes192, U12>>(key),
            32 => ready::<Aes256Gcm>(key),
            other => Err(Error::invalid(format!("an AES key has 16, 24 or 32 bytes, not {other}"))),
        }
    }

    fn aes(&self, key: &[u8]) -> Result<Box<dyn AesKey>> {
        Ok(Box::new(Key(Arc::new(Schedule::aes(key)?))))
    }

    fn des(&self, key: &[u8]) -> Result<Box<dyn CipherKey>> {
        Ok(Box::new(Key(Arc::new(Schedule::des(key)?))))
    }

    fn aes256_block(&self, key: &[u8; 32]) -> Result<Box<dyn BlockKey>> {
        Ok(Box::new(Block(aes::Aes256::new(key.into()))))
    }
}

/// The block cipher of this provider, for the other one too: its key schedule needs no C.
struct Block(aes::Aes256);

impl BlockKey for Block {
    fn encrypt_block(&self, block: &mut [u8; 16]) {
        self.0.encrypt_block(block.into());
    }
}

struct Gcm<C>(C);

impl<C> GcmKey for Gcm<C>
where
    C: AeadInOut<NonceSize = U12, TagSize = aes_gcm::aead::consts::U16> + Send + Sync,
{
    fn seal(
        &self,
        nonce: &[u8; GCM_NONCE],
        aad: &[u8],
        plaintext: &[u8],
        ciphertext: &mut [u8],
        tag: &mut [u8; GCM_TAG],
    ) -> Result<()> {
        let buffer = in_out(plaintext, ciphertext)?;
        let made = self
            .0
            .encrypt_inout_detached(nonce.into(), aad, buffer)
            .map_err(|_| Error::invalid("the plaintext is longer than AES-GCM allows"))?;
        tag.copy_from_slice(&made);
        Ok(())
    }

    fn open(
        &self,
        nonce: &[u8; GCM_NONCE],
        aad: &[u8],
        ciphertext: &[u8],
        tag: &[u8; GCM_TAG],
        plaintext: &mut [u8],
    ) -> Result<()> {
        let buffer = in_out(ciphertext, plaintext)?;
        self.0.decrypt_inout_detached(nonce.into(), aad, buffer, tag.into()).map_err(|_| {
            // The tag is checked before a byte is decrypted, but what the caller's buffer held before is not
            // plaintext either: after a failure it holds zeros, with every provider.
            plaintext.zeroize();
            decryption_failed()
        })
    }
}

fn in_out<'i, 'o>(input: &'i [u8], output: &'o mut [u8]) -> Result<InOutBuf<'i, 'o, u8>> {
    InOutBuf::new(input, output).map_err(|_| Error::invalid("plaintext and ciphertext differ in length"))
}

/// A key for every other mode; runs and MACs under it share its schedule.
struct Key(Arc<Schedule>);

impl CipherKey for Key {
    fn block(&self) -> usize {
        self.0.block()
    }

    fn blocks(&self, chain: Chain, direction: Direction) -> Result<Box<dyn Blocks>> {
        chain.check(self.block())?;
        Ok(Box::new(Run { schedule: Arc::clone(&self.0), chain, direction }))
    }

    fn cmac(&self) -> Result<Box<dyn MacKey>> {
        Ok(Box::new(Cmac::new(Arc::clone(&self.0))))
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
        gcm::seal(&self.0, iv, aad, plaintext, ciphertext, tag)
    }

    fn gcm_open(
        &self,
        iv: &[u8],
        aad: &[u8],
        ciphertext: &[u8],
        tag: &[u8],
        plaintext: &mut [u8],
    ) -> Result<()> {
        gcm::open(&self.0, iv, aad, ciphertext, tag, plaintext)
    }

    fn wrap_key(&self, how: KeyWrap, key: &[u8]) -> Result<Vec<u8>> {
        keywrap::wrap(&self.0, how, key)
    }

    fn unwrap_key(&self, how: KeyWrap, wrapped: &[u8]) -> Result<SecretBytes> {
        keywrap::unwrap(&self.0, how, wrapped)
    }
}
