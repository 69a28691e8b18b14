//! What a property test sends: values drawn from bytes that it chooses.

use crate::crypto::derive::{Field, Width};
use crate::crypto::private_parts::{PartLengths, PrivateParts, RsaParts};
use crate::crypto::{BlockMode, Hash, Iv, Oaep, SignScheme};
use crate::object::*;
use crate::secret::SecretBytes;
use crate::token::*;
use canis_proto::{Family, Id, KeyType, Usage};
use std::borrow::Cow;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Values drawn from bytes that a property test chooses.
pub(super) struct Draw<'a>(pub(super) &'a [u8]);

impl<'a> Draw<'a> {
    pub(super) fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    pub(super) fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    pub(super) fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::from(self.byte()) % of.len()]
    }

    pub(super) fn maybe<T>(&mut self, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.flag().then(|| value(self))
    }

    pub(super) fn bytes(&mut self) -> &'a [u8] {
        let len = usize::from(self.byte() % 40).min(self.0.len());
        let (bytes, rest) = self.0.split_at(len);
        self.0 = rest;
        bytes
    }

    pub(super) fn number(&mut self) -> u64 {
        self.bytes().iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }

    pub(super) fn length(&mut self) -> usize {
        self.number() as u32 as usize
    }

    pub(super) fn id(&mut self) -> Id {
        Id([self.byte(); 16])
    }

    pub(super) fn part(&mut self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.bytes().to_vec())
    }

    pub(super) fn pin(&mut self) -> Pin<'static> {
        SecretBytes::copied_from(self.bytes()).into()
    }

    pub(super) fn hash(&mut self) -> Hash {
        self.one(&Hash::ALL)
    }

    pub(super) fn family(&mut self) -> Family {
        use Family as F;
        self.one(&[
            F::Aes,
            F::Rsa,
            F::Ec,
            F::Edwards,
            F::Montgomery,
            F::Generic,
            F::Des,
            F::TripleDes,
            F::MlDsa,
            F::MlKem,
        ])
    }

    pub(super) fn class(&mut self) -> Class {
        use Class as C;
        self.one(&[C::Data, C::Certificate, C::PublicKey, C::PrivateKey, C::SecretKey, C::Profile])
    }

    pub(super) fn usage(&mut self) -> Usage {
        Usage::from_bits(self.byte()).unwrap()
    }

    pub(super) fn facts(&mut self) -> KeyFacts {
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

    pub(super) fn content(&mut self) -> Content {
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

    pub(super) fn object(&mut self) -> Arc<Object> {
        Arc::new(Object {
            id: self.id(),
            revision: self.number(),
            session: self.maybe(Draw::number),
            key: self.maybe(|draw| (draw.id(), draw.number() as u32)),
            content: self.content(),
        })
    }

    pub(super) fn named(&mut self) -> NamedKey {
        NamedKey {
            object: self.id(),
            usage: self.usage(),
            mechanism: self.number(),
            opening: self.maybe(Draw::number),
        }
    }

    pub(super) fn oaep(&mut self) -> Oaep<'a> {
        Oaep { hash: self.hash(), mgf: self.hash(), label: self.bytes() }
    }

    pub(super) fn sign_scheme(&mut self) -> SignScheme {
        match self.byte() % 5 {
            0 => SignScheme::RsaPkcs1,
            1 => SignScheme::RsaPss { hash: self.hash(), mgf: self.hash(), salt: self.length() },
            2 => SignScheme::Ecdsa,
            3 => SignScheme::Ed25519,
            _ => SignScheme::RsaRaw,
        }
    }

    pub(super) fn sign_with(&mut self) -> SignWith<'a> {
        let (len, with) = (self.length(), [MacWith::Hmac(self.hash()), MacWith::Cmac(self.family())]);
        match self.byte() % 3 {
            0 => SignWith::Pair(self.sign_scheme()),
            1 => SignWith::Mac(MacScheme { with: self.one(&with), len }),
            _ => SignWith::MlDsa(MlDsaUse {
                hash: self.maybe(Draw::hash),
                context: self.bytes(),
                deterministic: self.flag(),
            }),
        }
    }

    pub(super) fn mode(&mut self) -> BlockMode {
        let iv = if self.flag() { Iv::new([self.byte(); 16]) } else { Iv::new([self.byte(); 8]) };
        match self.byte() % 4 {
            0 => BlockMode::Ecb,
            1 => BlockMode::Cbc { iv },
            2 => BlockMode::CbcPad { iv },
            _ => BlockMode::Ctr { counter: [self.byte(); 16], bits: self.number() as u32 },
        }
    }

    pub(super) fn cipher(&mut self) -> CipherScheme<'a> {
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

    pub(super) fn wrapping(&mut self) -> Wrapping<'a> {
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

    pub(super) fn inside(&mut self) -> Inside {
        match self.flag() {
            true => Inside::Secret { family: self.family(), len: self.maybe(Draw::length) },
            false => Inside::Private(self.family()),
        }
    }

    pub(super) fn field(&mut self) -> Field<'a> {
        let width = Width { bits: self.number() as u32, little_endian: self.flag() };
        match self.byte() % 3 {
            0 => Field::Counter(width),
            1 => Field::Bytes(self.bytes()),
            _ => Field::Length(width),
        }
    }

    pub(super) fn derivation(&mut self) -> Derivation<'a> {
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

    pub(super) fn parts(&mut self) -> PrivateParts {
        match self.byte() % 6 {
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
            3 => PrivateParts::PostQuantum {
                kind: self.one(KeyType::ALL),
                seed: self.maybe(Draw::part),
                expanded: self.maybe(Draw::part),
            },
            4 => PrivateParts::Measured(PartLengths {
                value: self.maybe(Draw::length),
                seed: self.maybe(Draw::length),
                private_exponent: self.maybe(Draw::length),
                prime_1: self.maybe(Draw::length),
                prime_2: self.maybe(Draw::length),
                exponent_1: self.maybe(Draw::length),
                exponent_2: self.maybe(Draw::length),
                coefficient: self.maybe(Draw::length),
            }),
            _ => PrivateParts::Secret {
                kind: self.one(KeyType::ALL),
                value: SecretBytes::copied_from(self.bytes()),
            },
        }
    }

    pub(super) fn pin_state(&mut self) -> PinState {
        PinState { set: self.flag(), tries_left: self.number() as u32, max_tries: self.number() as u32 }
    }
}
