//! HPKE (RFC 9180) as age's post-quantum recipients use it: one message in base mode, with MLKEM768-X25519, HKDF-SHA-256 and
//! ChaCha20-Poly1305.

use super::xwing::Secret;
use aws_lc_rs::{hkdf, hmac};
use canis_proto::{Error, Result};
use zeroize::Zeroizing;

/// Key and nonce of the only message.
pub(super) struct MessageKey {
    pub(super) key: Zeroizing<[u8; 32]>,
    pub(super) nonce: [u8; 12],
}

/// "HPKE", KEM 0x647a (draft-ietf-hpke-pq), KDF 0x0001, AEAD 0x0003 (sections 5.1 and 7).
const SUITE: &[u8] = b"HPKE\x64\x7a\x00\x01\x00\x03";

const VERSION: &[u8] = b"HPKE-v1";

/// The mode without a sender's key and without a shared one (section 5).
const BASE: u8 = 0;

/// The key schedule (section 5.1). The nonce is that of message number 0, so it is the base nonce itself.
///
/// # Errors
/// `internal`.
pub(super) fn schedule(secret: &Secret, info: &[u8]) -> Result<MessageKey> {
    let extracted = |label: &[u8], what: &[u8]| {
        let unsalted = hmac::Key::new(hmac::HMAC_SHA256, b"");
        hmac::sign(&unsalted, &[VERSION, SUITE, label, what].concat())
    };
    let context =
        [&[BASE], extracted(b"psk_id_hash", b"").as_ref(), extracted(b"info_hash", info).as_ref()].concat();
    let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, &secret[..]);
    let schedule = salt.extract(&[VERSION, SUITE, b"secret"].concat());
    let mut made = MessageKey { key: Zeroizing::new([0; 32]), nonce: [0; 12] };
    expand(&schedule, b"key", &context, &mut *made.key)?;
    expand(&schedule, b"base_nonce", &context, &mut made.nonce)?;
    Ok(made)
}

/// LabeledExpand (section 4).
fn expand(from: &hkdf::Prk, label: &[u8], context: &[u8], out: &mut [u8]) -> Result<()> {
    let failed = || Error::internal("HKDF fails");
    let len = u16::try_from(out.len()).map_err(|_| failed())?.to_be_bytes();
    let info = [&len, VERSION, SUITE, label, context];
    from.expand(&info, Len(out.len())).and_then(|key| key.fill(out)).map_err(|_| failed())
}

struct Len(usize);

impl hkdf::KeyType for Len {
    fn len(&self) -> usize {
        self.0
    }
}
