//! What goes wrong between client and server, told with the remedy.

use crate::Config;
use canis_proto::message::ServerHello;
use canis_proto::{Error, ErrorCode, Result, quote};
use rustls::{AlertDescription, CertificateError};
use std::io;
use std::time::Duration;

/// The server cannot be reached at all.
pub(crate) fn unreachable(config: &Config, error: &io::Error) -> Error {
    let addr = &config.addr;
    let message = match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            format!("cannot reach {addr}: connection refused; is canis-server running?")
        }
        io::ErrorKind::NotFound if config.socket().is_some() => {
            format!("cannot reach {addr}: there is no socket; is canis-server running on this directory?")
        }
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
            format!("cannot reach {addr}: no answer within {} s", config.connect_timeout.as_secs())
        }
        _ => format!("cannot reach {addr}: {error}"),
    };
    Error::new(ErrorCode::Unavailable, message)
}

/// The TLS handshake failed.
pub(crate) fn handshake(config: &Config, error: &io::Error) -> Error {
    let addr = &config.addr;
    let Some(tls) = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()) else {
        let why = match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
                "it closed the connection".to_owned()
            }
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
                format!(
                    "no answer within {} s; it may be at its limit of connections",
                    config.connect_timeout.as_secs()
                )
            }
            _ => error.to_string(),
        };
        return Error::new(ErrorCode::Unavailable, format!("no TLS handshake with {addr}: {why}"));
    };
    tls_handshake(config, tls)
}

fn tls_handshake(config: &Config, error: &rustls::Error) -> Error {
    let (addr, ca) = (&config.addr, &config.ca_source);
    match error {
        rustls::Error::InvalidCertificate(why) => {
            Error::new(ErrorCode::Unauthenticated, certificate(config, why))
        }
        rustls::Error::InvalidMessage(_) => Error::new(
            ErrorCode::ProtocolError,
            format!("what listens at {addr} does not speak TLS; is this the port of canis-server?"),
        ),
        rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol)
        | rustls::Error::NoApplicationProtocol => Error::new(
            ErrorCode::ProtocolError,
            format!("what listens at {addr} speaks TLS but not CANISP; is this the port of canis-server?"),
        ),
        rustls::Error::PeerIncompatible(_)
        | rustls::Error::AlertReceived(AlertDescription::ProtocolVersion) => {
            Error::new(ErrorCode::ProtocolError, format!("what listens at {addr} does not speak TLS 1.3"))
        }
        _ => Error::new(ErrorCode::Unavailable, format!("no TLS handshake with {addr} (CA {ca}): {error}")),
    }
}

fn certificate(config: &Config, why: &CertificateError) -> String {
    let ca = &config.ca_source;
    match why {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => format!(
            "the server's certificate is not signed by the CA in {ca}; use the ca.pem of this server's data directory"
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => format!(
            "the server's certificate is not for `{}`; connect by a name it holds, or give it this one with \
             `canis tls renew --tls-name` on its host",
            quote(config.expected_name())
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the server's certificate has expired; `canis tls renew` on its host makes a new one".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the server's certificate is not valid yet; do the clocks agree?".to_owned()
        }
        other => format!("the server's certificate is refused (CA {ca}): {other}"),
    }
}

/// Nothing is sent that the server would not take.
pub(crate) fn check_size(request: &[u8], server: &ServerHello) -> Result<()> {
    if request.len() <= server.max_payload as usize {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::TooLarge,
        format!(
            "a request of {} bytes is larger than the server's limit of {} bytes; send less at a time",
            request.len(),
            server.max_payload
        ),
    ))
}

/// What TLS says of a client's certificate (RFC 8446, section 6.2); it comes when the client has finished its handshake.
fn refuses_certificate(alert: AlertDescription) -> bool {
    use AlertDescription as Alert;
    matches!(
        alert,
        Alert::CertificateRequired
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::DecryptError
    )
}

/// The connection broke while frames were exchanged.
pub(crate) fn lost(config_addr: &str, error: &io::Error) -> Error {
    let tls = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
    if let Some(rustls::Error::AlertReceived(alert)) = tls
        && refuses_certificate(*alert)
    {
        let why =
            format!("the server at {config_addr} refuses this client's certificate, or wants one: {alert:?}");
        return Error::new(ErrorCode::Unauthenticated, why);
    }
    let message = match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            format!("the server at {config_addr} closed the connection")
        }
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
            format!("the server at {config_addr} did not answer in time")
        }
        _ => match tls {
            Some(rustls::Error::AlertReceived(alert)) => {
                format!("the server at {config_addr} ended the connection: TLS alert {alert:?}")
            }
            _ => format!("the connection to {config_addr} broke: {error}"),
        },
    };
    Error::new(ErrorCode::Unavailable, message)
}

/// The answer did not come in time.
pub(crate) fn late(addr: &str, limit: Duration, sent: bool) -> Error {
    let what = match sent {
        true => "did not answer",
        false => "had no room for another request",
    };
    let effect = match sent {
        true => "the operation may have happened or not",
        false => "the operation has not happened",
    };
    let limit = limit.as_millis();
    Error::new(
        ErrorCode::DeadlineExceeded,
        format!("the server at {addr} {what} within {limit} ms; {effect}"),
    )
}

/// The server does not even answer a PING.
pub(crate) fn silent(addr: &str) -> Error {
    Error::new(ErrorCode::Unavailable, format!("the server at {addr} has fallen silent"))
}

/// This side ended the connection.
pub(crate) fn closed(addr: &str) -> Error {
    Error::new(ErrorCode::Unavailable, format!("the connection to {addr} was closed by this program"))
}
