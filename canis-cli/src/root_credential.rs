//! Credentials of roots, from files or typed.

use crate::command_line::wrong_usage;
use crate::{prompt, root_args, secret_file};
use canis_core::default_provider;
use canis_core::format::{self, Checked};
use canis_core::root::Share;
use canis_core::secret::SecretBytes;
use canis_core::secret_file::is_path;
use canis_proto::{Error, KeyType, Result};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A passphrase that is to be set; who types it types it twice.
pub(crate) fn new_passphrase(file: Option<&PathBuf>) -> Result<SecretBytes> {
    let Some(file) = file else {
        let passphrase = prompt::ask("the new passphrase", "--new-passphrase-file")?;
        let again = prompt::ask("the new passphrase, once more", "--new-passphrase-file")?;
        if !passphrase.equals(again.expose()) {
            return Err(Error::invalid("the two passphrases differ; nothing was changed"));
        }
        return Ok(passphrase);
    };
    secret_file::read_root_line(file, "passphrase")
}

/// A key file, and whether it was made: if it is not there. What has a name that is no path is never made here.
pub(crate) fn new_keyfile(file: &Path) -> Result<(SecretBytes, bool)> {
    if file.exists() || !is_path(file) {
        return Ok((secret_file::read_keyfile(file)?, false));
    }
    let key = secret_file::make_keyfile(file)?;
    eprintln!(
        "canis: made the key file {}, which opens the store: keep a copy where others cannot read it",
        file.display()
    );
    Ok((key, true))
}

/// The shares in files, one a line.
pub(crate) fn shares(files: &[PathBuf]) -> Result<Vec<Share>> {
    let mut shares = Vec::new();
    for text in share_lines(files)?.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        shares.push(Share::parse(default_provider(), text)?);
    }
    Ok(shares)
}

fn share_lines(files: &[PathBuf]) -> Result<Zeroizing<Vec<u8>>> {
    let mut lines = Zeroizing::new(Vec::new());
    for file in files {
        let text = secret_file::read_line(file, "share")?;
        text.expose().split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).for_each(|line| {
            lines.extend_from_slice(line);
            lines.push(b'\n');
        });
    }
    Ok(lines)
}

/// A recipient's public key as SubjectPublicKeyInfo.
pub(crate) fn recipient(file: &Path) -> Result<Vec<u8>> {
    match key_in(file)? {
        Checked::Public { kind: KeyType::X25519 | KeyType::MlKem768X25519, spki } => Ok(spki),
        Checked::Whole { .. } => Err(Error::invalid(format!(
            "{} holds a private key; the public one is all that is needed here, which `openssl pkey -in F -pubout` or \
             `canis root recipient-key` writes",
            file.display()
        ))),
        Checked::Public { kind, .. } => Err(no_recipient(file, kind)),
    }
}

/// A recipient's private key as PKCS#8.
pub(crate) fn recipient_key(file: &Path) -> Result<SecretBytes> {
    match key_in(file)? {
        Checked::Whole { kind: KeyType::X25519 | KeyType::MlKem768X25519, material, .. } => Ok(material),
        Checked::Public { .. } => Err(Error::invalid(format!(
            "{} holds a public key; the private one opens the store",
            file.display()
        ))),
        Checked::Whole { kind, .. } => Err(no_recipient(file, kind)),
    }
}

fn no_recipient(file: &Path, kind: KeyType) -> Error {
    Error::invalid(format!(
        "{} holds a key of type {kind}; a recipient's is hybrid, which `canis root recipient-key` makes, or X25519, which \
         `openssl genpkey -algorithm X25519` makes",
        file.display()
    ))
}

fn key_in(file: &Path) -> Result<Checked> {
    let bytes = canis_core::secret_file::read_secret(file)?;
    let mut ask =
        || prompt::ask(&format!("the passphrase of {}", file.display()), "a file without a passphrase");
    format::file::read(default_provider(), None, bytes.expose(), &mut ask)?.check(default_provider())
}

/// A credential as `root.test` and `unseal` carry it.
pub(crate) struct Carried {
    /// Of which kind it is.
    pub(crate) kind: &'static str,
    /// Its bytes.
    pub(crate) secret: SecretBytes,
    /// An HSM's module.
    pub(crate) module: String,
}

/// What the flags lead to.
pub(crate) fn carried(flags: &root_args::Credential) -> Result<Carried> {
    let of = |kind, secret| Ok(Carried { kind, secret, module: String::new() });
    if let Some(file) = &flags.passphrase_file {
        return of("passphrase", secret_file::read_root_line(file, "passphrase")?);
    }
    if let Some(file) = &flags.keyfile {
        return of("keyfile", secret_file::read_keyfile(file)?);
    }
    if let Some(file) = &flags.recipient_key {
        return of("recipient", recipient_key(file)?);
    }
    if !flags.share_file.is_empty() {
        return of("shares", SecretBytes::copied_from(&share_lines(&flags.share_file)?));
    }
    let (Some(file), Some(module)) = (&flags.hsm_pin_file, &flags.module) else {
        wrong_usage(
            "a credential is missing: --passphrase-file, --keyfile, --share-file, --recipient-key or --hsm-pin-file",
        );
    };
    let module = std::path::absolute(module).map_err(|e| Error::invalid(format!("--module: {e}")))?;
    let secret = secret_file::read_root_line(file, "PIN")?;
    Ok(Carried { kind: "hsm", secret, module: module.display().to_string() })
}

/// The same as requests that carry a share each.
pub(crate) fn carried_one_by_one(flags: &root_args::Credential) -> Result<Vec<Carried>> {
    let carried = carried(flags)?;
    if carried.kind != "shares" {
        return Ok(vec![carried]);
    }
    let lines = carried.secret.expose().split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    Ok(lines.map(share).collect())
}

/// A share, or a passphrase, as somebody types it.
pub(crate) fn typed() -> Result<Carried> {
    let typed = prompt::ask("a share, or the passphrase", "the file of a credential")?;
    Ok(match typed.expose().trim_ascii_start().starts_with(SHARE) {
        true => share(typed.expose()),
        false => Carried { kind: "passphrase", secret: typed, module: String::new() },
    })
}

/// A passphrase, or as many shares as are needed.
pub(crate) fn typed_whole() -> Result<Carried> {
    let first = typed()?;
    if first.kind != "shares" {
        return Ok(first);
    }
    let needed = Share::parse(default_provider(), first.secret.expose())?.threshold;
    let mut lines = Zeroizing::new(first.secret.expose().to_vec());
    for number in 2..=needed {
        let next = prompt::ask(&format!("share {number} of {needed}"), "--share-file")?;
        Share::parse(default_provider(), next.expose())?;
        lines.push(b'\n');
        lines.extend_from_slice(next.expose());
    }
    Ok(Carried { secret: SecretBytes::copied_from(&lines), ..first })
}

/// What the text of a share begins with.
const SHARE: &[u8] = b"canis-share:";

fn share(text: &[u8]) -> Carried {
    Carried { kind: "shares", secret: SecretBytes::copied_from(text), module: String::new() }
}
