//! Keys and certificates that come from outside, in every form. The first byte says which form and which type are claimed.
#![no_main]

use canis_core::default_provider;
use canis_core::format::certificate::Certificate;
use canis_core::format::{file, pkcs12};
use canis_core::secret::SecretBytes;
use canis_proto::{Error, KeyFormat, KeyType, Result};
use libfuzzer_sys::fuzz_target;

/// Nobody knows a passphrase: what stands behind one costs time on purpose.
fn nobody() -> Result<SecretBytes> {
    Err(Error::invalid("there is no passphrase"))
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&[format, kind], bytes)) = bytes.split_first_chunk() else { return };
    let format = KeyFormat::ALL[usize::from(format) % KeyFormat::ALL.len()];
    let kind = KeyType::ALL[usize::from(kind) % KeyType::ALL.len()];
    if let Ok(given) = canis_core::format::decode(format, kind, bytes) {
        // Checks of large RSA keys take seconds; what they check is not what is read here.
        if bytes.len() < 1500 {
            let _ = given.check(default_provider());
        }
    }
    let _ = file::read(default_provider(), Some(kind), bytes, &mut nobody);
    let _ = pkcs12::read(default_provider(), bytes, &mut nobody);
    if let Ok(certificate) = Certificate::read(bytes) {
        assert!(certificate.certifies(&certificate.spki));
    }
});
