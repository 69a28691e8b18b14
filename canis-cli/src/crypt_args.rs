//! `canis encrypt`, `decrypt`, `sign`, `verify` on the command line.

use crate::use_args::SignatureOptions;
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct Crypt {
    /// The key's name.
    pub(crate) name: String,
    /// What to read instead of stdin.
    #[arg(long = "in", value_name = "F")]
    pub(crate) input: Option<PathBuf>,
    /// Where to write instead of stdout. Written whole or not at all.
    #[arg(long, value_name = "F")]
    pub(crate) out: Option<PathBuf>,
    /// Text that is bound to the ciphertext and must be given again to decrypt it. Not secret, not stored.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) context: String,
}

#[derive(Args)]
pub(crate) struct Encrypt {
    #[command(flatten)]
    pub(crate) crypt: Crypt,
    /// An older version, if the key's min_encryption_version allows it; the current one if missing.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(crate) key_version: u32,
    /// Write the format of streams, which is binary, however short the input is. What is longer than 12 MiB always has it.
    #[arg(long)]
    pub(crate) stream: bool,
}

#[derive(Args)]
pub(crate) struct Sign {
    /// The key's name.
    pub(crate) name: String,
    /// What to read instead of stdin.
    #[arg(long = "in", value_name = "F")]
    pub(crate) input: Option<PathBuf>,
    /// Where to write instead of stdout. Written whole or not at all.
    #[arg(long, value_name = "F")]
    pub(crate) out: Option<PathBuf>,
    /// How to sign; the key type's default if missing. `rsa-pkcs1-sha256`, for example.
    #[arg(long, value_name = "NAME")]
    pub(crate) scheme: Option<String>,
    /// Write the bare signature, as other programs verify it, without the key's name and version.
    #[arg(long)]
    pub(crate) raw: bool,
    #[command(flatten)]
    pub(crate) options: SignatureOptions,
    /// An older version, if the key's min_encryption_version allows it; the current one if missing.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(crate) key_version: u32,
}

#[derive(Args)]
pub(crate) struct Verify {
    /// The key's name.
    pub(crate) name: String,
    /// What to read instead of stdin.
    #[arg(long = "in", value_name = "F")]
    pub(crate) input: Option<PathBuf>,
    /// The signature: a file that `canis sign` wrote, or its text, `canis:v1:…`.
    #[arg(long, value_name = "S")]
    pub(crate) signature: String,
    /// How it was signed; the key type's default if missing.
    #[arg(long, value_name = "NAME")]
    pub(crate) scheme: Option<String>,
    #[command(flatten)]
    pub(crate) options: SignatureOptions,
}
