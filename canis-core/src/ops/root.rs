//! `root.…`: the root slots of the store, at a running server as on a store of one's own.

use crate::caller::Caller;
use crate::core::{Resource, Run};
use crate::keyring::Keyring;
use crate::keyring::intent::Intent;
use crate::keyring::root_key::Fate;
use crate::root::{Credential, NewRoot, Share, SlotView, TokenName, WrapMechanism, hsm_of, recipient_of};
use crate::secret::SecretBytes;
use crate::store::RootSlotRow;
use canis_proto::fields::Fields;
use canis_proto::message::WireRequest;
use canis_proto::root::{
    AddRoot, ListRoots, RemoveRoot, RootFields, RootKeyRotated, RootList, RootRemoved, RootSlotInfo,
    RotateRoot, RotateRootKey, TestRoot,
};
use canis_proto::value::{Map, Value};
use canis_proto::{Capability, Error, ErrorCode, Id, Result, quote};
use std::collections::BTreeMap;

impl Run for ListRoots {
    fn resource(&self) -> Resource<'_> {
        Resource::Part("roots")
    }

    fn run(self, keyring: &Keyring, _: &Caller) -> Result<RootList> {
        let slots = keyring.root_slots()?.into_iter().map(told).collect();
        let (root_key, root_key_at) = keyring.root_key_number()?;
        Ok(RootList { slots, store: keyring.store_id().to_string(), root_key, root_key_at })
    }
}

impl Run for AddRoot<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Part("roots")
    }

    fn intent(&self, _: &Keyring, _: &Caller) -> Result<Option<Intent>> {
        Ok(Some(root_intent(self)))
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<RootSlotInfo> {
        keyring.add_root(new_root(keyring, self.root(), caller)?).map(told)
    }
}

impl Run for RotateRoot<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Part("roots")
    }

    fn intent(&self, keyring: &Keyring, _: &Caller) -> Result<Option<Intent>> {
        Ok(Some(root_intent(self).bound_to(keyring.slot_named(&self.slot)?.id)))
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<RootSlotInfo> {
        keyring.renew_root(&self.slot, new_root(keyring, self.root(), caller)?).map(told)
    }
}

impl Run for RemoveRoot<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Part("roots")
    }

    fn intent(&self, keyring: &Keyring, _: &Caller) -> Result<Option<Intent>> {
        Ok(Some(root_intent(self).bound_to(keyring.slot_named(&self.slot)?.id)))
    }

    fn run(self, keyring: &Keyring, _: &Caller) -> Result<RootRemoved> {
        let (gone, left) = keyring.remove_root(&self.slot)?;
        Ok(RootRemoved {
            slot: gone.id.to_string(),
            kind: gone.kind,
            detail: gone.detail,
            left: u32::try_from(left).unwrap_or(u32::MAX),
        })
    }
}

impl Run for TestRoot<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Part("roots")
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<RootSlotInfo> {
        let credential = credential(keyring, &self.kind, &self.secret, &self.module, caller)?;
        keyring.test_root(self.slot.as_deref(), &credential).map(told)
    }
}

impl Run for RotateRootKey<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Part("roots")
    }

    fn intent(&self, _: &Keyring, _: &Caller) -> Result<Option<Intent>> {
        let keep = self.keep.iter().map(|kept| Value::Map(without_secrets(kept.clone()))).collect();
        let drop = self.drop.iter().map(|slot| Value::from(&**slot)).collect();
        let asked = Map::new().with("keep", Value::Array(keep)).with("drop", Value::Array(drop));
        Ok(Some(Intent::of_map(Capability::Admin, &asked, &["keep", "drop"])))
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<RootKeyRotated> {
        let fates = fates(self, keyring, caller)?;
        let root_key = keyring.replace_root_key(fates)?;
        let slots = keyring.root_slots()?.into_iter().map(told).collect();
        Ok(RootKeyRotated { root_key, slots })
    }
}

/// What is about to be done with a root. What opens it is drawn anew each time that somebody asks, as shares are, or is not
/// for others to see: they approve a root of its kind and with its parameters.
fn root_intent<'a, R: WireRequest<'a>>(request: &R) -> Intent {
    let told = R::FIELDS.iter().map(|field| field.name).collect::<Vec<_>>();
    Intent::of_map(Capability::Admin, &without_secrets(request.to_map()), &told)
}

fn without_secrets(mut root: Map<'_>) -> Map<'_> {
    const HASH: usize = 32;
    let hashes = root.take("hashes");
    drop((root.take("secret"), root.take("split")));
    match hashes {
        Some(Value::Bytes(hashes)) if !hashes.is_empty() => {
            root.with("hashes", u64::try_from(hashes.len() / HASH).unwrap_or(u64::MAX))
        }
        _ => root,
    }
}

/// What becomes of every slot. One that is not named is neither kept nor dropped by silence.
fn fates(asked: RotateRootKey<'_>, keyring: &Keyring, caller: &Caller) -> Result<Vec<(RootSlotRow, Fate)>> {
    keyring.root_keys()?;
    let mut fates: BTreeMap<Id, (RootSlotRow, Fate)> = BTreeMap::new();
    let mut settle = |slot: RootSlotRow, fate| match fates.insert(slot.id, (slot, fate)) {
        None => Ok(()),
        Some((slot, _)) => Err(Error::invalid(format!("root slot {} is named twice", slot.id))),
    };
    for map in asked.keep {
        let mut fields = Fields::new("a kept slot", map);
        let kept = RotateRoot::from_fields(&mut fields)?;
        fields.finish()?;
        let slot = keyring.slot_named(&kept.slot)?;
        let root = kept_root(keyring, &slot, kept.root(), caller)?;
        settle(slot, Fate::Kept(root))?;
    }
    for name in &asked.drop {
        settle(keyring.slot_named(name)?, Fate::Dropped)?;
    }
    let mut forgotten = Vec::new();
    for slot in keyring.store.root_slots()? {
        match recipient_of(&slot)? {
            _ if fates.contains_key(&slot.id) => {}
            Some(spki) => drop(fates.insert(slot.id, (slot, Fate::Kept(NewRoot::Recipient { spki })))),
            None => forgotten.push(format!("{} ({})", slot.id, slot.kind)),
        }
    }
    if forgotten.is_empty() {
        return Ok(fates.into_values().collect());
    }
    Err(Error::new(
        ErrorCode::OperationNotAllowed,
        format!(
            "without a credential these root slots go: {}; nothing was changed. Bring theirs, or say that they may go",
            forgotten.join(", ")
        ),
    ))
}

/// The root of a slot that is kept: what opens it now opens it afterwards, but for shares, which are dealt anew.
fn kept_root(
    keyring: &Keyring,
    slot: &RootSlotRow,
    asked: RootFields<'_>,
    caller: &Caller,
) -> Result<NewRoot> {
    if asked.kind == "shares" {
        return new_root(keyring, asked, caller);
    }
    if let Some(spki) = recipient_of(slot)? {
        return Ok(NewRoot::Recipient { spki });
    }
    let credential = credential(keyring, asked.kind, asked.secret, asked.module, caller)?;
    keyring.check_credential(slot, &credential)?;
    // The same key by the same mechanism: the slot's credential has just used it.
    let (token, mechanism) =
        hsm_of(slot)?.map(|(name, mechanism)| (name.to_uri(), mechanism.name())).unwrap_or_default();
    new_root(keyring, RootFields { token: &token, key_label: "", mechanism, ..asked }, caller)
}

fn told(slot: SlotView) -> RootSlotInfo {
    RootSlotInfo {
        slot: slot.id.to_string(),
        kind: slot.kind,
        created_at: slot.created_at,
        detail: slot.detail,
        opens: slot.opens,
        threshold: slot.shares.0,
        shares: slot.shares.1,
    }
}

fn new_root(keyring: &Keyring, asked: RootFields<'_>, caller: &Caller) -> Result<NewRoot> {
    let secret = || SecretBytes::copied_from(asked.secret);
    Ok(match asked.kind {
        "passphrase" => NewRoot::Passphrase { passphrase: secret() },
        "keyfile" => NewRoot::Keyfile { key: secret() },
        "shares" => {
            let (hashes, rest) = asked.hashes.as_chunks::<32>();
            let wrong =
                || Error::invalid("a slot of shares needs `split`, `threshold` and a hash of each share");
            NewRoot::Shares {
                secret: secret(),
                split: Id::from_slice(asked.split).filter(|_| rest.is_empty()).ok_or_else(wrong)?,
                threshold: u8::try_from(asked.threshold).map_err(|_| wrong())?,
                hashes: hashes.to_vec(),
            }
        }
        "recipient" => NewRoot::Recipient { spki: asked.public_key.to_vec() },
        "hsm" => {
            refuse_foreign_module(caller)?;
            NewRoot::Hsm {
                helper: keyring.hsm_helper()?,
                module: asked.module.into(),
                name: Box::new(token_name(asked.token, asked.key_label)?),
                mechanism: match asked.mechanism {
                    "" => None,
                    name => Some(WrapMechanism::of_name(name)?),
                },
                pin: secret(),
            }
        }
        other => return Err(unknown_kind(other)),
    })
}

pub(super) fn credential(
    keyring: &Keyring,
    kind: &str,
    secret: &[u8],
    module: &str,
    caller: &Caller,
) -> Result<Credential> {
    let whole = || SecretBytes::copied_from(secret);
    Ok(match kind {
        "passphrase" => Credential::Passphrase(whole()),
        "keyfile" => Credential::Keyfile(whole()),
        "recipient" => Credential::Recipient(whole()),
        "shares" => {
            let lines = secret.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            Credential::Shares(lines.map(|line| Share::parse(keyring.provider, line)).collect::<Result<_>>()?)
        }
        "hsm" => {
            refuse_foreign_module(caller)?;
            Credential::Hsm { helper: keyring.hsm_helper()?, module: module.into(), pin: whole() }
        }
        other => return Err(unknown_kind(other)),
    })
}

/// A token by its label or a URI, and its key by a label, if one is given.
fn token_name(token: &str, key_label: &str) -> Result<TokenName> {
    let mut name = TokenName::read(token)?;
    if name.module.is_some() || name.pin_file.is_some() {
        return Err(Error::invalid(
            "files of a host do not belong into a token's name; leave `module-path` and `pin-source` out",
        ));
    }
    if !key_label.is_empty() {
        name.object = Some(key_label.to_owned());
    }
    Ok(name)
}

/// Loading a module runs its code on this host: a token that was stolen must not choose it.
fn refuse_foreign_module(caller: &Caller) -> Result<()> {
    if caller.is_on_host() {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::PermissionDenied,
        "an HSM's module is named on the server's own host only: use `--addr unix:DIR` there, DIR being its data directory",
    ))
}

fn unknown_kind(kind: &str) -> Error {
    Error::invalid(format!(
        "there is no root of kind `{}`; the kinds are passphrase, keyfile, shares, recipient and hsm",
        quote(kind)
    ))
}
