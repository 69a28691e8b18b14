//! Whom a server takes as clients, as canis.toml says it.

use crate::Issuer;
use canis_proto::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Whose JSON Web Tokens a server takes, and where the issuer's keys are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerSource {
    /// What its tokens say in `iss`, exactly.
    pub issuer: String,
    /// Its JWK Set.
    pub jwks: PathBuf,
}

impl IssuerSource {
    /// Reads the keys.
    ///
    /// # Errors
    /// `invalid_argument` naming the file.
    pub fn read(&self) -> Result<Issuer> {
        let keys = std::fs::read(&self.jwks)
            .map_err(|error| Error::invalid(format!("cannot read {}: {error}", self.jwks.display())))?;
        Ok(Issuer { name: self.issuer.clone(), keys })
    }
}

/// What a server asks of its clients in the TLS handshake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// The CAs that sign client certificates, PEM.
    pub client_ca: PathBuf,
    /// Whether clients without one are refused.
    #[serde(default)]
    pub require_client_certificate: bool,
}
