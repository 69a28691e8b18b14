//! The operations on objects and on the keys that they show.

use super::{CipherScheme, Content, Found, KeyHandle, Object, SignWith, Wanted};
use crate::crypto::SignScheme;
use crate::secret::SecretBytes;
use canis_proto::{Id, KeyType, Operation, OperationId, Usage};
use std::sync::Arc;

operation! {
    /// Makes a certificate, data object or public key.
    CreateObject => Id {
        /// The session it lives in; `None` for a token object.
        session: Option<u64>,
        /// Its attributes.
        content: Content,
    }
}
operation! {
    /// Makes a key or key pair and the objects that show it.
    GenerateObjects => (Id, Option<Id>) {
        /// What kind of key.
        kind: KeyType,
        /// The length of a generic secret in bytes, 1 to [`MAX_SECRET`]; other types have their own.
        len: usize,
        /// The session it lives in; `None` for token objects.
        session: Option<u64>,
        /// The private or secret key; what is computed is filled in.
        secret: Content,
        /// The public key of a pair.
        public: Option<Content>,
    }
}
operation! {
    /// Finds the objects the caller may see.
    FindObjects<'a> => Found {
        /// Which ones.
        wanted: Wanted<'a>,
    }
}
operation! {
    /// Reads an object.
    ReadObject => Arc<Object> {
        /// Which one.
        object: Id,
    }
}
operation! {
    /// Changes an object's attributes.
    UpdateObject => () {
        /// Which one.
        object: Id,
        /// The revision the change was made from.
        revision: u64,
        /// All its attributes as they shall be.
        content: Content,
    }
}
operation! {
    /// Destroys an object; with a private or secret token key its material too.
    DestroyObject => () {
        /// Which one.
        object: Id,
    }
}
operation! {
    /// Opens an object's key for one kind of use.
    OpenKey => Arc<KeyHandle> {
        /// The key's object.
        object: Id,
        /// One usage.
        usage: Usage,
        /// The mechanism's number, CKM_….
        mechanism: u64,
    }
}
operation! {
    /// Gives the user's PIN for the next use of a key with CKA_ALWAYS_AUTHENTICATE.
    ConfirmUse<'a> => () {
        /// The key.
        key: &'a KeyHandle,
        /// The PIN.
        pin: &'a SecretBytes,
    }
}
operation! {
    /// Signs with an object's key, opened for signing or, with RSA, for recovering.
    UseToSign<'a> => usize {
        /// The key, opened for signing.
        key: &'a KeyHandle,
        /// How.
        scheme: SignWith<'a>,
        /// What the scheme signs.
        input: &'a [u8],
        /// At least the signature's length in bytes.
        out: &'a mut [u8],
    }
}
operation! {
    /// Verifies with an object's key.
    UseToVerify<'a> => bool {
        /// The key, opened for verifying.
        key: &'a KeyHandle,
        /// How.
        scheme: SignWith<'a>,
        /// What the scheme signs.
        input: &'a [u8],
        /// The signature.
        signature: &'a [u8],
    }
}
operation! {
    /// Verifies a signature by [`SignScheme::RsaPkcs1`] or [`SignScheme::RsaRaw`] and gives what it signs; `None` for a
    /// wrong one.
    UseToRecover<'a> => Option<Vec<u8>> {
        /// The key, opened for recovering.
        key: &'a KeyHandle,
        /// How.
        scheme: SignScheme,
        /// The signature.
        signature: &'a [u8],
    }
}
operation! {
    /// Encrypts with an object's key.
    UseToEncrypt<'a> => usize {
        /// The key, opened for encrypting.
        key: &'a KeyHandle,
        /// How.
        cipher: CipherScheme<'a>,
        /// The plaintext.
        input: &'a [u8],
        /// As many bytes as [`CipherScheme::encrypted_len`] says.
        out: &'a mut [u8],
    }
}
operation! {
    /// Decrypts with an object's key.
    UseToDecrypt<'a> => usize {
        /// The key, opened for decrypting.
        key: &'a KeyHandle,
        /// How.
        cipher: CipherScheme<'a>,
        /// The ciphertext.
        input: &'a [u8],
        /// As many bytes as [`CipherScheme::decrypted_len`] says.
        out: &'a mut [u8],
    }
}
