//! RSA (RFC 8017).

use super::pkcs8::{parse_pkcs8, write_pkcs8};
use super::{Number, Pkey, PkeyContext, Refused, Result, Rsa, done, lc, md, refused};
use crate::crypto::{Hash, Oaep};
use crate::secret::SecretBytes;
use std::ffi::c_int;
use std::ptr::{self, NonNull};

/// RSA_sign_raw and RSA_verify_raw: key, length and bytes out, room, bytes and length in, padding.
type RawOperation =
    unsafe extern "C" fn(*mut lc::RSA, *mut usize, *mut u8, usize, *const u8, usize, c_int) -> c_int;
/// EVP_PKEY_encrypt_init and EVP_PKEY_decrypt_init.
type PkeyInit = unsafe extern "C" fn(*mut lc::EVP_PKEY_CTX) -> c_int;
/// EVP_PKEY_encrypt and EVP_PKEY_decrypt: bytes and length out (room before), bytes and length in.
type PkeyOperation =
    unsafe extern "C" fn(*mut lc::EVP_PKEY_CTX, *mut u8, *mut usize, *const u8, usize) -> c_int;

/// An RSA key, whole or public only. Immutable; usable from all threads at once.
pub(in crate::crypto::awslc) struct RsaKey {
    pkey: Pkey,
    /// Belongs to `pkey`.
    rsa: NonNull<lc::RSA>,
}

// SAFETY: the library documents RSA and EVP_PKEY as safe for concurrent use while nobody changes them, and nothing
// here changes them after they are made.
unsafe impl Send for RsaKey {}
// SAFETY: as above.
unsafe impl Sync for RsaKey {}

impl RsaKey {
    /// From PKCS#8; the library checks that the numbers belong together (RSA_check_key).
    pub(in crate::crypto::awslc) fn from_pkcs8(pkcs8: &[u8]) -> Result<Self> {
        RsaKey::of(parse_pkcs8(pkcs8)?)
    }

    /// A public key from big-endian modulus and exponent.
    pub(in crate::crypto::awslc) fn from_numbers(modulus: &[u8], exponent: &[u8]) -> Result<Self> {
        let (n, e) = (Number::from_bytes(modulus)?, Number::from_bytes(exponent)?);
        // SAFETY: both numbers are valid and copied.
        RsaKey::around(&Rsa::new(unsafe { lc::RSA_new_public_key(n.as_ptr(), e.as_ptr()) })?)
    }

    /// A fresh key with exponent 65537; the primes as FIPS 186-5, appendix A.1.3, wants them.
    pub(in crate::crypto::awslc) fn generate(bits: usize) -> Result<Self> {
        let bits = c_int::try_from(bits).map_err(|_| Refused)?;
        let e = Number::from_bytes(&[1, 0, 1])?;
        // SAFETY: no precondition.
        let rsa = Rsa::new(unsafe { lc::RSA_new() })?;
        // SAFETY: `rsa` is new and nobody else's; the callback may be null.
        done(unsafe { lc::RSA_generate_key_ex(rsa.as_ptr(), bits, e.as_ptr(), ptr::null_mut()) })?;
        RsaKey::around(&rsa)
    }

    /// The key in PKCS#8.
    pub(in crate::crypto::awslc) fn to_pkcs8(&self) -> Result<SecretBytes> {
        write_pkcs8(&self.pkey)
    }

    fn around(rsa: &Rsa) -> Result<Self> {
        // SAFETY: no precondition.
        let pkey = Pkey::new(unsafe { lc::EVP_PKEY_new() })?;
        // SAFETY: both are valid; `pkey` takes a reference of its own.
        done(unsafe { lc::EVP_PKEY_set1_RSA(pkey.as_ptr(), rsa.as_ptr()) })?;
        RsaKey::of(pkey)
    }

    fn of(pkey: Pkey) -> Result<Self> {
        // SAFETY: `pkey` is valid; the result is null or lives as long as it.
        let rsa = NonNull::new(unsafe { lc::EVP_PKEY_get0_RSA(pkey.as_ptr()) });
        rsa.map_or_else(refused, |rsa| Ok(RsaKey { pkey, rsa }))
    }

    /// The modulus' length in bytes.
    pub(in crate::crypto::awslc) fn size(&self) -> usize {
        // SAFETY: the key is valid.
        unsafe { lc::RSA_size(self.rsa.as_ptr()) as usize }
    }

    /// RSASSA-PKCS1-v1_5 over `input` as it stands.
    pub(in crate::crypto::awslc) fn sign_pkcs1(&self, input: &[u8], out: &mut [u8]) -> Result<usize> {
        self.raw(lc::RSA_sign_raw, lc::RSA_PKCS1_PADDING, input, out)
    }

    /// What an RSASSA-PKCS1-v1_5 signature signs.
    pub(in crate::crypto::awslc) fn recover_pkcs1(&self, signature: &[u8]) -> Result<Vec<u8>> {
        let mut out = vec![0; self.size()];
        let len = self.raw(lc::RSA_verify_raw, lc::RSA_PKCS1_PADDING, signature, &mut out)?;
        out.truncate(len);
        Ok(out)
    }

    /// The private operation on a block of the modulus' length that is below it. The library blinds it, and checks
    /// the result with the public one before it gives it out.
    pub(in crate::crypto::awslc) fn private(&self, block: &[u8], out: &mut [u8]) -> Result<usize> {
        self.raw(lc::RSA_sign_raw, lc::RSA_NO_PADDING, block, out)
    }

    /// The public operation on such a block.
    pub(in crate::crypto::awslc) fn public(&self, block: &[u8]) -> Result<Vec<u8>> {
        let mut out = vec![0; self.size()];
        let len = self.raw(lc::RSA_verify_raw, lc::RSA_NO_PADDING, block, &mut out)?;
        if len == out.len() { Ok(out) } else { refused() }
    }

    fn raw(&self, operation: RawOperation, padding: c_int, input: &[u8], out: &mut [u8]) -> Result<usize> {
        let (key, mut len) = (self.rsa.as_ptr(), 0);
        let (data, size) = (input.as_ptr(), input.len());
        // SAFETY: reads exactly the input; writes at most `out.len()` bytes and sets `len` to their number.
        done(unsafe { operation(key, &mut len, out.as_mut_ptr(), out.len(), data, size, padding) })?;
        Ok(len)
    }

    /// RSASSA-PSS over a digest of `hash`.
    pub(in crate::crypto::awslc) fn sign_pss(
        &self,
        hash: Hash,
        mgf: Hash,
        salt: usize,
        digest: &[u8],
        out: &mut [u8],
    ) -> Result<usize> {
        let salt = c_int::try_from(salt).map_err(|_| Refused)?;
        let mut len = 0;
        // SAFETY: the library refuses a digest that is not of `hash`'s length; it writes at most `out.len()` bytes.
        done(unsafe {
            lc::RSA_sign_pss_mgf1(
                self.rsa.as_ptr(),
                &mut len,
                out.as_mut_ptr(),
                out.len(),
                digest.as_ptr(),
                digest.len(),
                md(hash),
                md(mgf),
                salt,
            )
        })?;
        Ok(len)
    }

    /// Whether an RSASSA-PSS signature with a salt of exactly `salt` bytes is right.
    pub(in crate::crypto::awslc) fn verify_pss(
        &self,
        hash: Hash,
        mgf: Hash,
        salt: usize,
        digest: &[u8],
        signature: &[u8],
    ) -> bool {
        let Ok(salt) = c_int::try_from(salt) else { return false };
        // SAFETY: the library refuses a digest that is not of `hash`'s length, and only reads.
        done(unsafe {
            lc::RSA_verify_pss_mgf1(
                self.rsa.as_ptr(),
                digest.as_ptr(),
                digest.len(),
                md(hash),
                md(mgf),
                salt,
                signature.as_ptr(),
                signature.len(),
            )
        })
        .is_ok()
    }

    /// RSAES-OAEP decryption into `out`, which has room for the modulus.
    pub(in crate::crypto::awslc) fn decrypt_oaep(
        &self,
        scheme: Oaep<'_>,
        ciphertext: &[u8],
        out: &mut [u8],
    ) -> Result<usize> {
        self.oaep((lc::EVP_PKEY_decrypt_init, lc::EVP_PKEY_decrypt), scheme, ciphertext, out)
    }

    /// RSAES-OAEP encryption.
    pub(in crate::crypto::awslc) fn encrypt_oaep(
        &self,
        scheme: Oaep<'_>,
        plaintext: &[u8],
    ) -> Result<Vec<u8>> {
        let mut out = vec![0; self.size()];
        let len =
            self.oaep((lc::EVP_PKEY_encrypt_init, lc::EVP_PKEY_encrypt), scheme, plaintext, &mut out)?;
        out.truncate(len);
        Ok(out)
    }

    fn oaep(
        &self,
        (init, operation): (PkeyInit, PkeyOperation),
        scheme: Oaep<'_>,
        input: &[u8],
        out: &mut [u8],
    ) -> Result<usize> {
        // SAFETY: the key is valid; the context takes a reference of its own.
        let context = PkeyContext::new(unsafe { lc::EVP_PKEY_CTX_new(self.pkey.as_ptr(), ptr::null_mut()) })?;
        let mut len = out.len();
        // SAFETY: the context is valid and initialised before it is used; the operation reads exactly the input,
        // writes at most `len` bytes and sets it to their number.
        unsafe {
            done(init(context.as_ptr()))?;
            set_oaep(&context, scheme)?;
            done(operation(context.as_ptr(), out.as_mut_ptr(), &mut len, input.as_ptr(), input.len()))?;
        }
        Ok(len)
    }
}

/// Sets padding, hashes and label.
///
/// # Safety
/// `context` has been initialised for encryption or decryption.
unsafe fn set_oaep(context: &PkeyContext, scheme: Oaep<'_>) -> Result<()> {
    // SAFETY: by the caller; each call changes the context only.
    unsafe {
        done(lc::EVP_PKEY_CTX_set_rsa_padding(context.as_ptr(), lc::RSA_PKCS1_OAEP_PADDING))?;
        done(lc::EVP_PKEY_CTX_set_rsa_oaep_md(context.as_ptr(), md(scheme.hash)))?;
        done(lc::EVP_PKEY_CTX_set_rsa_mgf1_md(context.as_ptr(), md(scheme.mgf)))?;
    }
    if scheme.label.is_empty() {
        return Ok(());
    }
    // SAFETY: the copy is as long as the label; the context owns it if the call succeeds, else it is freed here.
    unsafe {
        let Some(copy) = NonNull::new(lc::OPENSSL_malloc(scheme.label.len())) else { return refused() };
        let copy: *mut u8 = copy.as_ptr().cast();
        ptr::copy_nonoverlapping(scheme.label.as_ptr(), copy, scheme.label.len());
        let code = lc::EVP_PKEY_CTX_set0_rsa_oaep_label(context.as_ptr(), copy, scheme.label.len());
        if code != 1 {
            lc::OPENSSL_free(copy.cast());
        }
        done(code)
    }
}
