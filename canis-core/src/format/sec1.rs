//! Private keys on elliptic curves alone, ECPrivateKey (SEC 1, section C.4; RFC 5915): what `openssl ecparam -genkey`
//! writes.

use super::Given;
use crate::crypto::private_info::ec_private_key;
use crate::crypto::private_parts::PrivateParts;
use crate::crypto::public_parts::curve_of;
use crate::crypto::refusal::bad_private_key;
use canis_proto::{Family, KeyType, Result};

/// Reads ECPrivateKey DER. The curve is the one it names; without a name it is `outer`, the one that stands around it.
pub(super) fn decode(outer: Option<KeyType>, der: &[u8]) -> Result<Given> {
    let key = ec_private_key(der)?;
    if key.version != 1 {
        return Err(bad_private_key("its version is not 1"));
    }
    let named = key.parameters.map(curve_of).transpose()?;
    let outer = outer.filter(|kind| kind.family() == Family::Ec);
    let curve = named.or(outer).ok_or_else(|| bad_private_key("its curve is not named"))?;
    let scalar = key.private_key.as_bytes();
    // RFC 5915, section 3: as long as the order of the curve. OpenSSL once wrote them shorter.
    if scalar.len() > curve.bytes() {
        return Err(bad_private_key("its scalar is longer than the field of its curve"));
    }
    let point = match key.public_key {
        None => None,
        Some(bits) => {
            Some(bits.as_bytes().ok_or_else(|| bad_private_key("its public half is no octets"))?.to_vec())
        }
    };
    Ok(Given::Private { parts: PrivateParts::Ec { curve, scalar: scalar.to_vec().into() }, point })
}
