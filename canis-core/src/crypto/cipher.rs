//! The part of the seam for block ciphers: AES, and DES for old clients of PKCS#11.

use super::MacKey;
use crate::secret::SecretBytes;
use canis_proto::{Error, Result};

/// Block ciphers.
pub trait Cipher: Send + Sync {
    /// A ready AES-GCM key (NIST SP 800-38D) from 16, 24 or 32 bytes.
    fn aes_gcm(&self, key: &[u8]) -> Result<Box<dyn GcmKey>>;

    /// A ready AES key for every other mode, from 16, 24 or 32 bytes.
    ///
    /// # Errors
    /// `invalid_argument` for another length.
    fn aes(&self, key: &[u8]) -> Result<Box<dyn AesKey>>;

    /// A ready DES key (FIPS 46-3) from 8 bytes, or one of triple DES (NIST SP 800-67) from 16 or 24. The bits of parity
    /// are not looked at.
    ///
    /// # Errors
    /// `invalid_argument` for another length.
    fn des(&self, key: &[u8]) -> Result<Box<dyn CipherKey>>;

    /// A ready AES-256 key schedule for single blocks (FIPS 197); used by XAES only.
    fn aes256_block(&self, key: &[u8; 32]) -> Result<Box<dyn BlockKey>>;
}

/// The length of a GCM nonce this seam takes, in bytes.
pub const GCM_NONCE: usize = 12;
/// The length of a GCM tag this seam makes, in bytes.
pub const GCM_TAG: usize = 16;

/// An AES-GCM key with its key schedule and hash table computed.
pub trait GcmKey: Send + Sync {
    /// Encrypts `plaintext` into `ciphertext` (same length) and writes the tag.
    ///
    /// # Errors
    /// `invalid_argument` if the lengths differ or exceed what GCM allows.
    fn seal(
        &self,
        nonce: &[u8; GCM_NONCE],
        aad: &[u8],
        plaintext: &[u8],
        ciphertext: &mut [u8],
        tag: &mut [u8; GCM_TAG],
    ) -> Result<()>;

    /// Checks the tag and decrypts `ciphertext` into `plaintext` (same length). On failure `plaintext` holds zeros.
    ///
    /// # Errors
    /// `decryption_failed` for every wrong tag, nonce, aad or ciphertext alike.
    fn open(
        &self,
        nonce: &[u8; GCM_NONCE],
        aad: &[u8],
        ciphertext: &[u8],
        tag: &[u8; GCM_TAG],
        plaintext: &mut [u8],
    ) -> Result<()>;
}

/// AES-256 on single blocks.
pub trait BlockKey: Send + Sync {
    /// Encrypts one block in place.
    fn encrypt_block(&self, block: &mut [u8; 16]);
}

/// The length of an AES block, in bytes. No cipher has a longer one.
pub const BLOCK: usize = 16;

/// An initial value: as many bytes as a block of its cipher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Iv {
    bytes: [u8; BLOCK],
    len: usize,
}

impl Iv {
    /// The initial value of these bytes: 8 for DES, 16 for AES.
    #[must_use]
    pub const fn new<const LEN: usize>(bytes: [u8; LEN]) -> Self {
        const { assert!(LEN == 8 || LEN == BLOCK, "no cipher has such a block") };
        let mut iv = Iv { bytes: [0; BLOCK], len: LEN };
        iv.bytes.split_at_mut(LEN).0.copy_from_slice(&bytes);
        iv
    }

    /// The initial value of these bytes for a cipher with such a block; `None` if they are more or less.
    #[must_use]
    pub fn for_block(block: usize, bytes: &[u8]) -> Option<Self> {
        match block {
            8 => bytes.try_into().ok().map(Iv::new::<8>),
            BLOCK => bytes.try_into().ok().map(Iv::new::<BLOCK>),
            _ => None,
        }
    }

    /// Its bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// The same with zeros after them, up to the longest block: AWS-LC takes arrays.
    #[cfg(feature = "aws-lc")]
    pub(super) const fn filled_up(&self) -> [u8; BLOCK] {
        self.bytes
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.len]
    }
}

/// Which way data goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Plaintext to ciphertext.
    Encrypt,
    /// Ciphertext to plaintext.
    Decrypt,
}

/// The modes that work in parts, through [`super::CipherStream`] (NIST SP 800-38A).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockMode {
    /// Each block by itself; whole blocks only.
    Ecb,
    /// Each block XORed with the ciphertext before it; whole blocks only.
    Cbc {
        /// What the first is XORed with.
        iv: Iv,
    },
    /// The same with PKCS#7 padding: messages of any length.
    CbcPad {
        /// What the first block is XORed with.
        iv: Iv,
    },
    /// A key stream of encrypted counters; messages of any length. AES only.
    Ctr {
        /// The first counter block: a nonce, and in its low bits the number to count from.
        counter: [u8; BLOCK],
        /// How many bits count, 1 to 128.
        bits: u32,
    },
}

impl BlockMode {
    /// How its blocks hang together.
    #[must_use]
    pub fn chain(self) -> Chain {
        match self {
            BlockMode::Ecb => Chain::Ecb,
            BlockMode::Cbc { iv } | BlockMode::CbcPad { iv } => Chain::Cbc(iv),
            BlockMode::Ctr { counter, .. } => Chain::Ctr(counter),
        }
    }
}

/// How the blocks of a message hang together, for [`CipherKey::blocks`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chain {
    /// Not at all.
    Ecb,
    /// By the IV and then by each ciphertext block.
    Cbc(Iv),
    /// By a counter of 128 bits, from this one on.
    Ctr([u8; BLOCK]),
}

impl Chain {
    /// Whether it is for a cipher with such a block.
    ///
    /// # Errors
    /// `invalid_argument` for one of another length.
    pub(super) fn check(&self, block: usize) -> Result<()> {
        let own = match self {
            Chain::Ecb => block,
            Chain::Cbc(iv) => iv.len,
            Chain::Ctr(_) => BLOCK,
        };
        if own == block {
            return Ok(());
        }
        Err(Error::invalid(format!("the initial value has {own} bytes, a block of the cipher {block}")))
    }
}

/// The two forms of AES Key Wrap (NIST SP 800-38F).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyWrap {
    /// KW (RFC 3394): keys of 16 bytes or more, whole numbers of 8.
    Kw,
    /// KWP (RFC 5649): keys of any length but 0.
    Kwp,
}

/// A key of a block cipher, expanded for both directions.
pub trait CipherKey: Send + Sync {
    /// The length of a block in bytes.
    fn block(&self) -> usize;

    /// A run of whole blocks. With CTR both directions are the same.
    ///
    /// # Errors
    /// `invalid_argument` for an initial value of another length than a block, and for CTR unless AES; `internal` when
    /// memory runs out.
    fn blocks(&self, chain: Chain, direction: Direction) -> Result<Box<dyn Blocks>>;

    /// CMAC (NIST SP 800-38B) under this key; tags of one block.
    ///
    /// # Errors
    /// `internal` when memory runs out.
    fn cmac(&self) -> Result<Box<dyn MacKey>>;
}

/// An AES key, with the modes that AES has alone. CCM stands in [`super::ccm`].
pub trait AesKey: CipherKey {
    /// AES-GCM with an IV of any length but 0 and a tag of 4, 8 or 12 to 16 bytes: encrypts `plaintext` into
    /// `ciphertext` (same length) and writes the tag. For the usual 12 and 16, [`GcmKey`] is faster.
    ///
    /// # Errors
    /// `invalid_argument` for lengths that NIST SP 800-38D does not allow.
    fn gcm_seal(
        &self,
        iv: &[u8],
        aad: &[u8],
        plaintext: &[u8],
        ciphertext: &mut [u8],
        tag: &mut [u8],
    ) -> Result<()>;

    /// The reverse. On failure `plaintext` holds zeros.
    ///
    /// # Errors
    /// As [`AesKey::gcm_seal`]; `decryption_failed` for every wrong tag, IV, aad or ciphertext alike.
    fn gcm_open(
        &self,
        iv: &[u8],
        aad: &[u8],
        ciphertext: &[u8],
        tag: &[u8],
        plaintext: &mut [u8],
    ) -> Result<()>;

    /// Wraps key bytes; the result is 8 bytes longer, rounded up to whole 8.
    ///
    /// # Errors
    /// `invalid_argument` for a length that the form does not take.
    fn wrap_key(&self, how: KeyWrap, key: &[u8]) -> Result<Vec<u8>>;

    /// Unwraps key bytes.
    ///
    /// # Errors
    /// `decryption_failed` for everything that no wrapping under this key makes.
    fn unwrap_key(&self, how: KeyWrap, wrapped: &[u8]) -> Result<SecretBytes>;
}

/// Whole blocks of one message, in order.
pub trait Blocks: Send {
    /// Runs `input`, whole blocks, into `out`, as many bytes.
    ///
    /// # Errors
    /// `internal` for parts of blocks.
    fn run(&mut self, input: &[u8], out: &mut [u8]) -> Result<()>;
}
