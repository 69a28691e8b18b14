//! The one file that calls AWS-LC's C functions: RSA over the caller's DigestInfo and OAEP with a label, and ECDSA
//! over the caller's digest, none of which `aws-lc-rs` offers.
//!
//! What makes it sound: every pointer lives in an owner of this file that frees it once; keys are never changed after
//! they are made, and the library locks what it changes inside them (the blindings of an RSA key, the reference
//! counts); every length that goes in is the length of the slice beside it.
#![allow(unsafe_code)]

use crate::crypto::{Hash, Oaep};
use crate::secret::SecretBytes;
use aws_lc_sys as lc;
use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};

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
            Hash::Sha1 => lc::EVP_sha1(),
            Hash::Sha256 => lc::EVP_sha256(),
            Hash::Sha384 => lc::EVP_sha384(),
            Hash::Sha512 => lc::EVP_sha512(),
        }
    }
}

/// Reads a PKCS#8 PrivateKeyInfo to its last byte.
fn parse_pkcs8(pkcs8: &[u8]) -> Result<Pkey> {
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
fn write_pkcs8(key: &Pkey) -> Result<SecretBytes> {
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

/// RSA_sign_raw and RSA_verify_raw: key, length and bytes out, room, bytes and length in, padding.
type RawOperation =
    unsafe extern "C" fn(*mut lc::RSA, *mut usize, *mut u8, usize, *const u8, usize, c_int) -> c_int;
/// EVP_PKEY_encrypt_init and EVP_PKEY_decrypt_init.
type PkeyInit = unsafe extern "C" fn(*mut lc::EVP_PKEY_CTX) -> c_int;
/// EVP_PKEY_encrypt and EVP_PKEY_decrypt: bytes and length out (room before), bytes and length in.
type PkeyOperation =
    unsafe extern "C" fn(*mut lc::EVP_PKEY_CTX, *mut u8, *mut usize, *const u8, usize) -> c_int;

/// An RSA key, whole or public only. Immutable; usable from all threads at once.
pub(super) struct RsaKey {
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
    pub(super) fn from_pkcs8(pkcs8: &[u8]) -> Result<Self> {
        RsaKey::of(parse_pkcs8(pkcs8)?)
    }

    /// A public key from big-endian modulus and exponent.
    pub(super) fn from_numbers(modulus: &[u8], exponent: &[u8]) -> Result<Self> {
        let (n, e) = (Number::from_bytes(modulus)?, Number::from_bytes(exponent)?);
        // SAFETY: both numbers are valid and copied.
        RsaKey::around(&Rsa::new(unsafe { lc::RSA_new_public_key(n.as_ptr(), e.as_ptr()) })?)
    }

    /// A fresh key with exponent 65537; the primes as FIPS 186-5, appendix A.1.3, wants them.
    pub(super) fn generate(bits: usize) -> Result<Self> {
        let bits = c_int::try_from(bits).map_err(|_| Refused)?;
        let e = Number::from_bytes(&[1, 0, 1])?;
        // SAFETY: no precondition.
        let rsa = Rsa::new(unsafe { lc::RSA_new() })?;
        // SAFETY: `rsa` is new and nobody else's; the callback may be null.
        done(unsafe { lc::RSA_generate_key_ex(rsa.as_ptr(), bits, e.as_ptr(), ptr::null_mut()) })?;
        RsaKey::around(&rsa)
    }

    /// The key in PKCS#8.
    pub(super) fn to_pkcs8(&self) -> Result<SecretBytes> {
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
    pub(super) fn size(&self) -> usize {
        // SAFETY: the key is valid.
        unsafe { lc::RSA_size(self.rsa.as_ptr()) as usize }
    }

    /// RSASSA-PKCS1-v1_5 over `input` as it stands.
    pub(super) fn sign_pkcs1(&self, input: &[u8], out: &mut [u8]) -> Result<usize> {
        self.padded(lc::RSA_sign_raw, input, out)
    }

    /// What an RSASSA-PKCS1-v1_5 signature signs.
    pub(super) fn recover_pkcs1(&self, signature: &[u8]) -> Result<Vec<u8>> {
        let mut out = vec![0; self.size()];
        let len = self.padded(lc::RSA_verify_raw, signature, &mut out)?;
        out.truncate(len);
        Ok(out)
    }

    fn padded(&self, operation: RawOperation, input: &[u8], out: &mut [u8]) -> Result<usize> {
        let (key, mut len) = (self.rsa.as_ptr(), 0);
        let (data, size) = (input.as_ptr(), input.len());
        // SAFETY: reads exactly the input; writes at most `out.len()` bytes and sets `len` to their number.
        done(unsafe {
            operation(key, &mut len, out.as_mut_ptr(), out.len(), data, size, lc::RSA_PKCS1_PADDING)
        })?;
        Ok(len)
    }

    /// RSASSA-PSS over a digest of `hash`.
    pub(super) fn sign_pss(
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
    pub(super) fn verify_pss(
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
    pub(super) fn decrypt_oaep(&self, scheme: Oaep<'_>, ciphertext: &[u8], out: &mut [u8]) -> Result<usize> {
        self.oaep((lc::EVP_PKEY_decrypt_init, lc::EVP_PKEY_decrypt), scheme, ciphertext, out)
    }

    /// RSAES-OAEP encryption.
    pub(super) fn encrypt_oaep(&self, scheme: Oaep<'_>, plaintext: &[u8]) -> Result<Vec<u8>> {
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

/// A NIST curve.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
}

impl Curve {
    /// The length of a coordinate and of r and s, in bytes.
    pub(super) fn field(self) -> usize {
        match self {
            Curve::P256 => 32,
            Curve::P384 => 48,
        }
    }

    fn nid(self) -> c_int {
        match self {
            Curve::P256 => lc::NID_X9_62_prime256v1,
            Curve::P384 => lc::NID_secp384r1,
        }
    }
}

/// An EC key, whole or public only. Immutable; usable from all threads at once.
pub(super) struct EcKey {
    key: Ec,
    curve: Curve,
}

// SAFETY: the library documents EC_KEY as safe for concurrent use while nobody changes it, and nothing here does.
unsafe impl Send for EcKey {}
// SAFETY: as above.
unsafe impl Sync for EcKey {}

impl EcKey {
    /// From PKCS#8; checks the curve, and that the point is that of the scalar (EC_KEY_check_key).
    pub(super) fn from_pkcs8(curve: Curve, pkcs8: &[u8]) -> Result<Self> {
        let pkey = parse_pkcs8(pkcs8)?;
        // SAFETY: `pkey` is valid; the result is null or a reference of our own.
        let key = Ec::new(unsafe { lc::EVP_PKEY_get1_EC_KEY(pkey.as_ptr()) })?;
        // SAFETY: `key` is valid and its group lives as long as it.
        let nid = unsafe { lc::EC_GROUP_get_curve_name(lc::EC_KEY_get0_group(key.as_ptr())) };
        if nid != curve.nid() {
            return refused();
        }
        // SAFETY: `key` is valid.
        done(unsafe { lc::EC_KEY_check_key(key.as_ptr()) })?;
        Ok(EcKey { key, curve })
    }

    /// A public key from its SEC 1 point, which must be on the curve.
    pub(super) fn from_point(curve: Curve, point: &[u8]) -> Result<Self> {
        let key = EcKey::on(curve)?;
        // SAFETY: the group belongs to the key; the slice is read exactly; `key` copies the point and is nobody
        // else's yet.
        unsafe {
            let group = lc::EC_KEY_get0_group(key.as_ptr());
            let parsed = Point::new(lc::EC_POINT_new(group))?;
            let (data, size) = (point.as_ptr(), point.len());
            done(lc::EC_POINT_oct2point(group, parsed.as_ptr(), data, size, ptr::null_mut()))?;
            done(lc::EC_KEY_set_public_key(key.as_ptr(), parsed.as_ptr()))?;
            done(lc::EC_KEY_check_key(key.as_ptr()))?;
        }
        Ok(EcKey { key, curve })
    }

    /// A fresh key.
    pub(super) fn generate(curve: Curve) -> Result<Self> {
        let key = EcKey::on(curve)?;
        // SAFETY: `key` is new and nobody else's.
        done(unsafe { lc::EC_KEY_generate_key(key.as_ptr()) })?;
        Ok(EcKey { key, curve })
    }

    fn on(curve: Curve) -> Result<Ec> {
        // SAFETY: no precondition; null for an unknown curve.
        Ec::new(unsafe { lc::EC_KEY_new_by_curve_name(curve.nid()) })
    }

    /// The key in PKCS#8.
    pub(super) fn to_pkcs8(&self) -> Result<SecretBytes> {
        // SAFETY: no precondition.
        let pkey = Pkey::new(unsafe { lc::EVP_PKEY_new() })?;
        // SAFETY: both are valid; `pkey` takes a reference of its own.
        done(unsafe { lc::EVP_PKEY_set1_EC_KEY(pkey.as_ptr(), self.key.as_ptr()) })?;
        write_pkcs8(&pkey)
    }

    pub(super) fn curve(&self) -> Curve {
        self.curve
    }

    /// The public point, SEC 1 uncompressed.
    pub(super) fn point(&self) -> Result<Vec<u8>> {
        let mut out = vec![0; 1 + 2 * self.curve.field()];
        // SAFETY: group and point belong to the key; at most `out.len()` bytes are written.
        let len = unsafe {
            lc::EC_POINT_point2oct(
                lc::EC_KEY_get0_group(self.key.as_ptr()),
                lc::EC_KEY_get0_public_key(self.key.as_ptr()),
                lc::point_conversion_form_t::POINT_CONVERSION_UNCOMPRESSED,
                out.as_mut_ptr(),
                out.len(),
                ptr::null_mut(),
            )
        };
        if len == out.len() { Ok(out) } else { refused() }
    }

    /// Signs a digest; `out` takes r ‖ s and has exactly their length.
    pub(super) fn sign(&self, digest: &[u8], out: &mut [u8]) -> Result<()> {
        // SAFETY: reads exactly the digest; the result is null or ours.
        let signature =
            Signature::new(unsafe { lc::ECDSA_do_sign(digest.as_ptr(), digest.len(), self.key.as_ptr()) })?;
        let (mut r, mut s) = (ptr::null(), ptr::null());
        // SAFETY: borrows the two numbers of a finished signature.
        unsafe { lc::ECDSA_SIG_get0(signature.as_ptr(), &mut r, &mut s) };
        for (number, field) in [r, s].into_iter().zip(out.chunks_exact_mut(self.curve.field())) {
            // SAFETY: writes exactly `field.len()` bytes or fails.
            done(unsafe { lc::BN_bn2bin_padded(field.as_mut_ptr(), field.len(), number) })?;
        }
        Ok(())
    }

    /// Whether r ‖ s signs the digest.
    pub(super) fn verify(&self, digest: &[u8], signature: &[u8]) -> bool {
        signature.len() == 2 * self.curve.field() && self.try_verify(digest, signature).is_ok()
    }

    fn try_verify(&self, digest: &[u8], signature: &[u8]) -> Result<()> {
        let (r, s) = signature.split_at(self.curve.field());
        let (r, s) = (Number::from_bytes(r)?, Number::from_bytes(s)?);
        // SAFETY: no precondition.
        let pair = Signature::new(unsafe { lc::ECDSA_SIG_new() })?;
        // SAFETY: on success the pair owns both numbers, so that their owners here must forget them.
        done(unsafe { lc::ECDSA_SIG_set0(pair.as_ptr(), r.as_ptr(), s.as_ptr()) })?;
        std::mem::forget((r, s));
        // SAFETY: reads exactly the digest, the pair and the key.
        done(unsafe { lc::ECDSA_do_verify(digest.as_ptr(), digest.len(), pair.as_ptr(), self.key.as_ptr()) })
    }
}
