//! `slot.…`: tokens as an administrator looks after them, at a running server as on a store of his own. What is asked
//! for here is done by the operations that the PKCS#11 module asks for, so that PINs count alike everywhere. What holds
//! objects is in `slot_transfer`.

use crate::application::Application;
use crate::caller::Caller;
use crate::core::{Resource, Run};
use crate::keyring::Keyring;
use crate::keyring::intent::Intent;
use crate::keyring::tenant::{Protection, TenantInfo};
use crate::secret::SecretBytes;
use crate::token::{DeleteToken, InitUserPin, Login, Logout, Pin, PinState, Role, TokenInfo};
use canis_proto::slot::{
    DeleteSlot, InitSlot, ListSlots, PinInfo, SetSlotPin, SlotDeleted, SlotInfo, SlotList, SlotToken,
    UnlockSlot,
};
use canis_proto::value::Map;
use canis_proto::{Capability, Error, ErrorCode, Result, quote};
use std::sync::Arc;

impl Run for ListSlots {
    fn resource(&self) -> Resource<'_> {
        Resource::Part("slots")
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<SlotList> {
        let slots = keyring.tokens_seen(caller)?.iter().map(told).collect();
        Ok(SlotList { slots })
    }
}

fn told(token: &TokenInfo) -> SlotInfo {
    let pin = |pin: PinState| PinInfo { set: pin.set, tries_left: pin.tries_left };
    SlotInfo {
        slot: token.slot,
        token: token.label.clone(),
        id: token.id.to_string(),
        pin: pin(token.user_pin),
        so_pin: pin(token.so_pin),
    }
}

impl Run for InitSlot<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Part("slots")
    }

    fn run(self, keyring: &Keyring, _: &Caller) -> Result<SlotToken> {
        let so_pin = new_pin(&self.so_pin)?;
        let user_pin = self.pin.as_deref().map(new_pin).transpose()?;
        // One at a time, so that no two find the same empty slot or both find the label free.
        let _turn = keyring.store.pin_turn()?;
        let tokens = keyring.tokens()?;
        if tokens.iter().any(|token| token.label == self.token) {
            return Err(Error::new(
                ErrorCode::TenantExists,
                format!("a token labelled `{}` is there already; it was left as it is", quote(&self.token)),
            ));
        }
        // The empty slot that the module shows.
        let slot = tokens.iter().map(|token| token.slot + 1).max().unwrap_or(0);
        keyring.make_token(slot, &self.token, &so_pin, user_pin.as_ref())?;
        Ok(SlotToken { slot, token: self.token.into_owned() })
    }
}

impl Run for SetSlotPin<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Token
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<SlotToken> {
        let pin = new_pin(&self.pin)?;
        let token = keyring.token_labelled(caller, &self.token)?;
        // Fails in a store without a root, whose tokens belong to their PINs alone.
        keyring.root_keys()?;
        let info = keyring.tenant_info(token.id)?;
        refuse_others_keys(caller, &info)?;
        InitUserPin { pin: (&pin).into() }.run(keyring, &Caller::owner(token.id))?;
        Ok(token.into())
    }
}

/// Who sets a user PIN gets at the keys behind it. That is for the owner of a store whose root opens them, and for the
/// bearer of a token of the same tenant, who has them anyway; where a PIN guards the keys it is for nobody, even while
/// somebody who knows the PIN keeps them open.
fn refuse_others_keys(caller: &Caller, token: &TenantInfo) -> Result<()> {
    if token.protection != Protection::Root {
        return Err(Error::new(
            ErrorCode::TenantLocked,
            format!(
                "token `{}` opens with its PIN only; its security officer sets the user PIN by `canis slot unlock`",
                quote(&token.record.name)
            ),
        ));
    }
    if caller.is_owner() || caller.tenant()? == token.id {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::PermissionDenied,
        format!(
            "token `{}` is another tenant's; its own administrator sets its PIN",
            quote(&token.record.name)
        ),
    ))
}

impl Run for UnlockSlot<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Token
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<SlotToken> {
        let pin = new_pin(&self.pin)?;
        let token = keyring.token_labelled(caller, &self.token)?;
        let officer = Visit::to(keyring, caller, &token);
        officer.log_in(Role::So, &self.so_pin)?;
        InitUserPin { pin: (&pin).into() }.run(keyring, &officer.caller)?;
        Ok(token.into())
    }
}

impl Run for DeleteSlot<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Token
    }

    fn intent(&self, keyring: &Keyring, caller: &Caller) -> Result<Option<Intent>> {
        if self.preview {
            return Ok(None);
        }
        let token = keyring.token_labelled(caller, &self.token)?;
        let named = Map::new().with("token", &*self.token);
        Ok(Some(Intent::of_map(Capability::Admin, &named, &["token"]).in_tenant(token.id).bound_to(token.id)))
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<SlotDeleted> {
        let token = keyring.token_labelled(caller, &self.token)?;
        // Whoever administers a store under a root decides over its tokens: deleting shows nobody a key.
        let decides = keyring.has_root() && caller.application().is_err() && keyring.operates(caller)?;
        let visitor = Visit::to(keyring, caller, &token);
        let caller = if decides { &Caller::owner(token.id) } else { &visitor.caller };
        let so_pin = self.so_pin.as_deref().map(SecretBytes::copied_from);
        let gone = DeleteToken { so_pin: so_pin.as_ref().map(Pin::Lent), dry_run: self.preview }
            .run(keyring, caller)?;
        Ok(SlotDeleted {
            slot: token.slot,
            token: token.label,
            keys: gone.keys as u64,
            objects: gone.objects as u64,
            preview: self.preview,
        })
    }
}

/// A PIN that is to be set. The module takes PINs as UTF-8; one that it could not take must not be set.
fn new_pin(pin: &[u8]) -> Result<SecretBytes> {
    match std::str::from_utf8(pin) {
        Ok(_) => Ok(SecretBytes::copied_from(pin)),
        Err(_) => Err(Error::new(ErrorCode::PinInvalid, "a PIN is UTF-8 text; nothing was changed")),
    }
}

impl Keyring {
    fn tokens(&self) -> Result<Arc<Vec<TokenInfo>>> {
        self.store.poll()?;
        self.token_list()
    }

    /// The tokens that are there for the caller: all for the store's operator, else that of its own tenant.
    fn tokens_seen(&self, caller: &Caller) -> Result<Arc<Vec<TokenInfo>>> {
        let tokens = self.tokens()?;
        if self.operates(caller)? {
            return Ok(tokens);
        }
        let own = caller.tenant()?;
        Ok(Arc::new(tokens.iter().filter(|token| token.id == own).cloned().collect()))
    }

    /// The one token of this label that is there for the caller.
    pub(super) fn token_labelled(&self, caller: &Caller, label: &str) -> Result<TokenInfo> {
        let tokens = self.tokens_seen(caller)?;
        let mut labelled = tokens.iter().filter(|token| token.label == label);
        if let (Some(token), None) = (labelled.next(), labelled.next()) {
            return Ok(token.clone());
        }
        let labels: Vec<_> = tokens.iter().map(|token| quote(&token.label)).collect();
        Err(Error::new(
            ErrorCode::TenantNotFound,
            format!(
                "there is not exactly one token labelled `{}`; the labels are: {}",
                quote(label),
                labels.join(", ")
            ),
        ))
    }
}

impl From<TokenInfo> for SlotToken {
    fn from(token: TokenInfo) -> Self {
        SlotToken { slot: token.slot, token: token.label }
    }
}

/// An application that looks at one token for as long as one request takes. Dropping it logs out.
pub(super) struct Visit<'a> {
    keyring: &'a Keyring,
    /// As whom the operations of the PKCS#11 module are asked.
    pub(super) caller: Caller,
}

impl<'a> Visit<'a> {
    /// Nobody is logged in. What `caller`'s policies deny stays denied, as it does to the module that bears its token.
    pub(super) fn to(keyring: &'a Keyring, caller: &Caller, token: &TokenInfo) -> Self {
        let visitor = caller.at_token(&Arc::<Application>::default(), token.id);
        Visit { keyring, caller: visitor.from(caller.origin()) }
    }

    /// Logs in. A wrong PIN counts as it does in C_Login.
    pub(super) fn log_in(&self, role: Role, pin: &[u8]) -> Result<()> {
        let pin = SecretBytes::copied_from(pin);
        Login { role, pin: (&pin).into() }.run(self.keyring, &self.caller)
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        // Fails if nobody is logged in.
        drop(Logout.run(self.keyring, &self.caller));
    }
}
