//! Bytes that may hold a peer's secrets, wiped when they are done with.
//!
//! `Zeroizing` does the same byte by byte and twice over, which would take longer than encrypting them did.

use std::ops::{Deref, DerefMut};
use zeroize::Zeroizing;

/// Bytes that are wiped when dropped, and where they stood before when they needed more room.
#[derive(Default)]
pub(crate) struct Wiped(Vec<u8>);

impl Wiped {
    /// So many zeros.
    pub(crate) fn zeros(len: usize) -> Self {
        Wiped(vec![0; len])
    }

    /// Nothing, with room for so many bytes.
    pub(crate) fn with_room(room: usize) -> Self {
        Wiped(Vec::with_capacity(room))
    }

    /// Appends bytes.
    pub(crate) fn append(&mut self, bytes: &[u8]) {
        let needed = self.0.len() + bytes.len();
        if needed > self.0.capacity() {
            let mut larger = Wiped::with_room(needed.max(2 * self.0.capacity()));
            larger.0.extend_from_slice(&self.0);
            *self = larger;
        }
        self.0.extend_from_slice(bytes);
    }
}

impl From<Zeroizing<Vec<u8>>> for Wiped {
    fn from(mut bytes: Zeroizing<Vec<u8>>) -> Self {
        Wiped(std::mem::take(&mut *bytes))
    }
}

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Deref for Wiped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for Wiped {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// Overwrites bytes with zeros; the barrier keeps the compiler from leaving that out.
pub(crate) fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    zeroize::optimization_barrier(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_kept_and_wiped() {
        let mut bytes = Wiped::with_room(4);
        bytes.append(b"sec");
        bytes.append(b"ret");
        assert_eq!(&bytes[..], b"secret");
        wipe(&mut bytes);
        assert_eq!(&bytes[..], [0; 6]);
        assert_eq!(&Wiped::from(Zeroizing::new(b"secret".to_vec()))[..], b"secret");
        assert_eq!(&Wiped::zeros(3)[..], [0; 3]);
    }
}
