//! JSON Web Tokens (RFC 7519) of issuers whose keys this server was given: strict, by RFC 8725, and by the provider's
//! cryptography. Who is let in by one, roles say (`identity`).

mod issuer;
mod json;
mod token;

pub use issuer::Issuer;
pub(crate) use issuer::Issuers;
pub(crate) use token::{Claims, looks_like_jwt, value_texts};
