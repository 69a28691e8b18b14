//! What callers can be granted: capabilities, one or more of which each operation takes.

use crate::Error;
use std::fmt;

/// What a policy can grant on a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Capability {
    /// Make keys and objects.
    Create = 0,
    /// See metadata and public keys.
    Read = 1,
    /// Change configuration and attributes.
    Update = 2,
    /// Disable and destroy.
    Delete = 3,
    /// Encrypt.
    Encrypt = 4,
    /// Decrypt.
    Decrypt = 5,
    /// Sign.
    Sign = 6,
    /// Verify.
    Verify = 7,
    /// Rotate keys.
    Rotate = 8,
    /// Let key material out, wrapped or plain.
    Export = 9,
    /// Bring key material in.
    Import = 10,
    /// List names.
    List = 11,
    /// Tenants, PINs and the store itself.
    Admin = 12,
    /// Approve what others ask for.
    Approve = 13,
}

impl Capability {
    /// Every capability.
    pub const ALL: [Capability; 14] = [
        Capability::Create,
        Capability::Read,
        Capability::Update,
        Capability::Delete,
        Capability::Encrypt,
        Capability::Decrypt,
        Capability::Sign,
        Capability::Verify,
        Capability::Rotate,
        Capability::Export,
        Capability::Import,
        Capability::List,
        Capability::Admin,
        Capability::Approve,
    ];

    /// The capability of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Capability> {
        Capability::ALL.into_iter().find(|capability| capability.name() == name)
    }

    /// The name policies use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Capability::Create => "create",
            Capability::Read => "read",
            Capability::Update => "update",
            Capability::Delete => "delete",
            Capability::Encrypt => "encrypt",
            Capability::Decrypt => "decrypt",
            Capability::Sign => "sign",
            Capability::Verify => "verify",
            Capability::Rotate => "rotate",
            Capability::Export => "export",
            Capability::Import => "import",
            Capability::List => "list",
            Capability::Admin => "admin",
            Capability::Approve => "approve",
        }
    }
}

impl std::str::FromStr for Capability {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Capability::from_name(name)
            .ok_or_else(|| Error::invalid(format!("`{}` is no capability", crate::quote(name))))
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of capabilities; the bits are what records carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Capabilities(u16);

impl Capabilities {
    /// None.
    pub const NONE: Capabilities = Capabilities(0);
    /// All of them.
    pub const ALL: Capabilities = Capabilities((1 << Capability::ALL.len()) - 1);

    /// This and `capability`.
    #[must_use]
    pub const fn with(self, capability: Capability) -> Self {
        Capabilities(self.0 | 1 << capability as u8)
    }

    /// This and what is in `others`.
    #[must_use]
    pub const fn and(self, others: Capabilities) -> Self {
        Capabilities(self.0 | others.0)
    }

    /// Whether `capability` is in it.
    #[must_use]
    pub const fn allows(self, capability: Capability) -> bool {
        self.0 & 1 << capability as u8 != 0
    }

    /// Whether `other` holds nothing that is not in it.
    #[must_use]
    pub const fn covers(self, other: Capabilities) -> bool {
        other.0 & !self.0 == 0
    }

    /// The bits.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// The set with these bits; unknown ones grant nothing.
    #[must_use]
    pub const fn from_bits(bits: u16) -> Self {
        Capabilities(bits & Capabilities::ALL.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_hold_what_was_put_in() {
        assert!(
            Capability::ALL.iter().all(|c| Capabilities::ALL.allows(*c) && !Capabilities::NONE.allows(*c))
        );
    }
}
