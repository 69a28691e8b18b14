//! The command line of `canis root`. Credentials are never arguments: they stand in files, or are asked for.

use crate::args::RootFile;
use crate::hsm_args::{HsmToken, Wrap};
use crate::slot_args::Place;
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Subcommand)]
pub(crate) enum RootCommand {
    /// List the root slots. Needs no credential with --data.
    List(Data),
    /// Add a root slot; the store opens by it as by the others.
    Add {
        #[command(subcommand)]
        root: NewRoot,
    },
    /// Wrap a slot's root key anew: another passphrase, another key file, shares dealt anew. Keys stay as they are.
    Rotate {
        #[command(subcommand)]
        root: NewRoot,
    },
    /// Give the store a new root key, which older copies of the file do not hold. Keys stay as they are.
    RotateKey(RotateKey),
    /// Remove a root slot. The last one that opens the store stays.
    Remove(Remove),
    /// Make a hybrid key pair for a recipient (`ml-kem-768-x25519`), here and without a store.
    RecipientKey(RecipientKey),
    /// Show the tokens of a PKCS#11 module, and how one of them could wrap a root key. Nothing is written to it.
    Probe(Probe),
    /// Try a credential on the root slots; nothing is changed, and a sealed store stays sealed.
    Test(Test),
}

/// A data directory, or a server.
#[derive(Args)]
pub(crate) struct Data {
    /// A data directory of this machine. Without it, and while a server runs on it, the server is asked.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

#[derive(Subcommand)]
pub(crate) enum NewRoot {
    /// A passphrase (Argon2id).
    Passphrase(NewPassphrase),
    /// A file of 32 random bytes.
    Keyfile(NewKeyfile),
    /// Shares for several people, some of which are needed.
    Shares(NewShares),
    /// A public key, hybrid or X25519; its private half, kept elsewhere, opens the store when all else is lost.
    Recipient(NewRecipient),
    /// A wrapping key in a PKCS#11 HSM; at a running server only by `--addr unix:DIR` on its host.
    Hsm(NewHsm),
}

/// Where the store is, and which slot `rotate` is about.
#[derive(Args)]
pub(crate) struct At {
    #[command(flatten)]
    pub(crate) place: Place,
    /// rotate: the slot, by its id or the beginning of it; needed where several are of this kind.
    #[arg(long, value_name = "ID")]
    pub(crate) slot: Option<String>,
}

#[derive(Args)]
pub(crate) struct NewPassphrase {
    #[command(flatten)]
    pub(crate) at: At,
    /// The file that holds the new passphrase; asked for if missing.
    #[arg(long, value_name = "F")]
    pub(crate) new_passphrase_file: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct NewKeyfile {
    #[command(flatten)]
    pub(crate) at: At,
    /// The new key file; made at random if it does not exist.
    #[arg(long, value_name = "F")]
    pub(crate) new_keyfile: PathBuf,
}

#[derive(Args)]
pub(crate) struct NewShares {
    #[command(flatten)]
    pub(crate) at: At,
    /// How many shares to deal, 2 to 255.
    #[arg(long, value_name = "N")]
    pub(crate) shares: u8,
    /// How many of them open the store.
    #[arg(long, value_name = "K")]
    pub(crate) threshold: u8,
    /// An existing directory for the shares, a file each, instead of printing them.
    #[arg(long, value_name = "DIR")]
    pub(crate) out_dir: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct NewRecipient {
    #[command(flatten)]
    pub(crate) at: At,
    /// The recipient's public key: PEM or DER, as `canis root recipient-key` or `openssl pkey -pubout` writes it.
    #[arg(long, value_name = "F")]
    pub(crate) public_key: PathBuf,
}

#[derive(Args)]
pub(crate) struct RecipientKey {
    /// The new file for the private key; only you can read it. Keep it elsewhere than the store.
    #[arg(long, value_name = "F")]
    pub(crate) out: PathBuf,
    /// Where to write the public key instead of stdout.
    #[arg(long, value_name = "F")]
    pub(crate) public_key: Option<PathBuf>,
    /// Put the private key under the passphrase in this file.
    #[arg(long, value_name = "F")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct NewHsm {
    #[command(flatten)]
    pub(crate) at: At,
    /// The HSM's PKCS#11 module.
    #[arg(long, value_name = "PATH")]
    pub(crate) new_module: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) token: HsmToken,
    #[command(flatten)]
    pub(crate) wrap: Wrap,
    /// The file that holds the token's user PIN; asked for if missing.
    #[arg(long, value_name = "F")]
    pub(crate) new_pin_file: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Probe {
    /// The PKCS#11 module.
    #[arg(long, value_name = "PATH")]
    pub(crate) module: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) token: HsmToken,
    /// The file that holds the token's user PIN; without it nothing is tried. The PIN is tried once.
    #[arg(long, value_name = "F")]
    pub(crate) pin_file: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct RotateKey {
    #[command(flatten)]
    pub(crate) place: Place,
    /// A slot that is to go on opening the store (its id, the beginning of it, or its kind), and the file with its
    /// passphrase, its 32 bytes or its PIN; without a file for shares, which are dealt anew. Recipients stay by
    /// themselves. Repeatable.
    #[arg(long, value_name = "SLOT[=F]")]
    pub(crate) keep: Vec<String>,
    /// Let all slots go that are not kept; without it they are only listed.
    #[arg(long)]
    pub(crate) drop_others: bool,
    /// The module of the HSM whose slot is kept.
    #[arg(long, value_name = "PATH")]
    pub(crate) keep_module: Option<PathBuf>,
    /// An existing directory for new shares, a file each, instead of printing them.
    #[arg(long, value_name = "DIR")]
    pub(crate) out_dir: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Remove {
    #[command(flatten)]
    pub(crate) place: Place,
    /// The slot: its id, the beginning of it, or its kind if it is the only one of that.
    pub(crate) slot: String,
}

#[derive(Args)]
pub(crate) struct Test {
    #[command(flatten)]
    pub(crate) data: Data,
    /// The slot: its id, the beginning of it, or its kind; all of the credential's kind if missing.
    pub(crate) slot: Option<String>,
    #[command(flatten)]
    pub(crate) credential: Credential,
}

/// A credential in files.
#[derive(Args)]
#[group(id = "credential", multiple = true)]
pub(crate) struct Credential {
    /// The passphrase in this file.
    #[arg(long, value_name = "F", group = "one")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// The 32 bytes in this file.
    #[arg(long, value_name = "F", group = "one")]
    pub(crate) keyfile: Option<PathBuf>,
    /// The shares in these files, one a line. Repeatable.
    #[arg(long, value_name = "F", group = "one")]
    pub(crate) share_file: Vec<PathBuf>,
    /// The recipient's private key in this file.
    #[arg(long, value_name = "F", group = "one")]
    pub(crate) recipient_key: Option<PathBuf>,
    /// The HSM's PIN in this file.
    #[arg(long, value_name = "F", group = "one", requires = "module")]
    pub(crate) hsm_pin_file: Option<PathBuf>,
    /// The HSM's PKCS#11 module.
    #[arg(long, value_name = "PATH", requires = "hsm_pin_file")]
    pub(crate) module: Option<PathBuf>,
}

impl Credential {
    /// Whether no file was named.
    pub(crate) fn is_none(&self) -> bool {
        let Credential { passphrase_file, keyfile, share_file, recipient_key, hsm_pin_file, .. } = self;
        [passphrase_file, keyfile, recipient_key, hsm_pin_file].iter().all(|file| file.is_none())
            && share_file.is_empty()
    }

    /// The same for a store of this machine.
    pub(crate) fn to_root_file(&self) -> RootFile {
        RootFile {
            passphrase_file: self.passphrase_file.clone(),
            keyfile: self.keyfile.clone(),
            hsm_pin_file: self.hsm_pin_file.clone(),
            share_file: self.share_file.clone(),
            recipient_key: self.recipient_key.clone(),
            module: self.module.clone(),
        }
    }
}
