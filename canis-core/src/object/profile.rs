//! Profile objects (PKCS#11 v3.1, section 4.13): which of the standard's profiles a token keeps to.
//!
//! They say something about CANIS, not about a store, so they are made when somebody looks and never stored.
//! Searches give them only to those who ask for their class, as the standard has it for hardware features and mechanisms
//! (sections 4.3 and 4.12): older programs do not know what they are.

use super::{Class, Content, Object};
use canis_proto::Id;
use std::sync::Arc;

/// CKA_PROFILE_ID.
const CKA_PROFILE_ID: u64 = 0x601;

/// CKP_BASELINE_PROVIDER, CKP_EXTENDED_PROVIDER, CKP_AUTHENTICATION_TOKEN.
const PROFILES: [u8; 3] = [1, 2, 3];

/// The profile objects of a token.
pub(crate) fn profiles(token: Id) -> impl Iterator<Item = Arc<Object>> {
    PROFILES.into_iter().map(move |number| Arc::new(object(token, number)))
}

/// The one with this id.
pub(crate) fn profile(token: Id, id: Id) -> Option<Arc<Object>> {
    PROFILES
        .into_iter()
        .find(|number| id_of(token, *number) == id)
        .map(|number| Arc::new(object(token, number)))
}

/// An id for each token and profile. Ids are random, so another object's differs in more than one byte.
fn id_of(token: Id, number: u8) -> Id {
    let mut id = token;
    id.0[15] ^= number;
    id
}

fn object(token: Id, number: u8) -> Object {
    let content = Content {
        class: Class::Profile,
        private: false,
        modifiable: false,
        copyable: false,
        destroyable: false,
        label: Vec::new(),
        id: Vec::new(),
        key: None,
        attributes: vec![(CKA_PROFILE_ID, u64::from(number).to_le_bytes().to_vec())],
    };
    Object { id: id_of(token, number), revision: 1, session: None, key: None, content }
}
