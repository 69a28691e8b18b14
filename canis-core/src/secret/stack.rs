//! What a call has left on the stack below its caller. Values move from frame to frame while they are made, and nobody wipes the
//! places that they were moved from; a thread that then waits for work keeps them for as long as it waits.

use std::hint::black_box;
use zeroize::Zeroize;

/// Deeper than anything that makes a key goes, in bytes.
const DEPTH: usize = 24 << 10;

/// Overwrites what calls of the caller have left on its stack. To be called when a key was made, not when one is used.
#[inline(never)]
pub(crate) fn wipe_stack() {
    let mut below = [0_u8; DEPTH];
    below.zeroize();
    black_box(&mut below);
}
