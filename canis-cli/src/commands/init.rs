//! `canis init`: everything a server needs, or nothing.

use crate::args::{Init, RootKind};
use crate::command_line::wrong_usage;
use crate::hsm_args::whole;
use crate::rollback::Made;
use crate::{certificates, files, local, root_credential, secret_file, show};
use canis_core::clock::SystemClock;
use canis_core::datadir::{Config, DataDir, RootSource, StoreConfig};
use canis_core::default_provider;
use canis_core::root::NewRoot;
use canis_core::secret::SecretBytes;
use canis_core::setup::{self, Created};
use canis_proto::{Error, ErrorCode, Result};
use serde_json::json;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

const ADDR: &str = "127.0.0.1:7443";

pub(crate) fn run(args: Init, json: bool) -> Result<()> {
    refuse_foreign_flags(&args);
    let mut made = Made::default();
    let dir = directory(&args.data, &mut made)?;
    if dir.store_path().exists() {
        return Err(Error::new(
            ErrorCode::StoreExists,
            format!("{} is there already; nothing was changed", dir.store_path().display()),
        ));
    }
    if !dir.lock_path().exists() {
        made.file(&dir.lock_path())?;
    }
    let _lock = dir.lock()?;
    made.begin(dir.path())?;
    let (root, source) = root(&args, &mut made)?;
    let ca_key = certificates::provide(&dir, &args.tls_name, &mut made)?;
    let database = args.database.over(None)?;
    remember(&dir, source, database.clone(), &mut made)?;
    let secrets: Vec<(&str, &SecretBytes)> = ca_key.iter().map(|key| (certificates::CA_KEY, key)).collect();
    let (provider, clock) = (default_provider(), Arc::new(SystemClock));
    let created = match &database {
        Some(database) => setup::create_in(database, root, &secrets, provider, clock)?,
        None => setup::create(&dir, root, &secrets, provider, clock)?,
    };
    made.keep();
    report(&dir, &created, json)
}

/// A flag of another root than the chosen one is a mistake, not a detail.
fn refuse_foreign_flags(args: &Init) {
    // A URI may say where module and PIN are.
    let uri = args.token.token_uri.is_some();
    let flags = [
        ("--passphrase-file", RootKind::Passphrase, args.passphrase_file.is_some(), false),
        ("--keyfile", RootKind::Keyfile, args.keyfile.is_some(), false),
        ("--token-label", RootKind::Hsm, args.token.is_given(), false),
        ("--module", RootKind::Hsm, args.module.is_some(), uri),
        ("--pin-file", RootKind::Hsm, args.pin_file.is_some(), uri),
        ("--key-label", RootKind::Hsm, args.token.key_label.is_some(), true),
        ("--wrap-mechanism", RootKind::Hsm, args.wrap.wrap_mechanism.is_some(), true),
    ];
    for (flag, kind, given, dispensable) in flags {
        if given && kind != args.root {
            wrong_usage(&format!("{flag} does not go with this --root"));
        }
        if !given && !dispensable && kind == args.root {
            wrong_usage(&format!("this --root needs {flag}"));
        }
    }
}

/// The data directory: made for its owner alone, or an existing one.
fn directory(path: &Path, made: &mut Made) -> Result<DataDir> {
    let failed = |error: std::io::Error| {
        Error::new(ErrorCode::StoreUnavailable, format!("cannot use {}: {error}", path.display()))
    };
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => made.directory(path),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let empty = fs::read_dir(path).map_err(failed)?.next().is_none();
            // A directory that holds other things may be meant for others, too; only its owner can tell.
            if empty {
                fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(failed)?;
            } else if fs::metadata(path).map_err(failed)?.mode() & 0o077 != 0 {
                eprintln!("canis: warning: {} is open to others; `chmod 700` it", path.display());
            }
        }
        Err(error) => return Err(failed(error)),
    }
    Ok(DataDir::new(fs::canonicalize(path).map_err(failed)?))
}

/// The new root, and where a starting server finds its credential.
fn root(args: &Init, made: &mut Made) -> Result<(NewRoot, RootSource)> {
    let missing = || Error::internal("a flag of --root is missing");
    match args.root {
        RootKind::Passphrase => {
            let file = args.passphrase_file.as_deref().ok_or_else(missing)?;
            let passphrase = secret_file::read_root_line(file, "passphrase")?;
            let source = RootSource::Passphrase { file: whole("--passphrase-file", Some(file))? };
            Ok((NewRoot::Passphrase { passphrase }, source))
        }
        RootKind::Keyfile => {
            let file = args.keyfile.as_deref().ok_or_else(missing)?;
            let (key, is_new) = root_credential::new_keyfile(file)?;
            if is_new {
                made.file(file)?;
            }
            Ok((NewRoot::Keyfile { key }, RootSource::Keyfile { file: whole("--keyfile", Some(file))? }))
        }
        RootKind::Hsm => {
            let name = args.token.name()?;
            let pin_file = whole("--pin-file", args.pin_file.as_deref().or(name.pin_file.as_deref()))?;
            let module = whole("--module", args.module.as_deref().or(name.module.as_deref()))?;
            let root = NewRoot::Hsm {
                helper: local::hsm_helper(),
                module: module.clone(),
                pin: secret_file::read_root_line(&pin_file, "PIN")?,
                mechanism: args.wrap.wrap_mechanism,
                name: Box::new(name),
            };
            Ok((root, RootSource::Hsm { module, file: pin_file, deadline: None }))
        }
    }
}

/// Lets the server find the credential by itself, if it is in a file that stays, and the store's database.
fn remember(dir: &DataDir, source: RootSource, database: Option<StoreConfig>, made: &mut Made) -> Result<()> {
    let path = dir.config_path();
    let (RootSource::Passphrase { file } | RootSource::Keyfile { file } | RootSource::Hsm { file, .. }) =
        &source;
    if path.exists() {
        if database.is_some() && dir.read_config()?.store != database {
            return Err(Error::invalid(format!("{} is there and names another store", path.display())));
        }
        eprintln!("canis: warning: {} was there and is left as it is", path.display());
        return Ok(());
    }
    let root = (file.is_file() || !canis_core::secret_file::is_path(file)).then_some(source);
    made.file(&path)?;
    dir.write_config(&Config { root, store: database, ..Config::default() })
}

/// The token is shown here and never again: the store keeps its hash only.
fn report(dir: &DataDir, created: &Created, json: bool) -> Result<()> {
    let token = std::str::from_utf8(created.token.expose())
        .map_err(|_| Error::internal("the new token is not text"))?;
    let ca = dir.ca_path().display().to_string();
    if json {
        return show::json(&json!({
            "store": created.store.to_string(),
            "data": dir.path(),
            "ca": ca,
            "token": token,
            "env": {"CANIS_ADDR": ADDR, "CANIS_CACERT": ca, "CANIS_TOKEN": token},
        }));
    }
    show::pairs(&[
        ("store", created.store.to_string()),
        ("CA", ca.clone()),
        ("token", format!("{token}  (shown this once)")),
    ])?;
    let exports = format!(
        "\nStart `canis-server --data {}`, then:\n\nexport CANIS_ADDR={ADDR}\nexport CANIS_CACERT={}\nexport CANIS_TOKEN={token}\n",
        quoted(&dir.path().display().to_string()),
        quoted(&ca),
    );
    files::print(exports.as_bytes())
}

/// As a POSIX shell reads it back.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting() {
        assert_eq!(quoted("/srv/canis/ca.pem"), "/srv/canis/ca.pem");
        assert_eq!(quoted("/my dir/it's"), r"'/my dir/it'\''s'");
    }
}
