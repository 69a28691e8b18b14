//! What callers choose by name: hash functions, forms of signatures, derivations.

use crate::{Error, Result};
use std::fmt;
use std::str::FromStr;

macro_rules! names {
    ($(#[doc = $doc:literal])+ $type:ident, $what:literal { $($(#[doc = $vdoc:literal])+ $variant:ident, $name:literal;)+ }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
        pub enum $type { #[default] $($(#[doc = $vdoc])+ $variant,)+ }

        impl $type {
            /// Every one of them; the first is the default.
            pub const ALL: &'static [$type] = &[$($type::$variant,)+];

            /// The name users write.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $($type::$variant => $name,)+ }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }

        impl FromStr for $type {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                $type::ALL.iter().copied().find(|one| one.name() == text).ok_or_else(|| {
                    let known: Vec<_> = $type::ALL.iter().map(|one| one.name()).collect();
                    let shown = crate::quote(text);
                    Error::invalid(format!("unknown {} `{shown}`; there are {}", $what, known.join(", ")))
                })
            }
        }
    };
}

names! {
    /// A hash function (FIPS 180-4, FIPS 202).
    HashName, "hash" {
        /// SHA-256.
        Sha256, "sha256";
        /// SHA-384.
        Sha384, "sha384";
        /// SHA-512.
        Sha512, "sha512";
        /// SHA3-256.
        Sha3_256, "sha3-256";
        /// SHA3-384.
        Sha3_384, "sha3-384";
        /// SHA3-512.
        Sha3_512, "sha3-512";
    }
}

names! {
    /// How an ECDSA signature is written. Those of other families have one form.
    SignatureForm, "form of signatures" {
        /// A DER sequence of r and s (RFC 3279, section 2.2.3), as X.509, TLS and openssl have it.
        Der, "der";
        /// r and s one after the other, each as long as the field (RFC 7518, section 3.4), as JWS has it.
        Jws, "jws";
    }
}

names! {
    /// What `derive` does with the secret that two keys share.
    AgreementKdf, "derivation" {
        /// HKDF (RFC 5869).
        Hkdf, "hkdf";
        /// Nothing: the shared secret itself, for derivations of other protocols. Not fit to be used as a key.
        Raw, "raw";
    }
}

names! {
    /// What of a token's objects may be seen by everybody.
    PublicObject, "kind of public object" {
        /// A public key, as SubjectPublicKeyInfo.
        PublicKey, "public-key";
        /// An X.509 certificate.
        Certificate, "certificate";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_resolve() {
        HashName::ALL.iter().for_each(|one| assert_eq!(one.name().parse(), Ok(*one)));
        SignatureForm::ALL.iter().for_each(|one| assert_eq!(one.name().parse(), Ok(*one)));
        AgreementKdf::ALL.iter().for_each(|one| assert_eq!(one.name().parse(), Ok(*one)));
        assert!("sha1".parse::<HashName>().unwrap_err().message.contains("sha256"));
    }
}
