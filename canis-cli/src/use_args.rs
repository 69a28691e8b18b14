//! The command line of what keys are used for besides encrypting and signing.

use canis_proto::{AgreementKdf, HashName, SignatureForm};
use clap::Args;
use std::path::PathBuf;

/// What is signed, and how the signature is written.
#[derive(Args)]
pub(crate) struct SignatureOptions {
    /// The input is a digest already, by the scheme's hash function; with `ml-dsa` it is mu, 64 bytes (not with `slh-dsa`).
    #[arg(long)]
    pub(crate) prehashed: bool,
    /// How an ECDSA signature is written: `der`, or `jws` (r and s one after the other).
    #[arg(long, value_name = "FORM", default_value_t)]
    pub(crate) form: SignatureForm,
    /// Text that a post-quantum signature is bound to, at most 255 bytes; `verify` must be given the same.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) context: String,
}

#[derive(Args)]
pub(crate) struct Batch {
    /// A JSON file instead of stdin: `{"operations": [{"op": "encrypt", "key": "k", "plaintext": "…"}, …]}`. Arguments are
    /// those of docs/canisp.md, bytes as base64.
    #[arg(long = "in", value_name = "F")]
    pub(crate) input: Option<PathBuf>,
    /// Do all of it or nothing; for changes of keys and entries.
    #[arg(long)]
    pub(crate) atomic: bool,
}

#[derive(Args)]
pub(crate) struct Rewrap {
    /// The key's name.
    pub(crate) name: String,
    /// The ciphertexts, one a line; stdin if missing.
    #[arg(long = "in", value_name = "F")]
    pub(crate) input: Option<PathBuf>,
    /// Where to write instead of stdout; may be the same file. Written whole or not at all.
    #[arg(long, value_name = "F")]
    pub(crate) out: Option<PathBuf>,
    /// The context given to `encrypt`; the same for all lines.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) context: String,
}

#[derive(Args)]
pub(crate) struct DataKey {
    /// The name of the key that encrypts it.
    pub(crate) name: String,
    /// Its length in bytes, 16 to 64.
    #[arg(long, value_name = "N", default_value_t = 32)]
    pub(crate) length: u32,
    /// Text that must be given again to decrypt it.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) context: String,
    /// Print only the ciphertext; whoever needs the data key decrypts it.
    #[arg(long, conflicts_with = "out")]
    pub(crate) wrapped_only: bool,
    /// Where to write the data key itself, readable for its owner alone; else it is printed as base64.
    #[arg(long, value_name = "F")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Mac {
    /// The key's name.
    pub(crate) name: String,
    /// What to read instead of stdin.
    #[arg(long = "in", value_name = "F")]
    pub(crate) input: Option<PathBuf>,
    /// sha256, sha384, sha512, sha3-256, sha3-384 or sha3-512.
    #[arg(long, value_name = "HASH", default_value_t)]
    pub(crate) hash: HashName,
}

#[derive(Args)]
pub(crate) struct VerifyMac {
    #[command(flatten)]
    pub(crate) made: Mac,
    /// The MAC, `canis:v1:…`.
    #[arg(long, value_name = "TEXT")]
    pub(crate) mac: String,
}

#[derive(Args)]
pub(crate) struct Derive {
    /// The key's name.
    pub(crate) name: String,
    /// The peer's public key, PEM or DER (SubjectPublicKeyInfo); for keys on curves.
    #[arg(long, value_name = "F")]
    pub(crate) peer: Option<PathBuf>,
    /// What is done with the shared secret: `hkdf`, or nothing (`raw`).
    #[arg(long, value_name = "KDF", default_value_t)]
    pub(crate) kdf: AgreementKdf,
    /// HKDF's hash function.
    #[arg(long, value_name = "HASH", default_value_t)]
    pub(crate) hash: HashName,
    /// HKDF's salt.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) salt: String,
    /// HKDF's info: what the bytes are for.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) info: String,
    /// How many bytes, 16 to 1024; 32 if missing.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(crate) length: u32,
    /// The version; the current one if missing.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(crate) key_version: u32,
    /// Where to write the bytes, readable for their owner alone; else they are printed as base64.
    #[arg(long, value_name = "F")]
    pub(crate) out: Option<PathBuf>,
}

/// Where a shared secret goes: nowhere unasked.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub(crate) struct SecretOut {
    /// Where to write the secret, readable for its owner alone.
    #[arg(long, value_name = "F")]
    pub(crate) out: Option<PathBuf>,
    /// Print the secret as base64.
    #[arg(long)]
    pub(crate) print: bool,
}

#[derive(Args)]
pub(crate) struct Encapsulate {
    /// The name of the ml-kem key.
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) secret: SecretOut,
    /// Where to write the ciphertext instead of stdout.
    #[arg(long, value_name = "F")]
    pub(crate) ciphertext: Option<PathBuf>,
    /// Write the bare ciphertext, as other programs decapsulate it, without the key's name and version.
    #[arg(long, requires = "ciphertext")]
    pub(crate) raw: bool,
    /// An older version, if the key's min_encryption_version allows it; the current one if missing.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(crate) key_version: u32,
}

#[derive(Args)]
pub(crate) struct Decapsulate {
    /// The name of the ml-kem key.
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) secret: SecretOut,
    /// The ciphertext: a file that `canis encapsulate` wrote, or its text, `canis:v1:…`.
    #[arg(long, value_name = "S")]
    pub(crate) ciphertext: String,
    /// The file holds a bare ciphertext, as another program made it with a version's public key.
    #[arg(long, requires = "key_version")]
    pub(crate) raw: bool,
    /// Which version's public key that was. With another one the secret is another one, too, and nothing tells.
    #[arg(long, value_name = "N", requires = "raw")]
    pub(crate) key_version: Option<u32>,
}

#[derive(Args)]
pub(crate) struct Random {
    /// How many bytes, 1 to 65536.
    pub(crate) length: u32,
    /// Where to write them as they are.
    #[arg(long, value_name = "F")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Hash {
    /// What to read instead of stdin.
    #[arg(long = "in", value_name = "F")]
    pub(crate) input: Option<PathBuf>,
    /// sha256, sha384, sha512, sha3-256, sha3-384 or sha3-512.
    #[arg(long, value_name = "HASH", default_value_t)]
    pub(crate) hash: HashName,
}
