//! Requests that encrypt, decrypt, sign and verify.

use crate::SignatureForm;
use crate::answer::{Decrypted, Encrypted, Signed, Verified};
use crate::message::request;
use crate::signature::SignatureScheme;
use crate::value::Value;
use std::borrow::Cow;

request! {
    /// Encrypts, under the current version as a rule: XAES-256-GCM for AES keys, RSA-OAEP (SHA-256) for RSA keys.
    Encrypt => Encrypted {
        /// The key.
        name: Cow<'a, str>, required, |v| v.as_ref();
        /// What to encrypt; may be empty.
        plaintext: Cow<'a, [u8]>, required, |v| v.as_ref();
        /// Bytes that decryption must be given again; not part of the ciphertext.
        context: Cow<'a, [u8]>, default, |v| v.as_ref();
        /// The version, if min_encryption_version allows an older one; 0 means the current one.
        version: u32, default, |v| *v;
    }
}

impl<'a> Encrypt<'a> {
    /// Without context, under the current version.
    #[must_use]
    pub fn new(name: impl Into<Cow<'a, str>>, plaintext: impl Into<Cow<'a, [u8]>>) -> Self {
        Encrypt { name: name.into(), plaintext: plaintext.into(), context: Cow::default(), version: 0 }
    }
}

request! {
    /// Decrypts what `encrypt` made.
    Decrypt => Decrypted {
        /// The key; a ciphertext of another key is refused.
        name: Cow<'a, str>, required, |v| v.as_ref();
        /// The ciphertext's text form.
        ciphertext: Cow<'a, str>, required, |v| v.as_ref();
        /// The context given to `encrypt`.
        context: Cow<'a, [u8]>, default, |v| v.as_ref();
    }
}

impl<'a> Decrypt<'a> {
    /// Without context.
    #[must_use]
    pub fn new(name: impl Into<Cow<'a, str>>, ciphertext: impl Into<Cow<'a, str>>) -> Self {
        Decrypt { name: name.into(), ciphertext: ciphertext.into(), context: Cow::default() }
    }
}

request! {
    /// Signs, with the current version as a rule.
    Sign => Signed {
        /// The key.
        name: Cow<'a, str>, required, |v| v.as_ref();
        /// The message.
        message: Cow<'a, [u8]>, required, |v| v.as_ref();
        /// The scheme; the key type's default if missing.
        scheme: Option<SignatureScheme>, scheme, |v| v.map_or(Value::Null, |s| Value::from(s.name()));
        /// Whether the message is a digest already, by the scheme's hash function; of `ml-dsa` mu, 64 bytes.
        prehashed: bool, default, |v| *v;
        /// How an ECDSA signature is written.
        form: SignatureForm, choice, |v| v.name();
        /// The version, if min_encryption_version allows an older one; 0 means the current one.
        version: u32, default, |v| *v;
        /// The context string that a post-quantum signature is bound to, at most 255 bytes (FIPS 204, section 5.2).
        context: Cow<'a, [u8]>, default, |v| v.as_ref();
    }
}

impl<'a> Sign<'a> {
    /// A message, with the current version and the key type's scheme.
    #[must_use]
    pub fn new(name: impl Into<Cow<'a, str>>, message: impl Into<Cow<'a, [u8]>>) -> Self {
        Sign {
            name: name.into(),
            message: message.into(),
            scheme: None,
            prehashed: false,
            form: SignatureForm::Der,
            version: 0,
            context: Cow::default(),
        }
    }
}

request! {
    /// Verifies a signature. A wrong one is an answer, not an error.
    Verify => Verified {
        /// The key.
        name: Cow<'a, str>, required, |v| v.as_ref();
        /// The message.
        message: Cow<'a, [u8]>, required, |v| v.as_ref();
        /// The signature's text form.
        signature: Cow<'a, str>, required, |v| v.as_ref();
        /// The scheme; the key type's default if missing.
        scheme: Option<SignatureScheme>, scheme, |v| v.map_or(Value::Null, |s| Value::from(s.name()));
        /// Whether the message is a digest already, by the scheme's hash function; of `ml-dsa` mu, 64 bytes.
        prehashed: bool, default, |v| *v;
        /// How an ECDSA signature is written.
        form: SignatureForm, choice, |v| v.name();
        /// The context string given to `sign`.
        context: Cow<'a, [u8]>, default, |v| v.as_ref();
    }
}

impl<'a> Verify<'a> {
    /// A signature over a message, by the key type's scheme.
    #[must_use]
    pub fn new(
        name: impl Into<Cow<'a, str>>,
        message: impl Into<Cow<'a, [u8]>>,
        signature: impl Into<Cow<'a, str>>,
    ) -> Self {
        Verify {
            name: name.into(),
            message: message.into(),
            signature: signature.into(),
            scheme: None,
            prehashed: false,
            form: SignatureForm::Der,
            context: Cow::default(),
        }
    }
}
