//! Roots of trust: what wraps the root key. A store has several root slots; any one opens it.

use crate::secret::SecretBytes;
use canis_proto::{Id, Result};
use std::path::PathBuf;

mod anchor;
mod audit_key;
mod hsm;
mod keyfile;
mod loss;
mod passphrase;
mod recipient;
mod shares;
mod slot;

pub(crate) use anchor::AnchorPlace;
pub(crate) use audit_key::AuditToken;
pub use hsm::{
    HsmFigures, HsmHelper, Probe, TokenName, Verdict, WrapMechanism, hsm_figures, probe, serve as serve_hsm,
};
pub use loss::HsmLoss;
pub use shares::{Share, Split};
pub(crate) use slot::{
    SlotView, check_share, hsm_of, is_weak, new_slot, open_slot, promises_counts, recipient_of, remade_slot,
};

/// Something that can wrap the root key. `context` is bound as associated data and must be the same at both calls.
pub(crate) trait Root {
    /// Wraps `key`.
    fn seal(&self, key: &SecretBytes, context: &[u8]) -> Result<Vec<u8>>;
    /// Unwraps it.
    ///
    /// # Errors
    /// `root_credential_wrong` if the credential is not the one it was wrapped with, `root_unavailable` if the root
    /// cannot be reached.
    fn open(&self, sealed: &[u8], context: &[u8]) -> Result<SecretBytes>;
}

/// What a person or a machine brings to open a store.
pub enum Credential {
    /// For a passphrase slot.
    Passphrase(SecretBytes),
    /// The 32 bytes of a key file.
    Keyfile(SecretBytes),
    /// For an HSM. The library is named by whoever brings the PIN, never by the store: a file from elsewhere must not
    /// say what code runs here and gets the PIN.
    Hsm {
        /// What loads the library.
        helper: HsmHelper,
        /// The vendor's library.
        module: PathBuf,
        /// The user PIN of the token.
        pin: SecretBytes,
    },
    /// Shares of one split, as many as it takes.
    Shares(Vec<Share>),
    /// The private key of a recipient, PKCS#8 DER.
    Recipient(SecretBytes),
}

/// A root slot to be made.
pub enum NewRoot {
    /// A passphrase.
    Passphrase {
        /// At least 8 bytes.
        passphrase: SecretBytes,
    },
    /// A key file.
    Keyfile {
        /// Its 32 bytes.
        key: SecretBytes,
    },
    /// A PKCS#11 HSM. The AES-256 key is generated inside it unless one with the label is there.
    Hsm {
        /// What loads the library.
        helper: HsmHelper,
        /// The vendor's library.
        module: PathBuf,
        /// Token and key.
        name: Box<TokenName>,
        /// How the key is to wrap; the best that the token can do if missing.
        mechanism: Option<WrapMechanism>,
        /// The token's user PIN.
        pin: SecretBytes,
    },
    /// Shares, which were dealt by [`Split::deal`] where they are handed out.
    Shares {
        /// The 32 bytes that they come to.
        secret: SecretBytes,
        /// Their split.
        split: Id,
        /// How many are needed.
        threshold: u8,
        /// The hash of each, in the order of their numbers.
        hashes: Vec<[u8; 32]>,
    },
    /// A public key, X25519 or hybrid, whose private half lies elsewhere.
    Recipient {
        /// SubjectPublicKeyInfo DER.
        spki: Vec<u8>,
    },
}

impl Credential {
    /// The kind of slot it opens.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Credential::Passphrase(_) => passphrase::KIND,
            Credential::Keyfile(_) => keyfile::KIND,
            Credential::Hsm { .. } => hsm::KIND,
            Credential::Shares(_) => shares::KIND,
            Credential::Recipient(_) => recipient::KIND,
        }
    }
}

impl NewRoot {
    /// The kind of slot it makes.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            NewRoot::Passphrase { .. } => passphrase::KIND,
            NewRoot::Keyfile { .. } => keyfile::KIND,
            NewRoot::Hsm { .. } => hsm::KIND,
            NewRoot::Shares { .. } => shares::KIND,
            NewRoot::Recipient { .. } => recipient::KIND,
        }
    }
}
