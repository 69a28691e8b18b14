//! Secrets that are shared by encapsulation, as secret keys.

use super::Content;
use canis_proto::{Family, Id, Operation, OperationId};

/// A secret that was made, and what its other holder makes it of again.
pub struct EncapsulatedKey {
    /// The secret key's object.
    pub id: Id,
    /// The ciphertext.
    pub ciphertext: Vec<u8>,
}

operation! {
    /// Draws a secret by a public key, and makes an object of it.
    EncapsulateKey => EncapsulatedKey {
        /// The public key's object.
        key: Id,
        /// What the secret becomes: AES or a generic secret.
        family: Family,
        /// Its length in bytes; `None` takes the secret whole. AES keys may also be its first 16 or 24 bytes.
        len: Option<usize>,
        /// The session it lives in; `None` for a token object.
        session: Option<u64>,
        /// Its attributes; what is computed is filled in.
        content: Content,
    }
}
operation! {
    /// Makes an object of the secret that somebody made by an object's public half. A ciphertext that was altered leads to
    /// another secret, and nothing tells that (FIPS 203, section 6.3).
    DecapsulateKey<'a> => Id {
        /// The private key's object.
        key: Id,
        /// The ciphertext.
        ciphertext: &'a [u8],
        /// What the secret becomes: AES or a generic secret.
        family: Family,
        /// Its length in bytes; `None` takes the secret whole. AES keys may also be its first 16 or 24 bytes.
        len: Option<usize>,
        /// The session it lives in; `None` for a token object.
        session: Option<u64>,
        /// Its attributes; what is computed is filled in.
        content: Content,
    }
}
