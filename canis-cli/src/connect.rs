//! From flags and environment to a connected client.

use crate::args::Connection;
use crate::command_line::wrong_usage;
use crate::secret_file;
use canis_client::{Certificate, Client, Config, Shared};
use canis_proto::{Error, Result};
use std::fs;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// Connects to the server.
pub(crate) fn open(connection: &Connection) -> Result<Client> {
    Client::connect(&config(connection)?)
}

/// A connection to the server that threads share, made when it is first needed.
pub(crate) fn shared(connection: &Connection) -> Result<Arc<Shared>> {
    Shared::new(&config(connection)?).map(Arc::new)
}

/// Whether flags and environment say how the server proves itself.
pub(crate) fn is_configured(connection: &Connection) -> bool {
    connection.cacert.is_some() || connection.addr.starts_with("unix:")
}

fn config(connection: &Connection) -> Result<Config> {
    let mut config = Config::new(&connection.addr, Vec::new(), "");
    config.token = token(connection)?;
    config.retry_for = Duration::from_secs(connection.retry_for.seconds());
    if config.socket().is_some() {
        return Ok(config);
    }
    let Some(path) = &connection.cacert else {
        wrong_usage(
            "no CA certificate is named: set CANIS_CACERT or give --cacert (ca.pem of the server's data directory)",
        );
    };
    config.ca_pem = fs::read(path).map_err(|error| {
        Error::invalid(format!("cannot read the CA certificate {}: {error}", path.display()))
    })?;
    config.ca_source = path.display().to_string();
    config.certificate = match (&connection.client_cert, &connection.client_key) {
        (Some(chain), Some(key)) => {
            Some(Certificate::read(&chain.display().to_string(), &key.display().to_string())?)
        }
        (None, None) => None,
        _ => wrong_usage("a client certificate goes with its key: give --client-cert and --client-key"),
    };
    Ok(config)
}

fn token(connection: &Connection) -> Result<Option<Zeroizing<String>>> {
    let text = match &connection.token_file {
        Some(path) => {
            let bytes = secret_file::read_line(path, "token")?;
            let text = std::str::from_utf8(bytes.expose()).map(str::to_owned);
            Some(text.map_err(|_| Error::invalid(format!("{} holds no token", path.display())))?)
        }
        None => std::env::var("CANIS_TOKEN").ok(),
    };
    Ok(text.filter(|t| !t.is_empty()).map(Zeroizing::new))
}
