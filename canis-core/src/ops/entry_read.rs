//! `kv.get`, `kv.list`: entries of the key-value store as readers see them.

use crate::caller::Caller;
use crate::core::{Resource, Run};
use crate::keyring::Keyring;
use crate::keyring::intent::Intent;
use canis_proto::answer::{Entry, EntryList};
use canis_proto::message::{GetEntry, ListEntries};
use canis_proto::{Capability, EntryId, Id, Result};
use std::collections::BTreeMap;

/// Entries of a page.
const PAGE: usize = 100;

/// Rows that are in memory together while a list is made.
const ROWS: usize = 256;

impl Run for GetEntry<'_> {
    const PASSES_MATERIAL: bool = true;

    fn resource(&self) -> Resource<'_> {
        Resource::Entry(&self.id)
    }

    fn intent(&self, keyring: &Keyring, caller: &Caller) -> Result<Option<Intent>> {
        if !self.private {
            return Ok(None);
        }
        let id = EntryId::parse(&self.id)?;
        let entry = keyring.entry(&*keyring.tenant(caller.tenant()?)?, id.as_str())?;
        let intent = Intent::of(Capability::Export, self, &["id"]).bound_to(entry.row.id);
        Ok(Some(intent.fixing("revision", entry.info().revision)))
    }

    fn fixed(answer: &Entry) -> Option<u64> {
        Some(answer.revision)
    }

    fn given(answer: &Self::Answer) -> Option<usize> {
        Some(answer.public_key.len() + answer.private_key.as_ref().map_or(0, Vec::len))
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<Entry> {
        if self.private {
            keyring.require(caller, Capability::Export, self.resource(), self.facts())?;
        }
        let id = EntryId::parse(&self.id)?;
        let tenant = keyring.tenant(caller.tenant()?)?;
        let entry = keyring.entry(&tenant, id.as_str())?;
        let private = if self.private { keyring.open_private(&tenant, &entry)? } else { None };
        let info = entry.info();
        Ok(Entry {
            id: info.id,
            name: info.name,
            kind: info.kind,
            public_key: entry.record.public_key,
            has_private: info.has_private,
            private_key: private.map(|half| half.expose().to_vec()),
            revision: info.revision,
            created_at: info.created_at,
            updated_at: info.updated_at,
        })
    }
}

impl Run for ListEntries<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Entries
    }

    /// Identifiers are sealed, so that every row of the tenant is opened for each page; memory holds no more than the
    /// page.
    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<EntryList> {
        let tenant = keyring.tenant(caller.tenant()?)?;
        let limit = match usize::try_from(self.limit).unwrap_or(PAGE) {
            0 => PAGE,
            asked => asked.min(PAGE),
        };
        let mut page = BTreeMap::new();
        let mut after = Id([0; 16]);
        loop {
            let rows = keyring.store.entries(tenant.id, after, ROWS)?;
            let last = rows.len() < ROWS;
            for row in rows {
                let entry = keyring.read_entry(&tenant, row)?;
                after = entry.lookup();
                let id = entry.record.identifier.as_str();
                let wanted = id.starts_with(&*self.prefix) && id > &*self.after;
                if wanted && keyring.shows(caller, Capability::List, Resource::Entry(id))? {
                    page.insert(id.to_owned(), entry.info());
                }
                if page.len() > limit + 1 {
                    page.pop_last();
                }
            }
            if last {
                break;
            }
        }
        let more = page.len() > limit;
        Ok(EntryList { entries: page.into_values().take(limit).collect(), more })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::core::Core;
    use crate::datadir::DataDir;
    use crate::policy::Rights;
    use crate::root::{Credential, NewRoot};
    use crate::secret::SecretBytes;
    use crate::{default_provider, setup};
    use canis_proto::message::PutEntry;
    use canis_proto::{Capabilities, ErrorCode};
    use std::sync::Arc;

    /// R74: the private half needs `export` beside `read`; replacing an entry needs `update` beside `import`.
    #[test]
    fn capabilities() {
        let dir = tempfile::tempdir().unwrap();
        let place = DataDir::new(dir.path());
        let root = || SecretBytes::copied_from(&[7; 32]);
        let new = NewRoot::Keyfile { key: root() };
        setup::create(&place, new, &[], default_provider(), Arc::new(SystemClock)).unwrap();
        let store = Arc::new(place.open_store().unwrap());
        let tenant = crate::store::Store::tenants(&*store).unwrap()[0].id;
        let core = Core::open(store, default_provider(), Arc::new(SystemClock)).unwrap();
        core.unseal(&Credential::Keyfile(root())).unwrap();
        let may = |all: &[Capability]| {
            Caller::bearer(
                canis_proto::Id::STORE,
                tenant,
                Rights::everywhere(all.iter().fold(Capabilities::NONE, |set, one| set.with(*one))),
                crate::Proof::Token,
            )
        };
        let put = |caller: &Caller| {
            let request = PutEntry {
                id: "a".into(),
                name: "".into(),
                public_key: (&b"1"[..]).into(),
                private_key: (&b"2"[..]).into(),
                generate: None,
                revision: None,
            };
            core.call(caller, request).map(drop).map_err(|e| e.code)
        };
        let get = |caller: &Caller, private| {
            let answer = core.call(caller, GetEntry { id: "a".into(), private });
            answer.map(|entry| entry.private_key.clone()).map_err(|e| e.code)
        };
        let denied = ErrorCode::PermissionDenied;
        assert_eq!(put(&may(&[Capability::Read, Capability::Update, Capability::Create])), Err(denied));
        assert_eq!(put(&may(&[Capability::Import])), Ok(()));
        assert_eq!(put(&may(&[Capability::Import])), Err(denied));
        assert_eq!(put(&may(&[Capability::Import, Capability::Update])), Ok(()));
        let (reader, exporter) = (may(&[Capability::Read]), may(&[Capability::Read, Capability::Export]));
        assert_eq!(get(&reader, false), Ok(None));
        assert_eq!(get(&reader, true), Err(denied));
        assert_eq!(get(&exporter, true), Ok(Some(b"2".to_vec())));
        assert_eq!(get(&may(&[Capability::Export]), true), Err(denied));
    }
}
