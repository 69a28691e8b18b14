//! RSA keys alone, PKCS#1 (RFC 8017, appendix A.1): what OpenSSL wrote before 3.0 and `-traditional` still does.

use super::Given;
use crate::crypto::private_parts::{PrivateParts, RsaParts};
use crate::crypto::public_parts::PublicParts;
use canis_proto::Result;

/// Reads RSAPrivateKey DER.
pub(super) fn decode(der: &[u8]) -> Result<Given> {
    RsaParts::of_pkcs1(der).map(|parts| Given::alone(PrivateParts::Rsa(parts)))
}

/// Reads RSAPublicKey DER.
pub(super) fn decode_public(der: &[u8]) -> Result<Given> {
    PublicParts::of_rsa_public(der).map(Given::Public)
}
