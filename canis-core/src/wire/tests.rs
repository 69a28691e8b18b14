//! Every request and answer comes back as it was sent; whatever else comes is refused without a panic.

use super::AtToken;
use crate::crypto::derive::{Field, Width};
use crate::crypto::private_parts::{PrivateParts, RsaParts};
use crate::crypto::{BlockMode, Hash, Iv, Oaep, SignScheme};
use crate::object::*;
use crate::secret::SecretBytes;
use crate::token::*;
use canis_proto::answer::Verified;
use canis_proto::fields::Fields;
use canis_proto::message::{WireAnswer, WireRequest, decode_answer};
use canis_proto::value::Map;
use canis_proto::{Error, ErrorCode, Family, Id, KeyType, Result, Usage};
use proptest::prelude::*;
use std::borrow::Cow;
use std::sync::Arc;
use zeroize::Zeroizing;

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
        DeriveKey<'_>, DerivePassword<'_>, OpenNamed, ConfirmNamed<'_>, SignNamed<'_>, VerifyNamed<'_>,
        RecoverNamed<'_>, EncryptNamed<'_>, DecryptNamed<'_>, EndSession, ListTokens, Logout, ShowLogin,
        EndApplication,;
        (), Id, (Id, Option<Id>), Verified, Arc<Object>, FoundPage, Arc<Vec<TokenInfo>>, LoginState, OpenedKey,
        Recovered, Used, Wrapped, PrivateParts,
    }
    .into_iter()
    .flatten()
    .collect()
}

/// Values drawn from bytes that a property test chooses.
struct Draw<'a>(&'a [u8]);

impl<'a> Draw<'a> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::from(self.byte()) % of.len()]
    }

    fn maybe<T>(&mut self, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.flag().then(|| value(self))
    }

    fn bytes(&mut self) -> &'a [u8] {
        let len = usize::from(self.byte() % 40).min(self.0.len());
        let (bytes, rest) = self.0.split_at(len);
        self.0 = rest;
        bytes
    }

    fn number(&mut self) -> u64 {
        self.bytes().iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }

    fn length(&mut self) -> usize {
        self.number() as u32 as usize
    }

    fn id(&mut self) -> Id {
        Id([self.byte(); 16])
    }

    fn part(&mut self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.bytes().to_vec())
    }

    fn pin(&mut self) -> Pin<'static> {
        SecretBytes::copied_from(self.bytes()).into()
    }

    fn hash(&mut self) -> Hash {
        self.one(&Hash::ALL)
    }

    fn family(&mut self) -> Family {
        use Family as F;
        self.one(&[F::Aes, F::Rsa, F::Ec, F::Edwards, F::Montgomery, F::Generic, F::Des, F::TripleDes])
    }

    fn class(&mut self) -> Class {
        use Class as C;
        self.one(&[C::Data, C::Certificate, C::PublicKey, C::PrivateKey, C::SecretKey, C::Profile])
    }

    fn usage(&mut self) -> Usage {
        Usage::from_bits(self.byte()).unwrap()
    }

    fn facts(&mut self) -> KeyFacts {
        KeyFacts {
            kind: self.one(KeyType::ALL),
            usage: self.usage(),
            trusted: self.flag(),
            sensitive: self.flag(),
            always_sensitive: self.flag(),
            extractable: self.flag(),
            never_extractable: self.flag(),
            local: self.flag(),
            always_authenticate: self.flag(),
            wrap_with_trusted: self.flag(),
            by_api: self.flag(),
            from_kdf: self.flag(),
            mechanism: self.number(),
            spki: self.bytes().to_vec(),
        }
    }

    fn content(&mut self) -> Content {
        let mut attributes: Vec<_> =
            (0..self.byte() % 4).map(|_| (self.number(), self.bytes().to_vec())).collect();
        attributes.sort();
        attributes.dedup_by_key(|(kind, _)| *kind);
        Content {
            class: self.class(),
            private: self.flag(),
            modifiable: self.flag(),
            copyable: self.flag(),
            destroyable: self.flag(),
            label: self.bytes().to_vec(),
            id: self.bytes().to_vec(),
            key: self.maybe(Draw::facts),
            attributes,
        }
    }

    fn object(&mut self) -> Arc<Object> {
        Arc::new(Object {
            id: self.id(),
            revision: self.number(),
            session: self.maybe(Draw::number),
            key: self.maybe(|draw| (draw.id(), draw.number() as u32)),
            content: self.content(),
        })
    }

    fn named(&mut self) -> NamedKey {
        NamedKey {
            object: self.id(),
            usage: self.usage(),
            mechanism: self.number(),
            opening: self.maybe(Draw::number),
        }
    }

    fn oaep(&mut self) -> Oaep<'a> {
        Oaep { hash: self.hash(), mgf: self.hash(), label: self.bytes() }
    }

    fn sign_scheme(&mut self) -> SignScheme {
        match self.byte() % 5 {
            0 => SignScheme::RsaPkcs1,
            1 => SignScheme::RsaPss { hash: self.hash(), mgf: self.hash(), salt: self.length() },
            2 => SignScheme::Ecdsa,
            3 => SignScheme::Ed25519,
            _ => SignScheme::RsaRaw,
        }
    }

    fn sign_with(&mut self) -> SignWith {
        let (len, with) = (self.length(), [MacWith::Hmac(self.hash()), MacWith::Cmac(self.family())]);
        match self.flag() {
            true => SignWith::Pair(self.sign_scheme()),
            false => SignWith::Mac(MacScheme { with: self.one(&with), len }),
        }
    }

    fn mode(&mut self) -> BlockMode {
        let iv = if self.flag() { Iv::new([self.byte(); 16]) } else { Iv::new([self.byte(); 8]) };
        match self.byte() % 4 {
            0 => BlockMode::Ecb,
            1 => BlockMode::Cbc { iv },
            2 => BlockMode::CbcPad { iv },
            _ => BlockMode::Ctr { counter: [self.byte(); 16], bits: self.number() as u32 },
        }
    }

    fn cipher(&mut self) -> CipherScheme<'a> {
        let (aad, iv, tag) = (self.bytes(), self.bytes(), self.length());
        match self.byte() % 7 {
            0 => CipherScheme::AesGcm { iv: &[7; 12], aad },
            1 => CipherScheme::AesGcmSized { iv, aad, tag },
            2 => CipherScheme::AesCcm { nonce: iv, aad, tag },
            3 => CipherScheme::Blocks(self.mode()),
            4 => CipherScheme::RsaOaep(self.oaep()),
            5 => CipherScheme::RsaPkcs1,
            _ => CipherScheme::RsaRaw,
        }
    }

    fn wrapping(&mut self) -> Wrapping<'a> {
        let iv = if self.flag() { GcmIv::Drawn } else { GcmIv::Given(self.bytes()) };
        match self.byte() % 7 {
            0 => Wrapping::AesKw,
            1 => Wrapping::AesKwp,
            2 => Wrapping::AesGcm { iv, aad: self.bytes(), tag: self.length() },
            3 => Wrapping::AesCbcPad { iv: [self.byte(); 16] },
            4 => Wrapping::RsaOaep(self.oaep()),
            5 => Wrapping::RsaAes { bits: self.length(), oaep: self.oaep() },
            _ => Wrapping::RsaPkcs1,
        }
    }

    fn inside(&mut self) -> Inside {
        match self.flag() {
            true => Inside::Secret { family: self.family(), len: self.maybe(Draw::length) },
            false => Inside::Private(self.family()),
        }
    }

    fn field(&mut self) -> Field<'a> {
        let width = Width { bits: self.number() as u32, little_endian: self.flag() };
        match self.byte() % 3 {
            0 => Field::Counter(width),
            1 => Field::Bytes(self.bytes()),
            _ => Field::Length(width),
        }
    }

    fn derivation(&mut self) -> Derivation<'a> {
        let salt = if self.flag() { Salt::Bytes(self.bytes()) } else { Salt::Key(self.id()) };
        match self.byte() % 8 {
            0 => {
                let kdf = self.maybe(Draw::hash);
                Derivation::Agree { peer: self.bytes(), kdf, shared: self.bytes() }
            }
            1 => {
                let (extract, expand) = (self.flag().then_some(salt), self.maybe(Draw::bytes));
                Derivation::Hkdf { hash: self.hash(), extract, expand }
            }
            2 => {
                let prf = if self.flag() { Prf::Hmac(self.hash()) } else { Prf::Cmac };
                let fields = (0..self.byte() % 4).map(|_| self.field()).collect();
                Derivation::Counter { prf, fields: Cow::Owned(fields) }
            }
            3 => Derivation::JoinKey(self.id()),
            4 => Derivation::JoinData(self.bytes()),
            5 => Derivation::JoinAfter(self.bytes()),
            6 => Derivation::Xor(self.bytes()),
            _ => Derivation::Extract(self.length()),
        }
    }

    fn parts(&mut self) -> PrivateParts {
        match self.byte() % 4 {
            0 => PrivateParts::Rsa(RsaParts {
                modulus: self.bytes().to_vec(),
                public_exponent: self.bytes().to_vec(),
                private_exponent: self.part(),
                prime_1: self.maybe(Draw::part),
                prime_2: self.maybe(Draw::part),
                exponent_1: self.maybe(Draw::part),
                exponent_2: self.maybe(Draw::part),
                coefficient: self.maybe(Draw::part),
            }),
            1 => PrivateParts::Ec { curve: self.one(KeyType::ALL), scalar: self.part() },
            2 => PrivateParts::Seed { kind: self.one(KeyType::ALL), seed: self.part() },
            _ => PrivateParts::Secret {
                kind: self.one(KeyType::ALL),
                value: SecretBytes::copied_from(self.bytes()),
            },
        }
    }

    fn pin_state(&mut self) -> PinState {
        PinState { set: self.flag(), tries_left: self.number() as u32, max_tries: self.number() as u32 }
    }
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
