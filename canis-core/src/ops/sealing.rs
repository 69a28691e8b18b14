//! `unseal`, `seal`, and a token for who has lost the first one.

use super::authenticate::NewCredential;
use super::root::credential;
use crate::caller::Caller;
use crate::core::{Resource, Run};
use crate::keyring::Keyring;
use crate::root::Share;
use crate::store::{Change, Row};
use canis_proto::credential::CredentialMade;
use canis_proto::sealing::{OperatorToken, SealStore, StoreSealed, Unseal, UnsealState};
use canis_proto::{Capabilities, Error, ErrorCode, Result};

/// What a token is called that was made in place of a lost one.
const OPERATOR: &str = "operator";

impl Run for Unseal<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::System
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<UnsealState> {
        // An open store tells nobody whether a credential is right.
        if keyring.is_sealed() {
            bring(&self, keyring, caller)?;
        }
        let progress = keyring.sealing.progress(keyring.clock.now_micros());
        Ok(UnsealState {
            sealed: keyring.is_sealed(),
            given: progress.as_ref().map_or(0, |shares| u32::try_from(shares.given).unwrap_or(u32::MAX)),
            threshold: progress.as_ref().map_or(0, |shares| shares.threshold.into()),
            split: progress.as_ref().map(|shares| shares.split.to_string()).unwrap_or_default(),
            expires_at: progress.map(|shares| shares.until),
        })
    }
}

fn bring(asked: &Unseal<'_>, keyring: &Keyring, caller: &Caller) -> Result<()> {
    let now = keyring.clock.now_micros();
    match &*asked.kind {
        "" if asked.reset && caller.is_on_host() => keyring.sealing.forget_shares(true, now),
        "" if asked.reset => {
            let why = "shares are forgotten for who brings one, or asks on the server's own host";
            return Err(Error::new(ErrorCode::PermissionDenied, why));
        }
        "" => {}
        "configured" => return keyring.unseal(&configured(keyring, caller)?),
        "shares" => {
            let _turn = keyring.sealing.admit(caller, false)?;
            return keyring.give_share(Share::parse(keyring.provider, &asked.secret)?, asked.reset);
        }
        kind => {
            let _turn = keyring.sealing.admit(caller, kind == "passphrase")?;
            return keyring.unseal(&credential(keyring, kind, &asked.secret, &asked.module, caller)?);
        }
    }
    Ok(())
}

/// The credential that the configuration names, for who could read it there himself.
fn configured(keyring: &Keyring, caller: &Caller) -> Result<crate::root::Credential> {
    if !caller.is_on_host() {
        let why = "the configured credential is used when the server's own host asks for it; use `--addr unix:DIR` there";
        return Err(Error::new(ErrorCode::PermissionDenied, why));
    }
    let none = || Error::invalid("no root credential is configured; bring one");
    keyring.sealing.configured.get().ok_or_else(none)?()
}

impl Run for SealStore {
    fn resource(&self) -> Resource<'_> {
        Resource::System
    }

    fn run(self, keyring: &Keyring, _: &Caller) -> Result<StoreSealed> {
        let reason = "`canis seal` was asked for; `canis unseal` opens it".to_owned();
        Ok(StoreSealed { wiped: keyring.seal(reason, true)? })
    }
}

impl Run for OperatorToken<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::System
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<CredentialMade> {
        keyring.root_keys()?;
        // Who opened the store in a process of his own has shown the credential already.
        if !caller.is_owner() {
            let _turn = keyring.sealing.admit(caller, self.kind == "passphrase")?;
            let shown = credential(keyring, &self.kind, &self.secret, &self.module, caller)?;
            keyring.test_root(None, &shown)?;
        }
        let new =
            NewCredential { name: OPERATOR, capabilities: Capabilities::ALL, ..NewCredential::default() };
        let (row, token) = keyring.new_token(keyring.first_tenant()?, &new)?;
        let credential = keyring.told_credential(&row)?;
        keyring.change_credentials(&[Change::Put(Row::Token(row))])?;
        Ok(CredentialMade { credential, token: Some(String::from_utf8_lossy(token.expose()).into_owned()) })
    }
}
