//! Private keys in PKCS#8 (RFC 5958).

use super::{Pkey, Result, done, lc, refused};
use crate::secret::SecretBytes;
use std::mem::MaybeUninit;
use std::ptr;

/// Reads a PKCS#8 PrivateKeyInfo to its last byte.
pub(super) fn parse_pkcs8(pkcs8: &[u8]) -> Result<Pkey> {
    let mut reader = MaybeUninit::<lc::CBS>::uninit();
    // SAFETY: CBS_init sets the whole reader, which borrows the slice only within this function.
    let (key, rest) = unsafe {
        lc::CBS_init(reader.as_mut_ptr(), pkcs8.as_ptr(), pkcs8.len());
        (lc::EVP_parse_private_key(reader.as_mut_ptr()), lc::CBS_len(reader.as_ptr()))
    };
    let key = Pkey::new(key)?;
    if rest == 0 { Ok(key) } else { refused() }
}

/// Writes PKCS#8, version 1. The library's copy is wiped by OPENSSL_free.
pub(super) fn write_pkcs8(key: &Pkey) -> Result<SecretBytes> {
    let mut writer = MaybeUninit::<lc::CBB>::uninit();
    let (mut bytes, mut len) = (ptr::null_mut(), 0);
    // SAFETY: CBB_init sets the writer or fails; CBB_finish hands over its buffer and len, or CBB_cleanup frees it.
    unsafe {
        done(lc::CBB_init(writer.as_mut_ptr(), 0))?;
        if lc::EVP_marshal_private_key(writer.as_mut_ptr(), key.as_ptr()) != 1
            || lc::CBB_finish(writer.as_mut_ptr(), &mut bytes, &mut len) != 1
        {
            lc::CBB_cleanup(writer.as_mut_ptr());
            return refused();
        }
    }
    if bytes.is_null() {
        return refused();
    }
    // SAFETY: CBB_finish gave a buffer of `len` bytes that is ours; it is copied, then freed once.
    unsafe {
        let secret = SecretBytes::copied_from(std::slice::from_raw_parts(bytes, len));
        lc::OPENSSL_free(bytes.cast());
        Ok(secret)
    }
}
