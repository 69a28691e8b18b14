//! `canis file` on the command line.

use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Subcommand)]
pub(crate) enum FileCommand {
    /// Encrypt a file, a directory or stdin for keys of the server and others.
    Encrypt(EncryptFile),
    /// Decrypt what `encrypt` or age made.
    Decrypt(DecryptFile),
    /// Wrap files' keys anew under the current versions. Only the header changes, in place.
    Rewrap(RewrapFile),
    /// Show who a file is for, and whether its keys still open it.
    Info(FileInfo),
    /// Print what age takes for a key: a recipient (`age -r`) or, with --identity, an identity (`age -i`).
    Recipient(KeyRecipient),
    /// Make a post-quantum identity of age, which needs no server, and print its recipient, `age1pq1…`.
    Keygen(Keygen),
}

/// Who a file is for.
#[derive(Args)]
#[command(next_help_heading = "Recipients")]
pub(crate) struct Recipients {
    /// A key of the server. Repeatable; each opens the file alone.
    #[arg(long, value_name = "NAME")]
    pub(crate) key: Vec<String>,
    /// A key of the server by its public key in PEM; the server is not asked. Repeatable.
    #[arg(long, value_name = "NAME@VERSION=F")]
    pub(crate) public_key: Vec<String>,
    /// `age1canis1…`, `age1…`, `age1pq1…`, or a line `ssh-ed25519 …` or `ssh-rsa …`. Repeatable.
    #[arg(long, short = 'R', value_name = "TEXT")]
    pub(crate) recipient: Vec<String>,
    /// A file with recipients, one a line, as age takes it. Repeatable.
    #[arg(long, value_name = "F")]
    pub(crate) recipients_file: Vec<PathBuf>,
}

/// From where to where.
#[derive(Args)]
pub(crate) struct Way {
    /// What to read; stdin if missing or `-`.
    pub(crate) input: Option<PathBuf>,
    /// Where to write; stdout if missing or `-`. A file is written whole or not at all, with the mode of the one that was read.
    pub(crate) output: Option<PathBuf>,
    /// Read and write directories. Files that are there already and no older are left alone, so that what was interrupted goes on.
    #[arg(long, short)]
    pub(crate) recursive: bool,
}

#[derive(Args)]
pub(crate) struct EncryptFile {
    #[command(flatten)]
    pub(crate) recipients: Recipients,
    #[command(flatten)]
    pub(crate) way: Way,
    /// Write text (ASCII armour), which mails and configuration files can hold.
    #[arg(long, short, conflicts_with = "recursive")]
    pub(crate) armor: bool,
}

/// What opens a file.
#[derive(Args)]
#[command(next_help_heading = "Identities")]
pub(crate) struct Identities {
    /// Open by this key of the server and no other; by any that the file names if missing.
    #[arg(long, value_name = "NAME")]
    pub(crate) key: Option<String>,
    /// A file with identities of age (`AGE-SECRET-KEY-1…`, `AGE-SECRET-KEY-PQ-1…`, `AGE-PLUGIN-CANIS-1…`), tried before the
    /// server. Repeatable.
    #[arg(long, short, value_name = "F")]
    pub(crate) identity: Vec<PathBuf>,
    /// A private key in PEM that `canis key export` wrote: opens without a server what is for it. Repeatable.
    #[arg(long, value_name = "F")]
    pub(crate) exported_key: Vec<PathBuf>,
}

#[derive(Args)]
pub(crate) struct DecryptFile {
    #[command(flatten)]
    pub(crate) identities: Identities,
    #[command(flatten)]
    pub(crate) way: Way,
    /// Decrypt and check all of it, and write nothing.
    #[arg(long, conflicts_with = "output")]
    pub(crate) verify: bool,
}

#[derive(Args)]
pub(crate) struct RewrapFile {
    /// The files.
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) add: Recipients,
    /// Take this key out of the files' headers. Repeatable. Who kept the file's old header can still open it.
    #[arg(long, value_name = "NAME")]
    pub(crate) remove: Vec<String>,
    /// A file with identities of age that open the files, tried before the server. Repeatable.
    #[arg(long, short, value_name = "F")]
    pub(crate) identity: Vec<PathBuf>,
}

#[derive(Args)]
pub(crate) struct FileInfo {
    /// The file.
    pub(crate) file: PathBuf,
}

#[derive(Args)]
pub(crate) struct KeyRecipient {
    /// The key's name.
    pub(crate) name: String,
    /// Print an identity, which age's programs need to decrypt.
    #[arg(long)]
    pub(crate) identity: bool,
    /// For an X25519 key: age's own `age1…`, for which age needs no plugin to encrypt.
    #[arg(long, conflicts_with = "identity")]
    pub(crate) plain: bool,
}

#[derive(Args)]
pub(crate) struct Keygen {
    /// Where the identity goes: a file that is not there yet, for its owner alone.
    pub(crate) file: PathBuf,
}
