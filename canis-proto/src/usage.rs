//! What a key may be used for.

/// A set of what a key may be used for; the bits are what records carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Usage(u8);

impl Usage {
    /// Nothing.
    pub const NONE: Usage = Usage(0);
    /// CKA_ENCRYPT.
    pub const ENCRYPT: Usage = Usage(1);
    /// CKA_DECRYPT.
    pub const DECRYPT: Usage = Usage(2);
    /// CKA_SIGN.
    pub const SIGN: Usage = Usage(4);
    /// CKA_VERIFY.
    pub const VERIFY: Usage = Usage(8);
    /// CKA_WRAP.
    pub const WRAP: Usage = Usage(16);
    /// CKA_UNWRAP.
    pub const UNWRAP: Usage = Usage(32);
    /// CKA_DERIVE.
    pub const DERIVE: Usage = Usage(64);
    /// CKA_SIGN_RECOVER and CKA_VERIFY_RECOVER.
    pub const RECOVER: Usage = Usage(128);
    /// What a public half does and no other.
    pub const PUBLIC: Usage = Usage(1 | 8 | 16);
    /// Everything.
    pub const ALL: Usage = Usage(255);

    const NAMES: [(Usage, &'static str); 8] = [
        (Usage::ENCRYPT, "encrypt"),
        (Usage::DECRYPT, "decrypt"),
        (Usage::SIGN, "sign"),
        (Usage::VERIFY, "verify"),
        (Usage::WRAP, "wrap"),
        (Usage::UNWRAP, "unwrap"),
        (Usage::DERIVE, "derive"),
        (Usage::RECOVER, "recover"),
    ];

    /// Both.
    #[must_use]
    pub const fn with(self, other: Usage) -> Usage {
        Usage(self.0 | other.0)
    }

    /// This without `other`.
    #[must_use]
    pub const fn without(self, other: Usage) -> Usage {
        Usage(self.0 & !other.0)
    }

    /// What stands in both.
    #[must_use]
    pub const fn intersect(self, other: Usage) -> Usage {
        Usage(self.0 & other.0)
    }

    /// Whether all of `other` is in it.
    #[must_use]
    pub const fn allows(self, other: Usage) -> bool {
        self.0 & other.0 == other.0
    }

    /// The bits, as records and CANISP carry them.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The usage with these bits; `None` for an unknown bit.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Usage> {
        // Every bit has a meaning; a wider number would have some that have none.
        Some(Usage(bits))
    }

    /// The one usage of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Usage> {
        Usage::NAMES.into_iter().find(|(_, known)| *known == name).map(|(usage, _)| usage)
    }

    /// The names of what it allows, in a fixed order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Usage::NAMES.into_iter().filter(move |(bit, _)| self.allows(*bit)).map(|(_, name)| name)
    }
}
