//! New roots on their way into a store.

use crate::{files, show};
use canis_core::default_provider;
use canis_core::root::Split;
use canis_core::secret::SecretBytes;
use canis_proto::root::{AddRoot, RotateRoot};
use canis_proto::{Error, Id, Result};
use serde_json::json;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A new root, ready to be asked for.
pub(crate) struct Made {
    pub(crate) kind: &'static str,
    pub(crate) secret: SecretBytes,
    pub(crate) public_key: Vec<u8>,
    pub(crate) split: Option<Split>,
    pub(crate) module: String,
    pub(crate) token: String,
    pub(crate) key_label: String,
    pub(crate) mechanism: String,
}

impl Made {
    /// Of a kind that this is all of; the rest is filled in.
    pub(crate) fn of(kind: &'static str, secret: SecretBytes) -> Self {
        Made {
            kind,
            secret,
            public_key: Vec::new(),
            split: None,
            module: String::new(),
            token: String::new(),
            key_label: String::new(),
            mechanism: String::new(),
        }
    }

    /// The request that adds it.
    pub(crate) fn to_add(&self) -> AddRoot<'_> {
        let split = self.split.as_ref();
        AddRoot {
            kind: self.kind.into(),
            secret: self.secret.expose().into(),
            public_key: self.public_key.as_slice().into(),
            split: split.map(|split| split.split.0.to_vec()).unwrap_or_default().into(),
            threshold: split.map_or(0, |split| split.threshold.into()),
            hashes: split.map(|split| split.hashes.concat()).unwrap_or_default().into(),
            module: self.module.as_str().into(),
            token: self.token.as_str().into(),
            key_label: self.key_label.as_str().into(),
            mechanism: self.mechanism.as_str().into(),
        }
    }

    /// The request that puts it into a slot of its kind.
    pub(crate) fn to_rotate<'a>(&'a self, slot: &'a str) -> RotateRoot<'a> {
        let AddRoot {
            kind,
            secret,
            public_key,
            split,
            threshold,
            hashes,
            module,
            token,
            key_label,
            mechanism,
        } = self.to_add();
        let slot = slot.into();
        RotateRoot {
            slot,
            kind,
            secret,
            public_key,
            split,
            threshold,
            hashes,
            module,
            token,
            key_label,
            mechanism,
        }
    }

    /// Shares of a new secret for the store of this id. They are dealt here, so that whoever is to hand them out has them
    /// before the store opens by them: an answer that is lost on its way loses no share.
    pub(crate) fn shares(store: &str, threshold: u8, count: u8) -> Result<Self> {
        let store = Id::parse(store).ok_or_else(|| Error::internal("the store's id is none"))?;
        let split = Split::deal(default_provider(), store, threshold, count)?;
        let secret = SecretBytes::copied_from(split.secret.expose());
        Ok(Made { split: Some(split), ..Made::of("shares", secret) })
    }

    /// Writes its shares into files of `out_dir`, or shows them.
    pub(crate) fn hand_out(&self, out_dir: Option<&Path>, json: bool) -> Result<()> {
        let shares = self.split.iter().flat_map(|split| &split.shares);
        let texts: Vec<SecretBytes> = shares.map(|share| share.to_text(default_provider())).collect();
        if let Some(dir) = out_dir {
            let path = |number: usize| dir.join(format!("share-{number}.txt"));
            return (1..).zip(&texts).try_for_each(|(number, text)| write_share(&path(number), text));
        }
        eprintln!("canis: one line for each person; they are shown this once. Void if an error follows.");
        if json {
            let texts: Vec<_> = texts.iter().map(|text| String::from_utf8_lossy(text.expose())).collect();
            return show::json(&json!({"shares": texts}));
        }
        texts.iter().try_for_each(|text| files::print(&[text.expose(), b"\n"].concat()))
    }
}

fn write_share(path: &Path, text: &SecretBytes) -> Result<()> {
    let failed = |error: std::io::Error| Error::invalid(format!("cannot write {}: {error}", path.display()));
    let file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(path);
    let mut file = file.map_err(failed)?;
    file.write_all(text.expose())
        .and_then(|()| file.write_all(b"\n"))
        .and_then(|()| file.sync_all())
        .map_err(failed)
}
