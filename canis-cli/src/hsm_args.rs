//! The flags that name a token of an HSM and a key in it.

use canis_core::root::{TokenName, WrapMechanism};
use canis_core::secret_file;
use canis_proto::{Error, Result};
use clap::Args;
use std::path::{Path, PathBuf};

/// A token, and a key in it.
#[derive(Args, Default)]
pub(crate) struct HsmToken {
    /// hsm: the label of the token.
    #[arg(long, value_name = "T")]
    pub(crate) token_label: Option<String>,
    /// hsm: the serial number of the token, instead of its label or besides it.
    #[arg(long, value_name = "S")]
    pub(crate) token_serial: Option<String>,
    /// hsm: token and key as a PKCS#11 URI (RFC 7512); `module-path` and `pin-source` stand for the flags of module and PIN.
    #[arg(long, value_name = "URI", conflicts_with_all = ["token_label", "token_serial"])]
    pub(crate) token_uri: Option<String>,
    /// hsm: the label of the wrapping key, made if it is not there [default: canis-root].
    #[arg(long, value_name = "L")]
    pub(crate) key_label: Option<String>,
}

impl HsmToken {
    /// Whether one is named.
    pub(crate) fn is_given(&self) -> bool {
        self.token_label.is_some() || self.token_serial.is_some() || self.token_uri.is_some()
    }

    /// The token that is named.
    ///
    /// # Errors
    /// `invalid_argument` for a URI that is none, or if no token is named.
    pub(crate) fn name(&self) -> Result<TokenName> {
        let mut name = match &self.token_uri {
            Some(uri) if uri.starts_with("pkcs11:") => TokenName::read(uri)?,
            Some(_) => return Err(Error::invalid("--token-uri takes a PKCS#11 URI, `pkcs11:token=…`")),
            None => TokenName {
                label: self.token_label.clone(),
                serial: self.token_serial.clone(),
                ..TokenName::default()
            },
        };
        if name.label.is_none() && name.serial.is_none() {
            return Err(Error::invalid(
                "no token is named; give --token-label, --token-serial or --token-uri",
            ));
        }
        if let Some(label) = &self.key_label {
            name.object = Some(label.clone());
        }
        Ok(name)
    }
}

/// How a key in a token is to wrap.
#[derive(Args, Default)]
pub(crate) struct Wrap {
    /// hsm: how the key is to wrap, instead of the best that the token can do; `canis root probe` lists what there is.
    #[arg(long, value_name = "M", value_parser = |name: &str| WrapMechanism::of_name(name).map_err(|e| e.message))]
    pub(crate) wrap_mechanism: Option<WrapMechanism>,
}

/// A file by its whole path: whoever reads it later may stand elsewhere. `flag` is what names it.
pub(crate) fn whole(flag: &str, file: Option<&Path>) -> Result<PathBuf> {
    let file =
        file.ok_or_else(|| Error::invalid(format!("{flag} is missing, and so is its part of --token-uri")))?;
    if !secret_file::is_path(file) {
        return Ok(file.to_owned());
    }
    std::path::absolute(file).map_err(|error| Error::invalid(format!("{flag}: {error}")))
}
