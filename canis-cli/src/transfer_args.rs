//! The command line of what brings keys in and takes them out. Passphrases are never arguments.

use crate::args::Local;
use crate::key_args::usage;
use canis_proto::{KeyFormat, Usage};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct WrappingKey {
    /// rsa-4096, which is meant if missing, or ml-kem-768-x25519 (hybrid, for HPKE).
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) kind: Option<String>,
    /// Where to write it instead of stdout.
    #[arg(long, value_name = "F")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct ImportKey {
    /// The key's name: segments of A-Z a-z 0-9 . _ - joined by /.
    pub(crate) name: String,
    /// The key's type; needed for raw and wrapped keys, else what is read says it.
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) kind: Option<String>,
    /// What to read instead of stdin: PEM, DER, JWK or a file of OpenSSH, encrypted or not; or a public key.
    #[arg(long = "in", value_name = "F")]
    pub(crate) input: Option<PathBuf>,
    /// Read this file, which was wrapped (by `openssl`, or in HPKE) for a key that `canis key wrapping-key` prints.
    #[arg(long, value_name = "F", conflicts_with = "input", requires = "kind")]
    pub(crate) wrapped: Option<PathBuf>,
    /// The key of CANIS that it is wrapped by instead.
    #[arg(long, value_name = "NAME", requires = "wrapped")]
    pub(crate) wrapping_key: Option<String>,
    /// The form of the key, where looking does not tell: `raw` for the bytes of an AES key; of a wrapped key, what is
    /// inside (`raw` for secret keys and `pkcs8` for key pairs, if not named).
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<KeyFormat>,
    #[command(flatten)]
    pub(crate) passphrase: Passphrase,
    /// The key is there and came in before: this is its next version.
    #[arg(long)]
    pub(crate) next_version: bool,
    /// What it is for, such as `encrypt,decrypt`; what its type is made for if missing.
    #[arg(long, value_name = "LIST", value_parser = usage)]
    pub(crate) usage: Option<Usage>,
    #[command(flatten)]
    pub(crate) export: MayLeave,
}

/// Whether a key may leave again.
#[derive(Args, Clone, Copy)]
pub(crate) struct MayLeave {
    /// The key may leave, wrapped by another.
    #[arg(long)]
    pub(crate) exportable: bool,
    /// The key may leave in plain too.
    #[arg(long, requires = "exportable")]
    pub(crate) allow_plaintext_backup: bool,
}

/// Where a passphrase is.
#[derive(Args)]
pub(crate) struct Passphrase {
    /// The file that holds the passphrase; asked for on the terminal otherwise.
    #[arg(long, value_name = "F")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct ExportKey {
    /// The key's name.
    pub(crate) name: String,
    /// The version; the current one if missing.
    #[arg(long, value_name = "N")]
    pub(crate) key_version: Option<u32>,
    /// How to write it.
    #[arg(long, value_enum)]
    pub(crate) format: ExportFormat,
    /// wrapped: the key of CANIS to wrap it by.
    #[arg(long, value_name = "NAME", conflicts_with = "wrapping_public_key")]
    pub(crate) wrapping_key: Option<String>,
    /// wrapped: the file of the RSA or hybrid public key to wrap it by.
    #[arg(long, value_name = "F")]
    pub(crate) wrapping_public_key: Option<PathBuf>,
    /// pkcs8: put it under the passphrase in this file.
    #[arg(long, value_name = "F")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Where to write it instead of stdout; only you can read it then.
    #[arg(long, value_name = "F")]
    pub(crate) out: Option<PathBuf>,
    /// Write to stdout even if that is a terminal.
    #[arg(long)]
    pub(crate) force: bool,
}

/// How a key is written that leaves.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// A JSON Web Key (RFC 7517).
    Jwk,
    /// PKCS#8 in PEM, as openssl reads it.
    Pkcs8,
    /// The bytes of an AES key, or the seed of an Ed25519 key.
    Raw,
    /// Wrapped by another key, which --wrapping-key or --wrapping-public-key names.
    Wrapped,
}

#[derive(Args)]
pub(crate) struct ImportSoftHsm {
    /// The label of the token to take over.
    #[arg(long, value_name = "LABEL")]
    pub(crate) token: String,
    /// The file that holds its user PIN.
    #[arg(long, value_name = "F")]
    pub(crate) pin_file: PathBuf,
    /// The directory of SoftHSM2's tokens, if not the one that SOFTHSM2_CONF or its configuration names.
    #[arg(long, value_name = "DIR")]
    pub(crate) tokens: Option<PathBuf>,
    /// The PKCS#11 module; another token's is read as well.
    #[arg(long, value_name = "PATH", default_value = "/usr/lib/softhsm/libsofthsm2.so")]
    pub(crate) from_module: PathBuf,
    #[command(flatten)]
    pub(crate) local: Local,
    /// The label of the data directory's token to put the objects into.
    #[arg(long, value_name = "LABEL", default_value = "default")]
    pub(crate) into: String,
    /// The file that holds that token's user PIN (`canis slot set-pin` sets it).
    #[arg(long, value_name = "F")]
    pub(crate) into_pin_file: PathBuf,
}

#[derive(Args)]
pub(crate) struct ImportFile {
    /// The file.
    pub(crate) file: PathBuf,
    /// The new key's name; the file's if missing.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) passphrase: Passphrase,
    #[command(flatten)]
    pub(crate) export: MayLeave,
}

#[derive(Args)]
pub(crate) struct ImportPkcs12 {
    #[command(flatten)]
    pub(crate) file: ImportFile,
    /// The key that is meant, by the name it has in the file, where there are several.
    #[arg(long, value_name = "ALIAS")]
    pub(crate) alias: Option<String>,
    /// Write the file's certificates to this one, PEM; keys have none in CANIS, tokens of PKCS#11 do.
    #[arg(long, value_name = "F")]
    pub(crate) certificates: Option<PathBuf>,
}
