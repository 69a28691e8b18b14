//! AES (FIPS 197): blocks in their chainings (SP 800-38A), key wrap (RFC 3394, RFC 5649), and GCM with any IV and tag
//! length (SP 800-38D).

use super::{CipherContext, Refused, Result, done, lc, refused};
use crate::crypto::{BLOCK, Direction};
use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::ptr;
use zeroize::Zeroizing;

/// An expanded key, wiped when it goes.
struct Schedule(lc::AES_KEY);

impl Schedule {
    fn new(key: &[u8], direction: Direction) -> Result<Self> {
        let bits = u32::try_from(key.len() * 8).map_err(|_| Refused)?;
        let mut schedule = MaybeUninit::<lc::AES_KEY>::zeroed();
        // SAFETY: reads `bits` bits, which the slice has, and sets the schedule, or refuses the number of bits. All
        // zeros is a value of that plain structure, so that it may be taken as set before the code is looked at.
        let (code, schedule) = unsafe {
            let (key, target) = (key.as_ptr(), schedule.as_mut_ptr());
            let code = match direction {
                Direction::Encrypt => lc::AES_set_encrypt_key(key, bits, target),
                Direction::Decrypt => lc::AES_set_decrypt_key(key, bits, target),
            };
            (code, Schedule(schedule.assume_init()))
        };
        if code == 0 { Ok(schedule) } else { refused() }
    }
}

impl Drop for Schedule {
    fn drop(&mut self) {
        // SAFETY: overwrites exactly the structure, whose fields are plain numbers.
        unsafe { lc::OPENSSL_cleanse(ptr::from_mut(&mut self.0).cast(), size_of::<lc::AES_KEY>()) }
    }
}

/// A key for both directions. Immutable; usable from all threads at once.
pub(in crate::crypto::awslc) struct AesBlocks {
    encrypt: Schedule,
    decrypt: Schedule,
    /// For GCM, whose context is made anew for each message.
    bytes: Zeroizing<Vec<u8>>,
}

impl AesBlocks {
    /// A key of 16, 24 or 32 bytes.
    pub(in crate::crypto::awslc) fn new(key: &[u8]) -> Result<Self> {
        Ok(AesBlocks {
            encrypt: Schedule::new(key, Direction::Encrypt)?,
            decrypt: Schedule::new(key, Direction::Decrypt)?,
            bytes: Zeroizing::new(key.to_vec()),
        })
    }

    /// CBC; `iv` becomes the last ciphertext block. `input` and `out` have the same length, whole blocks.
    pub(in crate::crypto::awslc) fn cbc(
        &self,
        direction: Direction,
        iv: &mut [u8; BLOCK],
        input: &[u8],
        out: &mut [u8],
    ) {
        let len = input.len().min(out.len()) / BLOCK * BLOCK;
        let (schedule, code) = match direction {
            Direction::Encrypt => (&self.encrypt, lc::AES_ENCRYPT),
            Direction::Decrypt => (&self.decrypt, lc::AES_DECRYPT),
        };
        // SAFETY: reads and writes `len` bytes, which both slices have; they do not overlap, being borrowed so.
        unsafe {
            lc::AES_cbc_encrypt(
                input.as_ptr(),
                out.as_mut_ptr(),
                len,
                &schedule.0,
                iv.as_mut_ptr(),
                code as c_int,
            );
        }
    }

    /// CTR with a counter of 128 bits, which is left where it stands after whole blocks.
    pub(in crate::crypto::awslc) fn ctr(&self, counter: &mut [u8; BLOCK], input: &[u8], out: &mut [u8]) {
        let len = input.len().min(out.len()) / BLOCK * BLOCK;
        let (mut unused, mut number) = ([0; BLOCK], 0);
        // SAFETY: as in `cbc`; the two last are for parts of blocks, of which there are none.
        unsafe {
            lc::AES_ctr128_encrypt(
                input.as_ptr(),
                out.as_mut_ptr(),
                len,
                &self.encrypt.0,
                counter.as_mut_ptr(),
                unused.as_mut_ptr(),
                &mut number,
            );
        }
    }

    /// RFC 3394; `out` is 8 bytes longer than `key`.
    pub(in crate::crypto::awslc) fn wrap(&self, key: &[u8], out: &mut [u8]) -> Result<usize> {
        if out.len() != key.len() + 8 {
            return refused();
        }
        // SAFETY: reads the key and writes its length and 8, or refuses the length; null asks for the standard's IV.
        let len = unsafe {
            lc::AES_wrap_key(&self.encrypt.0, ptr::null(), out.as_mut_ptr(), key.as_ptr(), key.len())
        };
        usize::try_from(len).or_else(|_| refused())
    }

    /// The reverse; `out` is 8 bytes shorter than `wrapped`.
    pub(in crate::crypto::awslc) fn unwrap(&self, wrapped: &[u8], out: &mut [u8]) -> Result<usize> {
        if out.len() + 8 != wrapped.len() {
            return refused();
        }
        // SAFETY: as in `wrap`, 8 bytes less.
        let len = unsafe {
            lc::AES_unwrap_key(
                &self.decrypt.0,
                ptr::null(),
                out.as_mut_ptr(),
                wrapped.as_ptr(),
                wrapped.len(),
            )
        };
        usize::try_from(len).or_else(|_| refused())
    }

    /// RFC 5649; `out` has room for the key filled up to whole 8 bytes, and 8 more.
    pub(in crate::crypto::awslc) fn wrap_padded(&self, key: &[u8], out: &mut [u8]) -> Result<usize> {
        let (mut len, room) = (0, out.len());
        // SAFETY: reads the key; writes at most `room` bytes and sets `len` to their number.
        done(unsafe {
            lc::AES_wrap_key_padded(
                &self.encrypt.0,
                out.as_mut_ptr(),
                &mut len,
                room,
                key.as_ptr(),
                key.len(),
            )
        })?;
        Ok(len)
    }

    /// The reverse; `out` is 8 bytes shorter than `wrapped`.
    pub(in crate::crypto::awslc) fn unwrap_padded(&self, wrapped: &[u8], out: &mut [u8]) -> Result<usize> {
        let (mut len, room) = (0, out.len());
        // SAFETY: as in `wrap_padded`.
        done(unsafe {
            lc::AES_unwrap_key_padded(
                &self.decrypt.0,
                out.as_mut_ptr(),
                &mut len,
                room,
                wrapped.as_ptr(),
                wrapped.len(),
            )
        })?;
        Ok(len)
    }

    /// GCM encryption; `plaintext` and `ciphertext` have the same length.
    pub(in crate::crypto::awslc) fn gcm_seal(
        &self,
        iv: &[u8],
        aad: &[u8],
        plaintext: &[u8],
        ciphertext: &mut [u8],
        tag: &mut [u8],
    ) -> Result<()> {
        let context = self.gcm(Direction::Encrypt, iv)?;
        context.gcm_run(aad, plaintext, ciphertext)?;
        context.control(lc::EVP_CTRL_AEAD_GET_TAG, tag.len(), tag.as_mut_ptr())
    }

    /// GCM decryption; refuses a wrong tag after `plaintext` was written.
    pub(in crate::crypto::awslc) fn gcm_open(
        &self,
        iv: &[u8],
        aad: &[u8],
        ciphertext: &[u8],
        tag: &[u8],
        plaintext: &mut [u8],
    ) -> Result<()> {
        let context = self.gcm(Direction::Decrypt, iv)?;
        let mut tag = tag.to_vec();
        context.control(lc::EVP_CTRL_AEAD_SET_TAG, tag.len(), tag.as_mut_ptr())?;
        context.gcm_run(aad, ciphertext, plaintext)
    }

    fn gcm(&self, direction: Direction, iv: &[u8]) -> Result<CipherContext> {
        // SAFETY: each returns a pointer to a constant of the library.
        let cipher = unsafe {
            match self.bytes.len() {
                16 => lc::EVP_aes_128_gcm(),
                24 => lc::EVP_aes_192_gcm(),
                _ => lc::EVP_aes_256_gcm(),
            }
        };
        let encrypt = c_int::from(direction == Direction::Encrypt);
        // SAFETY: no precondition.
        let context = CipherContext::new(unsafe { lc::EVP_CIPHER_CTX_new() })?;
        let (raw, none) = (context.as_ptr(), ptr::null_mut());
        // SAFETY: the context is new; the key is as long as the cipher's.
        done(unsafe { lc::EVP_CipherInit_ex(raw, cipher, none, self.bytes.as_ptr(), ptr::null(), encrypt) })?;
        context.control(lc::EVP_CTRL_AEAD_SET_IVLEN, iv.len(), ptr::null_mut())?;
        // SAFETY: reads as many bytes of the IV as were just set.
        done(unsafe { lc::EVP_CipherInit_ex(raw, ptr::null(), none, ptr::null(), iv.as_ptr(), encrypt) })?;
        Ok(context)
    }
}

impl CipherContext {
    /// # Errors
    /// The code's own. `pointer` is null or leads to `len` bytes, as the code wants it; only this file calls.
    fn control(&self, code: c_int, len: usize, pointer: *mut u8) -> Result<()> {
        let len = c_int::try_from(len).map_err(|_| Refused)?;
        // SAFETY: by the callers: SET_IVLEN reads no pointer, SET_TAG reads and GET_TAG writes `len` bytes.
        done(unsafe { lc::EVP_CIPHER_CTX_ctrl(self.as_ptr(), code, len, pointer.cast()) })
    }

    fn gcm_run(&self, aad: &[u8], input: &[u8], out: &mut [u8]) -> Result<()> {
        /// What one call takes; a C int counts it.
        const PART: usize = 1 << 30;
        let mut written = 0;
        for part in aad.chunks(PART) {
            // SAFETY: reads exactly the part; without an output it is taken as additional data.
            done(unsafe {
                let len = part.len() as c_int;
                lc::EVP_CipherUpdate(self.as_ptr(), ptr::null_mut(), &mut written, part.as_ptr(), len)
            })?;
        }
        for (input, out) in input.chunks(PART).zip(out.chunks_mut(PART)) {
            if input.len() != out.len() {
                return refused();
            }
            // SAFETY: reads the part and writes as many bytes, which `out` has.
            done(unsafe {
                let len = input.len() as c_int;
                lc::EVP_CipherUpdate(self.as_ptr(), out.as_mut_ptr(), &mut written, input.as_ptr(), len)
            })?;
        }
        let mut nothing = [0; BLOCK];
        // SAFETY: GCM writes nothing at the end; the room is for any cipher's last block.
        done(unsafe { lc::EVP_CipherFinal_ex(self.as_ptr(), nothing.as_mut_ptr(), &mut written) })
    }
}
