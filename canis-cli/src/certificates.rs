//! A private CA and the server's certificate (RFC 5280): ECDSA P-256, ten years, the CA for this one purpose.

use crate::rollback::Made;
use canis_core::datadir::DataDir;
use canis_core::secret::SecretBytes;
use canis_proto::{Error, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

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
    let certificate = server_params(names)?
        .signed_by(&server_key, &Issuer::from_params(&authority_params, &authority))
        .map_err(failed)?;
    made.write(&dir.ca_path(), ca.pem().as_bytes(), 0o644)?;
    made.write(&dir.cert_path(), certificate.pem().as_bytes(), 0o644)?;
    made.write(&dir.key_path(), Zeroizing::new(server_key.serialize_pem()).as_bytes(), 0o600)?;
    Ok(Some(authority_pem))
}

fn new_key() -> Result<KeyPair> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)
}

fn authority_params() -> CertificateParams {
    let mut params = valid_from_now(CertificateParams::default());
    params.distinguished_name.push(DnType::CommonName, "CANIS private CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn server_params(names: &[String]) -> Result<CertificateParams> {
    let mut all: Vec<String> = ALWAYS.iter().map(|name| (*name).to_owned()).collect();
    all.extend(names.iter().filter(|name| !ALWAYS.contains(&name.as_str())).cloned());
    let params = CertificateParams::new(all)
        .map_err(|error| Error::invalid(format!("a --tls-name is no DNS name or IP address: {error}")))?;
    let mut params = valid_from_now(params);
    params.distinguished_name.push(DnType::CommonName, "canis-server");
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// An hour is left for clocks that disagree.
fn valid_from_now(mut params: CertificateParams) -> CertificateParams {
    params.not_before = OffsetDateTime::now_utc() - Duration::HOUR;
    params.not_after = params.not_before + TEN_YEARS;
    params
}

fn failed(error: rcgen::Error) -> Error {
    Error::internal(format!("cannot make certificates: {error}"))
}
