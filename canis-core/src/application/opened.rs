//! The keys that an application's requests have opened by naming them: so many, the one used longest ago goes first.
//! Whether one may still be used as it is, its reader says.

use crate::object::{KeyHandle, NamedKey};
use canis_proto::Id;
use std::collections::VecDeque;
use std::sync::Arc;

/// How many are kept. A host works with a few keys; what is not kept is opened again.
const MOST: usize = 32;

/// Opened keys, the last used one at the end.
#[derive(Default)]
pub(super) struct OpenedKeys(VecDeque<(Id, NamedKey, Arc<KeyHandle>)>);

impl OpenedKeys {
    /// The key that was opened so.
    pub(super) fn get(&mut self, token: Id, key: &NamedKey) -> Option<Arc<KeyHandle>> {
        let at = self.place(token, key)?;
        let last = self.0.len() - 1;
        if at != last {
            let found = self.0.remove(at)?;
            self.0.push_back(found);
        }
        self.0.back().map(|(_, _, opened)| Arc::clone(opened))
    }

    /// Keeps one.
    pub(super) fn keep(&mut self, token: Id, key: NamedKey, opened: &Arc<KeyHandle>) {
        if let Some(old) = self.place(token, &key) {
            self.0.remove(old);
        }
        if self.0.len() >= MOST {
            self.0.pop_front();
        }
        self.0.push_back((token, key, Arc::clone(opened)));
    }

    /// Forgets those of which this is true.
    pub(super) fn forget(&mut self, gone: impl Fn(Id, &NamedKey) -> bool) {
        self.0.retain(|(token, key, _)| !gone(*token, key));
    }

    fn place(&self, token: Id, key: &NamedKey) -> Option<usize> {
        self.0.iter().rposition(|(of, named, _)| of == &token && named == key)
    }
}
