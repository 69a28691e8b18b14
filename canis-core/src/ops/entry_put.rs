//! `kv.put`, `kv.delete`: entries of the key-value store are written and deleted whole, by compare and swap if asked.

use super::create_key::NewMaterial;
use crate::caller::Caller;
use crate::core::{Facts, Resource, Run};
use crate::format::{Checked, Given, pem};
use crate::keyring::Keyring;
use crate::keyring::entry::{Entry, NewEntry, not_found, parse};
use crate::keyring::intent::Intent;
use crate::keyring::tenant::OpenTenant;
use crate::secret::SecretBytes;
use crate::store::Change;
use canis_proto::answer::{EntryDeleted, EntryInfo};
use canis_proto::message::{DeleteEntry, PutEntry};
use canis_proto::{Capability, EntryId, Error, ErrorCode, KeyType, MAX_ENTRY_NAME, MAX_HALF, Result};

/// How often an unconditional change is tried anew because somebody else was first.
const TRIES: usize = 1000;

impl Run for PutEntry<'_> {
    const PASSES_MATERIAL: bool = true;

    fn resource(&self) -> Resource<'_> {
        Resource::Entry(&self.id)
    }

    fn brings(&self) -> Option<usize> {
        Some(self.public_key.len() + self.private_key.len())
    }

    /// Over what is there: that is changed, and its private half destroyed.
    fn intent(&self, keyring: &Keyring, caller: &Caller) -> Result<Option<Intent>> {
        let id = EntryId::parse(&self.id)?;
        let tenant = keyring.tenant(caller.tenant()?)?;
        let Some(old) = keyring.entry_if_there(&tenant, id.as_str())? else { return Ok(None) };
        expect(&id, Some(&old), self.revision)?;
        let mut intent = Intent::of(Capability::Update, self, &["id", "name", "public_key", "generate"]);
        intent.demands = keyring.demanded(tenant.id, Capability::Delete, &self.resource().path())?;
        Ok(Some(intent.bound_to(old.row.id)))
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<EntryInfo> {
        let id = EntryId::parse(&self.id)?;
        bounded("the name", self.name.len(), MAX_ENTRY_NAME)?;
        bounded("the public half", self.public_key.len(), MAX_HALF)?;
        bounded("the private half", self.private_key.len(), MAX_HALF)?;
        let tenant = keyring.tenant(caller.tenant()?)?;
        let halves = Halves::of(keyring, &self)?;
        let new = NewEntry {
            id: &id,
            name: &self.name,
            public: &halves.public,
            private: halves.private.expose(),
            kind: halves.kind,
        };
        keyring.change_entry(&tenant, &id, self.revision, |old| {
            if old.is_some() {
                keyring.require(
                    caller,
                    Capability::Update,
                    Resource::Entry(id.as_str()),
                    Facts::default(),
                )?;
            }
            let (row, info) = keyring.entry_row(&tenant, old, &new)?;
            Ok((Change::Put(row), info))
        })
    }
}

impl Run for DeleteEntry<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Entry(&self.id)
    }

    fn intent(&self, _: &Keyring, _: &Caller) -> Result<Option<Intent>> {
        Ok(Some(Intent::of(Capability::Delete, self, &["id", "revision"])))
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<EntryDeleted> {
        let id = EntryId::parse(&self.id)?;
        let tenant = keyring.tenant(caller.tenant()?)?;
        keyring.entry(&tenant, id.as_str())?;
        keyring.change_entry(&tenant, &id, self.revision, |old| {
            // Somebody else may have deleted it meanwhile.
            let old = old.ok_or_else(|| not_found(id.as_str()))?;
            let (row, revision) = old.place();
            let deleted = EntryDeleted { id: id.to_string(), revision: old.revision() };
            Ok((Change::RemoveEntry(row, revision), deleted))
        })
    }
}

fn bounded(what: &str, len: usize, most: usize) -> Result<()> {
    if len <= most {
        return Ok(());
    }
    Err(Error::new(ErrorCode::TooLarge, format!("{what} has {len} bytes; an entry takes {most}")))
}

impl Keyring {
    /// Changes an entry as `edit` says, which is given what is there. What was there is unreadable afterwards.
    fn change_entry<T>(
        &self,
        tenant: &OpenTenant,
        id: &EntryId,
        expected: Option<u64>,
        edit: impl Fn(Option<&Entry>) -> Result<(Change, T)>,
    ) -> Result<T> {
        for _ in 0..TRIES {
            let old = self.entry_if_there(tenant, id.as_str())?;
            expect(id, old.as_ref(), expected)?;
            let (change, answer) = edit(old.as_ref())?;
            match self.store.commit(&[tenant.expected(), change]) {
                Ok(()) => {
                    if old.is_some() {
                        self.forget_keys();
                        self.purge();
                    }
                    return Ok(answer);
                }
                Err(error) if error.code == ErrorCode::Conflict => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::new(ErrorCode::Conflict, "others change this entry all the time; try again"))
    }
}

/// Compare, before the swap.
fn expect(id: &EntryId, there: Option<&Entry>, expected: Option<u64>) -> Result<()> {
    let Some(expected) = expected else { return Ok(()) };
    let revision = there.map_or(0, Entry::revision);
    if revision == expected {
        return Ok(());
    }
    let id = canis_proto::quote(id.as_str());
    Err(Error::new(
        ErrorCode::Conflict,
        match (revision, expected) {
            (0, _) => format!("entry `{id}` is not there, so it has no revision {expected}"),
            (_, 0) => format!("entry `{id}` is there already, at revision {revision}"),
            _ => format!("entry `{id}` is at revision {revision}, not {expected}; read it again"),
        },
    ))
}

/// The two halves as they will be kept, and whether they are a pair.
struct Halves {
    public: Vec<u8>,
    private: SecretBytes,
    kind: Option<KeyType>,
}

impl Halves {
    fn of(keyring: &Keyring, request: &PutEntry<'_>) -> Result<Self> {
        if let Some(kind) = request.generate {
            return Halves::drawn(keyring, request, kind);
        }
        let public = request.public_key.to_vec();
        let private = SecretBytes::copied_from(&request.private_key);
        let kind = kind_of(keyring, &public, private.expose())?;
        Ok(Halves { public, private, kind })
    }

    /// A pair made here, its halves in PEM.
    fn drawn(keyring: &Keyring, request: &PutEntry<'_>, kind: KeyType) -> Result<Self> {
        if !request.public_key.is_empty() || !request.private_key.is_empty() {
            return Err(Error::invalid(
                "a pair is either brought or made here; leave the halves or `generate` out",
            ));
        }
        if !kind.is_asymmetric() {
            return Err(Error::invalid(format!("a key of type {kind} has no halves; `key.create` makes it")));
        }
        let made = NewMaterial::draw(keyring.provider, kind, 0)?;
        let private = pem::encode("PRIVATE KEY", made.material.expose());
        Ok(Halves {
            public: pem::encode("PUBLIC KEY", &made.spki).as_bytes().to_vec(),
            private: SecretBytes::copied_from(private.as_bytes()),
            kind: Some(kind),
        })
    }
}

/// The type of the pair. Halves that are both keys must be of one pair: the mistake would be found too late. What is
/// no key, or none that is found good, is kept as it is and used for nothing.
fn kind_of(keyring: &Keyring, public: &[u8], private: &[u8]) -> Result<Option<KeyType>> {
    let checked = |half: &[u8]| -> Option<Checked> { parse(keyring, half)?.check(keyring.provider).ok() };
    let of_private = match checked(private) {
        Some(Checked::Whole { kind, spki, .. }) if kind.is_asymmetric() => Some((kind, spki)),
        _ => None,
    };
    let of_public = match parse(keyring, public) {
        Some(given @ Given::Public(_)) => match given.check(keyring.provider) {
            Ok(Checked::Public { kind, spki }) => Some((kind, spki)),
            _ => None,
        },
        _ => None,
    };
    match (of_private, of_public) {
        (Some(one), Some(other)) if one == other => Ok(Some(one.0)),
        (Some(_), Some(_)) => Err(Error::invalid("the two halves are not of one pair; nothing was stored")),
        (Some((kind, _)), None) if public.is_empty() => Ok(Some(kind)),
        (None, Some((kind, _))) if private.is_empty() => Ok(Some(kind)),
        _ => Ok(None),
    }
}
