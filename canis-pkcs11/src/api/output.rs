//! Where a call writes its answer: the convention of section 5.2.

use crate::rv::{Result, fail};
use pkcs11_sys::*;
use std::ops::Deref;
use zeroize::Zeroizing;

/// The host's buffer and its length, which is always set to what was needed or written.
pub(crate) struct Out<'a> {
    buffer: Option<&'a mut [u8]>,
    len: &'a mut CK_ULONG,
}

impl<'a> Out<'a> {
    /// A buffer, or `None` for a query of the length.
    pub(crate) fn new(buffer: Option<&'a mut [u8]>, len: &'a mut CK_ULONG) -> Self {
        Out { buffer, len }
    }

    /// Whether the host asks for the length only.
    pub(crate) fn is_query(&self) -> bool {
        self.buffer.is_none()
    }

    /// Whether there is a buffer of `len` bytes or more.
    pub(crate) fn has_room(&self, len: usize) -> bool {
        self.buffer.as_ref().is_some_and(|buffer| buffer.len() >= len)
    }

    /// How many bytes the buffer takes, 0 for a query.
    pub(crate) fn room(&self) -> usize {
        self.buffer.as_ref().map_or(0, |buffer| buffer.len())
    }

    /// Tells the host that `needed` bytes are needed and gives that much of its buffer; `None` for a length query.
    ///
    /// # Errors
    /// CKR_BUFFER_TOO_SMALL.
    pub(crate) fn space(&mut self, needed: usize) -> Result<Option<&mut [u8]>> {
        *self.len = needed as CK_ULONG;
        match &mut self.buffer {
            None => Ok(None),
            Some(buffer) => match buffer.get_mut(..needed) {
                Some(space) => Ok(Some(space)),
                None => fail(CKR_BUFFER_TOO_SMALL),
            },
        }
    }

    /// The same buffer for a call that takes one.
    pub(crate) fn reborrow(&mut self) -> Out<'_> {
        Out { buffer: self.buffer.as_deref_mut(), len: &mut *self.len }
    }

    /// What the host was told was written.
    pub(crate) fn written(&self) -> &[u8] {
        let len = usize::try_from(*self.len).unwrap_or(usize::MAX);
        self.buffer.as_deref().and_then(|buffer| buffer.get(..len)).unwrap_or_default()
    }

    /// Tells the host that `len` bytes were written.
    pub(crate) fn wrote(&mut self, len: usize) {
        *self.len = len as CK_ULONG;
    }
}

/// What the host gives to be worked on; a copy if its answer goes to the same memory.
pub(crate) enum Input<'a> {
    Given(&'a [u8]),
    Copied(Zeroizing<Vec<u8>>),
}

impl Deref for Input<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Input::Given(bytes) => bytes,
            Input::Copied(bytes) => bytes,
        }
    }
}

/// The arguments of a call that turns input into output.
pub(crate) struct Transfer<'a> {
    /// The host's input.
    pub(crate) input: Input<'a>,
    /// Where the answer goes.
    pub(crate) out: Out<'a>,
}

/// Whether a call asks for the length of its answer only.
pub(crate) fn is_query(io: &Result<Transfer<'_>>) -> bool {
    io.as_ref().is_ok_and(|io| io.out.is_query())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_always_told() {
        let mut len = 0;
        assert!(Out::new(None, &mut len).space(10).unwrap().is_none());
        assert_eq!(len, 10);
        let mut buffer = [0; 8];
        let refused = Out::new(Some(&mut buffer), &mut len).space(10).map(|_| ()).unwrap_err();
        assert_eq!((refused.rv, len), (CKR_BUFFER_TOO_SMALL, 10));
        let mut out = Out::new(Some(&mut buffer), &mut len);
        assert_eq!(out.space(8).unwrap().unwrap().len(), 8);
        out.wrote(3);
        assert_eq!(len, 3);
    }
}
