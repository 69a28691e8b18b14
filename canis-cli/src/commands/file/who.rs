//! From flags to those whom a file is for, and to what opens it.

use crate::args::Connection;
use crate::connect;
use crate::file_args::{Identities, Recipients};
use canis_client::Shared;
use canis_client::file::{
    ExportedKey, FileKey, HybridIdentity, HybridRecipient, Identity, KeyIdentity, KeyRecipient, KeyText,
    PublicRecipient, Recipient, SshRecipient, Stanza, X25519Identity, X25519Recipient, parse_identity,
};
use canis_proto::{Error, Result, quote};
use std::fs;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use zeroize::Zeroizing;

/// The server, once it is needed: files for public keys alone are made without one.
pub(super) struct Server<'a> {
    connection: &'a Connection,
    shared: OnceLock<Arc<Shared>>,
}

impl<'a> Server<'a> {
    pub(super) fn new(connection: &'a Connection) -> Self {
        Server { connection, shared: OnceLock::new() }
    }

    pub(super) fn reach(&self) -> Result<Arc<Shared>> {
        if let Some(shared) = self.shared.get() {
            return Ok(Arc::clone(shared));
        }
        let shared = connect::shared(self.connection)?;
        Ok(Arc::clone(self.shared.get_or_init(|| shared)))
    }
}

/// Everybody whom the flags name.
pub(super) fn recipients(server: &Server<'_>, args: &Recipients) -> Result<Vec<Box<dyn Recipient>>> {
    let mut all: Vec<Box<dyn Recipient>> = Vec::new();
    for name in &args.key {
        all.push(Box::new(KeyRecipient::new(server.reach()?, name)?));
    }
    for flag in &args.public_key {
        all.push(Box::new(public_key(flag)?));
    }
    for text in &args.recipient {
        all.push(recipient(server, text)?);
    }
    for path in &args.recipients_file {
        let text = text(path, "recipients")?;
        for line in lines(&text) {
            all.push(recipient(server, line)?);
        }
    }
    Ok(all)
}

/// The same, of whom there must be some.
pub(super) fn some_recipients(server: &Server<'_>, args: &Recipients) -> Result<Vec<Box<dyn Recipient>>> {
    let all = recipients(server, args)?;
    if all.is_empty() {
        crate::command_line::wrong_usage(
            "nobody is named who could open the file: give --key, --public-key or --recipient",
        );
    }
    Ok(all)
}

fn recipient(server: &Server<'_>, text: &str) -> Result<Box<dyn Recipient>> {
    if SshRecipient::is_meant(text) {
        return Ok(Box::new(SshRecipient::parse(text)?));
    }
    if HybridRecipient::is_meant(text) {
        return Ok(Box::new(HybridRecipient::parse(text)?));
    }
    if !KeyText::is_meant(text) {
        return Ok(Box::new(X25519Recipient::parse(text)?));
    }
    Ok(match KeyText::parse(text)? {
        KeyText::Public(public) => Box::new(public),
        KeyText::Named(name) => Box::new(KeyRecipient::new(server.reach()?, name.as_str())?),
    })
}

fn public_key(flag: &str) -> Result<PublicRecipient> {
    let parts = flag.split_once('=').and_then(|(key, path)| Some((key.rsplit_once('@')?, path)));
    let Some(((name, version), path)) = parts else {
        return Err(Error::invalid(
            "a public key is named as NAME@VERSION=FILE; `canis key public` prints it",
        ));
    };
    let version =
        version.parse().map_err(|_| Error::invalid(format!("`{}` is no version", quote(version))))?;
    PublicRecipient::from_pem(name, version, text(Path::new(path), "public key")?.as_bytes())
}

/// Whatever the flags say opens a file: identities of age first, for which nobody is asked, then keys of the server.
pub(super) struct Openers<'a> {
    identities: Vec<Box<dyn Identity + Sync>>,
    keys: Keys<'a>,
}

/// Keys of the server, which is reached when a file names one.
struct Keys<'a> {
    server: &'a Server<'a>,
    only: Option<String>,
}

impl<'a> Openers<'a> {
    pub(super) fn new(server: &'a Server<'a>, args: &Identities) -> Result<Self> {
        let mut openers = Openers::from(server, args.key.clone(), &args.identity)?;
        for path in &args.exported_key {
            let pem = text(path, "exported key")?;
            openers.identities.push(Box::new(ExportedKey::from_pem(pem.as_bytes())?));
        }
        Ok(openers)
    }

    pub(super) fn from(
        server: &'a Server<'a>,
        only: Option<String>,
        files: &[impl AsRef<Path>],
    ) -> Result<Self> {
        let mut identities: Vec<Box<dyn Identity + Sync>> = Vec::new();
        for path in files {
            let text = text(path.as_ref(), "identities")?;
            for line in lines(&text) {
                identities.push(identity(server, line)?);
            }
        }
        Ok(Openers { identities, keys: Keys { server, only } })
    }

    /// In the order in which they are tried.
    pub(super) fn all(&self) -> Vec<&dyn Identity> {
        let identities = self.identities.iter().map(|identity| &**identity as &dyn Identity);
        identities.chain([&self.keys as &dyn Identity]).collect()
    }

    /// Keys of the server alone, if nothing comes before them.
    pub(super) fn keys_alone(&self) -> Result<Option<KeyIdentity>> {
        if self.identities.is_empty() { self.keys.identity().map(Some) } else { Ok(None) }
    }
}

impl Keys<'_> {
    fn identity(&self) -> Result<KeyIdentity> {
        match &self.only {
            Some(name) => KeyIdentity::named(self.server.reach()?, name),
            None => Ok(KeyIdentity::any(self.server.reach()?)),
        }
    }
}

impl Identity for Keys<'_> {
    fn unwrap(&self, stanzas: &[Stanza]) -> Result<Option<FileKey>> {
        if self.only.is_none() && !stanzas.iter().any(|stanza| stanza.kind == "canis") {
            return Ok(None);
        }
        self.identity()?.unwrap(stanzas)
    }
}

fn identity(server: &Server<'_>, line: &str) -> Result<Box<dyn Identity + Sync>> {
    if HybridIdentity::is_meant(line) {
        return Ok(Box::new(HybridIdentity::parse(line)?));
    }
    if line.starts_with("AGE-SECRET-KEY-1") {
        return Ok(Box::new(X25519Identity::parse(line)?));
    }
    Ok(match parse_identity(line)? {
        Some(name) => Box::new(KeyIdentity::named(server.reach()?, name.as_str())?),
        None => Box::new(KeyIdentity::any(server.reach()?)),
    })
}

fn text(path: &Path, what: &str) -> Result<Zeroizing<String>> {
    let failed = |why: String| Error::invalid(format!("cannot read the {what} in {}: {why}", path.display()));
    fs::read_to_string(path).map(Zeroizing::new).map_err(|error| failed(error.to_string()))
}

/// Lines that say something; age's comments begin with `#`.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}
