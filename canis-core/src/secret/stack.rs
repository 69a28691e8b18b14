//! What a call has left on the stack below its caller. Values move from frame to frame while they are made, and nobody wipes the
//! places that they were moved from; a thread that then waits for work keeps them for as long as it waits.

use std::hint::black_box;

/// Deeper than anything that makes a key goes, in bytes.
const MADE: usize = 24 << 10;

/// Deeper than anything goes that takes a key in or gives it out: from the form that it comes in to a row of the store.
const PASSED: usize = 64 << 10;

/// Overwrites what calls of the caller have left on its stack. To be called when a key was made, not when one is used.
pub(crate) fn wipe_stack() {
    wipe::<MADE>();
}

/// The same where a key's material has passed through a whole operation.
pub(crate) fn wipe_deep_stack() {
    wipe::<PASSED>();
}

#[inline(never)]
fn wipe<const DEPTH: usize>() {
    // What is made here lies where the calls were, and the black box keeps it from being left out.
    black_box(&mut [0_u8; DEPTH]);
}
