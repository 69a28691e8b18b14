//! HELLO, the first frame of each side.

use crate::fields::Fields;
use crate::value::Map;
use crate::{Error, Result};
use std::borrow::Cow;

/// The length of an application's secret, in bytes.
pub const APPLICATION: usize = 32;

/// The client's HELLO.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ClientHello<'a> {
    /// The program and its version.
    pub client: Cow<'a, str>,
    /// The bearer token; without one only `status` is answered.
    pub token: Option<Cow<'a, str>>,
    /// The secret of the PKCS#11 application whose logins and session objects outlive its connections
    /// ([`APPLICATION`] bytes).
    pub application: Option<Cow<'a, [u8]>>,
}

impl<'a> ClientHello<'a> {
    /// The payload.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Map::new()
            .with("client", self.client.as_ref())
            .with_some("token", self.token.as_deref())
            .with_some("application", self.application.as_deref())
            .encode()
    }

    /// Reads the payload.
    ///
    /// # Errors
    /// `protocol_error` or `invalid_argument`.
    pub fn decode(payload: &'a [u8]) -> Result<Self> {
        let mut fields = Fields::new("HELLO", Map::decode(payload)?);
        let hello = ClientHello {
            client: fields.required("client")?,
            token: fields.optional("token")?,
            application: fields.optional("application")?,
        };
        if hello.application.as_ref().is_some_and(|secret| secret.len() != APPLICATION) {
            return Err(Error::invalid(format!("the secret of an application has {APPLICATION} bytes")));
        }
        fields.ignore_rest();
        Ok(hello)
    }
}

/// The server's HELLO.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerHello {
    /// The program and its version.
    pub server: String,
    /// The largest payload it accepts, in bytes.
    pub max_payload: u32,
    /// How many requests of one connection it works on at a time; more wait.
    pub max_in_flight: u32,
    /// How many streams of one connection it holds at a time; more are refused. 0 if it has none.
    pub max_streams: u32,
    /// Whether the application that the client named was there already; missing if it named none.
    pub resumed: Option<bool>,
}

impl ServerHello {
    /// The payload.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Map::new()
            .with("server", self.server.as_str())
            .with("max_payload", self.max_payload)
            .with("max_in_flight", self.max_in_flight)
            .with("max_streams", self.max_streams)
            .with_some("resumed", self.resumed)
            .encode()
    }

    /// Reads the payload.
    ///
    /// # Errors
    /// `protocol_error` or `invalid_argument`.
    pub fn decode(payload: &[u8]) -> Result<Self> {
        let mut fields = Fields::new("HELLO", Map::decode(payload)?);
        let hello = ServerHello {
            server: fields.required("server")?,
            max_payload: fields.required("max_payload")?,
            max_in_flight: fields.required("max_in_flight")?,
            max_streams: fields.optional("max_streams")?.unwrap_or_default(),
            resumed: fields.optional("resumed")?,
        };
        fields.ignore_rest();
        Ok(hello)
    }
}
