//! The crypto seam: a [`Provider`] is a plain struct of parts, each a `&'static dyn` of one small trait.
//!
//! Two fillings have the same file names: `rust/` (RustCrypto, complete) and `awslc/` (AWS-LC, only what it does
//! better). Formats are the same for both: private keys are PKCS#8 (RFC 5958), public keys are
//! SubjectPublicKeyInfo (RFC 5280, section 4.1), secret keys are their bytes.

use canis_proto::Result;

pub mod ccm;
pub mod chunks;
pub(crate) mod decoy;
pub mod derive;
pub(crate) mod des_keys;
pub mod digest_info;
pub mod ecdsa_der;
pub(crate) mod hpke;
mod hybrid;
pub mod ml_dsa;
pub mod ml_kem;
pub mod private_parts;
pub mod public_parts;
pub mod rsa_pkcs1;
pub mod selftest;
pub mod slh_dsa;
pub(crate) mod transport;
pub mod xaes;

mod cipher;
pub(crate) mod from_outside;
mod gcm;
mod hash;
mod kdf;
mod key_pairs;
mod keys;
mod keywrap;
mod mac;
mod montgomery;
pub(crate) mod padding;
pub(crate) mod post_quantum;
pub(crate) mod private_info;
pub(crate) mod refusal;
pub(crate) mod rsa_aes_wrap;
mod rsa_block;
mod rsa_parts;
mod rsa_strength;
mod stream;

#[cfg(feature = "aws-lc")]
mod awslc;
mod rust;

#[cfg(feature = "aws-lc")]
pub use awslc::AWS_LC;
pub use cipher::{
    AesKey, BLOCK, BlockKey, BlockMode, Blocks, Chain, Cipher, CipherKey, Direction, GCM_NONCE, GCM_TAG,
    GcmKey, Iv, KeyWrap,
};
pub use hash::{Digest, Hash, Hasher, MAX_DIGEST};
pub use kdf::Kdf;
pub(crate) use key_pairs::check_pair;
pub use keys::{Encapsulation, Keys, MAX_AGREED, Oaep, PrivateKey, PublicKey, SignScheme};
pub use mac::{Mac, MacKey, MacRun};
pub use rust::RUST;
pub use stream::CipherStream;

/// A filling of the seam.
pub struct Provider {
    /// `aws-lc` or `rust`.
    pub name: &'static str,
    /// Random bytes.
    pub random: &'static dyn Random,
    /// AES, and DES.
    pub cipher: &'static dyn Cipher,
    /// Hash functions.
    pub digest: &'static dyn Digest,
    /// HMAC.
    pub mac: &'static dyn Mac,
    /// Key derivation.
    pub kdf: &'static dyn Kdf,
    /// Key pairs.
    pub keys: &'static dyn Keys,
}

/// The provider used unless another is asked for: AWS-LC where it is built in.
#[must_use]
pub fn default_provider() -> &'static Provider {
    #[cfg(feature = "aws-lc")]
    return &AWS_LC;
    #[cfg(not(feature = "aws-lc"))]
    return &RUST;
}

/// Every provider built in; tests run on each.
#[must_use]
pub fn providers() -> Vec<&'static Provider> {
    vec![
        #[cfg(feature = "aws-lc")]
        &AWS_LC,
        &RUST,
    ]
}

/// The random generator, seeded by the operating system.
pub trait Random: Send + Sync {
    /// Fills `out`. Never returns with anything but fresh random bytes.
    ///
    /// # Errors
    /// `internal` when the operating system gives no entropy; nothing may go on then.
    fn fill(&self, out: &mut [u8]) -> Result<()>;
}
