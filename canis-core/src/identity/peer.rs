//! What roles are compared with: names of certificates (RFC 5280), and users of this host.

use crate::format::certificate::Certificate;
use crate::format::certificate_names::{alternative_names, distinguished_name};
use canis_proto::Result;
use sha2::{Digest, Sha256};

/// Whose process is at the other end of a Unix socket, as the kernel says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnixPeer {
    /// The user's number.
    pub uid: u32,
    /// The number of its primary group.
    pub gid: u32,
    /// The user's name, if this host has one for it.
    pub user: Option<String>,
}

/// The names of a certificate that somebody has proved to be his own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CertificateNames {
    /// As RFC 4514 writes it, `CN=web,O=Example`; empty if it has none.
    pub(crate) subject: String,
    /// The same of who signed it.
    pub(crate) issuer: String,
    /// Its alternative names that are URIs.
    pub(crate) uris: Vec<String>,
    /// Those that are names of hosts, in small letters.
    pub(crate) dns: Vec<String>,
    /// Of the whole, DER.
    pub(crate) sha256: [u8; 32],
}

impl CertificateNames {
    /// Reads the names of a certificate, DER.
    ///
    /// # Errors
    /// `invalid_argument` for names that could be read in more than one way: no role is about those.
    pub(crate) fn of(certificate: &[u8]) -> Result<Self> {
        let read = Certificate::read(certificate)?;
        let (uris, dns) = alternative_names(&read)?;
        Ok(CertificateNames {
            subject: distinguished_name(&read.subject)?,
            issuer: distinguished_name(&read.issuer)?,
            uris,
            dns,
            sha256: Sha256::digest(&read.der).into(),
        })
    }

    /// What it is called by in the audit log.
    pub(crate) fn called(&self) -> &str {
        match (self.uris.first(), self.dns.first()) {
            (Some(uri), _) => uri,
            (None, Some(name)) if self.subject.is_empty() => name,
            _ => &self.subject,
        }
    }
}
