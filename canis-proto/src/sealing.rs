//! Requests about a store that is sealed, or is to be, and their answers. Credentials stand in them as bytes: whoever makes
//! or reads one keeps the bytes where they are wiped.

use crate::answer::answer;
use crate::message::{WireRequest, request};
use crate::value::{Map, Value};
use std::borrow::Cow;

request! {
    /// Brings a credential to a sealed store: all of it, or one share of several. Anybody connected may, and nobody gets
    /// further by it than the credential leads.
    Unseal => UnsealState {
        /// Of which kind it is, as those of root slots; `configured` asks a server to use the one that its configuration
        /// names; empty to look only.
        kind: Cow<'a, str>, default, |v| v.as_ref();
        /// The credential as `root.test` takes it; of shares, the text of one.
        secret: Cow<'a, [u8]>, default, |v| v.as_ref();
        /// hsm: the PKCS#11 module on the server's host.
        module: Cow<'a, str>, default, |v| v.as_ref();
        /// Forget the shares that are there, before this one is taken.
        reset: bool, default, |v| *v;
    }
}

/// Seals the store: whatever was opened by its root key is forgotten, and every operation is refused until somebody
/// unseals it.
#[derive(Clone, PartialEq, Eq)]
pub struct SealStore;

impl crate::Operation for SealStore {
    const ID: crate::OperationId = crate::OperationId::SealStore;
    type Answer = StoreSealed;
}

impl<'a> WireRequest<'a> for SealStore {
    const FIELDS: &'static [crate::schema::Field] = &[];

    fn to_map(&self) -> Map<'_> {
        Map::new()
    }

    fn from_fields(_: &mut crate::fields::Fields<'a>) -> crate::Result<Self> {
        Ok(SealStore)
    }
}

request! {
    /// Makes a bearer token with every capability in the tenant `default`, for who has lost the first one. What is asked for
    /// is a root's credential, and no token.
    OperatorToken => crate::credential::CredentialMade {
        /// The credential's kind, as those of root slots.
        kind: Cow<'a, str>, required, |v| v.as_ref();
        /// The credential as `root.test` takes it; of shares, as many as are needed.
        secret: Cow<'a, [u8]>, required, |v| v.as_ref();
        /// hsm: the PKCS#11 module on the server's host.
        module: Cow<'a, str>, default, |v| v.as_ref();
    }
}

answer! {
    /// How far a store is from being open.
    UnsealState {
        /// Whether it is sealed still.
        sealed: bool, required, |v| *v;
        /// How many different shares are there.
        given: u32, required, |v| *v;
        /// How many are needed; 0 where none are.
        threshold: u32, required, |v| *v;
        /// The split that they are of; empty where none are there.
        split: String, required, |v| v.as_str();
        /// When those that are there are forgotten, in microseconds since 1970-01-01 UTC.
        expires_at: Option<i64>, optional, |v| v.map_or(Value::Null, Value::from);
    }
}

answer! {
    /// The result of `seal`.
    StoreSealed {
        /// Whether everything that held an opened key has ended; else some work is still going on that had begun before.
        wiped: bool, required, |v| *v;
    }
}

answer! {
    /// The state of server and store.
    StatusInfo {
        /// The version of CANIS.
        version: String, required, |v| v.as_str();
        /// The store's id.
        store: String, required, |v| v.as_str();
        /// Whether the root key is absent, so that no key can be used.
        sealed: bool, required, |v| *v;
        /// Why it is sealed and what to do; empty when it is not.
        reason: String, required, |v| v.as_str();
        /// The crypto provider in use.
        provider: String, required, |v| v.as_str();
        /// Why the audit log cannot be written; empty when it can, or when none is kept.
        audit: String, default, |v| v.as_str();
        /// Why copies of the audit log do not get where they are sent; empty when they do, or when none are sent.
        audit_copies: String, default, |v| v.as_str();
        /// What is wrong with the store's rows, as the server's last comparison found; empty when nothing is, or none was made yet.
        rows: String, default, |v| v.as_str();
    }
}
