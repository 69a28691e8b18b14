//! Four eyes: what others have to approve is not done before they have, happens once, and nobody gets round it.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

mod guarded;
mod life;
mod store;

use canis_core::Caller;
use canis_proto::approval::{ApproveRequest, CancelRequest, DenyRequest, ListApprovals, ShowApproval};
use canis_proto::credential::RevokeCredential;
use canis_proto::message::{CreateKey, DestroyKey, EnableKey, ExportKey};
use canis_proto::policy::{DeletePolicy, PutPolicy};
use canis_proto::{Capabilities, Capability, ErrorCode, Interval, KeyFormat, KeyType};
use guarded::{Guarded, NEEDED, asked};
use life::{HOUR, code};

const EXPORTS: &str =
    "path \"kms/keys/prod/*\" {\n  capabilities = [\"export\", \"delete\"]\n  approvals = 2\n}\n";

/// What is asked for is done once two others have approved it, once, and shown before as what it is.
#[test]
fn two_approvals_let_a_key_out_once() {
    let house = Guarded::new(EXPORTS);
    let export = || house.call(&house.asker, house.export("prod/a"));
    let id = asked(export());
    assert_eq!(asked(export()), id, "asking again makes no second request");
    let shown = house.call(&house.first, ShowApproval { id: id.as_str().into() }).unwrap();
    assert_eq!((&*shown.operation, &*shown.on, &*shown.state), ("key.export", "kms/keys/prod/a", "waiting"));
    assert!(shown.arguments.iter().any(|told| told.name == "format" && told.value == "pkcs8"));
    assert_eq!(shown.requester_name, "asker");
    assert_eq!(house.approve(&house.first, &id).unwrap().state, "waiting");
    assert_eq!(asked(export()), id, "one is not enough");
    assert_eq!(house.approve(&house.second, &id).unwrap().state, "approved");
    assert!(!export().unwrap().material.is_empty());
    let after = house.call(&house.first, ShowApproval { id: id.as_str().into() }).unwrap();
    assert_eq!(after.state, "executed");
    assert_ne!(asked(export()), id, "it is used up");
    assert_eq!(code(house.approve(&house.first, &id)), ErrorCode::OperationNotAllowed);
}

/// An approval is good for what was shown: not for another form, another key, another caller, nor for a key that came by
/// the same name later.
#[test]
fn nothing_else_rides_on_an_approval() {
    let house = Guarded::new(EXPORTS);
    let id = asked(house.call(&house.asker, house.export("prod/a")));
    house.approve_by_two(&id);
    let other = ExportKey { format: KeyFormat::Jwk, ..house.export("prod/a") };
    assert_ne!(asked(house.call(&house.asker, other)), id);
    assert_ne!(asked(house.call(&house.asker, house.export("prod/b"))), id);
    assert_ne!(asked(house.call(&house.rival, house.export("prod/a"))), id);
    assert!(house.call(&house.asker, house.export("free")).is_ok(), "what is not guarded needs nobody");
    // The name goes to another key.
    let gone = asked(house.destroy(&house.rival, "prod/a"));
    house.approve_by_two(&gone);
    house.destroy(&house.rival, "prod/a").unwrap();
    house.make("prod/a");
    assert_ne!(asked(house.call(&house.asker, house.export("prod/a"))), id);
}

/// Who asks does not approve, nor by what he has made or what has made his; nobody counts twice, and nobody approves who
/// may not.
#[test]
fn approvals_come_from_others() {
    let house = Guarded::new(EXPORTS);
    let id = asked(house.call(&house.asker, house.export("prod/a")));
    let denied = ErrorCode::PermissionDenied;
    assert_eq!(code(house.approve(&house.asker, &id)), denied);
    let child = house.child(&house.asker, "child");
    let grandchild = house.child(&child, "grandchild");
    assert_eq!(code(house.approve(&grandchild, &id)), denied);
    // The one between them goes: what it made is still known for what it is.
    house.call(&house.asker, RevokeCredential { id: child.credential().to_string().into() }).unwrap();
    assert_eq!(code(house.approve(&grandchild, &id)), denied);
    assert_eq!(code(house.approve(&house.maker, &id)), denied, "who made the asker may be the asker");
    assert_eq!(code(house.approve(&house.stranger, &id)), ErrorCode::ObjectNotFound);
    house.approve(&house.first, &id).unwrap();
    assert_eq!(code(house.approve(&house.first, &id)), ErrorCode::OperationNotAllowed);
    let of_first = house.child(&house.first, "another of the first");
    assert_eq!(code(house.approve(&of_first, &id)), ErrorCode::OperationNotAllowed);
    assert_eq!(asked(house.call(&house.asker, house.export("prod/a"))), id);
}

/// Whoever was revoked, or may no longer approve, does not count when it is to be done.
#[test]
fn approvals_count_while_their_givers_may_give_them() {
    let house = Guarded::new(EXPORTS);
    let id = asked(house.call(&house.asker, house.export("prod/a")));
    house.approve_by_two(&id);
    house.call(&house.maker, RevokeCredential { id: house.second.credential().to_string().into() }).unwrap();
    let shown = house.call(&house.first, ShowApproval { id: id.as_str().into() }).unwrap();
    assert_eq!(shown.approvals.iter().map(|one| one.counts).collect::<Vec<_>>(), [true, false]);
    assert_eq!(asked(house.call(&house.asker, house.export("prod/a"))), id);
    house.approve(&house.third, &id).unwrap();
    house.call(&house.asker, house.export("prod/a")).unwrap();
}

/// A request ends by itself, by who asked, and by who refuses; what was ended is not approved any more.
#[test]
fn requests_end() {
    let house = Guarded::new(EXPORTS);
    let ask = || asked(house.call(&house.asker, house.export("prod/a")));
    let state = |id: &str| house.call(&house.asker, ShowApproval { id: id.to_owned().into() }).unwrap().state;
    let late = ask();
    house.approve(&house.first, &late).unwrap();
    house.clock.advance(24 * HOUR);
    assert_eq!(
        (&*state(&late), code(house.approve(&house.second, &late))),
        ("expired", ErrorCode::OperationNotAllowed)
    );
    let taken = ask();
    assert_ne!(taken, late);
    let cancel = |who: &Caller| house.call(who, CancelRequest { id: taken.as_str().into() });
    let other = house.bearer(&house.maker, "custodian", Capabilities::NONE, &["custodians"]);
    assert_eq!(code(cancel(&other)), ErrorCode::PermissionDenied, "it is not his");
    assert_eq!(cancel(&house.asker).unwrap().state, "cancelled");
    let refused = ask();
    let deny = DenyRequest { id: refused.as_str().into(), reason: "not on a Friday".into() };
    assert_eq!(house.call(&house.first, deny).unwrap().reason.as_deref(), Some("not on a Friday"));
    for id in [&taken, &refused] {
        assert_eq!(code(house.approve(&house.second, id)), ErrorCode::OperationNotAllowed);
    }
    assert!(![&late, &taken, &refused].contains(&&ask()));
    let waiting = ListApprovals { on: "kms/".into(), waiting: true };
    assert_eq!(house.call(&house.first, waiting.clone()).unwrap().requests.len(), 1);
    assert_eq!(house.call(&house.stranger, waiting).unwrap().requests.len(), 0, "others see nothing");
    let all = ListApprovals { on: "".into(), waiting: false };
    assert_eq!(house.call(&house.asker, all).unwrap().requests.len(), 4);
}

/// A policy that demands approvals is made milder, or taken away, by as many; made stricter by whoever may write it.
#[test]
fn the_demand_guards_itself() {
    let house = Guarded::new(EXPORTS);
    let put = |text: &str| {
        let request =
            PutPolicy { name: NEEDED.into(), text: text.to_owned().into(), revision: None, force: false };
        house.call(&house.asker, request)
    };
    put(&EXPORTS.replace("= 2", "= 3")).unwrap();
    put(EXPORTS).map(drop).unwrap_err();
    for milder in [EXPORTS, "", &EXPORTS.replace("prod/*", "prod/a"), &EXPORTS.replace(", \"delete\"", "")] {
        asked(put(milder));
    }
    let delete =
        || house.call(&house.asker, DeletePolicy { name: NEEDED.into(), revision: None, force: true });
    let id = asked(delete());
    for who in [&house.first, &house.second, &house.third] {
        assert_eq!(asked(delete()), id);
        house.approve(who, &id).unwrap();
    }
    delete().unwrap();
    assert!(house.call(&house.asker, house.export("prod/a")).is_ok());
}

/// A policy of the same name as was approved to be written, but with other words, is not written.
#[test]
fn the_text_of_a_policy_is_shown_and_bound() {
    let house = Guarded::new(EXPORTS);
    let put = |text: &str| {
        let request =
            PutPolicy { name: NEEDED.into(), text: text.to_owned().into(), revision: None, force: false };
        house.call(&house.asker, request)
    };
    let (shown, hidden) = (EXPORTS.replace("= 2", "= 1"), "");
    let id = asked(put(&shown));
    let info = house.call(&house.first, ShowApproval { id: id.as_str().into() }).unwrap();
    assert!(info.arguments.iter().any(|told| told.name == "text" && told.value == shown));
    house.approve_by_two(&id);
    assert_ne!(asked(put(hidden)), id);
    put(&shown).unwrap();
}

/// Only bearers of the policies that a rule names as approvers count.
#[test]
fn approvers_bear_what_the_rule_names() {
    let house = Guarded::new(&EXPORTS.replace("= 2", "= 1\n  approvers = [\"custodians\"]"));
    let id = asked(house.call(&house.asker, house.export("prod/a")));
    house.approve(&house.first, &id).unwrap();
    assert_eq!(asked(house.call(&house.asker, house.export("prod/a"))), id);
    let custodian = house.bearer(&house.maker, "custodian", Capabilities::NONE, &["custodians"]);
    house.approve(&custodian, &id).unwrap();
    house.call(&house.asker, house.export("prod/a")).unwrap();
}

/// A key asks for approvals by itself, whatever policies say; to ask for fewer takes as many as there were.
#[test]
fn a_key_keeps_itself() {
    let house = Guarded::new("");
    let update = |approvals| {
        let mut request = canis_proto::message::UpdateKey::new("free");
        request.approvals = Some(approvals);
        house.call(&house.asker, request)
    };
    assert_eq!(code(update(17)), ErrorCode::InvalidArgument);
    assert_eq!(update(1).unwrap().approvals, Some(1));
    assert_eq!(update(2).unwrap().approvals, Some(2), "more is asked for by whoever may change it");
    asked(house.call(&house.asker, house.export("free")));
    asked(house.destroy(&house.asker, "free"));
    let id = asked(update(0));
    assert_ne!(asked(update(1)), id);
    house.approve_by_two(&id);
    assert_eq!(update(0).unwrap().approvals, None);
    house.call(&house.asker, EnableKey { name: "free".into() }).unwrap();
    house.call(&house.asker, house.export("free")).unwrap();
}

/// What cannot be done anyway is refused as it always was, and nobody is asked.
#[test]
fn nobody_approves_what_cannot_be_done() {
    let house = Guarded::new(EXPORTS);
    house.call(&house.maker, CreateKey::new("prod/closed", KeyType::Ed25519)).unwrap();
    assert_eq!(code(house.call(&house.asker, house.export("prod/closed"))), ErrorCode::KeyNotExportable);
    assert_eq!(code(house.call(&house.asker, house.export("prod/none"))), ErrorCode::KeyNotFound);
    let active = DestroyKey { name: "prod/a".into(), delay: Interval::NEVER };
    assert_eq!(code(house.call(&house.asker, active)), ErrorCode::OperationNotAllowed);
    assert_eq!(code(house.call(&house.stranger, house.export("prod/a"))), ErrorCode::PermissionDenied);
    let all = ListApprovals { on: "".into(), waiting: false };
    let may = house.bearer(&house.maker, "auditor", Capabilities::NONE.with(Capability::Admin), &[]);
    assert_eq!(house.call(&may, all).unwrap().requests.len(), 0);
    let unknown = ApproveRequest { id: "00000000000000000000000000000000".into() };
    assert_eq!(code(house.call(&house.first, unknown)), ErrorCode::ObjectNotFound);
}
