//! PINs of tokens, from files or typed.

use crate::{prompt, secret_file};
use canis_core::secret::SecretBytes;
use canis_core::token::{MAX_PIN, MIN_PIN};
use canis_proto::{Error, ErrorCode, Result};
use std::path::PathBuf;

/// Whose PIN, as people are asked for it, and the flag that names its file.
#[derive(Clone, Copy)]
pub(crate) struct Whose {
    owner: &'static str,
    flag: &'static str,
}

/// The user's.
pub(crate) const USER: Whose = Whose { owner: "the user PIN", flag: "--pin-file" };
/// The security officer's.
pub(crate) const SO: Whose = Whose { owner: "the security officer's PIN", flag: "--so-pin-file" };

/// The PIN that is set.
pub(crate) fn known(whose: Whose, file: Option<&PathBuf>) -> Result<SecretBytes> {
    match file {
        Some(file) => secret_file::read_line(file, "PIN"),
        None => prompt::ask(whose.owner, whose.flag),
    }
}

/// A PIN that is to be set; who types it types it twice.
///
/// # Errors
/// `pin_invalid` for one of a wrong length or that is not UTF-8, before anything is changed.
pub(crate) fn new(whose: Whose, file: Option<&PathBuf>) -> Result<SecretBytes> {
    let pin = match file {
        Some(file) => secret_file::read_line(file, "PIN")?,
        None => {
            let pin = prompt::ask(&format!("{}, new", whose.owner), whose.flag)?;
            let again = prompt::ask(&format!("{}, once more", whose.owner), whose.flag)?;
            if !pin.equals(again.expose()) {
                return Err(Error::invalid("the two PINs differ; nothing was changed"));
            }
            pin
        }
    };
    // As the module's own C_InitPIN: a PIN that it could not take must not be set.
    if !(MIN_PIN..=MAX_PIN).contains(&pin.len()) || std::str::from_utf8(pin.expose()).is_err() {
        return Err(Error::new(
            ErrorCode::PinInvalid,
            format!("{} has {MIN_PIN} to {MAX_PIN} bytes of UTF-8; nothing was changed", whose.owner),
        ));
    }
    Ok(pin)
}
