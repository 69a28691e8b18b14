//! The command line of `canis`. Credentials are never arguments: other users of the machine can read those.

use crate::aes_gcm_args::AesGcmCommand;
use crate::approval_args::ApprovalCommand;
use crate::audit_args::AuditCommand;
use crate::backup_args::BackupCommand;
use crate::bench::args::BenchCommand;
use crate::crypt_args::{Crypt, Encrypt, Sign, Verify};
use crate::file_args::FileCommand;
use crate::hsm_args::{HsmToken, Wrap};
use crate::key_args::{ApplyKeys, CreateKey, DestroyKey, ListKeys, RotateKey, UpdateKey};
use crate::kv_args::KvCommand;
use crate::policy_args::PolicyCommand;
use crate::role_args::RoleCommand;
use crate::root_args::RootCommand;
use crate::seal_args::{OperatorCommand, Unseal};
use crate::slot_args::SlotCommand;
use crate::store_args::{NewDatabase, StoreCommand};
use crate::tenant_args::TenantCommand;
use crate::tls_args::TlsCommand;
use crate::token_args::TokenCommand;
use crate::transfer_args::{ExportKey, ImportFile, ImportKey, ImportPkcs12, ImportSoftHsm, WrappingKey};
use crate::use_args::{
    Batch, DataKey, Decapsulate, Derive, Encapsulate, Hash, Mac, Random, Rewrap, VerifyMac,
};
use canis_proto::Interval;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Keys that never leave: encrypt, decrypt, sign and verify with keys kept by a CANIS server.
///
/// Exit codes: 0 done; 1 the answer is no (an invalid signature); 2 wrong usage; 3 an error, named on stderr.
#[derive(Parser)]
#[command(name = "canis", version, after_help = "The token is read from CANIS_TOKEN or from --token-file.")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// Print JSON, errors too.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Which server, and how both sides prove who they are.
#[derive(Args, Clone)]
#[command(next_help_heading = "Connection")]
pub(crate) struct Connection {
    /// The server; or `unix:DIR`, the data directory of one on this host, whose user or root needs no token there.
    #[arg(
        long,
        global = true,
        value_name = "HOST:PORT",
        env = "CANIS_ADDR",
        default_value = "127.0.0.1:7443"
    )]
    pub(crate) addr: String,
    /// The CA that signed the server's certificate (`ca.pem` of its data directory).
    #[arg(long, global = true, value_name = "F", env = "CANIS_CACERT")]
    pub(crate) cacert: Option<PathBuf>,
    /// A file that holds the token; CANIS_TOKEN holds it otherwise.
    #[arg(long, global = true, value_name = "F")]
    pub(crate) token_file: Option<PathBuf>,
    /// A client certificate, PEM, by which the client proves itself instead of a token or besides it.
    #[arg(long, global = true, value_name = "F", env = "CANIS_CLIENT_CERT")]
    pub(crate) client_cert: Option<PathBuf>,
    /// Its private key, PEM.
    #[arg(long, global = true, value_name = "F", env = "CANIS_CLIENT_KEY")]
    pub(crate) client_key: Option<PathBuf>,
    /// How long a change whose connection was lost is sent again until it is answered; it happens once all the same. Or
    /// `never`.
    #[arg(long, global = true, value_name = "SPAN", env = "CANIS_RETRY_FOR", default_value = "3s")]
    pub(crate) retry_for: Interval,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make a data directory: store, root of trust, certificates and the first token.
    Init(Init),
    /// Look after tokens as PKCS#11 programs see them: those of a server, or of a data directory of this machine.
    Slot {
        #[command(subcommand)]
        command: SlotCommand,
    },
    /// Look at the audit log: what was asked, by whom, and what came of it.
    Audit {
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// Look after what opens the store: its root slots, any one of which does.
    Root {
        #[command(subcommand)]
        command: RootCommand,
    },
    /// Look after a data directory's store.
    Store {
        #[command(subcommand)]
        command: StoreCommand,
    },
    /// Make a backup of a store, look at one, or make a store from one.
    Backup {
        #[command(subcommand)]
        command: BackupCommand,
    },
    /// Look after the server's certificate.
    Tls {
        #[command(subcommand)]
        command: TlsCommand,
    },
    /// Show the state of the server and its store.
    Status,
    /// Open a server's sealed store: bring a credential, or one share of several. Needs no token.
    Unseal(Unseal),
    /// Seal a server's store: it forgets every key, and answers nothing until somebody unseals it.
    Seal,
    /// What operators do when all else is lost.
    Operator {
        #[command(subcommand)]
        command: OperatorCommand,
    },
    /// Look after tenants: isolated sets of keys, each under a key of its own.
    Tenant {
        #[command(subcommand)]
        command: TenantCommand,
    },
    /// Look after what clients prove themselves by: bearer tokens and client certificates.
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// Make and look at keys.
    Key {
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// Keep names and key pairs under identifiers of one's own.
    Kv {
        #[command(subcommand)]
        command: KvCommand,
    },
    /// Take over keys that others keep.
    Import {
        #[command(subcommand)]
        command: ImportCommand,
    },
    /// Lay out and try policies, who may do what on which paths.
    Policy {
        #[command(subcommand)]
        command: PolicyCommand,
    },
    /// Look after requests that others have to approve.
    Approval {
        #[command(subcommand)]
        command: ApprovalCommand,
    },
    /// Look after roles: who is let in without a token, by certificate, JWT, user of the host or PIN.
    Role {
        #[command(subcommand)]
        command: RoleCommand,
    },
    /// Run many operations in one request, and print what became of each (exit 1 if one failed).
    Batch(Batch),
    /// Encrypt under a key's current version.
    Encrypt(Encrypt),
    /// Decrypt what `encrypt` made.
    Decrypt(Crypt),
    /// Sign with a key's current version.
    Sign(Sign),
    /// Verify a signature: prints `valid` (exit 0) or `invalid` (exit 1).
    Verify(Verify),
    /// Encrypt ciphertexts anew under a key's current version, without showing what is in them.
    Rewrap(Rewrap),
    /// Make a random key for one's own use, encrypted under a key of the server.
    Datakey(DataKey),
    /// Encrypt files with keys of the server, in the format of age (docs/files.md). Their contents stay here.
    File {
        #[command(subcommand)]
        command: FileCommand,
    },
    /// Compute an HMAC with a generic secret.
    Mac(Mac),
    /// Check an HMAC: prints `valid` (exit 0) or `invalid` (exit 1).
    VerifyMac(VerifyMac),
    /// Derive bytes from a generic secret, or from what a key on a curve shares with a peer's.
    Derive(Derive),
    /// Make a secret that the holder of an ml-kem key comes to as well, by the ciphertext printed.
    Encapsulate(Encapsulate),
    /// Give the secret of a ciphertext that was made with an ml-kem key.
    Decapsulate(Decapsulate),
    /// Print random bytes of the server as base64.
    Random(Random),
    /// Print a digest of a file or of stdin, in hex.
    Hash(Hash),
    /// Encrypt and decrypt by AES-GCM as other programs do, with a key that was imported.
    AesGcm {
        #[command(subcommand)]
        command: AesGcmCommand,
    },
    /// Write manual pages and completions, for who installs the program.
    #[command(hide = true)]
    Generate {
        /// The directory that stands for /usr/share.
        directory: PathBuf,
    },
    /// Measure PKCS#11 modules and what is below ours.
    Bench {
        #[command(subcommand)]
        command: BenchCommand,
    },
}

#[derive(Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a key.
    Create(CreateKey),
    /// List keys in the order of their names.
    List(ListKeys),
    /// Show a key's metadata.
    Show(KeyName),
    /// List a key's versions.
    Versions(KeyName),
    /// Change a key's configuration. What is not named stays as it is.
    Update(UpdateKey),
    /// Make a key usable that was created with `--activate false`.
    Activate(KeyName),
    /// Let a key decrypt and verify only.
    Disable(KeyName),
    /// Make a disabled key usable again.
    Enable(KeyName),
    /// Destroy a disabled key's material, now or later. What it encrypted is lost.
    Destroy(DestroyKey),
    /// Take a planned destruction back.
    CancelDestroy(KeyName),
    /// Give a key a new version, which encrypts and signs from then on.
    Rotate(RotateKey),
    /// Make and configure keys as a YAML file says; what is so already is left alone.
    Apply(ApplyKeys),
    /// Print a key's public key.
    Public(PublicKey),
    /// Print the public key under which keys are wrapped to be imported (docs/byok.md).
    WrappingKey(WrappingKey),
    /// Bring a key in, as a new key or as the next version of an imported one.
    Import(ImportKey),
    /// Take a key out, wrapped or in plain, if it may leave so.
    Export(ExportKey),
}

#[derive(Subcommand)]
pub(crate) enum ImportCommand {
    /// A private or public key of OpenSSH.
    Ssh(ImportFile),
    /// An X25519 identity of age, as age-keygen writes it.
    Age(ImportFile),
    /// A private key in a PKCS#12 file (`.p12`, `.pfx`), and on request the certificates beside it.
    Pkcs12(ImportPkcs12),
    /// The objects of a token of SoftHSM2, into a data directory of this machine that no server is running on.
    Softhsm(ImportSoftHsm),
}

/// A data directory of this machine, and what opens its store.
#[derive(Args)]
pub(crate) struct Local {
    /// The data directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    #[command(flatten)]
    pub(crate) root: RootFile,
}

/// Where the root's credential is; without a flag, `canis.toml` in the data directory says it.
#[derive(Args, Clone)]
pub(crate) struct RootFile {
    /// Open the store with the passphrase in this file.
    #[arg(long, value_name = "F", requires = "data", group = "opener")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Open the store with the 32 bytes in this file.
    #[arg(long, value_name = "F", requires = "data", group = "opener")]
    pub(crate) keyfile: Option<PathBuf>,
    /// Open the store with the HSM's PIN in this file.
    #[arg(long, value_name = "F", requires = "data", group = "opener")]
    pub(crate) hsm_pin_file: Option<PathBuf>,
    /// Open the store with the shares in these files, one a line. Repeatable.
    #[arg(long, value_name = "F", requires = "data", group = "opener")]
    pub(crate) share_file: Vec<PathBuf>,
    /// Open the store with the recipient's private key in this file.
    #[arg(long, value_name = "F", requires = "data", group = "opener")]
    pub(crate) recipient_key: Option<PathBuf>,
    /// The HSM's PKCS#11 module, if not the one that canis.toml names.
    #[arg(long, value_name = "PATH", requires = "hsm_pin_file")]
    pub(crate) module: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct KeyName {
    /// The key's name.
    pub(crate) name: String,
}

#[derive(Args)]
pub(crate) struct PublicKey {
    /// The key's name.
    pub(crate) name: String,
    /// The version; the current one if missing.
    #[arg(long, value_name = "N")]
    pub(crate) key_version: Option<u32>,
    /// How to write it.
    #[arg(long, value_enum, default_value_t = PublicFormat::Pem)]
    pub(crate) format: PublicFormat,
    /// Where to write it instead of stdout.
    #[arg(long, value_name = "F")]
    pub(crate) out: Option<PathBuf>,
}

/// How a public key is written.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PublicFormat {
    /// SubjectPublicKeyInfo in PEM, as openssl reads it.
    Pem,
    /// SubjectPublicKeyInfo in DER.
    Der,
    /// A JSON Web Key (RFC 7517).
    Jwk,
    /// A line for authorized_keys.
    Openssh,
}

#[derive(Args)]
pub(crate) struct Init {
    /// The directory to make, or an existing one without a store.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// What opens the store.
    #[arg(long, value_enum)]
    pub(crate) root: RootKind,
    /// passphrase: the file that holds it.
    #[arg(long, value_name = "F")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// keyfile: the file of 32 bytes; made at random if it does not exist.
    #[arg(long, value_name = "F")]
    pub(crate) keyfile: Option<PathBuf>,
    /// hsm: its PKCS#11 module.
    #[arg(long, value_name = "PATH")]
    pub(crate) module: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) token: HsmToken,
    #[command(flatten)]
    pub(crate) wrap: Wrap,
    /// hsm: the file that holds the user PIN.
    #[arg(long, value_name = "F")]
    pub(crate) pin_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) database: NewDatabase,
    /// Another DNS name or IP address for the server's certificate; localhost is always in it. Repeatable.
    #[arg(long, value_name = "NAME")]
    pub(crate) tls_name: Vec<String>,
}

/// What opens a store.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RootKind {
    /// A passphrase (Argon2id).
    Passphrase,
    /// A file of 32 random bytes.
    Keyfile,
    /// A wrapping key in a PKCS#11 HSM.
    Hsm,
}
