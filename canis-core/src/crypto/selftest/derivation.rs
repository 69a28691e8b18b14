//! Derivation of keys.

use super::hex;
use crate::crypto::derive::{Field, Width};
use crate::crypto::{Hash, Provider, derive};
use canis_proto::Result;

/// RFC 5869, appendix A.1.
pub(super) fn hkdf(provider: &'static Provider) -> Result<bool> {
    const SALT: [u8; 13] = hex("000102030405060708090a0b0c");
    const INFO: [u8; 10] = hex("f0f1f2f3f4f5f6f7f8f9");
    const ANSWER: [u8; 42] =
        hex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
    let mut out = [0; 42];
    provider.kdf.hkdf_sha256(&[0x0b; 22], &SALT, &INFO, &mut out)?;
    Ok(out == ANSWER)
}

/// RFC 6070 (one iteration), and NIST CAVP's for SP 800-108 in counter mode and ANS X9.63.
pub(super) fn others(provider: &'static Provider) -> Result<bool> {
    const PBKDF2: [u8; 20] = hex("0c60c80f961f0e71f3a9b524af6012062fe037a6");
    const KEY: [u8; 32] = hex("dd1d91b7d90b2bd3138533ce92b272fbf8a369316aefe242e659cc0ae238afe0");
    const FIXED: [u8; 60] = hex(concat!(
        "01322b96b30acd197979444e468e1c5c6859bf1b1cf951b7e725303e237e46b8",
        "64a145fab25e517b08f8683d0315bb2911d80a0e8aba17f3b413faac",
    ));
    const COUNTER: [u8; 16] = hex("10621342bfb0fd40046c0e29f2cfdbf0");
    const SHARED: [u8; 24] = hex("96c05619d56c328ab95fe84b18264b08725b85e33fd34f08");
    const X963: [u8; 16] = hex("443024c3dae66b95e6f5670601558f71");
    let (mut first, mut second, mut third) = ([0; 20], [0; 16], [0; 16]);
    provider.kdf.pbkdf2(Hash::Sha1, b"password", b"salt", 1, &mut first)?;
    let fields = [Field::Counter(Width { bits: 32, little_endian: false }), Field::Bytes(&FIXED)];
    derive::sp_800_108_counter(&*provider.mac.hmac(Hash::Sha256, &KEY)?, &fields, &mut second)?;
    derive::x963(provider, Hash::Sha256, &SHARED, b"", &mut third)?;
    Ok(first == PBKDF2 && second == COUNTER && third == X963)
}
