//! The command line of `canis slot`. PINs and passphrases are never arguments: they stand in files, or are asked for.

use crate::args::RootFile;
use canis_proto::PublicObject;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::str::FromStr;

#[derive(Subcommand)]
pub(crate) enum SlotCommand {
    /// List slots and tokens.
    List(Place),
    /// Make a token in the empty slot; a data directory without a store gets one without a root.
    Init(InitSlot),
    /// Set the user PIN of a server's token as its administrator, so that PKCS#11 programs can log in.
    SetPin(SetPin),
    /// Set a token's user PIN as its security officer; a locked one is usable again.
    Unlock(Unlock),
    /// Bring a private key, a public key, a secret key or a certificate into a token.
    Import(ImportObject),
    /// Write a public key or a certificate of a token. Private keys never come out here; see `canis key export`.
    Export(ExportObject),
    /// Remove a token with everything on it.
    Delete(DeleteToken),
}

/// Where the tokens are.
#[derive(Args)]
pub(crate) struct Place {
    /// A data directory of this machine. Without it, and while a server runs on it, the server is asked.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) root: RootFile,
}

/// A token somewhere.
#[derive(Args)]
pub(crate) struct OneToken {
    #[command(flatten)]
    pub(crate) place: Place,
    /// The token's label.
    #[arg(long, value_name = "LABEL")]
    pub(crate) token: String,
}

#[derive(Args)]
pub(crate) struct SetPin {
    #[command(flatten)]
    pub(crate) token: OneToken,
    /// The file that holds the new user PIN; asked for if missing.
    #[arg(long, value_name = "F")]
    pub(crate) pin_file: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct InitSlot {
    #[command(flatten)]
    pub(crate) place: Place,
    /// The new token's label, at most 32 bytes.
    #[arg(long, value_name = "LABEL")]
    pub(crate) label: String,
    /// The file that holds the new security officer's PIN; asked for if missing.
    #[arg(long, value_name = "F")]
    pub(crate) so_pin_file: Option<PathBuf>,
    /// The file that holds the new user PIN; if missing the user has none yet.
    #[arg(long, value_name = "F")]
    pub(crate) pin_file: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Unlock {
    #[command(flatten)]
    pub(crate) token: OneToken,
    /// The file that holds the security officer's PIN; asked for if missing.
    #[arg(long, value_name = "F")]
    pub(crate) so_pin_file: Option<PathBuf>,
    /// The file that holds the new user PIN; asked for if missing.
    #[arg(long, value_name = "F")]
    pub(crate) pin_file: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct ImportObject {
    #[command(flatten)]
    pub(crate) token: OneToken,
    /// The file that holds the user PIN; asked for if missing.
    #[arg(long, value_name = "F")]
    pub(crate) pin_file: Option<PathBuf>,
    /// The key: PKCS#8 (encrypted or not), PKCS#1, SEC 1, OpenSSH's file, JWK or a public key, PEM or DER.
    #[arg(required_unless_present = "certificate")]
    pub(crate) file: Option<PathBuf>,
    /// The file is the bytes of a secret key of this type.
    #[arg(long, value_enum, requires = "file")]
    pub(crate) secret: Option<SecretKind>,
    /// An X.509 certificate, PEM or DER; beside a key it must be that key's.
    #[arg(long, value_name = "F", conflicts_with = "secret")]
    pub(crate) certificate: Option<PathBuf>,
    /// CKA_LABEL of what is made.
    #[arg(long, value_name = "NAME")]
    pub(crate) label: String,
    /// CKA_ID of what is made, in hex.
    #[arg(long, value_name = "HEX", value_parser = hex)]
    pub(crate) id: Hex,
    /// The file that holds the key's passphrase; asked for if it is needed.
    #[arg(long, value_name = "F")]
    pub(crate) key_passphrase_file: Option<PathBuf>,
}

/// What raw bytes are.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SecretKind {
    /// An AES key: 16, 24 or 32 bytes.
    Aes,
    /// A generic secret, for HMAC and derivation.
    Generic,
}

#[derive(Args)]
pub(crate) struct ExportObject {
    #[command(flatten)]
    pub(crate) token: OneToken,
    /// The file that holds the user PIN; only what needs no login is seen without.
    #[arg(long, value_name = "F")]
    pub(crate) pin_file: Option<PathBuf>,
    /// CKA_LABEL of the object.
    #[arg(long, value_name = "NAME", required_unless_present = "id")]
    pub(crate) label: Option<String>,
    /// CKA_ID of the object, in hex.
    #[arg(long, value_name = "HEX", value_parser = hex)]
    pub(crate) id: Option<Hex>,
    /// What to write, public-key or certificate; the public key if there is one, else the certificate.
    #[arg(long = "type", value_name = "TYPE", value_parser = PublicObject::from_str)]
    pub(crate) kind: Option<PublicObject>,
    /// How to write it.
    #[arg(long, value_enum, default_value_t = Encoding::Pem)]
    pub(crate) format: Encoding,
    /// Where to write it instead of stdout.
    #[arg(long, value_name = "F")]
    pub(crate) out: Option<PathBuf>,
}

/// How it is written.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Encoding {
    /// Text, as openssl reads it.
    Pem,
    /// Bytes.
    Der,
}

#[derive(Args)]
pub(crate) struct DeleteToken {
    #[command(flatten)]
    pub(crate) token: OneToken,
    /// The file that holds the security officer's PIN. Without it the store's root decides; in a store without one the
    /// PIN is asked for.
    #[arg(long, value_name = "F")]
    pub(crate) so_pin_file: Option<PathBuf>,
    /// Delete it. Otherwise it is only said what would go.
    #[arg(long)]
    pub(crate) yes: bool,
}

/// Bytes that stand on the command line in hex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hex(pub(crate) Vec<u8>);

fn hex(text: &str) -> Result<Hex, String> {
    match base16ct::mixed::decode_vec(text) {
        Ok(bytes) if !bytes.is_empty() => Ok(Hex(bytes)),
        _ => Err("an id is an even number of hex digits, such as 01 or c0ffee".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_hex() {
        assert_eq!(hex("01C0ffee").unwrap(), Hex(vec![1, 0xc0, 0xff, 0xee]));
        for wrong in ["", "1", "0x", "0g", "é1"] {
            assert!(hex(wrong).is_err(), "{wrong}");
        }
    }
}
