//! Anchors: what a store had come to, remembered by the HSM that opens it, so that an older copy of the whole store is
//! noticed. ADR 0032.
//!
//! The revision of the store's accumulator counts commits. Its sealed row has a nonce of its own at each of them, so the
//! hash of the row tells two commits of one number apart, as two copies of a store make them.

use super::counted::Counting;
use super::seal::derive;
use super::store_rows::fact_place;
use super::{Keyring, RootKeys};
use crate::root::{AnchorPlace, Credential};
use crate::secret::SecretBytes;
use crate::store::{Change, MetaRow, RootSlotRow, Row};
use canis_proto::fields::Fields;
use canis_proto::value::{Map, Value};
use canis_proto::{Error, ErrorCode, Id, Result};
use sha2::{Digest, Sha256};
use std::sync::atomic::{AtomicU64, Ordering};
use subtle::ConstantTimeEq;

/// The format of anchors.
const FORMAT: u32 = 1;
/// What an anchor's MAC and the hash of a state begin with.
const ANCHOR: &str = "canis/v1/anchor";
const STATE: &str = "canis/v1/state";
/// The row that holds the keys of anchors from under earlier root keys, the latest first.
pub(super) const EARLIER: &str = "anchor-keys";
/// How many of them: whoever replaces the root key more often than that without a server that anchors in between accepts
/// the store by hand.
const KEPT: usize = 8;
/// The length of such a key.
const KEY: usize = 32;

/// What a store has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// How many commits.
    pub(crate) sequence: u64,
    /// The hash of the last one.
    hash: [u8; 32],
}

/// What is known here of the HSM's memory.
#[derive(Default)]
pub(crate) struct Memory {
    /// The number of commits that the store is to go on from when it is accepted as it stands.
    accepted: AtomicU64,
    /// The commit that the HSM remembers; 0 if that is not known.
    anchored: AtomicU64,
}

impl Memory {
    pub(super) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Acquire)
    }

    /// The commit that the HSM remembers, as far as is known.
    pub(crate) fn anchored(&self) -> Option<u64> {
        Some(self.anchored.load(Ordering::Acquire)).filter(|sequence| *sequence != 0)
    }

    fn note(&self, sequence: u64) {
        self.anchored.store(sequence, Ordering::Release);
    }
}

/// What stands in a token.
struct Found {
    /// Every value there.
    values: Vec<Vec<u8>>,
    /// What this store's root keys have written.
    own: Vec<State>,
    /// What somebody else has: the number that it says, if it says one.
    foreign: Option<Option<u64>>,
}

impl State {
    /// The anchor of it.
    fn anchor(self, keyring: &Keyring, key: &SecretBytes) -> Vec<u8> {
        Map::new()
            .with("format", FORMAT)
            .with("hash", &self.hash[..])
            .with("mac", &self.mac(keyring, key)[..])
            .with("sequence", self.sequence)
            .encode()
    }

    fn mac(self, keyring: &Keyring, key: &SecretBytes) -> [u8; 32] {
        let said = Value::Array(vec![
            Value::from(ANCHOR),
            Value::from(FORMAT),
            Value::from(&keyring.facts.id[..]),
            Value::from(self.sequence),
            Value::from(&self.hash[..]),
        ]);
        keyring.provider.mac.hmac_sha256(key.expose(), &[&said.encode()])
    }

    /// What an anchor says, and its MAC.
    fn read(bytes: &[u8]) -> Result<(Self, [u8; 32])> {
        let mut fields = Fields::new("an anchor", Map::decode(bytes)?);
        let bytes = |bytes: Vec<u8>| {
            <[u8; 32]>::try_from(bytes).map_err(|_| Error::invalid("an anchor's bytes are not 32"))
        };
        if fields.required::<u32>("format")? != FORMAT {
            return Err(Error::invalid("an anchor of another format"));
        }
        let state = State { sequence: fields.required("sequence")?, hash: bytes(fields.required("hash")?)? };
        let mac = bytes(fields.required("mac")?)?;
        fields.finish()?;
        Ok((state, mac))
    }

    /// The beginning of the hash, for people.
    fn short(&self) -> String {
        base16ct::lower::encode_string(&self.hash[..8])
    }
}

impl Found {
    /// Refuses the store if the HSM remembers something that it has not come to.
    fn allow(&self, store: State, token: &str) -> Result<()> {
        const REMEDY: &str =
            "put the newer store back, or accept this one with `canis store verify --accept-rollback`";
        let refuse = |why: String| Err(Error::new(ErrorCode::StoreTampered, format!("{why}; {REMEDY}")));
        let (number, state) = (store.sequence, store.short());
        if let Some(newer) =
            self.own.iter().filter(|own| own.sequence > number).max_by_key(|own| own.sequence)
        {
            return refuse(format!(
                "the store is older than {token} remembers: its last commit is number {number}, the one remembered is number {}",
                newer.sequence
            ));
        }
        if let Some(other) = self.own.iter().find(|own| own.sequence == number && **own != store) {
            return refuse(format!(
                "the store's last commit, number {number} (state {state}), is not the one that {token} remembers as number \
                 {} (state {}): they are two copies that went on apart",
                other.sequence,
                other.short()
            ));
        }
        match self.foreign {
            None => Ok(()),
            Some(said) => {
                let said =
                    said.map_or("says nothing that can be read".to_owned(), |said| format!("says {said}"));
                refuse(format!(
                    "the anchor on {token} {said}, where the store's last commit is number {number}, and was not written \
                     under this store's root key: somebody with the token's PIN wrote it, or the store is a copy from before its \
                     root key was replaced"
                ))
            }
        }
    }
}

impl Keyring {
    /// What the store has come to by now; nothing in a store whose commits are not counted.
    pub(crate) fn state(&self) -> Result<State> {
        let Some(row) = self.store.accumulator(Id::STORE)? else {
            return Ok(State { sequence: 0, hash: [0; 32] });
        };
        let said = Value::Array(vec![
            Value::from(STATE),
            Value::from(&self.facts.id[..]),
            Value::from(row.revision),
            Value::from(&row.sealed[..]),
        ]);
        Ok(State { sequence: row.revision, hash: Sha256::digest(said.encode()).into() })
    }

    /// Compares the store with what the HSM that has opened `slot` remembers of it. `accept`: whatever that is, the store may
    /// be accepted as it stands; says whether it differed.
    pub(super) fn check_anchor(
        &self,
        keys: &RootKeys,
        slot: &RootSlotRow,
        credential: &Credential,
        accept: bool,
    ) -> Result<bool> {
        self.memory.note(0);
        let Some(place) = AnchorPlace::of(self.store_id(), slot, credential)? else { return Ok(false) };
        // First the anchors: none of them is of a commit that is not in the store by then.
        let found = self.found(keys, place.read()?)?;
        let state = self.state()?;
        match found.allow(state, &place.token()) {
            Ok(()) => {
                self.memory.note(if found.own.contains(&state) { state.sequence } else { 0 });
                Ok(false)
            }
            Err(_) if accept => {
                let highest = found.own.iter().map(|own| own.sequence).max().unwrap_or_default();
                self.memory.accepted.fetch_max(highest, Ordering::AcqRel);
                Ok(true)
            }
            Err(refused) => Err(refused),
        }
    }

    fn found(&self, keys: &RootKeys, values: Vec<Vec<u8>>) -> Result<Found> {
        let mut found = Found { values, own: Vec::new(), foreign: None };
        if found.values.is_empty() {
            return Ok(found);
        }
        let macs = self.anchor_keys(keys)?;
        for value in &found.values {
            let read = State::read(value).ok();
            let own = read.filter(|(state, mac)| {
                macs.iter().any(|key| bool::from(state.mac(self, key).ct_eq(&mac[..])))
            });
            match own {
                Some((state, _)) => found.own.push(state),
                None => found.foreign = Some(read.map(|(state, _)| state.sequence)),
            }
        }
        Ok(found)
    }

    /// The key that anchors are written under, and after it those of earlier root keys.
    fn anchor_keys(&self, keys: &RootKeys) -> Result<Vec<SecretBytes>> {
        let mut all = vec![derive(self.provider, &keys.root_key, ANCHOR)?];
        if let Some(row) = self.store.meta(EARLIER)? {
            let earlier = keys.rows.open_secret(&fact_place(EARLIER, row.revision), &row.body)?;
            all.extend(earlier.expose().chunks_exact(KEY).map(SecretBytes::copied_from));
        }
        Ok(all)
    }

    /// The row that lets anchors from under `old` be known under `new`.
    pub(super) fn earlier_anchor_keys(&self, old: &RootKeys, new: &RootKeys) -> Result<Change> {
        let mut all = self.anchor_keys(old)?;
        all.truncate(KEPT);
        let mut joined = SecretBytes::zeroed(all.len() * KEY);
        for (to, key) in joined.expose_mut().chunks_exact_mut(KEY).zip(&all) {
            to.copy_from_slice(key.expose());
        }
        let revision = self.store.meta(EARLIER)?.map_or(1, |row| row.revision + 1);
        let body = new.rows.seal(&fact_place(EARLIER, revision), joined.expose())?;
        Ok(Change::Put(Row::Meta(MetaRow { name: EARLIER.to_owned(), revision, body })))
    }

    /// Has the HSM remember what the store has come to. `accepted`: it forgets whatever it remembered. The number of commits, or
    /// `None` if the store has no HSM that the credential is for.
    pub(crate) fn anchor(&self, credential: &Credential, accepted: bool) -> Result<Option<u64>> {
        let keys = self.root_keys()?;
        if let Counting::Refused(error) = self.books.counting() {
            return Err(error);
        }
        let Some((place, values)) = self.place_of_anchors(credential)? else { return Ok(None) };
        let found = self.found(&keys, values)?;
        let state = self.state()?;
        if !accepted {
            found.allow(state, &place.token())?;
        }
        let value = state.anchor(self, &derive(self.provider, &keys.root_key, ANCHOR)?);
        let outworn: Vec<_> = found.values.into_iter().filter(|there| *there != value).collect();
        if !(outworn.is_empty() && found.own.contains(&state)) {
            place.write(value, outworn)?;
        }
        self.memory.note(state.sequence);
        Ok(Some(state.sequence))
    }

    /// The first HSM that the credential opens, and what it remembers.
    fn place_of_anchors<'a>(
        &self,
        credential: &'a Credential,
    ) -> Result<Option<(AnchorPlace<'a>, Vec<Vec<u8>>)>> {
        let mut refusal = None;
        for slot in self.store.root_slots()? {
            let Some(place) = AnchorPlace::of(self.store_id(), &slot, credential)? else { continue };
            match place.read() {
                Ok(values) => return Ok(Some((place, values))),
                // What one token refused is not tried on the next.
                Err(error) if error.code == ErrorCode::RootCredentialWrong => return Err(error),
                Err(error) => refusal = Some(error),
            }
        }
        refusal.map_or(Ok(None), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STORE: State = State { sequence: 7, hash: [1; 32] };

    fn verdict(own: &[State], foreign: Option<Option<u64>>) -> Result<()> {
        Found { values: Vec::new(), own: own.to_vec(), foreign }.allow(STORE, "token `t`")
    }

    #[test]
    fn what_the_store_has_come_to_is_allowed() {
        let older = State { sequence: 6, hash: [9; 32] };
        assert!(verdict(&[], None).is_ok() && verdict(&[STORE, older], None).is_ok());
        for (own, foreign, said) in [
            (
                &[older, State { sequence: 9, ..STORE }, State { sequence: 8, ..STORE }][..],
                None,
                "number 7, the one remembered is number 9",
            ),
            (&[STORE, State { hash: [2; 32], ..STORE }], None, "number 7 (state 0101010101010101)"),
            (&[STORE], Some(Some(3)), "says 3, where the store's last commit is number 7"),
            (&[], Some(None), "nothing that can be read"),
        ] {
            let refused = verdict(own, foreign).unwrap_err();
            assert_eq!(refused.code, ErrorCode::StoreTampered);
            assert!(refused.message.contains(said), "{}", refused.message);
        }
    }

    proptest! {
        #[test]
        fn reading_is_total(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(State::read(&bytes));
        }
    }
}
