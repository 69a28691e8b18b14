//! Sharing a secret with the holder of an ML-KEM key (FIPS 203): requests and answers.

use crate::answer::answer;
use crate::message::request;
use std::borrow::Cow;
use zeroize::Zeroize;

request! {
    /// Makes a secret of 32 bytes, and the ciphertext from which the key's holder decapsulates it.
    Encapsulate => Encapsulated {
        /// The key.
        name: Cow<'a, str>, required, |v| v.as_ref();
        /// The version, if min_encryption_version allows an older one; 0 means the current one.
        version: u32, default, |v| *v;
    }
}

request! {
    /// Gives the secret that a ciphertext holds. A ciphertext that was altered, or made for another key, gives another secret
    /// and no error (FIPS 203, section 6.3).
    Decapsulate => Decapsulated {
        /// The key; a ciphertext that names another one is refused.
        name: Cow<'a, str>, required, |v| v.as_ref();
        /// The ciphertext's text form.
        ciphertext: Cow<'a, str>, required, |v| v.as_ref();
    }
}

answer! {
    /// The result of `encapsulate`. Wiped when dropped.
    Encapsulated {
        /// The ciphertext's text form; `decapsulate` takes it.
        ciphertext: String, required, |v| v.as_str();
        /// The shared secret, 32 bytes.
        secret: Vec<u8>, required, |v| v.as_slice();
    }
}

impl Drop for Encapsulated {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

answer! {
    /// The result of `decapsulate`. Wiped when dropped.
    Decapsulated {
        /// The shared secret, 32 bytes.
        secret: Vec<u8>, required, |v| v.as_slice();
    }
}

impl Drop for Decapsulated {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}
