//! `object.export`: a key's material is given in plain; and the one place where material is taken from an object.

use crate::audit::note_use;
use crate::caller::Caller;
use crate::core::{Resource, Run};
use crate::crypto::Provider;
use crate::crypto::private_parts::PrivateParts;
use crate::keyring::Keyring;
use crate::keyring::intent::Intent;
use crate::object::{ExportObject, Object};
use crate::secret::SecretBytes;
use canis_proto::{Capability, Error, ErrorCode, Id, KeyState, Result};

impl Run for ExportObject {
    const PASSES_MATERIAL: bool = true;

    fn resource(&self) -> Resource<'_> {
        Resource::Object(self.object)
    }

    fn intent(&self, keyring: &Keyring, caller: &Caller) -> Result<Option<Intent>> {
        keyring.intent_on(caller, self.object, Capability::Export)
    }

    /// Who only asks how long the parts are has not got them.
    fn gives(answer: &PrivateParts) -> bool {
        !matches!(answer, PrivateParts::Measured(_))
    }

    fn given(answer: &Self::Answer) -> Option<usize> {
        Some(answer.size())
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<PrivateParts> {
        let object = keyring.visible(caller, self.object)?;
        let (kind, material) = keyring.material(caller, &object, Leave::Plain)?;
        let parts = expanded(
            keyring.provider,
            PrivateParts::of_material(kind, material.expose())?,
            material.expose(),
        )?;
        Ok(if self.measure { PrivateParts::Measured(parts.lengths()) } else { parts })
    }
}

/// The parts, with what other programs expect of a post-quantum key that is kept as a seed: the key that comes of it.
fn expanded(provider: &Provider, parts: PrivateParts, material: &[u8]) -> Result<PrivateParts> {
    match parts {
        PrivateParts::PostQuantum { kind, seed, expanded: None } => {
            let expanded = Some(provider.keys.private(kind, material)?.expanded()?);
            Ok(PrivateParts::PostQuantum { kind, seed, expanded })
        }
        parts => Ok(parts),
    }
}

/// How material is to leave its object.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Leave {
    /// In plain: only if it is extractable and not sensitive.
    Plain,
    /// As another object of the same token, or to make one.
    Inside,
    /// Wrapped by another key: only if it is extractable. In neither way does one leave that wants a PIN for each use.
    Wrapped,
}

impl Keyring {
    /// What somebody is about to do who takes the material of an object out or destroys it; `None` for what shows none, or is
    /// gone with its session anyway.
    ///
    /// # Errors
    /// `object_not_found`, `tenant_locked`; `login_required`, as what was asked for answers it.
    pub(super) fn intent_on(
        &self,
        caller: &Caller,
        object: Id,
        capability: Capability,
    ) -> Result<Option<Intent>> {
        let object = self.visible(caller, object)?;
        let Some((key, version)) = object.key.filter(|_| object.content.class.is_secret()) else {
            return Ok(None);
        };
        if object.session.is_some() && capability == Capability::Delete {
            return Ok(None);
        }
        let needed = capability == Capability::Export || object.content.needs_login();
        self.require_login(caller, needed)?;
        let kept = self.key_by_id(&*self.tenant(caller.tenant()?)?, key)?;
        let arguments = [&object.id.0[..], &version.to_be_bytes()].concat();
        let intent = Intent::of_bytes(capability, arguments).bound_to(key).telling("key", &*kept.record.name);
        let intent = intent.telling("version", version.to_string());
        Ok(Some(intent.by_at_least(kept.record.approvals)))
    }

    /// The material of an object's key, if it may leave so. What its attributes promise and what the key's own row
    /// allows at this moment must agree: CKA_EXTRACTABLE is `exportable`, CKA_SENSITIVE = false is
    /// `allow_plaintext_backup`.
    ///
    /// # Errors
    /// `login_required`; `operation_not_allowed` if it must not; `object_not_found` for what is no such key.
    pub(super) fn material(
        &self,
        caller: &Caller,
        object: &Object,
        leave: Leave,
    ) -> Result<(canis_proto::KeyType, SecretBytes)> {
        self.require_login(caller, true)?;
        let facts = object.content.key.as_ref().filter(|_| object.content.class.is_secret());
        let facts =
            facts.ok_or_else(|| Error::new(ErrorCode::ObjectNotFound, "the object holds no key material"))?;
        if leave != Leave::Inside && facts.always_authenticate {
            return Err(wants_pin());
        }
        if leave == Leave::Plain && (facts.sensitive || !facts.extractable) {
            return Err(stays());
        }
        if leave == Leave::Wrapped && !facts.extractable {
            return Err(not_exportable());
        }
        let token = caller.tenant()?;
        let Some((key, version)) = object.key else {
            let kept = caller.application()?.object(token, object.id).and_then(|kept| kept.ready);
            let value = kept.as_ref().and_then(|ready| ready.value.as_ref()).ok_or_else(gone)?;
            return Ok((facts.kind, SecretBytes::copied_from(value.expose())));
        };
        note_use(key, version);
        let tenant = self.tenant(token)?;
        let key = self.key_by_id(&tenant, key)?;
        if key.state != KeyState::Active {
            return Err(Error::new(
                ErrorCode::OperationNotAllowed,
                format!("key `{}` is {}; it does not leave in this state", key.record.name, key.state),
            ));
        }
        if leave == Leave::Plain && !(key.record.exportable && key.record.allow_plaintext_backup) {
            return Err(stays());
        }
        if leave == Leave::Wrapped && !key.record.exportable {
            return Err(not_exportable());
        }
        let row = self.store.version(key.id, version)?.ok_or_else(gone)?;
        Ok((key.kind, self.open_version(&tenant, &key, &row)?))
    }
}

fn stays() -> Error {
    Error::new(
        ErrorCode::OperationNotAllowed,
        "the key is sensitive or not extractable; its material does not leave in plain",
    )
}

fn not_exportable() -> Error {
    Error::new(
        ErrorCode::KeyNotExportable,
        "the key is not extractable; its material does not leave, not even wrapped",
    )
}

/// C_WrapKey has no moment for the PIN, and what was wrapped would be used without it for ever after.
pub(super) fn wants_pin() -> Error {
    Error::new(
        ErrorCode::LoginRequired,
        "the key has CKA_ALWAYS_AUTHENTICATE: each use needs the user PIN, so it does not leave",
    )
}

fn gone() -> Error {
    Error::new(ErrorCode::ObjectNotFound, "the key's material is gone")
}
