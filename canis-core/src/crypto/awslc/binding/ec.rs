//! Elliptic curves in short Weierstrass form (FIPS 186-5, SEC 1).

use super::pkcs8::{parse_pkcs8, write_pkcs8};
use super::{Ec, Number, Pkey, Point, Result, Signature, done, lc, refused};
use crate::secret::SecretBytes;
use std::ffi::c_int;
use std::ptr;

/// A curve.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::crypto::awslc) enum Curve {
    P256,
    P384,
    P521,
    Secp256k1,
}

impl Curve {
    /// The length of a coordinate and of r and s, in bytes.
    pub(in crate::crypto::awslc) fn field(self) -> usize {
        match self {
            Curve::P256 | Curve::Secp256k1 => 32,
            Curve::P384 => 48,
            Curve::P521 => 66,
        }
    }

    fn nid(self) -> c_int {
        match self {
            Curve::P256 => lc::NID_X9_62_prime256v1,
            Curve::P384 => lc::NID_secp384r1,
            Curve::P521 => lc::NID_secp521r1,
            Curve::Secp256k1 => lc::NID_secp256k1,
        }
    }
}

/// An EC key, whole or public only. Immutable; usable from all threads at once.
pub(in crate::crypto::awslc) struct EcKey {
    key: Ec,
    curve: Curve,
}

// SAFETY: the library documents EC_KEY as safe for concurrent use while nobody changes it, and nothing here does.
unsafe impl Send for EcKey {}
// SAFETY: as above.
unsafe impl Sync for EcKey {}

impl EcKey {
    /// From PKCS#8; checks the curve, and that the point is that of the scalar (EC_KEY_check_key).
    pub(in crate::crypto::awslc) fn from_pkcs8(curve: Curve, pkcs8: &[u8]) -> Result<Self> {
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
    pub(in crate::crypto::awslc) fn from_point(curve: Curve, point: &[u8]) -> Result<Self> {
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
    pub(in crate::crypto::awslc) fn generate(curve: Curve) -> Result<Self> {
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
    pub(in crate::crypto::awslc) fn to_pkcs8(&self) -> Result<SecretBytes> {
        // SAFETY: no precondition.
        let pkey = Pkey::new(unsafe { lc::EVP_PKEY_new() })?;
        // SAFETY: both are valid; `pkey` takes a reference of its own.
        done(unsafe { lc::EVP_PKEY_set1_EC_KEY(pkey.as_ptr(), self.key.as_ptr()) })?;
        write_pkcs8(&pkey)
    }

    pub(in crate::crypto::awslc) fn curve(&self) -> Curve {
        self.curve
    }

    /// The public point, SEC 1 uncompressed.
    pub(in crate::crypto::awslc) fn point(&self) -> Result<Vec<u8>> {
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

    /// The x coordinate shared with the point `peer`, which must be on the curve; `out` is as long as the field.
    pub(in crate::crypto::awslc) fn agree(&self, peer: &[u8], out: &mut [u8]) -> Result<()> {
        if out.len() != self.curve.field() {
            return refused();
        }
        let peer = EcKey::from_point(self.curve, peer)?;
        // SAFETY: the point lives as long as `peer`; at most `out.len()` bytes are written, without a KDF.
        let len = unsafe {
            let point = lc::EC_KEY_get0_public_key(peer.key.as_ptr());
            lc::ECDH_compute_key(out.as_mut_ptr().cast(), out.len(), point, self.key.as_ptr(), None)
        };
        if usize::try_from(len) == Ok(out.len()) { Ok(()) } else { refused() }
    }

    /// Signs a digest; `out` takes r ‖ s and has exactly their length.
    pub(in crate::crypto::awslc) fn sign(&self, digest: &[u8], out: &mut [u8]) -> Result<()> {
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
    pub(in crate::crypto::awslc) fn verify(&self, digest: &[u8], signature: &[u8]) -> bool {
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
