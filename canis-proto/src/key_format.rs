//! The forms in which key material crosses CANISP.

use crate::{Error, Result};
use std::fmt;
use std::str::FromStr;

macro_rules! formats {
    ($($(#[doc = $doc:literal])+ $variant:ident, $name:literal;)+) => {
        /// A form of key material. None of them is encrypted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum KeyFormat { $($(#[doc = $doc])+ $variant,)+ }

        impl KeyFormat {
            /// Every format.
            pub const ALL: &'static [KeyFormat] = &[$(KeyFormat::$variant,)+];

            /// The name users write.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(KeyFormat::$variant => $name,)+ }
            }
        }
    };
}

formats! {
    /// The key's bytes: AES keys and generic secrets, seeds of Ed25519 and X25519.
    Raw, "raw";
    /// PrivateKeyInfo DER (RFC 5958): every private key.
    Pkcs8, "pkcs8";
    /// RSAPrivateKey DER (RFC 8017, appendix A.1.2).
    Pkcs1, "pkcs1";
    /// ECPrivateKey DER (RFC 5915).
    Sec1, "sec1";
    /// A JSON Web Key (RFC 7517): every key, private or public.
    Jwk, "jwk";
    /// The inside of an OPENSSH PRIVATE KEY.
    OpenSsh, "openssh";
    /// SubjectPublicKeyInfo DER (RFC 5280, section 4.1): every public key.
    Spki, "spki";
}

impl fmt::Display for KeyFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for KeyFormat {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        KeyFormat::ALL.iter().copied().find(|format| format.name() == text).ok_or_else(|| {
            let known: Vec<_> = KeyFormat::ALL.iter().map(|format| format.name()).collect();
            Error::invalid(format!(
                "unknown key format `{}`; the formats are {}",
                crate::quote(text),
                known.join(", ")
            ))
        })
    }
}
