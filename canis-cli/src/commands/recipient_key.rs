//! `canis root recipient-key`: a hybrid key pair for a recipient, made on this machine; no store and no server has a part in it.

use crate::files::{self, Readers};
use crate::root_args::RecipientKey;
use crate::{secret_file, show};
use canis_core::default_provider;
use canis_core::format::{self, pbes2, pem};
use canis_proto::{Error, KeyType, Result};
use serde_json::json;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use zeroize::Zeroizing;

const KIND: KeyType = KeyType::MlKem768X25519;

pub(super) fn run(args: &RecipientKey, json: bool) -> Result<()> {
    let provider = default_provider();
    let passphrase =
        args.passphrase_file.as_ref().map(|path| secret_file::read_line(path, "passphrase")).transpose()?;
    let key = provider.keys.generate(KIND)?;
    let spki = provider.keys.private(KIND, key.expose())?.public_spki().to_vec();
    let text = match &passphrase {
        Some(passphrase) => {
            let sealed = pbes2::seal(provider, key.expose(), passphrase.expose())?;
            pem::encode("ENCRYPTED PRIVATE KEY", &sealed)
        }
        None => pem::encode("PRIVATE KEY", key.expose()),
    };
    write_new(&args.out, &Zeroizing::new(text.as_bytes().to_vec()))?;
    let public = format::public::to_pem(&spki);
    if let Some(path) = &args.public_key {
        files::write(path, public.as_bytes(), Readers::Umask)?;
    }
    if json {
        return show::json(&json!({"type": KIND.name(), "public_key": public}));
    }
    if args.public_key.is_none() { files::print(public.as_bytes()) } else { Ok(()) }
}

/// A file that was not there, for its owner alone: a key that opens a store is not written over.
fn write_new(path: &Path, text: &[u8]) -> Result<()> {
    let failed = |error: std::io::Error| Error::invalid(format!("cannot write {}: {error}", path.display()));
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    file.write_all(text).and_then(|()| file.sync_all()).map_err(failed)
}
