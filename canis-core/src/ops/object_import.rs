//! `object.import`: a private or secret key comes in from outside.

use super::create_key::NewMaterial;
use super::object_keep::{NewKey, Origin};
use crate::caller::Caller;
use crate::core::{Resource, Run};
use crate::keyring::Keyring;
use crate::object::{Class, ImportObject};
use canis_proto::{Error, Id, KeyType, Result};

impl Run for ImportObject {
    const PASSES_MATERIAL: bool = true;

    fn resource(&self) -> Resource<'_> {
        Resource::Objects
    }

    fn brings(&self) -> Option<usize> {
        Some(self.parts.size())
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<Id> {
        keyring.require_login(caller, true)?;
        let (kind, material) = self.parts.into_material()?;
        if self.content.class != secret_class(kind) {
            return Err(Error::invalid(format!("a {} is not of type {kind}", self.content.class.noun())));
        }
        let made = NewMaterial::given(keyring.provider, kind, material)?;
        let claimed = self.content.key.as_ref().map(|facts| facts.spki.as_slice()).unwrap_or_default();
        if !claimed.is_empty() && claimed != made.spki {
            return Err(Error::invalid("the public half that came with the private key is another key's"));
        }
        let new = NewKey::new(keyring.provider, &Origin::Outside, made, self.content, None)?;
        keyring.keep(caller, self.session, new).map(|(id, _)| id)
    }
}

/// The class of the object that shows the material of a key of this type.
pub(super) fn secret_class(kind: KeyType) -> Class {
    if kind.is_asymmetric() { Class::PrivateKey } else { Class::SecretKey }
}
