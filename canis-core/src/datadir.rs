//! A store's directory: which file is what, who holds it, and where the root's credential is found.
//!
//! Programs use this; [`crate::Core`] itself knows no path. `canis.toml` looks like this; docs/configuration.md has every key:
//!
//! ```toml
//! socket = "/run/canis/canis.sock"                  # optional: a server's Unix socket for every user of this host
//! requests_per_second = 5000                        # optional: of one identity, at a server
//! metrics = "127.0.0.1:9743"                        # optional: where a server tells its metrics, on this machine
//! on_hsm_loss = "10m"                               # optional: seal when the HSM was away so long; or "keep"
//! check_rows_every = "6h"                           # optional: how often a server compares all rows
//! anchor_every = 100                                # optional: commits after which the HSM takes note of them
//!
//! [root]
//! kind = "hsm"                                      # or "passphrase", "keyfile"
//! module = "/usr/lib/softhsm/libsofthsm2.so"        # hsm only
//! file = "/etc/canis/softhsm.pin"                   # the PIN, passphrase or key file; "credential:NAME" is one of systemd's
//! deadline = 30                                     # hsm only: seconds for each thing it is asked; optional
//!
//! [store]                                           # a store in PostgreSQL, which several servers share; else canis.dat
//! url = "postgres://canis@db.example/canis"         # without a password; TLS unless it says `sslmode=disable`
//! password_file = "/etc/canis/database"             # or "credential:NAME", "env:NAME"; else what PGPASSFILE names
//! ca = "/etc/canis/database-ca.pem"                 # who signs the database's certificate; else whom the host trusts
//! connections = 16                                  # at most
//! grace = 60                                        # seconds that keys in memory go on without the database
//!
//! [tls]                                             # a server's; optional
//! client_ca = "/etc/canis/clients.pem"              # who signs client certificates
//! require_client_certificate = true                 # else clients may also come without
//!
//! [[jwt]]                                           # whose JSON Web Tokens a server takes; optional, several
//! issuer = "https://issuer.example"
//! jwks = "/etc/canis/issuer.jwks"                   # the issuer's keys, a JWK Set
//! ```

use crate::clock::SystemClock;
use crate::config_keys::unknown_keys;
use crate::crypto::default_provider;
use crate::root::{Credential, HsmHelper, HsmLoss};
use crate::secret_file::{read_keyfile, read_line, variable};
use crate::setup;
use crate::store::sqlite::SqliteStore;
use canis_proto::{Error, ErrorCode, Result};
use serde::{Deserialize, Serialize};
use std::fs::{File, TryLockError};
use std::io::Write;
use std::net::SocketAddr;
use std::num::{NonZeroU16, NonZeroU32};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

mod clients;
mod place;
mod span;
pub use clients::{IssuerSource, TlsConfig};
pub use place::{StoreConfig, StoreFlags};
pub use span::Span;

/// A store's directory.
#[derive(Clone, Debug)]
pub struct DataDir {
    path: PathBuf,
}

/// Held while a process uses the directory; dropping it lets go.
pub struct DirLock {
    file: File,
}

impl Drop for DirLock {
    fn drop(&mut self) {
        // Said, not left to the closing of the file: a forked child has the same open file.
        drop(self.file.unlock());
    }
}

/// `canis.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where a server tells its metrics to whoever asks, on this machine; nowhere if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<SocketAddr>,
    /// What is done when the HSM goes away that opened the store; kept open if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_hsm_loss: Option<HsmLoss>,
    /// After how many commits a server has the HSM take note of what the store has come to; 100 if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor_every: Option<NonZeroU32>,
    /// How often a server compares all rows of the store with their accumulators; every six hours if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check_rows_every: Option<Span>,
    /// How many requests a second one identity may ask a server for; no bound if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_second: Option<NonZeroU32>,
    /// A Unix socket for every user of this host; none if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<PathBuf>,
    /// Where the root's credential is found; without it the store stays sealed until somebody brings one.
    pub root: Option<RootSource>,
    /// The database that holds the store; `canis.dat` if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<StoreConfig>,
    /// How a server's clients prove themselves by TLS; not at all if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsConfig>,
    /// Whose JSON Web Tokens a server takes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jwt: Vec<IssuerSource>,
}

/// Where a root's credential is found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum RootSource {
    /// A file that holds the passphrase; a newline at its end is not part of it.
    Passphrase {
        /// Its path.
        file: PathBuf,
    },
    /// A file of 32 bytes.
    Keyfile {
        /// Its path.
        file: PathBuf,
    },
    /// An HSM's library, and a file that holds the token's user PIN; a newline at its end is not part of it.
    Hsm {
        /// The vendor's library.
        module: PathBuf,
        /// The path of the file.
        file: PathBuf,
        /// How many seconds the HSM may take for each thing that it is asked; 30 if missing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deadline: Option<NonZeroU16>,
    },
}

/// The credential flags that programs have in common.
#[derive(Clone, Debug, Default)]
pub struct RootFlags {
    /// `--passphrase-file`
    pub passphrase_file: Option<PathBuf>,
    /// `--keyfile`
    pub keyfile: Option<PathBuf>,
    /// `--pin-file`
    pub pin_file: Option<PathBuf>,
    /// `--module`
    pub module: Option<PathBuf>,
}

impl Config {
    /// Where the credential is: as the flags say, else as the file says. A PIN without a module goes to the configured
    /// one.
    ///
    /// # Errors
    /// `invalid_argument` for a PIN file without any module.
    pub fn root_source(self, flags: RootFlags) -> Result<Option<RootSource>> {
        let RootFlags { passphrase_file, keyfile, pin_file, module } = flags;
        if let Some(file) = passphrase_file {
            return Ok(Some(RootSource::Passphrase { file }));
        }
        if let Some(file) = keyfile {
            return Ok(Some(RootSource::Keyfile { file }));
        }
        let Some(file) = pin_file else { return Ok(self.root) };
        match (module, self.root) {
            (module, Some(RootSource::Hsm { module: configured, deadline, .. })) => {
                Ok(Some(RootSource::Hsm { module: module.unwrap_or(configured), file, deadline }))
            }
            (Some(module), _) => Ok(Some(RootSource::Hsm { module, file, deadline: None })),
            (None, _) => {
                Err(Error::invalid("a PIN needs the HSM's module; give --module, or name it in canis.toml"))
            }
        }
    }
}

impl RootSource {
    /// Reads the credential; an HSM's library is `helper`'s to load.
    ///
    /// # Errors
    /// `root_unavailable` naming the file.
    pub fn credential(&self, helper: &HsmHelper) -> Result<Credential> {
        match self {
            RootSource::Passphrase { file } => Ok(Credential::Passphrase(read_line(file)?)),
            RootSource::Keyfile { file } => Ok(Credential::Keyfile(read_keyfile(file)?)),
            RootSource::Hsm { module, file, deadline } => {
                let helper = deadline.map_or_else(
                    || helper.clone(),
                    |seconds| helper.within(Duration::from_secs(seconds.get().into())),
                );
                let helper = variable(file).map_or_else(|| helper.clone(), |name| helper.without(&[name]));
                Ok(Credential::Hsm { helper, module: module.clone(), pin: read_line(file)? })
            }
        }
    }
}

impl DataDir {
    /// The directory at `path`; it need not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        DataDir { path: path.into() }
    }

    /// The directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The store.
    #[must_use]
    pub fn store_path(&self) -> PathBuf {
        self.path.join("canis.dat")
    }

    /// Locked by a running server.
    #[must_use]
    pub fn lock_path(&self) -> PathBuf {
        self.path.join("canis.lock")
    }

    /// The Unix socket of a running server.
    #[must_use]
    pub fn socket_path(&self) -> PathBuf {
        self.path.join("canis.sock")
    }

    /// The configuration.
    #[must_use]
    pub fn config_path(&self) -> PathBuf {
        self.path.join("canis.toml")
    }

    /// The certificate of the private CA, for clients.
    #[must_use]
    pub fn ca_path(&self) -> PathBuf {
        self.path.join("ca.pem")
    }

    /// The server's certificate.
    #[must_use]
    pub fn cert_path(&self) -> PathBuf {
        self.path.join("server.pem")
    }

    /// The server's private key.
    #[must_use]
    pub fn key_path(&self) -> PathBuf {
        self.path.join("server.key")
    }

    /// Whether there is a store.
    #[must_use]
    pub fn store_exists(&self) -> bool {
        self.store_path().exists()
    }

    /// Takes the directory for one server, alone.
    ///
    /// # Errors
    /// `store_locked` if another process uses it, `store_unavailable` if the file cannot be made.
    pub fn lock(&self) -> Result<DirLock> {
        self.take(
            File::try_lock,
            "is in use: by a running canis-server, or by a program that has loaded the PKCS#11 module \
             (`fuser` on its canis.lock names it). Stop that, or use another directory",
        )
    }

    /// Keeps servers off the directory while this process works on its store itself; others may do so as well.
    ///
    /// # Errors
    /// `store_locked` if a server holds it, `store_unavailable` if the file cannot be made.
    pub fn share(&self) -> Result<DirLock> {
        self.take(
            File::try_lock_shared,
            "is held by a running canis-server; stop it, or use another directory",
        )
    }

    fn take(
        &self,
        lock: fn(&File) -> std::result::Result<(), TryLockError>,
        refusal: &str,
    ) -> Result<DirLock> {
        let path = self.lock_path();
        let opened = File::options().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = opened.map_err(|e| unavailable(&path, &e))?;
        match lock(&file) {
            Ok(()) => Ok(DirLock { file }),
            Err(TryLockError::WouldBlock) => {
                Err(Error::new(ErrorCode::StoreLocked, format!("{} {refusal}", self.path.display())))
            }
            Err(TryLockError::Error(e)) => Err(unavailable(&path, &e)),
        }
    }

    /// Whether a server holds the directory now.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        // A shared try: readers do not stand in each other's way, and a server's lock refuses it.
        let Ok(file) = File::open(self.lock_path()) else { return false };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }

    /// Opens the store in `canis.dat`.
    ///
    /// # Errors
    /// `store_unavailable` if there is none, and those of [`SqliteStore::open`].
    pub fn open_store(&self) -> Result<SqliteStore> {
        if !self.store_exists() {
            return Err(Error::new(
                ErrorCode::StoreUnavailable,
                format!(
                    "there is no store in {}; make one with `canis init --data {0}`",
                    self.path.display()
                ),
            ));
        }
        SqliteStore::open(&self.store_path())
    }

    /// Opens the store in `canis.dat`, or makes one without a root.
    ///
    /// # Errors
    /// Those of [`SqliteStore::open`] and [`SqliteStore::create`].
    pub fn open_or_create_store(&self) -> Result<SqliteStore> {
        self.refuse_database("use the PKCS#11 module at a server of it")?;
        if !self.store_exists() {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&self.path)
                .map_err(|e| unavailable(&self.path, &e))?;
            match setup::create_rootless(self, default_provider(), &SystemClock) {
                // Another process was first: its store is as good.
                Err(e) if e.code == ErrorCode::StoreExists => {}
                made => made?,
            }
        }
        self.open_store()
    }

    /// Fails if there is a store.
    pub(crate) fn refuse_existing_store(&self) -> Result<()> {
        if !self.store_exists() {
            return Ok(());
        }
        let shown = self.store_path();
        let why = format!("{} exists already; it was left as it is", shown.display());
        Err(Error::new(ErrorCode::StoreExists, why))
    }

    /// Reads `canis.toml`; without the file nothing is configured.
    ///
    /// # Errors
    /// `invalid_argument` naming file and line, `store_unavailable` if it cannot be read.
    pub fn read_config(&self) -> Result<Config> {
        let path = self.config_path();
        match std::fs::read_to_string(&path) {
            Ok(text) => match unknown_keys(&path.display().to_string(), &text).into_iter().next() {
                Some(unknown) => Err(unknown),
                None => toml::from_str(&text)
                    .map_err(|e| Error::invalid(format!("{}: {}", path.display(), e.to_string().trim()))),
            },
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Config::default()),
            Err(e) => Err(unavailable(&path, &e)),
        }
    }

    /// Writes `canis.toml`.
    ///
    /// # Errors
    /// `store_full`, `store_unavailable`.
    pub fn write_config(&self, config: &Config) -> Result<()> {
        let path = self.config_path();
        let text =
            toml::to_string(config).map_err(|e| Error::internal(format!("cannot write canis.toml: {e}")))?;
        let write = || -> std::io::Result<()> {
            let mut file = File::options().create(true).truncate(true).write(true).mode(0o600).open(&path)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        write().map_err(|e| unavailable(&path, &e))
    }
}

fn unavailable(path: &Path, error: &std::io::Error) -> Error {
    let code = if error.raw_os_error() == Some(libc::ENOSPC) {
        ErrorCode::StoreFull
    } else {
        ErrorCode::StoreUnavailable
    };
    Error::new(code, format!("{}: {error}", path.display()))
}
