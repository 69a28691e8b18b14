//! `canis import pkcs12`: the private key in a PKCS#12 file. What else is in it is named, and certificates are written
//! beside on request, so that nothing is lost unseen.

use super::transfer::{self, Material};
use crate::args::Connection;
use crate::files::{self, Readers};
use crate::transfer_args::ImportPkcs12;
use canis_core::default_provider;
use canis_core::format::pkcs12::{self, Contents, NamedKey};
use canis_core::format::{self, pem};
use canis_proto::{Error, KeyFormat, KeyType, Result, quote};

pub(crate) fn run(connection: &Connection, args: &ImportPkcs12, json: bool) -> Result<()> {
    let bytes = files::read(Some(&args.file.file))?;
    let mut ask = || transfer::ask(&args.file.passphrase);
    let contents = pkcs12::read(default_provider(), &bytes, &mut ask)?;
    let key = chosen(&contents.keys, args.alias.as_deref())?;
    // Only raw keys need a type named.
    let given = format::decode(KeyFormat::Pkcs8, KeyType::Aes256, key.pkcs8.expose())?;
    let material = Material::checked(given, None)?;
    if let Some(out) = &args.certificates {
        let text: Vec<_> = contents.certificates.iter().map(|der| pem::encode("CERTIFICATE", der)).collect();
        files::write(
            out,
            text.iter().map(|one| one.as_str()).collect::<String>().as_bytes(),
            Readers::Umask,
        )?;
    }
    transfer::keep(connection, &args.file, &material, json)?;
    let left = left_behind(&contents, args.certificates.is_some());
    if !left.is_empty() {
        eprintln!("canis: left in the file: {}", left.join(", "));
    }
    Ok(())
}

/// The key of that name, or the only one.
fn chosen<'a>(keys: &'a [NamedKey], alias: Option<&str>) -> Result<&'a NamedKey> {
    let known = |key: &NamedKey| format!("`{}`", quote(key.name.as_deref().unwrap_or_default()));
    let mut fitting = keys.iter().filter(|key| alias.is_none() || key.name.as_deref() == alias);
    match (fitting.next(), fitting.next()) {
        (Some(key), None) => Ok(key),
        _ if keys.is_empty() => Err(Error::invalid("the PKCS#12 file holds no private key")),
        _ => {
            let names: Vec<String> = keys.iter().map(known).collect();
            let names = names.join(", ");
            Err(Error::invalid(format!("say by --alias which private key is meant; the file holds {names}")))
        }
    }
}

fn left_behind(contents: &Contents, certificates_written: bool) -> Vec<String> {
    let certificates = if certificates_written { 0 } else { contents.certificates.len() };
    let counted = [
        (contents.keys.len() - 1, "private keys (--alias takes another)"),
        (certificates, "certificates (--certificates FILE writes them)"),
        (contents.secret_keys, "secret keys of Java"),
        (contents.others, "other things"),
    ];
    let left = counted.into_iter().filter(|(count, _)| *count > 0);
    left.map(|(count, what)| format!("{count} {what}")).collect()
}
