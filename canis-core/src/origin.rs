//! Where a caller came from: what the program that holds the core has seen of it, never what the caller says.

use crate::policy::Source;

/// By which door somebody came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// CANISP over TLS.
    Canisp,
    /// CANISP over the Unix socket of the data directory.
    Socket,
    /// HTTP over TLS.
    Http,
    /// The PKCS#11 module with the store in its host's process.
    Pkcs11,
    /// The PKCS#11 module at a server.
    Pkcs11Remote,
    /// The `canis` program with the store in its own process.
    Program,
    /// Nobody's: the keeper's own timers and its start and end.
    Own,
}

impl Door {
    /// Its name in the audit log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Door::Canisp => "canisp",
            Door::Socket => "socket",
            Door::Http => "http",
            Door::Pkcs11 => "pkcs11",
            Door::Pkcs11Remote => "pkcs11-remote",
            Door::Program => "program",
            Door::Own => "own",
        }
    }
}

/// A door, and who stands before it as far as the network or the kernel says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The door.
    pub door: Door,
    /// The address that it came from, or that it came from this machine.
    pub source: Source,
    /// The number of the Unix user, where the kernel says it.
    pub user: Option<u32>,
}

impl Origin {
    /// The keeper itself.
    pub const OWN: Origin = Origin { door: Door::Own, source: Source::Local, user: None };

    /// A user of this machine.
    #[must_use]
    pub const fn local(door: Door, user: u32) -> Self {
        Origin { door, source: Source::Local, user: Some(user) }
    }
}

/// How a caller has proved who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Not at all.
    Nothing,
    /// By a bearer token.
    Token,
    /// By a client certificate.
    Certificate,
    /// By a JSON Web Token of an issuer that the server was told of.
    Jwt,
    /// By being a user of this host that a role is about.
    Peer,
    /// By being the Unix user that the store belongs to, or root.
    User,
    /// By a credential that opened the store's root in its own process.
    Root,
    /// By PINs, as far as it is logged in.
    Pin,
    /// It is the keeper itself.
    Own,
}

impl Proof {
    /// Its name in the audit log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Proof::Nothing => "nothing",
            Proof::Token => "token",
            Proof::Certificate => "certificate",
            Proof::Jwt => "jwt",
            Proof::Peer => "peer",
            Proof::User => "user",
            Proof::Root => "root",
            Proof::Pin => "pin",
            Proof::Own => "own",
        }
    }
}
