//! HMAC (FIPS 198-1) with every hash, SHA-3 too.

use super::{HmacContext, Result, done, lc, md};
use crate::crypto::{Hash, MAX_DIGEST};
use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::ptr;

/// A key whose two pads have been hashed. Immutable; usable from all threads at once.
pub(in crate::crypto::awslc) struct HmacKey {
    context: HmacContext,
    tag_len: usize,
}

// SAFETY: the context is only read, by HMAC_CTX_copy_ex, after it was made.
unsafe impl Send for HmacKey {}
// SAFETY: as above.
unsafe impl Sync for HmacKey {}

impl HmacKey {
    /// A key of any length.
    pub(in crate::crypto::awslc) fn new(hash: Hash, key: &[u8]) -> Result<Self> {
        // SAFETY: no precondition.
        let context = HmacContext::new(unsafe { lc::HMAC_CTX_new() })?;
        // SAFETY: the context is new; reads exactly the key, whose pointer is never null.
        done(unsafe {
            lc::HMAC_Init_ex(context.as_ptr(), key.as_ptr().cast(), key.len(), md(hash), ptr::null_mut())
        })?;
        Ok(HmacKey { context, tag_len: hash.len() })
    }

    pub(in crate::crypto::awslc) fn tag_len(&self) -> usize {
        self.tag_len
    }

    /// The tag of the concatenated parts, and its length. The context is on the stack: nothing is allocated.
    pub(in crate::crypto::awslc) fn tag(&self, parts: &[&[u8]], out: &mut [u8; MAX_DIGEST]) -> Result<usize> {
        let mut place = MaybeUninit::<lc::HMAC_CTX>::uninit();
        let (run, mut len) = (place.as_mut_ptr(), 0);
        // SAFETY: HMAC_CTX_copy initialises its target before anything else; each part is read as far as it goes; no
        // hash has more than MAX_DIGEST bytes, which `out` has room for; HMAC_CTX_cleanup, which wipes the context, is
        // always reached, since nothing in between unwinds.
        let made = unsafe {
            let mut good = lc::HMAC_CTX_copy(run, self.context.as_ptr()) == 1;
            for part in parts {
                good = good && lc::HMAC_Update(run, part.as_ptr(), part.len()) == 1;
            }
            good = good && lc::HMAC_Final(run, out.as_mut_ptr(), &mut len) == 1;
            lc::HMAC_CTX_cleanup(run);
            good
        };
        done(c_int::from(made)).map(|()| len as usize)
    }

    /// A MAC to be computed.
    pub(in crate::crypto::awslc) fn start(&self) -> Result<HmacRun> {
        // SAFETY: no precondition.
        let context = HmacContext::new(unsafe { lc::HMAC_CTX_new() })?;
        // SAFETY: the target is new, the source is only read.
        done(unsafe { lc::HMAC_CTX_copy_ex(context.as_ptr(), self.context.as_ptr()) })?;
        Ok(HmacRun { context })
    }
}

/// A MAC being computed.
pub(in crate::crypto::awslc) struct HmacRun {
    context: HmacContext,
}

// SAFETY: the context belongs to no thread.
unsafe impl Send for HmacRun {}

impl HmacRun {
    pub(in crate::crypto::awslc) fn update(&mut self, input: &[u8]) -> Result<()> {
        // SAFETY: reads exactly the input.
        done(unsafe { lc::HMAC_Update(self.context.as_ptr(), input.as_ptr(), input.len()) })
    }

    /// Writes the tag and returns its length; the run is over.
    pub(in crate::crypto::awslc) fn finish(&mut self, out: &mut [u8; MAX_DIGEST]) -> Result<usize> {
        let mut len = 0;
        // SAFETY: no hash has more than MAX_DIGEST bytes, which `out` has room for.
        done(unsafe { lc::HMAC_Final(self.context.as_ptr(), out.as_mut_ptr(), &mut len) })?;
        Ok(len as usize)
    }
}
