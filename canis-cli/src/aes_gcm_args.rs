//! The command line of `canis aes-gcm`.

use canis_proto::Error;
use clap::{Args, Subcommand};
use std::path::PathBuf;
use std::str::FromStr;

#[derive(Subcommand)]
pub(crate) enum AesGcmCommand {
    /// Encrypt. The server draws the IV, which is printed; what is written is the ciphertext followed by its tag of 16
    /// bytes, as Python's AESGCM, Go, Java and WebCrypto take it. At most 2^32 times a key (NIST SP 800-38D, 8.3).
    Encrypt(Encrypt),
    /// Decrypt what was made here or elsewhere.
    Decrypt(Decrypt),
}

/// The key, and what is read and written.
#[derive(Args)]
pub(crate) struct Data {
    /// The key's name; it was imported.
    pub(crate) name: String,
    /// What to read instead of stdin.
    #[arg(long = "in", value_name = "F")]
    pub(crate) input: Option<PathBuf>,
    /// Where to write instead of stdout. Written whole or not at all.
    #[arg(long, value_name = "F")]
    pub(crate) out: Option<PathBuf>,
    /// Additional authenticated data in hex; none if missing.
    #[arg(long, value_name = "HEX")]
    pub(crate) aad: Option<Hex>,
    /// A file that holds it.
    #[arg(long, value_name = "F", conflicts_with = "aad")]
    pub(crate) aad_file: Option<PathBuf>,
    /// The version; the current one if missing. An older one encrypts only if min_encryption_version allows it.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(crate) key_version: u32,
}

#[derive(Args)]
pub(crate) struct Encrypt {
    #[command(flatten)]
    pub(crate) data: Data,
}

#[derive(Args)]
pub(crate) struct Decrypt {
    #[command(flatten)]
    pub(crate) data: Data,
    /// The IV (nonce) in hex, of any length.
    #[arg(long, value_name = "HEX")]
    pub(crate) iv: Hex,
    /// The tag in hex, 12 to 16 bytes, if it stands apart; else it is the last 16 bytes of what is read.
    #[arg(long, value_name = "HEX")]
    pub(crate) tag: Option<Hex>,
}

/// Bytes written as hexadecimal digits.
#[derive(Clone)]
pub(crate) struct Hex(pub(crate) Vec<u8>);

impl FromStr for Hex {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let digit = |c: u8| (c as char).to_digit(16).map(|digit| digit as u8);
        let byte = |pair: &[u8]| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        };
        let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(byte).collect();
        bytes.map(Hex).ok_or_else(|| Error::invalid("this is not hexadecimal, two digits a byte"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_digits_a_byte() {
        assert_eq!("00fFa1".parse::<Hex>().unwrap().0, [0, 0xff, 0xa1]);
        assert!("".parse::<Hex>().unwrap().0.is_empty());
        for wrong in ["0", "0g", "+1", "0x00", "é0"] {
            assert!(wrong.parse::<Hex>().is_err(), "{wrong}");
        }
    }
}
