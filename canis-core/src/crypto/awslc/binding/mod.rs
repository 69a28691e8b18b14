//! The one folder that calls AWS-LC's C functions, for what `aws-lc-rs` does not offer: RSA over the caller's
//! DigestInfo, raw, and OAEP with a label; ECDSA over the caller's digest; ML-DSA over mu; ML-KEM; HMAC with SHA-3; the modes of AES.
//!
//! What makes it sound: every pointer lives in an owner of this folder that frees it once; keys are never changed after
//! they are made, and the library locks what it changes inside them (the blindings of an RSA key, the reference
//! counts); every length that goes in is the length of the slice beside it.
#![allow(unsafe_code)]

mod aes;
mod ec;
mod hmac;
mod ml_dsa;
mod ml_kem;
mod pbkdf2;
mod pkcs8;
mod raw;
mod rsa;

use crate::crypto::Hash;
use aws_lc_sys as lc;
use std::ffi::c_int;
use std::ptr::{self, NonNull};

pub(super) use aes::AesBlocks;
pub(super) use ec::{Curve, EcKey};
pub(super) use hmac::{HmacKey, HmacRun};
pub(super) use ml_dsa::MlDsaKey;
pub(super) use ml_kem::MlKemKey;
pub(super) use pbkdf2::pbkdf2;
pub(super) use rsa::RsaKey;

/// The library said no. Why is for the caller to word: the library's own reasons may describe secrets.
#[derive(Debug)]
pub(super) struct Refused;

type Result<T> = std::result::Result<T, Refused>;

/// A failure leaves entries in the thread's error queue, which nobody here reads.
fn refused<T>() -> Result<T> {
    // SAFETY: takes nothing, touches only this thread's queue.
    unsafe { lc::ERR_clear_error() };
    Err(Refused)
}

fn done(code: c_int) -> Result<()> {
    if code == 1 { Ok(()) } else { refused() }
}

/// Owners of the library's objects: non-null, freed once.
macro_rules! owner {
    ($($name:ident($object:ty) = $free:path;)+) => {$(
        struct $name(NonNull<$object>);

        impl $name {
            fn new(pointer: *mut $object) -> Result<Self> {
                NonNull::new(pointer).map_or_else(refused, |owned| Ok($name(owned)))
            }

            fn as_ptr(&self) -> *mut $object {
                self.0.as_ptr()
            }
        }

        impl Drop for $name {
            fn drop(&mut self) {
                // SAFETY: the pointer came from the library with one reference, which this value owns.
                unsafe { $free(self.0.as_ptr()) }
            }
        }
    )+};
}

owner! {
    Number(lc::BIGNUM) = lc::BN_free;
    Pkey(lc::EVP_PKEY) = lc::EVP_PKEY_free;
    PkeyContext(lc::EVP_PKEY_CTX) = lc::EVP_PKEY_CTX_free;
    Rsa(lc::RSA) = lc::RSA_free;
    Ec(lc::EC_KEY) = lc::EC_KEY_free;
    Point(lc::EC_POINT) = lc::EC_POINT_free;
    Signature(lc::ECDSA_SIG) = lc::ECDSA_SIG_free;
    CipherContext(lc::EVP_CIPHER_CTX) = lc::EVP_CIPHER_CTX_free;
    HmacContext(lc::HMAC_CTX) = lc::HMAC_CTX_free;
}

impl Number {
    fn from_bytes(bytes: &[u8]) -> Result<Self> {
        // SAFETY: reads exactly the slice and returns a new number or null.
        Number::new(unsafe { lc::BN_bin2bn(bytes.as_ptr(), bytes.len(), ptr::null_mut()) })
    }
}

fn md(hash: Hash) -> *const lc::EVP_MD {
    // SAFETY: each returns a pointer to a constant of the library.
    unsafe {
        match hash {
            Hash::Md5 => lc::EVP_md5(),
            Hash::Sha1 => lc::EVP_sha1(),
            Hash::Sha224 => lc::EVP_sha224(),
            Hash::Sha256 => lc::EVP_sha256(),
            Hash::Sha384 => lc::EVP_sha384(),
            Hash::Sha512 => lc::EVP_sha512(),
            Hash::Sha3_224 => lc::EVP_sha3_224(),
            Hash::Sha3_256 => lc::EVP_sha3_256(),
            Hash::Sha3_384 => lc::EVP_sha3_384(),
            Hash::Sha3_512 => lc::EVP_sha3_512(),
        }
    }
}
