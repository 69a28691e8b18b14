//! Root slots: rows that hold the root key wrapped by one root, and what is seen of them without opening them.

use super::hsm::{HsmHelper, HsmRoot, Token, TokenName, WrapMechanism};
use super::shares::{Share, SplitFacts};
use super::{Credential, NewRoot, Root, keyfile, passphrase, recipient, shares};
use crate::crypto::Provider;
use crate::crypto::public_parts::PublicParts;
use crate::keyring::root_record::{RootParameters, RootSlot};
use crate::keyring::seal::{commitment, counted_commitment, fresh_id};
use crate::secret::SecretBytes;
use crate::store::RootSlotRow;
use canis_proto::value::Value;
use canis_proto::{Error, ErrorCode, Id, Result, quote};
use std::path::Path;
use subtle::ConstantTimeEq;

/// What is seen of a slot without a credential.
pub(crate) struct SlotView {
    pub(crate) id: Id,
    pub(crate) kind: String,
    /// When it was made; 0 if that was not written down.
    pub(crate) created_at: i64,
    /// What it is of its kind, for people.
    pub(crate) detail: String,
    /// Whether somebody who is here may open it; what wraps to a recipient opens elsewhere.
    pub(crate) opens: bool,
    /// How many shares are needed, of how many; zeros unless it opens by shares.
    pub(crate) shares: (u32, u32),
}

impl SlotView {
    pub(crate) fn of(row: &RootSlotRow) -> Result<Self> {
        let record = RootSlot::decode(&row.body)?;
        Ok(SlotView {
            id: row.id,
            kind: row.kind.clone(),
            created_at: record.created_at,
            opens: !matches!(record.parameters, RootParameters::Recipient { .. }),
            shares: match &record.parameters {
                RootParameters::Shares { threshold, hashes, .. } => {
                    (u32::from(*threshold), u32::try_from(hashes.len()).unwrap_or(u32::MAX))
                }
                _ => (0, 0),
            },
            detail: detail(&record.parameters),
        })
    }
}

fn detail(parameters: &RootParameters) -> String {
    match parameters {
        RootParameters::Passphrase { memory, passes, .. } => {
            format!("Argon2id, {} MiB, {passes} passes", memory / 1024)
        }
        RootParameters::Keyfile => "a file of 32 bytes".to_owned(),
        RootParameters::Hsm { token, key } => {
            format!("token `{}`, key `{}`, AES-GCM", quote(token), quote(key))
        }
        RootParameters::Token { name, mechanism } => format!("{}, {}", quote(name), mechanism.name()),
        RootParameters::Shares { split, threshold, hashes } => {
            format!("{threshold} of {} shares, split {}", hashes.len(), Id(*split))
        }
        RootParameters::Recipient { public_key } => {
            format!("X25519 {}", base16ct::lower::encode_string(public_key))
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
    now: i64,
) -> Result<RootSlotRow> {
    made(provider, store, (fresh_id(provider)?, 1), new, root_key, now)
}

/// The same for a slot that is there: its next revision, under the new root.
pub(crate) fn remade_slot(
    provider: &'static Provider,
    store: Id,
    slot: &RootSlotRow,
    new: NewRoot,
    root_key: &SecretBytes,
    now: i64,
) -> Result<RootSlotRow> {
    if new.kind() != slot.kind {
        return Err(Error::invalid(format!(
            "root slot {} is of kind {}; add a slot of kind {} and remove this one",
            slot.id,
            quote(&slot.kind),
            new.kind()
        )));
    }
    made(provider, store, (slot.id, slot.revision + 1), new, root_key, now)
}

fn made(
    provider: &'static Provider,
    store: Id,
    (id, revision): (Id, u64),
    new: NewRoot,
    root_key: &SecretBytes,
    now: i64,
) -> Result<RootSlotRow> {
    let kind = new.kind();
    let (parameters, wrapper) = wrapper(provider, new)?;
    let mut record = RootSlot {
        parameters,
        sealed: Vec::new(),
        commitment: counted_commitment(provider, root_key)?,
        created_at: now,
    };
    let context = context(store, id, kind, &record)?;
    record.sealed = wrapper.root(provider, &record.parameters)?.seal(root_key, &context)?;
    Ok(RootSlotRow { id, kind: kind.to_owned(), revision, body: record.encode()? })
}

/// Whether the slot says that the store's rows are counted. Slots from before that was so do not.
pub(crate) fn promises_counts(
    provider: &Provider,
    slot: &RootSlotRow,
    root_key: &SecretBytes,
) -> Result<bool> {
    let record = RootSlot::decode(&slot.body)?;
    Ok(counted_commitment(provider, root_key)?.ct_eq(&record.commitment).into())
}

/// Opens `slot` with `credential`.
pub(crate) fn open_slot(
    provider: &'static Provider,
    store: Id,
    slot: &RootSlotRow,
    credential: &Credential,
) -> Result<SecretBytes> {
    let record = RootSlot::decode(&slot.body)?;
    let combined;
    let wrapper = match credential {
        Credential::Passphrase(passphrase) => Wrapper::Passphrase(passphrase),
        Credential::Keyfile(key) => Wrapper::Keyfile(key),
        Credential::Hsm { helper, module, pin } => Wrapper::Hsm { helper, module, pin },
        Credential::Recipient(private) => Wrapper::Recipient(Some(private)),
        Credential::Shares(given) => {
            combined = secret_of(provider, store, &record.parameters, given)?;
            Wrapper::Shares(&combined)
        }
    };
    let root = wrapper.root(provider, &record.parameters)?;
    let key = root.open(&record.sealed, &context(store, slot.id, &slot.kind, &record)?)?;
    let fits = counted_commitment(provider, &key)?.ct_eq(&record.commitment)
        | commitment(provider, &key)?.ct_eq(&record.commitment);
    if bool::from(fits) {
        Ok(key)
    } else {
        Err(Error::new(
            ErrorCode::StoreTampered,
            format!("root slot {} opens to another key than it was made for; it is refused", slot.id),
        ))
    }
}

/// Whether a slot that was just opened by a passphrase is protected less than one made today.
pub(crate) fn is_weak(slot: &RootSlotRow) -> Result<bool> {
    Ok(match RootSlot::decode(&slot.body)?.parameters {
        RootParameters::Passphrase { memory, passes, .. } => passphrase::is_weak(memory, passes),
        _ => false,
    })
}

/// The public key of a recipient's slot, SubjectPublicKeyInfo DER; `None` for slots of another kind.
pub(crate) fn recipient_of(slot: &RootSlotRow) -> Result<Option<Vec<u8>>> {
    match RootSlot::decode(&slot.body)?.parameters {
        RootParameters::Recipient { public_key } => {
            PublicParts::Montgomery { point: public_key }.to_spki().map(Some)
        }
        _ => Ok(None),
    }
}

/// Token and key of an HSM's slot, and how they wrap; `None` for slots of another kind.
pub(crate) fn hsm_of(slot: &RootSlotRow) -> Result<Option<(TokenName, WrapMechanism)>> {
    Ok(match RootSlot::decode(&slot.body)?.parameters {
        RootParameters::Hsm { token, key } => Some((TokenName::labelled(token, key), WrapMechanism::AesGcm)),
        RootParameters::Token { name, mechanism } => Some((TokenName::read(&name)?, mechanism)),
        _ => None,
    })
}

fn secret_of(
    provider: &Provider,
    store: Id,
    parameters: &RootParameters,
    given: &[Share],
) -> Result<SecretBytes> {
    let facts = split_facts(parameters)?;
    given.iter().try_for_each(|share| facts.check(provider, store, share))?;
    shares::combine(facts.threshold, given)
}

/// Refuses a share that none of `slots` was dealt for, naming it; else how many of its split are needed.
///
/// # Errors
/// `root_credential_wrong`; `invalid_argument` if no slot opens by shares.
pub(crate) fn check_share(
    provider: &Provider,
    store: Id,
    slots: &[RootSlotRow],
    share: &Share,
) -> Result<u8> {
    let mut refusal = Error::invalid("the store has no root of shares; bring another credential");
    for slot in slots.iter().filter(|slot| slot.kind == shares::KIND) {
        let parameters = RootSlot::decode(&slot.body)?.parameters;
        let facts = split_facts(&parameters)?;
        match facts.check(provider, store, share) {
            Ok(()) => return Ok(facts.threshold),
            // Of two splits' slots, the one that the share names says what is wrong with it.
            Err(error) if facts.split == share.split || refusal.code == ErrorCode::InvalidArgument => {
                refusal = error;
            }
            Err(_) => {}
        }
    }
    Err(refusal)
}

fn split_facts(parameters: &RootParameters) -> Result<SplitFacts<'_>> {
    match parameters {
        RootParameters::Shares { split, threshold, hashes } => {
            Ok(SplitFacts { split: Id(*split), threshold: *threshold, hashes })
        }
        _ => Err(foreign_credential()),
    }
}

/// What a wrapped root key is bound to. The store's id stands here and nowhere else at rest, so that rows can move
/// to another store together with their root slots. What a slot says of itself is bound since it says when it was made.
fn context(store: Id, slot: Id, kind: &str, record: &RootSlot) -> Result<Vec<u8>> {
    let mut parts = vec![
        Value::from("canis/v1/root"),
        Value::from(&store.0[..]),
        Value::from(&slot.0[..]),
        Value::from(kind),
    ];
    let parameters = record.parameters.encode()?;
    if record.created_at != 0 {
        parts.extend([Value::from(record.created_at), Value::from(&parameters[..])]);
    }
    Ok(Value::Array(parts).encode())
}

/// What a root of one kind wraps and unwraps with.
enum Wrapper<'a> {
    Passphrase(&'a SecretBytes),
    Keyfile(&'a SecretBytes),
    Hsm { helper: &'a HsmHelper, module: &'a Path, pin: &'a SecretBytes },
    Shares(&'a SecretBytes),
    Recipient(Option<&'a SecretBytes>),
}

/// The same, owned by who makes a slot.
struct Owned(NewRoot);

impl Owned {
    fn root<'a>(
        &'a self,
        provider: &'static Provider,
        parameters: &'a RootParameters,
    ) -> Result<Box<dyn Root + 'a>> {
        let wrapper = match &self.0 {
            NewRoot::Passphrase { passphrase } => Wrapper::Passphrase(passphrase),
            NewRoot::Keyfile { key } => Wrapper::Keyfile(key),
            NewRoot::Hsm { helper, module, pin, .. } => Wrapper::Hsm { helper, module, pin },
            NewRoot::Shares { secret, .. } => Wrapper::Shares(secret),
            NewRoot::Recipient { .. } => Wrapper::Recipient(None),
        };
        wrapper.root(provider, parameters)
    }
}

/// The parameters of a new slot, and what wraps by them. An HSM makes its key here.
fn wrapper(provider: &Provider, new: NewRoot) -> Result<(RootParameters, Owned)> {
    let parameters = match &new {
        NewRoot::Passphrase { passphrase } => {
            passphrase::check_length(passphrase)?;
            passphrase::parameters(provider)?
        }
        NewRoot::Keyfile { .. } => RootParameters::Keyfile,
        NewRoot::Hsm { helper, module, name, mechanism, pin } => {
            let token = Token { helper, module, name: TokenName::clone(name).with_key(), pin };
            RootParameters::Token { name: token.name.to_uri(), mechanism: token.prepare(*mechanism)? }
        }
        NewRoot::Shares { split, threshold, hashes, .. } => {
            shares::check_numbers((*threshold).into(), hashes.len())?;
            RootParameters::Shares { split: split.0, threshold: *threshold, hashes: hashes.clone() }
        }
        NewRoot::Recipient { spki } => {
            RootParameters::Recipient { public_key: recipient::public_key(provider, spki)? }
        }
    };
    Ok((parameters, Owned(new)))
}

impl<'a> Wrapper<'a> {
    fn root(self, provider: &'static Provider, parameters: &'a RootParameters) -> Result<Box<dyn Root + 'a>> {
        match (parameters, self) {
            (RootParameters::Passphrase { salt, memory, passes }, Wrapper::Passphrase(passphrase)) => {
                Ok(Box::new(passphrase::PassphraseRoot::new(provider, passphrase, salt, *memory, *passes)?))
            }
            (RootParameters::Keyfile, Wrapper::Keyfile(key)) => {
                Ok(Box::new(keyfile::KeyfileRoot::new(provider, key)?))
            }
            (RootParameters::Hsm { token, key }, Wrapper::Hsm { helper, module, pin }) => {
                let token = Token { helper, module, name: TokenName::labelled(token, key), pin };
                Ok(Box::new(HsmRoot { provider, token, mechanism: None }))
            }
            (RootParameters::Token { name, mechanism }, Wrapper::Hsm { helper, module, pin }) => {
                let token = Token { helper, module, name: TokenName::read(name)?, pin };
                Ok(Box::new(HsmRoot { provider, token, mechanism: Some(*mechanism) }))
            }
            (RootParameters::Shares { .. }, Wrapper::Shares(secret)) => {
                Ok(Box::new(shares::SharesRoot::new(provider, secret)?))
            }
            (RootParameters::Recipient { public_key: public }, Wrapper::Recipient(private)) => {
                Ok(Box::new(recipient::RecipientRoot { provider, public, private }))
            }
            _ => Err(foreign_credential()),
        }
    }
}

fn foreign_credential() -> Error {
    Error::invalid("this credential is not of the slot's kind")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::crypto::RUST;
    use crate::keyring::Keyring;
    use crate::store::memory::MemoryStore;
    use crate::store::{Change, Row, Store};
    use std::sync::Arc;

    fn passphrase() -> SecretBytes {
        SecretBytes::copied_from(b"a passphrase of old")
    }

    /// R91: a slot that was made when a guess cost less is made anew by the passphrase that opens it, and by no other.
    #[test]
    fn a_weak_slot_is_strengthened_when_it_opens() {
        let id = Id([3; 16]);
        let root_key = SecretBytes::copied_from(&[5; 32]);
        let weak = RootParameters::Passphrase { salt: [1; 16], memory: 1024, passes: 1 };
        let wrapper = Owned(NewRoot::Passphrase { passphrase: passphrase() });
        let facts = crate::keyring::record::StoreFacts { id: [9; 16], created_at: 0 }.encode().unwrap();
        let commitment = commitment(&RUST, &root_key).unwrap();
        let mut record = RootSlot { parameters: weak, sealed: Vec::new(), commitment, created_at: 0 };
        let bound = context(Id([9; 16]), id, "passphrase", &record).unwrap();
        record.sealed = wrapper.root(&RUST, &record.parameters).unwrap().seal(&root_key, &bound).unwrap();
        let body = record.encode().unwrap();
        let slot = RootSlotRow { id, kind: "passphrase".into(), revision: 1, body };
        let facts =
            crate::store::MetaRow { name: crate::keyring::FACTS.to_owned(), revision: 1, body: facts };
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        store.commit(&[Change::Put(Row::Meta(facts)), Change::Put(Row::RootSlot(slot.clone()))]).unwrap();

        let keyring = Keyring::new(Arc::clone(&store), &RUST, Arc::new(SystemClock)).unwrap();
        let wrong = Credential::Passphrase(SecretBytes::copied_from(b"another passphrase"));
        keyring.unseal(&wrong).unwrap_err();
        assert_eq!(store.root_slots().unwrap(), std::slice::from_ref(&slot));
        keyring.unseal(&Credential::Passphrase(passphrase())).unwrap();
        let renewed = store.root_slots().unwrap().remove(0);
        assert_eq!((renewed.id, renewed.revision), (id, 2));
        assert!(is_weak(&slot).unwrap() && !is_weak(&renewed).unwrap());
        let opened = open_slot(&RUST, Id([9; 16]), &renewed, &Credential::Passphrase(passphrase())).unwrap();
        assert!(opened.equals(root_key.expose()));
    }
}
