//! Every request and answer comes back as it was sent; whatever else comes is refused without a panic.

use super::AtToken;
use super::draw::Draw;
use crate::crypto::private_parts::PrivateParts;
use crate::object::*;
use crate::token::*;
use canis_proto::answer::Verified;
use canis_proto::fields::Fields;
use canis_proto::message::{WireAnswer, WireRequest, decode_answer};
use canis_proto::value::Map;
use canis_proto::{Error, ErrorCode, Id, KeyType, Result};
use proptest::prelude::*;
use std::sync::Arc;

/// What a request is after it was read and written again.
fn again<'a, R: WireRequest<'a>>(bytes: &'a [u8]) -> Result<Vec<u8>> {
    let mut fields = Fields::new(R::ID.row().name, Map::decode(bytes)?);
    let request = R::from_fields(&mut fields)?;
    fields.finish()?;
    Ok(request.to_map().encode())
}

fn answer_again<A: WireAnswer>(bytes: &[u8]) -> Result<Vec<u8>> {
    decode_answer::<A>(bytes).map(|answer| answer.to_map().encode())
}

/// Reads bytes as every request and every answer there is; gives those that took them.
fn readers(bytes: &[u8]) -> Vec<Vec<u8>> {
    macro_rules! each {
        ($($name:ident $(<$life:lifetime>)?,)+; $($answer:ty,)+) => {
            [$(again::<$name $(<$life>)?>(bytes), again::<AtToken<$name $(<$life>)?>>(bytes),)+ $(answer_again::<$answer>(bytes),)+]
        };
    }
    each! {
        InitToken<'_>, InitUserPin<'_>, ChangePin<'_>, Login<'_>, CreateObject, GenerateObjects, FindPage<'_>,
        ReadObject, UpdateObject, DestroyObject, CopyObject, ImportObject, ExportObject, WrapKey<'_>, UnwrapKey<'_>,
        DeriveKey<'_>, EncapsulateKey, DecapsulateKey<'_>, DerivePassword<'_>, OpenNamed, ConfirmNamed<'_>, SignNamed<'_>, VerifyNamed<'_>,
        RecoverNamed<'_>, EncryptNamed<'_>, DecryptNamed<'_>, EndSession, ListTokens, Logout, ShowLogin,
        EndApplication,;
        (), Id, (Id, Option<Id>), Verified, Arc<Object>, FoundPage, Arc<Vec<TokenInfo>>, LoginState, OpenedKey,
        Recovered, Used, Wrapped, EncapsulatedKey, PrivateParts,
    }
    .into_iter()
    .flatten()
    .collect()
}

/// The bytes are let go of: a request borrows them for as long as what it was made of.
fn same_request<'a, R: WireRequest<'a>>(request: &R) {
    let bytes: &'static [u8] = request.to_map().encode().leak();
    assert_eq!(again::<R>(bytes).as_deref(), Ok(bytes), "{}", R::ID.row().name);
}

fn same_answer<A: WireAnswer>(answer: &A) {
    let bytes = answer.to_map().encode();
    assert_eq!(answer_again::<A>(&bytes), Ok(bytes));
}

/// Sends one of each, drawn from `seed`, and reads it.
fn send_all(seed: &[u8]) {
    let d = &mut Draw(seed);
    macro_rules! requests {
        ($($request:expr,)+) => {$({
            let request = $request;
            same_request(&request);
        })+};
    }
    let role = if d.flag() { Role::User } else { Role::So };
    requests! {
        InitToken { slot: d.number() as u32, label: "grüße", so_pin: d.pin() },
        AtToken { token: d.id(), request: Login { role, pin: d.pin() } },
        AtToken { token: d.id(), request: ChangePin { role, old: d.pin(), new: d.pin() } },
        InitUserPin { pin: d.pin() },
        ListTokens,
        CreateObject { session: d.maybe(Draw::number), content: d.content() },
        GenerateObjects {
            kind: d.one(KeyType::ALL), len: d.length(), session: d.maybe(Draw::number),
            secret: d.content(), public: d.maybe(Draw::content),
        },
        FindPage {
            wanted: Wanted {
                class: d.maybe(Draw::class), label: d.maybe(Draw::bytes), id: d.maybe(Draw::bytes),
                unique: d.maybe(Draw::id), family: d.maybe(Draw::family),
            },
            after: d.maybe(Draw::id),
        },
        AtToken { token: d.id(), request: ReadObject { object: d.id() } },
        UpdateObject { object: d.id(), revision: d.number(), content: d.content() },
        CopyObject { object: d.id(), session: d.maybe(Draw::number), content: d.content() },
        ImportObject { parts: d.parts(), session: d.maybe(Draw::number), content: d.content() },
        WrapKey { wrapper: d.id(), key: d.id(), how: d.wrapping(), room: d.length(), weak_rsa: d.flag() },
        UnwrapKey {
            unwrapper: d.id(), how: d.wrapping(), wrapped: d.bytes(), inside: d.inside(), session: None,
            content: d.content(),
        },
        DeriveKey {
            base: d.id(), how: d.derivation(), derived: Derived::Secret { family: d.family(), len: d.maybe(Draw::length) },
            session: d.maybe(Draw::number), content: d.content(),
        },
        DeriveKey {
            base: d.id(), how: d.derivation(), derived: Derived::Data { len: d.length() }, session: None,
            content: d.content(),
        },
        EncapsulateKey {
            key: d.id(), family: d.family(), len: d.maybe(Draw::length), session: d.maybe(Draw::number),
            content: d.content(),
        },
        DecapsulateKey {
            key: d.id(), ciphertext: d.bytes(), family: d.family(), len: d.maybe(Draw::length), session: None,
            content: d.content(),
        },
        DerivePassword {
            password: d.bytes(), salt: d.bytes(), hash: d.hash(), iterations: d.number() as u32, family: d.family(),
            len: d.length(), session: None, content: d.content(),
        },
        OpenNamed { key: d.named() },
        ConfirmNamed { key: d.named(), pin: d.pin() },
        AtToken { token: d.id(), request: SignNamed { key: d.named(), scheme: d.sign_with(), input: d.bytes() } },
        VerifyNamed { key: d.named(), scheme: d.sign_with(), input: d.bytes(), signature: d.bytes() },
        RecoverNamed { key: d.named(), scheme: d.sign_scheme(), signature: d.bytes() },
        EncryptNamed { key: d.named(), cipher: d.cipher(), input: d.bytes() },
        DecryptNamed { key: d.named(), cipher: d.cipher(), input: d.bytes() },
        EndSession { session: d.number() },
    }
    same_answer(&d.object());
    same_answer(&FoundPage {
        objects: (0..d.byte() % 4).map(|_| d.object()).collect(),
        refused: vec![Error::new(ErrorCode::StoreTampered, "row")],
        more: d.flag(),
    });
    same_answer(&Arc::new(vec![TokenInfo {
        id: d.id(),
        slot: 7,
        revision: d.number(),
        label: "token".to_owned(),
        user_pin: d.pin_state(),
        so_pin: d.pin_state(),
    }]));
    same_answer(&LoginState { role: d.flag().then_some(role), wiped: d.flag() });
    same_answer(&OpenedKey { facts: d.facts(), wants_pin: d.flag() });
    same_answer(&Used { bytes: d.part() });
    same_answer(&Recovered { signed: d.maybe(|d| d.bytes().to_vec()) });
    same_answer(&Wrapped {
        len: d.length(),
        bytes: d.maybe(|d| d.bytes().to_vec()),
        iv: d.maybe(|d| [d.byte(); 12]),
    });
    same_answer(&EncapsulatedKey { id: d.id(), ciphertext: d.bytes().to_vec() });
    same_answer(&d.parts());
    same_answer(&(d.id(), d.maybe(Draw::id)));
}

proptest! {
    /// Whatever stands in a request or an answer, it comes back as it was sent.
    #[test]
    fn round_trip(seed in proptest::collection::vec(any::<u8>(), 0..4000)) {
        send_all(&seed);
    }

    /// Bytes of any kind are refused or read; what is read is written as the same bytes or with defaults left out.
    #[test]
    fn decoders_are_total(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        drop(readers(&bytes));
    }

    /// So are requests of which a few bytes were changed or cut off.
    #[test]
    fn damaged_requests_are_refused_or_read(
        seed in proptest::collection::vec(any::<u8>(), 400),
        at in any::<prop::sample::Index>(),
        to in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let d = &mut Draw(&seed);
        let derive = DeriveKey {
            base: d.id(), how: d.derivation(), derived: Derived::Data { len: 3 }, session: None, content: d.content(),
        };
        let sign = SignNamed { key: d.named(), scheme: d.sign_with(), input: d.bytes() };
        for mut bytes in [derive.to_map().encode(), sign.to_map().encode()] {
            let at = at.index(bytes.len());
            bytes[at] = to;
            if cut {
                bytes.truncate(at);
            }
            drop(readers(&bytes));
        }
    }
}

/// A field that nobody knows is refused, however deep it stands in a request; in an answer it is ignored.
#[test]
fn unknown_fields_are_refused_in_requests_only() {
    let named = Map::new()
        .with("object", &[1; 16][..])
        .with("usage", 4u16)
        .with("mechanism", 1u64)
        .with("openning", 1u64);
    let bytes = Map::new().with("key", named).encode();
    assert!(again::<OpenNamed>(&bytes).unwrap_err().message.contains("openning"));
    let facts = Draw(&[]).facts();
    let opened = OpenedKey { facts, wants_pin: true };
    let bytes = opened.to_map().with("newer", true).encode();
    assert!(answer_again::<OpenedKey>(&bytes).is_ok());
}

/// Attributes are searched by halving: out of order or twice they would be there for some and not for others.
#[test]
fn attributes_stand_in_order() {
    let with = |attributes: Vec<(u64, Vec<u8>)>| {
        let content = Content { attributes, ..Draw(&[]).content() };
        let request = CreateObject { session: None, content };
        again::<CreateObject>(&request.to_map().encode()).map(drop)
    };
    let value = |kind: u64| (kind, vec![1]);
    assert_eq!(with(vec![value(1), value(2)]), Ok(()));
    for wrong in [vec![value(2), value(1)], vec![value(1), value(1)]] {
        assert_eq!(with(wrong).map_err(|e| e.code), Err(ErrorCode::InvalidArgument));
    }
}
