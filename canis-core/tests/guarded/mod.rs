//! A tenant whose policies demand approvals, somebody who asks, and others who approve.
#![allow(dead_code)] // each test file uses its own part

use crate::store::{Opened, TestClock, fresh_at};
use canis_core::crypto::default_provider;
use canis_core::{Caller, Run};
use canis_proto::approval::{ApprovalInfo, ApproveRequest};
use canis_proto::credential::CreateCredential;
use canis_proto::message::{CreateKey, DestroyKey, DisableKey, ExportKey};
use canis_proto::policy::PutPolicy;
use canis_proto::{Capabilities, Capability, ErrorCode, Interval, KeyFormat, KeyType, Result};
use std::sync::Arc;

/// The name of the policy that demands.
pub(crate) const NEEDED: &str = "four-eyes";

pub(crate) struct Guarded {
    pub(crate) opened: Opened,
    pub(crate) clock: Arc<TestClock>,
    /// May do anything but approve, and so may the rival.
    pub(crate) asker: Caller,
    pub(crate) rival: Caller,
    /// May approve, and no more.
    pub(crate) first: Caller,
    pub(crate) second: Caller,
    pub(crate) third: Caller,
    /// May encrypt.
    pub(crate) stranger: Caller,
    /// The bearer of the first token, who has made all the others.
    pub(crate) maker: Caller,
}

impl Guarded {
    /// With `text` as a policy that nobody bears, and keys `free`, `prod/a` and `prod/b` that may leave.
    pub(crate) fn new(text: &str) -> Self {
        let clock = Arc::new(TestClock::at(1_790_000_000));
        let opened = fresh_at(default_provider(), Arc::<TestClock>::clone(&clock));
        let maker = opened.caller.clone();
        let most = Capability::ALL.into_iter().filter(|one| *one != Capability::Approve);
        let most = most.fold(Capabilities::NONE, Capabilities::with);
        let approve = Capabilities::NONE.with(Capability::Approve);
        let (asker, rival) = (
            bearer(&opened, &maker, "asker", Capabilities::ALL, &[]),
            bearer(&opened, &maker, "rival", most, &[]),
        );
        let [first, second, third] = ["first", "second", "third"]
            .map(|name| bearer(&opened, &maker, name, approve.with(Capability::Admin), &[]));
        let stranger = bearer(&opened, &maker, "stranger", Capabilities::NONE.with(Capability::Encrypt), &[]);
        let house = Guarded { opened, clock, asker, rival, first, second, third, stranger, maker };
        for (name, text) in
            [(NEEDED, text), ("custodians", "path \"kms/keys/*\" { capabilities = [\"approve\"] }")]
        {
            let request = PutPolicy { name: name.into(), text: text.into(), revision: None, force: false };
            house.call(&house.maker, request).unwrap();
        }
        for name in ["free", "prod/a", "prod/b"] {
            house.make(name);
        }
        house
    }

    pub(crate) fn make(&self, name: &str) {
        let mut request = CreateKey::new(name.to_owned(), KeyType::Ed25519);
        (request.exportable, request.allow_plaintext_backup) = (true, true);
        self.call(&self.maker, request).unwrap();
    }

    pub(crate) fn call<R: Run>(&self, caller: &Caller, request: R) -> Result<R::Answer> {
        self.opened.core.call(caller, request)
    }

    pub(crate) fn export<'a>(&self, name: &'a str) -> ExportKey<'a> {
        ExportKey {
            name: name.into(),
            version: 0,
            format: KeyFormat::Pkcs8,
            wrapping_key: "".into(),
            wrapping_public_key: (&[][..]).into(),
        }
    }

    pub(crate) fn destroy(&self, caller: &Caller, name: &str) -> Result<()> {
        self.call(caller, DisableKey { name: name.into() })?;
        self.call(caller, DestroyKey { name: name.into(), delay: Interval::NEVER }).map(drop)
    }

    pub(crate) fn approve(&self, caller: &Caller, id: &str) -> Result<ApprovalInfo> {
        self.call(caller, ApproveRequest { id: id.to_owned().into() })
    }

    pub(crate) fn approve_by_two(&self, id: &str) {
        for who in [&self.first, &self.second] {
            self.approve(who, id).unwrap();
        }
    }

    /// Somebody whom `maker` makes, with these rights.
    pub(crate) fn bearer(
        &self,
        maker: &Caller,
        name: &str,
        capabilities: Capabilities,
        policies: &[&'static str],
    ) -> Caller {
        bearer(&self.opened, maker, name, capabilities, policies)
    }

    /// Somebody whom `maker` makes, to approve and to make others.
    pub(crate) fn child(&self, maker: &Caller, name: &str) -> Caller {
        let may = Capabilities::NONE.with(Capability::Approve).with(Capability::Admin);
        self.bearer(maker, name, may, &[])
    }
}

fn bearer(
    opened: &Opened,
    maker: &Caller,
    name: &str,
    capabilities: Capabilities,
    policies: &[&'static str],
) -> Caller {
    let request = CreateCredential {
        name: name.into(),
        policies: policies.iter().map(|name| (*name).into()).collect(),
        ..CreateCredential::new(capabilities)
    };
    let made = opened.core.call(maker, request).unwrap();
    opened.core.authenticate(&made.token.clone().unwrap()).unwrap()
}

/// The request that a refusal names.
pub(crate) fn asked<T>(result: Result<T>) -> String {
    let Err(refused) = result else { panic!("nobody had to approve it") };
    assert_eq!(refused.code, ErrorCode::ApprovalRequired, "{refused}");
    let (_, rest) = refused.message.split_once("request ").unwrap();
    rest.split(' ').next().unwrap().to_owned()
}
