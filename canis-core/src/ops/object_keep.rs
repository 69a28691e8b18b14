//! New keys become objects: what is computed about them, and how they are kept in a session or in a token.
//!
//! Every way by which a key comes to be ends here: generated, brought from outside, unwrapped, derived, copied.

use super::create_key::NewMaterial;
use super::object_import::secret_class;
use super::object_role::granted_roles;
use crate::caller::Caller;
use crate::core::{Facts, Resource};
use crate::crypto::Provider;
use crate::keyring::Keyring;
use crate::keyring::key_record::{KeyRecord, Source};
use crate::keyring::ready::ReadyKey;
use crate::keyring::role::{Grant, Roles};
use crate::keyring::seal::fresh_id;
use crate::keyring::tenant::OpenTenant;
use crate::object::{Class, Content, KeyFacts, NO_MECHANISM, Object};
use crate::store::Change;
use canis_proto::{Capability, Error, ErrorCode, Id, KeyName, KeyType, Result, Usage};
use std::sync::Arc;

/// How the names of keys begin that have none of their own choice; their ids follow. Who may make keys here may make
/// them under any id.
const OWN_NAMES: &str = "p11/";

/// A key whose material is at hand, with the objects that are to show it.
pub(super) struct NewKey {
    made: NewMaterial,
    secret: Content,
    public: Option<Content>,
    /// What its value is for from the beginning.
    roles: Roles,
    /// What it takes to make it.
    takes: Capability,
    /// Whether whoever has the token can make it again when its session is over.
    lasting: bool,
}

/// Where a key's material comes from. What PKCS#11 computes from that (CKA_LOCAL, CKA_ALWAYS_SENSITIVE,
/// CKA_NEVER_EXTRACTABLE, CKA_KEY_GEN_MECHANISM) is never taken from a template.
pub(super) enum Origin {
    /// Drawn here, by the mechanism that the content names.
    Generated,
    /// From outside: C_CreateObject. Nobody knows where it was before.
    Outside,
    /// From outside, wrapped: C_UnwrapKey. What is known of its value stands in the content.
    Unwrapped,
    /// From keys of the same token, of which this is known: C_DeriveKey.
    Derived(Heritage),
    /// A secret shared with somebody who knows it, too: C_EncapsulateKey, C_DecapsulateKey.
    Shared {
        /// Whether it is the beginning of the secret only.
        cut: bool,
    },
    /// From a key of the same token, which these facts describe: C_CopyObject. The copy has the key's history.
    Copied(KeyFacts),
}

impl Origin {
    /// The capability that it takes.
    fn takes(&self) -> Capability {
        match self {
            Origin::Outside | Origin::Unwrapped => Capability::Import,
            Origin::Generated | Origin::Derived(_) | Origin::Shared { .. } | Origin::Copied(_) => {
                Capability::Create
            }
        }
    }
}

/// What a derived key has from its bases.
#[derive(Clone, Copy)]
pub(super) struct Heritage {
    pub(super) sensitive: bool,
    pub(super) extractable: bool,
    pub(super) always_sensitive: bool,
    pub(super) never_extractable: bool,
    pub(super) wrap_with_trusted: bool,
    /// A KDF has cut it from a longer run of bytes that are kept.
    pub(super) from_kdf: bool,
}

impl NewKey {
    /// A key of this material: fills in what is computed, and checks that its usage is one that the type can have.
    ///
    /// # Errors
    /// `operation_not_supported` for a usage that keys of this type or class cannot have; `invalid_argument` for a
    /// CKA_CHECK_VALUE that is not the key's.
    pub(super) fn new(
        provider: &Provider,
        origin: &Origin,
        made: NewMaterial,
        secret: Content,
        public: Option<Content>,
    ) -> Result<Self> {
        let kind = made.kind;
        if secret.class != secret_class(kind) || public.as_ref().is_some_and(|p| p.class != Class::PublicKey)
        {
            return Err(Error::invalid(format!("CKA_CLASS does not fit a key of type {kind}")));
        }
        let mut secret = computed(secret, origin, kind, &made.spki)?;
        if !kind.is_asymmetric() {
            secret.note_secret(provider, kind, made.material.expose())?;
        }
        let public = public.map(|content| computed(content, origin, kind, &made.spki)).transpose()?;
        let roles = granted_roles(&secret);
        Ok(NewKey { made, secret, public, roles, takes: origin.takes(), lasting: false })
    }

    /// Refuses a key that is not as the keys want it that it was made by.
    ///
    /// # Errors
    /// `key_sensitive`.
    pub(super) fn require_fit<'t>(
        &self,
        session: Option<u64>,
        templates: impl Iterator<Item = &'t [u8]>,
    ) -> Result<()> {
        require_fit(&self.secret, session, templates)
    }

    /// The same with what is known of its value besides.
    pub(super) fn knowing(self, roles: Roles, lasting: bool) -> Self {
        NewKey { roles: self.roles.with(roles), lasting, ..self }
    }
}

fn computed(mut content: Content, origin: &Origin, kind: KeyType, spki: &[u8]) -> Result<Content> {
    let (class, secret) = (content.class, content.class.is_secret());
    let facts = content.key.as_mut().ok_or_else(no_facts)?;
    if !class.possible_usage(kind).allows(facts.usage) {
        return Err(Error::new(
            ErrorCode::OperationNotSupported,
            format!(
                "a key of type {kind} cannot be used to {}",
                facts.usage.names().collect::<Vec<_>>().join(", ")
            ),
        ));
    }
    if facts.always_authenticate && (class != Class::PrivateKey || !content.private) {
        return Err(Error::invalid("CKA_ALWAYS_AUTHENTICATE is for private keys with CKA_PRIVATE only"));
    }
    facts.kind = kind;
    facts.spki = spki.to_vec();
    facts.trusted = false;
    (facts.by_api, facts.from_kdf) = match origin {
        Origin::Generated | Origin::Outside => (false, false),
        Origin::Shared { cut } => (false, *cut),
        Origin::Unwrapped => (facts.by_api, facts.from_kdf),
        Origin::Derived(base) => (false, base.from_kdf),
        Origin::Copied(old) => (old.by_api, old.from_kdf),
    };
    match origin {
        Origin::Generated => {
            facts.local = true;
            facts.always_sensitive = secret && facts.sensitive;
            facts.never_extractable = secret && !facts.extractable;
        }
        Origin::Outside | Origin::Unwrapped | Origin::Shared { .. } => {
            facts.local = false;
            facts.mechanism = NO_MECHANISM;
            facts.always_sensitive = false;
            facts.never_extractable = false;
        }
        Origin::Derived(base) => {
            facts.local = false;
            facts.mechanism = NO_MECHANISM;
            facts.always_sensitive = base.always_sensitive && facts.sensitive;
            facts.never_extractable = base.never_extractable && !facts.extractable;
        }
        Origin::Copied(old) => {
            facts.local = old.local;
            facts.mechanism = old.mechanism;
            facts.always_sensitive = old.always_sensitive && facts.sensitive;
            facts.never_extractable = old.never_extractable && !facts.extractable;
        }
    }
    Ok(content)
}

/// Refuses an object that is not as the keys want it that it was made by (CKA_UNWRAP_TEMPLATE and its kin).
pub(super) fn require_fit<'t>(
    content: &Content,
    session: Option<u64>,
    mut templates: impl Iterator<Item = &'t [u8]>,
) -> Result<()> {
    if templates.all(|template| content.fits(session.is_none(), template)) {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::KeySensitive,
        "CKA_UNWRAP_TEMPLATE, CKA_DERIVE_TEMPLATE, CKA_ENCAPSULATE_TEMPLATE or CKA_DECAPSULATE_TEMPLATE of the key that \
         makes it wants other attributes of this one",
    ))
}

/// A request that says nothing of the key that it wants.
pub(super) fn no_facts() -> Error {
    Error::invalid("an object that shows a key says what kind of key it is")
}

impl Keyring {
    /// Keeps a new key: in memory with its session, or sealed in the caller's token. Gives the ids of the private or
    /// secret key's object and of the public one's.
    ///
    /// # Errors
    /// `login_required` unless the user is logged in; `tenant_locked`; those of the store.
    pub(super) fn keep(
        &self,
        caller: &Caller,
        session: Option<u64>,
        new: NewKey,
    ) -> Result<(Id, Option<Id>)> {
        self.require_login(caller, true)?;
        match session {
            Some(session) => self.keep_in_session(caller, session, new),
            None => self.keep_in_token(caller, &new, &[]),
        }
    }

    /// Keeps a new key and objects that show none, all of them in the caller's token, or nothing.
    ///
    /// # Errors
    /// As [`Keyring::keep`].
    pub(super) fn keep_together(
        &self,
        caller: &Caller,
        new: Option<NewKey>,
        lone: Vec<Content>,
    ) -> Result<()> {
        self.require_login(caller, true)?;
        let token = caller.tenant()?;
        let row = |content| -> Result<Change> {
            let object =
                Object { id: fresh_id(self.provider)?, revision: 1, session: None, key: None, content };
            Ok(Change::Put(self.object_row(token, &object)?))
        };
        let rows = lone.into_iter().map(row).collect::<Result<Vec<_>>>()?;
        match new {
            Some(new) => self.keep_in_token(caller, &new, &rows).map(drop),
            None => self.store.commit(&self.expecting(token, rows)),
        }
    }

    /// Keeps a session's object that shows a version of a key that the token keeps.
    pub(super) fn keep_reference(
        &self,
        caller: &Caller,
        session: u64,
        key: (Id, u32),
        new: NewKey,
    ) -> Result<Id> {
        let id = fresh_id(self.provider)?;
        let object = Object { id, revision: 1, session: Some(session), key: Some(key), content: new.secret };
        caller.application()?.add(caller.tenant()?, object, None)?;
        Ok(id)
    }

    fn keep_in_session(&self, caller: &Caller, session: u64, new: NewKey) -> Result<(Id, Option<Id>)> {
        let (application, token) = (caller.application()?, caller.tenant()?);
        let ready = Arc::new(ReadyKey::new(self.provider, new.made.kind, new.made.material, None)?);
        ready.known.add(new.roles);
        if new.lasting {
            ready.known.set_lasting();
        }
        let add = |content, ready| -> Result<Id> {
            let id = fresh_id(self.provider)?;
            self.require_by_policy(caller, new.takes, Resource::Object(id))?;
            let object = Object { id, revision: 1, session: Some(session), key: None, content };
            application.add(token, object, ready)?;
            Ok(id)
        };
        let secret = add(new.secret, Some(ready))?;
        let public = new.public.map(|content| add(content, None)).transpose()?;
        Ok((secret, public))
    }

    /// Under its label's name if that is free and the caller may make a key there, else under a name of its own.
    fn keep_in_token(&self, caller: &Caller, new: &NewKey, beside: &[Change]) -> Result<(Id, Option<Id>)> {
        let tenant = self.tenant(caller.tenant()?)?;
        let wished = self.free_name(&tenant, &new.secret.label)?;
        let may = |name: &str| {
            let facts = Facts::of_type(new.made.kind);
            self.require_by_policy_for(caller, new.takes, Resource::Key(name), facts)
        };
        let wished = wished.filter(|name| may(name).is_ok());
        if wished.is_none() {
            may(OWN_NAMES)?;
        }
        match self.keep_named(&tenant, new, beside, wished) {
            // Somebody else took the name since it was looked for.
            Err(e) if e.code == ErrorCode::KeyExists => {
                may(OWN_NAMES)?;
                self.keep_named(&tenant, new, beside, None)
            }
            done => done,
        }
    }

    fn keep_named(
        &self,
        tenant: &OpenTenant,
        new: &NewKey,
        beside: &[Change],
        name: Option<String>,
    ) -> Result<(Id, Option<Id>)> {
        let now = self.clock.now_micros();
        let key = fresh_id(self.provider)?;
        let name = name.unwrap_or_else(|| format!("{OWN_NAMES}{key}"));
        let mut changes = vec![
            tenant.expected(),
            Change::Put(self.key_row(tenant, key, 1, &new.record(name, now)?)?),
            Change::Put(self.version_row(tenant, key, new.made.kind, 1, &new.made.material, now)?),
        ];
        for Grant { value, roles, .. } in self.grants_for(tenant, &new.made, new.roles) {
            changes.extend(self.role_change(tenant, value, roles)?);
        }
        let mut add = |content: &Content| -> Result<Id> {
            let content = content.clone();
            let id = fresh_id(self.provider)?;
            let object = Object { id, revision: 1, session: None, key: Some((key, 1)), content };
            changes.push(Change::Put(self.object_row(tenant.id, &object)?));
            Ok(id)
        };
        let secret = add(&new.secret)?;
        let public = new.public.as_ref().map(add).transpose()?;
        changes.extend_from_slice(beside);
        changes.extend(self.key_limit(tenant.id)?);
        self.store.commit(&changes)?;
        Ok((secret, public))
    }

    /// A key made through PKCS#11 takes its label as name if that is a free, valid name.
    fn free_name(&self, tenant: &OpenTenant, label: &[u8]) -> Result<Option<String>> {
        let Some(name) = std::str::from_utf8(label).ok().and_then(|label| KeyName::parse(label).ok()) else {
            return Ok(None);
        };
        let free = self.store.key_by_name(tenant.id, name.as_str())?.is_none();
        Ok(free.then(|| name.to_string()))
    }
}

impl NewKey {
    /// The classes of the objects that show it.
    pub(super) fn classes(&self) -> impl Iterator<Item = Class> {
        [Some(&self.secret), self.public.as_ref()].into_iter().flatten().map(|content| content.class)
    }

    /// The record of the key's row.
    fn record(&self, name: String, now: i64) -> Result<KeyRecord> {
        let usage = |content: &Content| content.key.as_ref().map_or(Usage::NONE, |facts| facts.usage);
        let facts: &KeyFacts = self.secret.key.as_ref().ok_or_else(no_facts)?;
        let usage = facts.usage.with(self.public.as_ref().map_or(Usage::NONE, usage));
        Ok(KeyRecord {
            exportable: facts.extractable,
            allow_plaintext_backup: !facts.sensitive,
            always_authenticate: facts.always_authenticate,
            limited: self.secret.is_limited() || self.public.as_ref().is_some_and(Content::is_limited),
            source: if facts.local { Source::Here } else { Source::Outside },
            ..KeyRecord::new(name, self.made.kind, usage, now)
        })
    }
}
