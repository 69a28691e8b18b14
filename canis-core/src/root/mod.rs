//! Roots of trust: what wraps the root key. A store has several root slots; any one opens it.

use crate::crypto::Provider;
use crate::keyring::record::{RootParameters, RootSlot};
use crate::keyring::seal::{commitment, fresh_id};
use crate::secret::SecretBytes;
use crate::store::RootSlotRow;
use canis_proto::value::Value;
use canis_proto::{Error, ErrorCode, Id, Result};
use std::path::PathBuf;
use subtle::ConstantTimeEq;

mod hsm;
mod keyfile;
mod passphrase;

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
        /// The vendor's library.
        module: PathBuf,
        /// The user PIN of the token.
        pin: SecretBytes,
    },
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
        /// The vendor's library.
        module: PathBuf,
        /// The token, by its label.
        token_label: String,
        /// The key, by its label.
        key_label: String,
        /// The token's user PIN.
        pin: SecretBytes,
    },
}

impl Credential {
    /// The kind of slot it opens.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Credential::Passphrase(_) => passphrase::KIND,
            Credential::Keyfile(_) => keyfile::KIND,
            Credential::Hsm { .. } => hsm::KIND,
        }
    }
}

/// Wraps `root_key` by a new root and returns the slot's row.
///
/// # Errors
/// `invalid_argument` for a credential that is too weak, `root_unavailable`, `root_credential_wrong`.
pub(crate) fn new_slot(
    provider: &'static Provider,
    store: Id,
    new: NewRoot,
    root_key: &SecretBytes,
) -> Result<RootSlotRow> {
    let (parameters, credential) = parameters(provider, new)?;
    let kind = credential.kind();
    let root = root(provider, &parameters, &credential)?;
    if let (RootParameters::Hsm { token, key }, Credential::Hsm { module, pin }) = (&parameters, &credential)
    {
        hsm::ensure_key(module, token, key, pin)?;
    }
    let id = fresh_id(provider)?;
    let sealed = root.seal(root_key, &context(store, id, kind))?;
    drop(root);
    let record = RootSlot { parameters, sealed, commitment: commitment(provider, root_key)? };
    Ok(RootSlotRow { id, kind: kind.to_owned(), revision: 1, body: record.encode()? })
}

/// Opens `slot` with `credential`.
pub(crate) fn open_slot(
    provider: &'static Provider,
    store: Id,
    slot: &RootSlotRow,
    credential: &Credential,
) -> Result<SecretBytes> {
    let record = RootSlot::decode(&slot.body)?;
    let root = root(provider, &record.parameters, credential)?;
    let key = root.open(&record.sealed, &context(store, slot.id, &slot.kind))?;
    if bool::from(commitment(provider, &key)?.ct_eq(&record.commitment)) {
        Ok(key)
    } else {
        Err(Error::new(
            ErrorCode::StoreTampered,
            format!("root slot {} opens to another key than it was made for; it is refused", slot.id),
        ))
    }
}

/// What a wrapped root key is bound to. The store's id stands here and nowhere else at rest, so that rows can move
/// to another store together with their root slots.
fn context(store: Id, slot: Id, kind: &str) -> Vec<u8> {
    let parts = [
        Value::from("canis/v1/root"),
        Value::from(&store.0[..]),
        Value::from(&slot.0[..]),
        Value::from(kind),
    ];
    Value::Array(parts.to_vec()).encode()
}

fn parameters(provider: &Provider, new: NewRoot) -> Result<(RootParameters, Credential)> {
    match new {
        NewRoot::Passphrase { passphrase } => {
            if passphrase.len() < passphrase::SHORTEST {
                return Err(Error::invalid(format!(
                    "the passphrase has {} bytes; it must have at least {}",
                    passphrase.len(),
                    passphrase::SHORTEST
                )));
            }
            Ok((passphrase::parameters(provider)?, Credential::Passphrase(passphrase)))
        }
        NewRoot::Keyfile { key } => Ok((RootParameters::Keyfile, Credential::Keyfile(key))),
        NewRoot::Hsm { module, token_label, key_label, pin } => {
            let parameters = RootParameters::Hsm { token: token_label, key: key_label };
            Ok((parameters, Credential::Hsm { module, pin }))
        }
    }
}

fn root<'a>(
    provider: &'static Provider,
    parameters: &'a RootParameters,
    credential: &'a Credential,
) -> Result<Box<dyn Root + 'a>> {
    match (parameters, credential) {
        (RootParameters::Passphrase { salt, memory, passes }, Credential::Passphrase(passphrase)) => {
            Ok(Box::new(passphrase::PassphraseRoot::new(provider, passphrase, salt, *memory, *passes)?))
        }
        (RootParameters::Keyfile, Credential::Keyfile(key)) => {
            Ok(Box::new(keyfile::KeyfileRoot::new(provider, key)?))
        }
        (RootParameters::Hsm { token, key }, Credential::Hsm { module, pin }) => {
            Ok(Box::new(hsm::HsmRoot { provider, module, token, key, pin }))
        }
        _ => Err(Error::invalid("this credential is not of the slot's kind")),
    }
}
