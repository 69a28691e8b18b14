//! Requests for AES-GCM as NIST SP 800-38D has it, for data made elsewhere with a key that was imported.

use crate::answer::{AesGcmSealed, Decrypted};
use crate::message::request;
use std::borrow::Cow;

request! {
    /// Encrypts by AES-GCM under the material of an imported key. The IV is drawn by the server.
    EncryptAesGcm => AesGcmSealed {
        /// The key.
        name: Cow<'a, str>, required, |v| v.as_ref();
        /// What to encrypt; may be empty.
        plaintext: Cow<'a, [u8]>, required, |v| v.as_ref();
        /// Additional authenticated data.
        aad: Cow<'a, [u8]>, default, |v| v.as_ref();
        /// The version, if min_encryption_version allows an older one; 0 means the current one.
        version: u32, default, |v| *v;
    }
}

request! {
    /// Decrypts what AES-GCM made, here or elsewhere, under the material of an imported key.
    DecryptAesGcm => Decrypted {
        /// The key.
        name: Cow<'a, str>, required, |v| v.as_ref();
        /// The IV, of any length but 0.
        iv: Cow<'a, [u8]>, required, |v| v.as_ref();
        /// The ciphertext without its tag; as long as the plaintext.
        ciphertext: Cow<'a, [u8]>, required, |v| v.as_ref();
        /// The tag, 12 to 16 bytes.
        tag: Cow<'a, [u8]>, required, |v| v.as_ref();
        /// The additional authenticated data.
        aad: Cow<'a, [u8]>, default, |v| v.as_ref();
        /// The version; 0 means the current one.
        version: u32, default, |v| *v;
    }
}
