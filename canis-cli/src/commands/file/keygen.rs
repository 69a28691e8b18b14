//! `canis file keygen`: a post-quantum identity of age, as its own programs write them since 1.3.

use super::ends::shown;
use crate::files;
use canis_client::file::HybridIdentity;
use canis_proto::{Error, Result};
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use zeroize::Zeroizing;

pub(super) fn run(path: &Path) -> Result<()> {
    let failed =
        |error| Error::invalid(format!("the identity cannot be written to {}: {error}", shown(path)));
    let identity = HybridIdentity::random()?;
    let recipient = identity.recipient().to_text();
    let text = Zeroizing::new(format!("# public key: {recipient}\n{}\n", *identity.to_text()));
    // Never over another identity: its files would be lost.
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    files::print(format!("{recipient}\n").as_bytes())
}
