//! Agreement on secrets: ECDH on every curve and X25519, on every provider and crosswise.
#![allow(clippy::unwrap_used)] // a failing unwrap is a failing test

mod crypto_material;

use canis_core::crypto::public_parts::PublicParts;
use canis_core::crypto::{MAX_AGREED, PrivateKey, Provider, SignScheme, providers};
use canis_proto::{ErrorCode, Family, KeyType};
use crypto_material::hex;

/// The public half as the other side gets it.
fn point(private: &dyn PrivateKey) -> Vec<u8> {
    match PublicParts::from_spki(private.public_spki()).unwrap().1 {
        PublicParts::Ec { point, .. } => point,
        PublicParts::Edwards { point } | PublicParts::Montgomery { point } => point.to_vec(),
        PublicParts::PostQuantum { key, .. } => key,
        PublicParts::Rsa { .. } => Vec::new(),
    }
}

fn agreed(private: &dyn PrivateKey, peer: &[u8]) -> Result<Vec<u8>, ErrorCode> {
    let mut out = [0xee; MAX_AGREED];
    private.agree(peer, &mut out).map(|len| out[..len].to_vec()).map_err(|error| error.code)
}

fn x25519(provider: &Provider, scalar: &str) -> Box<dyn PrivateKey> {
    let pkcs8 = [hex("302e020100300506032b656e04220420"), hex(scalar)].concat();
    provider.keys.private(KeyType::X25519, &pkcs8).unwrap()
}

/// R43: both sides come to the same secret, whichever providers they use, as long as the field.
#[test]
fn agreement_crosses() {
    let kinds = KeyType::ALL.iter().copied();
    for kind in kinds.filter(|kind| matches!(kind.family(), Family::Ec | Family::Montgomery)) {
        for (ours, theirs) in
            providers().into_iter().flat_map(|from| providers().into_iter().map(move |to| (from, to)))
        {
            let (a, b) = (ours.keys.generate(kind).unwrap(), theirs.keys.generate(kind).unwrap());
            let secrets: Vec<_> = [(ours, theirs), (theirs, ours)]
                .into_iter()
                .flat_map(|(one, other)| {
                    let a = one.keys.private(kind, a.expose()).unwrap();
                    let b = other.keys.private(kind, b.expose()).unwrap();
                    [agreed(&*a, &point(&*b)).unwrap(), agreed(&*b, &point(&*a)).unwrap()]
                })
                .collect();
            assert!(
                secrets.iter().all(|secret| *secret == secrets[0]),
                "{kind}: {} {}",
                ours.name,
                theirs.name
            );
            assert_eq!(secrets[0].len(), kind.bytes());
            let a = ours.keys.private(kind, a.expose()).unwrap();
            let mut short = vec![0; kind.bytes() - 1];
            assert_eq!(a.agree(&point(&*a), &mut short).unwrap_err().code, ErrorCode::InvalidArgument);
        }
    }
}

/// Points off the curve, of other curves, in other forms and of small order lead nowhere.
#[test]
fn wrong_points() {
    for provider in providers() {
        let make = |kind| {
            let pkcs8 = provider.keys.generate(kind).unwrap();
            provider.keys.private(kind, pkcs8.expose()).unwrap()
        };
        for kind in [KeyType::EcdsaP256, KeyType::EcdsaP384, KeyType::EcdsaP521, KeyType::EcdsaSecp256k1] {
            let private = make(kind);
            let good = point(&*private);
            let mut off = good.clone();
            *off.last_mut().unwrap() ^= 1;
            let compressed = [&[2 + (good.last().unwrap() & 1)], &good[1..=kind.bytes()]].concat();
            let other = if kind == KeyType::EcdsaP256 { KeyType::EcdsaSecp256k1 } else { KeyType::EcdsaP256 };
            for bad in [
                off,
                compressed,
                point(&*make(other)),
                [&[6], &good[1..]].concat(),
                [&[4][..], &vec![0; 2 * kind.bytes()]].concat(),
                [&[4][..], &vec![0xff; 2 * kind.bytes()]].concat(),
                good[1..].to_vec(),
                [&good[..], &[0]].concat(),
                vec![0],
                vec![],
            ] {
                let refused = agreed(&*private, &bad);
                assert_eq!(refused, Err(ErrorCode::InvalidArgument), "{kind}, {bad:02x?}, {}", provider.name);
            }
        }
        let private = make(KeyType::X25519);
        for bad in [vec![], vec![9; 31], vec![9; 33], vec![0; 32], [&[1][..], &[0; 31]].concat()] {
            assert_eq!(
                agreed(&*private, &bad),
                Err(ErrorCode::InvalidArgument),
                "{bad:02x?}, {}",
                provider.name
            );
        }
        for small in [vec![0; 32], [&[1][..], &[0; 31]].concat()] {
            let spki = [hex("302a300506032b656e032100"), small].concat();
            let refused = provider.keys.public(KeyType::X25519, &spki).err().unwrap();
            assert_eq!(refused.code, ErrorCode::InvalidArgument);
        }
        assert_eq!(agreed(&*make(KeyType::Ed25519), &[9; 32]), Err(ErrorCode::OperationNotSupported));
        let error = private.sign(SignScheme::Ed25519, b"", &mut [0; 64]).unwrap_err();
        assert_eq!(error.code, ErrorCode::OperationNotSupported);
    }
}

/// R43: RFC 7748, sections 5.2 and 6.1.
#[test]
fn rfc_7748() {
    for provider in providers() {
        let cases = [
            (
                "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
                "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
                "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
            ),
            (
                "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
                "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
                "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
            ),
        ];
        for (scalar, point, shared) in cases {
            assert_eq!(agreed(&*x25519(provider, scalar), &hex(point)), Ok(hex(shared)), "{}", provider.name);
        }
        let alice = x25519(provider, "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
        let bob = x25519(provider, "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
        assert_eq!(point(&*alice), hex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"));
        assert_eq!(point(&*bob), hex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"));
        let shared = Ok(hex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"));
        assert_eq!(
            (agreed(&*alice, &point(&*bob)), agreed(&*bob, &point(&*alice))),
            (shared.clone(), shared)
        );
    }
}
