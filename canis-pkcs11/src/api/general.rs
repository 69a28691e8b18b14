//! General purpose (section 5.4).

use crate::rv::{Result, fail};
use pkcs11_sys::*;

/// Who made the module, as every info structure says it.
pub(crate) const MANUFACTURER: &str = "CANIS";

/// The version of the standard whose functions are all present, be it to say that they are not supported.
pub(crate) const CRYPTOKI: CK_VERSION = CK_VERSION { major: 3, minor: 2 };

/// The module's own version.
pub(crate) const MODULE: CK_VERSION = CK_VERSION {
    major: digit(env!("CARGO_PKG_VERSION_MAJOR")),
    minor: digit(env!("CARGO_PKG_VERSION_MINOR")),
};

/// C_GetInfo.
pub(crate) fn info() -> CK_INFO {
    CK_INFO {
        cryptokiVersion: CRYPTOKI,
        manufacturerID: padded(MANUFACTURER),
        flags: 0,
        libraryDescription: padded("CANIS key management"),
        libraryVersion: MODULE,
    }
}

/// The arguments of C_Initialize that the module looks at. It locks by the means of the operating system in any case,
/// so callbacks of the host are accepted and not called (section 5.4.1, cases 1 to 4).
pub(crate) struct InitArgs {
    /// Which of the four mutex callbacks are given.
    pub(crate) callbacks: [bool; 4],
    /// Whether pReserved is NULL.
    pub(crate) reserved_is_null: bool,
}

impl InitArgs {
    /// # Errors
    /// CKR_ARGUMENTS_BAD for a partial set of callbacks or a pReserved.
    pub(crate) fn check(&self) -> Result {
        let partial = self.callbacks.contains(&true) && self.callbacks.contains(&false);
        if partial || !self.reserved_is_null { fail(CKR_ARGUMENTS_BAD) } else { Ok(()) }
    }
}

/// `text` in a field of fixed size, blank-padded, cut at a character if it is too long.
pub(crate) fn padded<const N: usize>(text: &str) -> [CK_UTF8CHAR; N] {
    let end = (0..=N.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    let mut field = [b' '; N];
    field[..end].copy_from_slice(&text.as_bytes()[..end]);
    field
}

const fn digit(text: &str) -> u8 {
    let bytes = text.as_bytes();
    let (mut at, mut value) = (0, 0);
    while at < bytes.len() {
        value = value * 10 + (bytes[at] - b'0');
        at += 1;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_padded_and_cut_at_characters() {
        assert_eq!(padded::<8>("canis"), *b"canis   ");
        assert_eq!(padded::<4>("canis"), *b"cani");
        assert_eq!(padded::<4>("canä"), *b"can ");
    }

    #[test]
    fn versions_are_numbers() {
        assert_eq!((digit("0"), digit("12")), (0, 12));
    }

    #[test]
    fn a_partial_set_of_callbacks_is_refused() {
        let args = |callbacks, reserved_is_null| InitArgs { callbacks, reserved_is_null }.check().is_ok();
        assert!(args([false; 4], true) && args([true; 4], true));
        assert!(!args([true, false, true, true], true) && !args([false; 4], false));
    }
}
