//! `object.derive`: a key is made of another one; `object.derive-password`: of a password.

use super::create_key::NewMaterial;
use super::object_derived_bytes::{Bases, unfit_length};
use super::object_keep::{Heritage, NewKey, Origin, no_facts, require_fit};
use crate::caller::Caller;
use crate::core::{Facts, Resource, Run};
use crate::keyring::Keyring;
use crate::keyring::intent::Intent;
use crate::object::{
    Class, Content, CreateObject, Derivation, DeriveKey, DerivePassword, Derived, KeyFacts, MAX_SECRET,
};
use crate::secret::SecretBytes;
use canis_proto::message::WireRequest;
use canis_proto::{Capability, Error, ErrorCode, Family, Id, KeyType, Result};

/// CKA_VALUE, of a data object.
const CKA_VALUE: u64 = 0x11;

/// The most iterations of PBKDF2; more would stop its host for minutes.
const MOST_ITERATIONS: u32 = 10_000_000;

impl Run for DeriveKey<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Object(self.base)
    }

    /// A value that stands in what is derived has left its key: what is derived asks nobody.
    fn intent(&self, keyring: &Keyring, caller: &Caller) -> Result<Option<Intent>> {
        if !self.how.moves_value() {
            return Ok(None);
        }
        let mut both: Option<Intent> = None;
        for base in [Some(self.base), self.how.other_base()].into_iter().flatten() {
            let Some(one) = keyring.intent_on(caller, base, Capability::Export)? else { continue };
            let path = keyring.path_of(caller, Resource::Object(base))?;
            both = Some(match both {
                None => one.at(path),
                Some(mut first) => {
                    first.told.extend(one.told);
                    first.demands.extend(one.demands);
                    first.demands.extend(keyring.demanded(caller.tenant()?, Capability::Export, &path)?);
                    first
                }
            });
        }
        // Which session it is for says nothing; that it is for one does.
        let mut asked = self.to_map();
        let of_session = asked.take("session").is_some();
        Ok(both.map(|intent| intent.with(&[&asked.encode(), &[of_session.into()]])))
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<Id> {
        keyring.require(caller, Capability::Create, Resource::Objects, Facts::default())?;
        if let Some(other) = self.how.other_base() {
            keyring.require(caller, Capability::Decrypt, Resource::Object(other), Facts::default())?;
        }
        if self.how.moves_value() {
            keyring.require_by_policy(caller, Capability::Export, Resource::Object(self.base))?;
        }
        let mechanisms = self.how.mechanisms(self.derived);
        let base = keyring.open_base(caller, self.base, mechanisms)?;
        let other = self.how.other_base().map(|id| keyring.open_base(caller, id, mechanisms)).transpose()?;
        let heritage = heritage(&base.handle.facts, other.as_ref().map(|other| &other.handle.facts));
        let stays = self.content.key.as_ref().is_some_and(KeyFacts::stays_inside);
        let len = match self.derived {
            Derived::Secret { len, .. } => len,
            Derived::Data { len } => Some(len),
        };
        let from = Bases { provider: keyring.provider, base, other, stays };
        let bytes = from.derive(&self.how, len)?;
        keyring.count(&from.base.handle);
        match self.derived {
            Derived::Secret { family, .. } => {
                let content = inherit(self.content, &heritage, &self.how)?;
                let kind = kind_of(family, bytes.len())?;
                let made = NewMaterial::given(keyring.provider, kind, bytes).map_err(|_| unfit_length())?;
                keyring.claim_bases(caller, &from, &self.how)?;
                let heritage = Heritage { from_kdf: from.are_cut_by_kdf(&self.how), ..heritage };
                let new = NewKey::new(keyring.provider, &Origin::Derived(heritage), made, content, None)?;
                let templates = from.all().filter_map(|base| base.template.as_deref());
                new.require_fit(self.session, templates)?;
                let new = new.knowing(from.roles_handed_on(&self.how), from.are_lasting(&self.how));
                keyring.keep(caller, self.session, new).map(|(id, _)| id)
            }
            Derived::Data { .. } if heritage.sensitive || !heritage.extractable => Err(weaker()),
            Derived::Data { .. } => {
                let mut content = self.content;
                if content.class != Class::Data || content.kept(CKA_VALUE).is_some() {
                    return Err(Error::invalid(
                        "derived bytes become the value of a data object, and its only one",
                    ));
                }
                let at = content.attributes.partition_point(|(kind, _)| *kind < CKA_VALUE);
                content.attributes.insert(at, (CKA_VALUE, bytes.expose().to_vec()));
                require_fit(&content, self.session, from.all().filter_map(|base| base.template.as_deref()))?;
                CreateObject { session: self.session, content }.run(keyring, caller)
            }
        }
    }
}

/// What the bases hand down.
fn heritage(base: &KeyFacts, other: Option<&KeyFacts>) -> Heritage {
    let of = |facts: &KeyFacts| Heritage {
        sensitive: facts.sensitive,
        extractable: facts.extractable,
        always_sensitive: facts.always_sensitive,
        never_extractable: facts.never_extractable,
        wrap_with_trusted: facts.wrap_with_trusted,
        from_kdf: false,
    };
    let (one, Some(two)) = (of(base), other.map(of)) else { return of(base) };
    Heritage {
        sensitive: one.sensitive || two.sensitive,
        extractable: one.extractable && two.extractable,
        always_sensitive: one.always_sensitive && two.always_sensitive,
        never_extractable: one.never_extractable && two.never_extractable,
        wrap_with_trusted: one.wrap_with_trusted || two.wrap_with_trusted,
        from_kdf: false,
    }
}

/// A key from a secret key promises no less than that. What two parties agree on is a new secret, no part of a private
/// key: its attributes are the caller's (PKCS#11 3.1, section 6.3.17).
fn inherit(mut content: Content, base: &Heritage, how: &Derivation<'_>) -> Result<Content> {
    let facts = content.key.as_mut().ok_or_else(no_facts)?;
    if !matches!(how, Derivation::Agree { .. }) {
        if (base.sensitive && !facts.sensitive) || (!base.extractable && facts.extractable) {
            return Err(weaker());
        }
        facts.wrap_with_trusted |= base.wrap_with_trusted;
    }
    Ok(content)
}

fn weaker() -> Error {
    Error::new(
        ErrorCode::KeySensitive,
        "what is derived from a sensitive or not extractable key is so, too; ask for CKA_SENSITIVE true, CKA_EXTRACTABLE false",
    )
}

/// The type of what is derived. No DES keys: a stronger key, read as one, would become as weak (ADR 0016).
pub(super) fn kind_of(family: Family, len: usize) -> Result<KeyType> {
    let kind = KeyType::of_secret(family, len).filter(|kind| !kind.is_legacy());
    kind.filter(|_| (1..=MAX_SECRET).contains(&len)).ok_or_else(unfit_length)
}

impl Run for DerivePassword<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Objects
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<Id> {
        keyring.require_login(caller, true)?;
        let kind = kind_of(self.family, self.len)?;
        // Every block of the key costs all the iterations.
        let blocks = self.len.div_ceil(self.hash.len()) as u64;
        if u64::from(self.iterations) * blocks > u64::from(MOST_ITERATIONS) {
            return Err(Error::invalid(format!(
                "PBKDF2 runs at most {MOST_ITERATIONS} times here, counted for each {} bytes of the key",
                self.hash.len()
            )));
        }
        let bytes = SecretBytes::filled(self.len, |out| {
            keyring.provider.kdf.pbkdf2(self.hash, self.password, self.salt, self.iterations, out)
        })?;
        let made = NewMaterial::given(keyring.provider, kind, bytes)?;
        let new = NewKey::new(keyring.provider, &Origin::Generated, made, self.content, None)?;
        keyring.keep(caller, self.session, new).map(|(id, _)| id)
    }
}
