//! A private CA and the server's certificate (RFC 5280): ECDSA P-256, ten years, the CA for this one purpose.

use crate::rollback::Made;
use canis_core::datadir::DataDir;
use canis_core::format::certificate::Certificate;
use canis_core::secret::SecretBytes;
use canis_core::secret_file;
use canis_proto::{Error, ErrorCode, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType,
};
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

/// Under this name the store keeps the CA's private key.
pub(crate) const CA_KEY: &str = "tls-ca-key";

const TEN_YEARS: Duration = Duration::days(3653);
const ALWAYS: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Makes CA and certificate unless the directory has them already; gives the CA's private key (PKCS#8 PEM), which must
/// not touch the disk in plain.
pub(crate) fn provide(dir: &DataDir, names: &[String], made: &mut Made) -> Result<Option<SecretBytes>> {
    let paths = [dir.ca_path(), dir.cert_path(), dir.key_path()];
    match paths.iter().filter(|path| path.exists()).count() {
        0 => {}
        3 => return Ok(None),
        _ => {
            let absent: Vec<_> =
                paths.iter().filter(|p| !p.exists()).map(|p| p.display().to_string()).collect();
            return Err(Error::invalid(format!(
                "some TLS files are there, but not {}; put them there too, or remove the others to have all made",
                absent.join(" and ")
            )));
        }
    }
    let authority = new_key()?;
    let authority_pem = SecretBytes::taken_from(authority.serialize_pem().into_bytes());
    let authority_params = authority_params();
    let ca = authority_params.self_signed(&authority).map_err(failed)?;
    let server_key = new_key()?;
    let certificate = server_params(names.to_vec(), TEN_YEARS)?
        .signed_by(&server_key, &Issuer::from_params(&authority_params, &authority))
        .map_err(failed)?;
    made.write(&dir.ca_path(), ca.pem().as_bytes(), 0o644)?;
    made.write(&dir.cert_path(), certificate.pem().as_bytes(), 0o644)?;
    made.write(&dir.key_path(), Zeroizing::new(server_key.serialize_pem()).as_bytes(), 0o600)?;
    Ok(Some(authority_pem))
}

/// A server's certificate that is to be renewed: what of it is in the data directory.
pub(crate) struct Renewal {
    authority: Certificate,
    current: Certificate,
    key: KeyPair,
}

/// A certificate that was made.
pub(crate) struct Renewed {
    pub(crate) pem: String,
    pub(crate) names: Vec<String>,
    /// In seconds since 1970.
    pub(crate) ends_at: i64,
}

impl Renewal {
    /// What is there; refused where somebody else's CA signed the server's certificate.
    pub(crate) fn of(dir: &DataDir) -> Result<Self> {
        let (authority, current) = (read(&dir.ca_path())?, read(&dir.cert_path())?);
        if current.issuer != authority.subject {
            return Err(others());
        }
        let pem = secret_file::read_secret(&dir.key_path())?;
        let key = std::str::from_utf8(pem.expose()).ok().and_then(|pem| KeyPair::from_pem(pem).ok());
        match key.filter(|key| current.certifies(&key.subject_public_key_info())) {
            Some(key) => Ok(Renewal { authority, current, key }),
            None => Err(Error::invalid(format!(
                "{} is not the key of {}; put the right one there",
                dir.key_path().display(),
                dir.cert_path().display()
            ))),
        }
    }

    /// Has it signed by the CA whose key the store keeps, PKCS#8 PEM, if that is the CA that clients trust.
    pub(crate) fn make(
        &self,
        authority: Option<&SecretBytes>,
        names: &[String],
        days: u16,
    ) -> Result<Renewed> {
        let pem = authority.and_then(|pem| std::str::from_utf8(pem.expose()).ok()).ok_or_else(others)?;
        let authority = KeyPair::from_pem(pem).map_err(failed)?;
        if !self.authority.certifies(&authority.subject_public_key_info()) {
            return Err(others());
        }
        let names = if names.is_empty() { self.current.server_names()? } else { names.to_vec() };
        let mut params = server_params(names, Duration::days(days.into()))?;
        let last = i64::try_from(self.authority.ends_at()?).map_err(|_| others())?;
        let last = OffsetDateTime::from_unix_timestamp(last).map_err(|_| others())?;
        params.not_after = params.not_after.min(last);
        if params.not_after <= OffsetDateTime::now_utc() {
            return Err(Error::new(
                ErrorCode::OperationNotAllowed,
                "the CA itself has ended; put ca.pem, server.pem and server.key of another CA in place (docs/installation.md)",
            ));
        }
        let names = params.subject_alt_names.iter().map(shown).collect();
        let ends_at = params.not_after.unix_timestamp();
        let certificate = params
            .signed_by(&self.key, &Issuer::from_params(&authority_params(), &authority))
            .map_err(failed)?;
        Ok(Renewed { pem: certificate.pem(), names, ends_at })
    }
}

fn shown(name: &SanType) -> String {
    match name {
        SanType::DnsName(name) => name.to_string(),
        SanType::IpAddress(address) => address.to_string(),
        other => format!("{other:?}"),
    }
}

fn read(path: &Path) -> Result<Certificate> {
    let named = |why: String| Error::invalid(format!("{}: {why}", path.display()));
    let bytes = std::fs::read(path).map_err(|error| named(error.to_string()))?;
    Certificate::read(&bytes).map_err(|error| named(error.message))
}

/// The server's certificate is not of the CA that `canis init` made.
fn others() -> Error {
    Error::new(
        ErrorCode::OperationNotAllowed,
        "the server's certificate is not of the CA that `canis init` made, so this store cannot renew it; have its own CA sign \
         another one, put server.pem and server.key (and ca.pem, for clients) in place, and `systemctl reload canis-server`",
    )
}

/// Replaces a file that everybody may read, whole or not at all.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |error: std::io::Error| Error::invalid(format!("cannot write {}: {error}", path.display()));
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".canis-").tempfile_in(folder).map_err(failed)?;
    let written = file.write_all(bytes).and_then(|()| {
        file.as_file().set_permissions(Permissions::from_mode(0o644))?;
        file.as_file().sync_all()
    });
    written.and_then(|()| file.persist(path).map_err(|error| error.error)).map(drop).map_err(failed)
}

fn new_key() -> Result<KeyPair> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)
}

fn authority_params() -> CertificateParams {
    let mut params = valid_from_now(CertificateParams::default(), TEN_YEARS);
    params.distinguished_name.push(DnType::CommonName, "CANIS private CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn server_params(names: Vec<String>, span: Duration) -> Result<CertificateParams> {
    let mut all: Vec<String> = ALWAYS.iter().map(|name| (*name).to_owned()).collect();
    all.extend(names.into_iter().filter(|name| !ALWAYS.contains(&name.as_str())));
    let params = CertificateParams::new(all)
        .map_err(|error| Error::invalid(format!("a --tls-name is no DNS name or IP address: {error}")))?;
    let mut params = valid_from_now(params, span);
    params.distinguished_name.push(DnType::CommonName, "canis-server");
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// An hour is left for clocks that disagree.
fn valid_from_now(mut params: CertificateParams, span: Duration) -> CertificateParams {
    params.not_before = OffsetDateTime::now_utc() - Duration::HOUR;
    params.not_after = params.not_before + span;
    params
}

fn failed(error: rcgen::Error) -> Error {
    Error::internal(format!("cannot make certificates: {error}"))
}
